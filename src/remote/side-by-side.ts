import type { Change } from '../core/plan.ts';

/** How many things are under way at once, where nobody says otherwise. */
const AT_ONCE = 32;

/** Works through `items` in order, so many of them at once, and gives the results in that order. */
export async function pooled<T, R>(
  items: readonly T[],
  work: (item: T) => Promise<R>,
  atOnce = AT_ONCE,
): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let mine = next++; mine < items.length; mine = next++) {
      results[mine] = await work(items[mine]!);
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, worker));
  return results;
}

/** Makes changes side by side, but one that concerns a path after those of the path itself, of folders above and of what is in it. */
export async function inOrder(
  changes: readonly Change[],
  make: (change: Change, index: number) => Promise<void>,
): Promise<void> {
  const places = new Places();
  const underWay = new Set<Promise<void>>();
  for (const [index, change] of changes.entries()) {
    while (underWay.size >= AT_ONCE) await Promise.race(underWay);
    const path = change.what === 'entry' ? change.path : '';
    const made = Promise.all(places.concerning(path)).then(() => make(change, index));
    places.add(path, made);
    underWay.add(made);
    const over = (): void => void underWay.delete(made);
    made.then(over, over);
  }
  await Promise.all(underWay);
}

/** What is being made, by where. */
class Places {
  readonly #last = new Map<string, Promise<void>>();
  /** What came below a path since the last change of the path itself. */
  readonly #below = new Map<string, Promise<void>[]>();

  /** What must be over before a path is touched. */
  concerning(path: string): readonly Promise<void>[] {
    const above = [path, ...foldersOf(path)].flatMap((place) => this.#last.get(place) ?? []);
    return [...above, ...(this.#below.get(path) ?? [])];
  }

  add(path: string, made: Promise<void>): void {
    this.#last.set(path, made);
    this.#below.delete(path);
    for (const folder of foldersOf(path)) {
      const others = this.#below.get(folder);
      if (others === undefined) this.#below.set(folder, [made]);
      else others.push(made);
    }
  }
}

/** Every folder above a path that its name has. */
function foldersOf(path: string): readonly string[] {
  const parts = path.split('/');
  return parts.slice(1).map((_, index) => parts.slice(0, index + 1).join('/'));
}
