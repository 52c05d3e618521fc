/** How every block of prep's begins and ends: lines that are comments to each shell. */
const BEGIN = '# >>> prep';
const END = '# <<< prep';

/** Lines for a user's own file, between marker comments by which they are found again. */
export function markedBlock(about: string, lines: readonly string[]): readonly string[] {
  return [`${BEGIN}: ${about} >>>`, ...lines, `${END} <<<`];
}

/** Whether lines that were added to a file are such a block. */
export function isMarkedBlock(lines: readonly string[]): boolean {
  return lines[0]?.startsWith(BEGIN) === true && lines.at(-1)?.startsWith(END) === true;
}

/** The file with the block in it: where one stands already, in its place; else last. No other byte moves. */
export function putBlock(old: Uint8Array, block: readonly string[]): Uint8Array {
  const [before, , after] = parted(old) ?? [ended(latin1(old)), '', ''];
  return Buffer.from(`${before}${block.join('\n')}\n${after}`, 'latin1');
}

/** The file without the block, whatever was edited between its markers. No other byte moves. */
export function takeOutBlock(old: Uint8Array): Uint8Array {
  const parts = parted(old);
  return parts === undefined ? old : Buffer.from(parts[0] + parts[2], 'latin1');
}

/** What stands before, within and after the block; undefined where there is none. */
function parted(bytes: Uint8Array): readonly [string, string, string] | undefined {
  const text = latin1(bytes);
  return /^(|[^]*?\n)(# >>> prep[^\n]*\n(?:[^\n]*\n)*?# <<< prep[^\n]*(?:\n|$))([^]*)$/
    .exec(text)
    ?.slice(1) as [string, string, string] | undefined;
}

function ended(text: string): string {
  return text === '' || text.endsWith('\n') ? text : `${text}\n`;
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}
