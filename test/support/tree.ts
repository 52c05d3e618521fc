import { createHash } from 'node:crypto';
import { lstatSync, readdirSync, readFileSync, readlinkSync, type BigIntStats } from 'node:fs';

/** What stands at one path of a tree. */
export interface TreeEntry {
  readonly type: 'directory' | 'file' | 'symlink' | 'special';
  /** Permission bits in octal, four digits. */
  readonly mode: string;
  readonly owner: number;
  /** Nanoseconds since 1970. */
  readonly mtime: bigint;
  readonly size: number;
  readonly sha256?: string;
  readonly target?: string;
}

/** Every path under a folder, relative to it (`.` for itself), in order; names are bytes (latin1). */
export type Tree = Readonly<Record<string, TreeEntry>>;

/** Takes a snapshot of a folder, to be compared with `toEqual` before and after. */
export function treeOf(folder: string): Tree {
  const entries: [string, TreeEntry][] = [];
  const visit = (path: string, name: string): void => {
    const entry = entryAt(path);
    entries.push([name, entry]);
    if (entry.type !== 'directory') return;
    for (const child of readdirSync(Buffer.from(path, 'latin1'), 'latin1').sort()) {
      visit(`${path}/${child}`, name === '.' ? child : `${name}/${child}`);
    }
  };
  visit(Buffer.from(folder).toString('latin1'), '.');
  return Object.fromEntries(entries);
}

/** The snapshot without what differs between two equal homes: times, owners and the sizes of directories. */
export function shapeOf(tree: Tree): Record<string, Omit<TreeEntry, 'mtime' | 'owner' | 'size'>> {
  return Object.fromEntries(
    Object.entries(tree).map(([name, { mtime: _m, owner: _o, size: _s, ...rest }]) => [name, rest]),
  );
}

/**
 * The files under a folder whose bytes contain any of the given ones; names are bytes (latin1). The folder may be at
 * work: what goes while it is looked at is passed over.
 */
export function filesHolding(folder: string, needles: readonly Buffer[]): string[] {
  const found: string[] = [];
  const visit = (path: string): void => {
    const names = Buffer.from(path, 'latin1');
    const entries = unlessGone(() =>
      readdirSync(names, { encoding: 'latin1', withFileTypes: true }),
    );
    for (const entry of entries ?? []) {
      const inner = `${path}/${entry.name}`;
      if (entry.isDirectory()) visit(inner);
      if (!entry.isFile()) continue;
      const bytes = unlessGone(() => readFileSync(Buffer.from(inner, 'latin1')));
      if (bytes && needles.some((needle) => bytes.includes(needle))) found.push(inner);
    }
  };
  visit(Buffer.from(folder).toString('latin1'));
  return found;
}

function unlessGone<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function entryAt(path: string): TreeEntry {
  const bytes = Buffer.from(path, 'latin1');
  const stats = lstatSync(bytes, { bigint: true });
  const type = typeOf(stats);
  return {
    type,
    mode: (Number(stats.mode) & 0o7777).toString(8).padStart(4, '0'),
    owner: Number(stats.uid),
    mtime: stats.mtimeNs,
    size: Number(stats.size),
    ...(type === 'file' && {
      sha256: createHash('sha256').update(readFileSync(bytes)).digest('hex'),
    }),
    ...(type === 'symlink' && { target: readlinkSync(bytes, 'latin1') }),
  };
}

function typeOf(stats: BigIntStats): TreeEntry['type'] {
  if (stats.isDirectory()) return 'directory';
  if (stats.isFile()) return 'file';
  return stats.isSymbolicLink() ? 'symlink' : 'special';
}
