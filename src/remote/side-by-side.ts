import type { Change } from '../core/plan.ts';

/** How many things are under way at once. */
const AT_ONCE = 32;

/** Works through `items`, some of them at once, and gives the results in order. */
export async function pooled<T, R>(
  items: readonly T[],
  work: (item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let mine = next++; mine < items.length; mine = next++) {
      results[mine] = await work(items[mine]!);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return results;
}

/** Makes changes side by side, but one that concerns a path after those of the path itself, of folders above and of what is in it. */
export async function inOrder(
  changes: readonly Change[],
  make: (change: Change, index: number) => Promise<void>,
): Promise<void> {
  const last = new Map<string, Promise<void>>();
  const underWay = new Set<Promise<void>>();
  for (const [index, change] of changes.entries()) {
    while (underWay.size >= AT_ONCE) await Promise.race(underWay);
    const path = change.what === 'entry' ? change.path : '';
    const earlier = [...last].flatMap(([other, made]) => (concerns(path, other) ? [made] : []));
    const made = Promise.all(earlier).then(() => make(change, index));
    last.set(path, made);
    underWay.add(made);
    void made.finally(() => underWay.delete(made));
  }
  await Promise.all(underWay);
}

function concerns(a: string, b: string): boolean {
  return a === b || a.startsWith(`${b}/`) || b.startsWith(`${a}/`);
}
