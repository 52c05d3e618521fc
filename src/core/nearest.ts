/** `, did you mean dry-run` where a name is near enough to what was typed, else nothing. */
export function suggestion(typed: string, names: readonly string[], dashes = ''): string {
  const near = names
    .map((name) => ({
      name,
      off: name.startsWith(typed) && typed.length > 2 ? 1 : distance(name, typed),
    }))
    .sort((a, b) => a.off - b.off)[0];
  const tolerated = Math.max(1, Math.floor(typed.length / 3));
  return near && near.off <= tolerated ? `, did you mean ${dashes}${near.name}` : '';
}

/** How many slips (a letter more, less, wrong, or two swapped) lie between two words. */
export function distance(a: string, b: string): number {
  const rows: number[][] = [[...Array(b.length + 1).keys()]];
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const wrong = a[i - 1] === b[j - 1] ? 0 : 1;
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      row[j] = Math.min(
        rows[i - 1]![j]! + 1,
        row[j - 1]! + 1,
        rows[i - 1]![j - 1]! + wrong,
        swapped ? rows[i - 2]![j - 2]! + 1 : Infinity,
      );
    }
    rows.push(row);
  }
  return rows[a.length]![b.length]!;
}
