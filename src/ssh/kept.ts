import { statSync } from 'node:fs';

/**
 * What was made of files, kept for as long as they stay as they are: with many accounts, reading the same few files
 * for each costs as much CPU as a fifth of a login. Only regular files, and their absence, are kept in mind.
 */
export class Kept<T> {
  readonly #made = new Map<string, { readonly stamp: string; readonly value: Promise<T> }>();

  /** The same value as long as nothing shows that one of the files is another by now. Raises what `make` does, anew each time. */
  of(files: readonly string[], make: () => Promise<T>): Promise<T> {
    const name = JSON.stringify(files);
    const stamp = stampOf(files);
    const before = this.#made.get(name);
    if (before !== undefined && before.stamp === stamp) return before.value;
    const value = make();
    if (stamp === undefined) return value;
    const made = { stamp, value };
    this.#made.set(name, made);
    value.catch(() => this.#made.get(name) === made && this.#made.delete(name));
    return value;
  }
}

/** Undefined where something is there that may say something else each time (a pipe, a device). */
function stampOf(files: readonly string[]): string | undefined {
  const stamps = files.map((file) => {
    try {
      // Ten times as fast as without Sync, and quicker than one packet is decrypted.
      const found = statSync(file, { bigint: true, throwIfNoEntry: false });
      if (found === undefined) return 'absent';
      const { dev, ino, size, mtimeNs, ctimeNs } = found;
      return found.isFile() ? [dev, ino, size, mtimeNs, ctimeNs].join() : undefined;
    } catch {
      return undefined;
    }
  });
  return stamps.includes(undefined) ? undefined : stamps.join('\n');
}
