import { createReadStream, type Stats } from 'node:fs';
import { lstat, readFile, readdir, readlink, stat } from 'node:fs/promises';
import path from 'node:path';
import { Cksum } from '../core/cksum.ts';
import { INLINE_LIMIT, contentOf, type Content, type Entry } from '../core/facts.ts';
import type { LocalFile } from '../core/plan.ts';
import { joinPath, pathBytes, remotePath, type RemotePath } from '../core/remote-path.ts';
import { cannotRead, hasCode } from '../core/system-error.ts';
import { expandTilde } from './files.ts';

/** Where the dotfiles come from. */
export interface DotfilesSource {
  /** `--dotfiles DIR`: everything in it, instead of the default set. */
  readonly dir?: string;
  readonly home: string;
  /** The bytes of one of the package's own, for a user without dotfiles. */
  readonly shipped: (name: string) => Promise<Uint8Array>;
  /** Paths that steps of this run look after, so that a file of DIR may not stand there; `MANAGED` if not given. */
  readonly managed?: readonly string[];
}

/** What prep looks after itself, with the step that does; in a run without that step it is a dotfile like others. */
const STEPS: ReadonlyMap<string, string | undefined> = new Map([
  // No run may replace it whole: it never loses a line.
  ['.ssh/authorized_keys', undefined],
  ['.zlogin', 'zlogin'],
  ['.local/state/prep', undefined],
]);
export const MANAGED: readonly string[] = [...STEPS.keys()];

/** What prep looks after in a run of these steps. */
export function managedBy(steps: ReadonlySet<string>): readonly string[] {
  return MANAGED.filter(
    (path) => steps.has(STEPS.get(path) ?? '') || STEPS.get(path) === undefined,
  );
}

/** The user's own dotfiles that are sent by default, as the 2007 script did. */
const DEFAULT_SET = ['.screenrc', '.zshenv', '.zshrc'];

const WHAT = 'dotfile';

/**
 * The files that should stand on the account, each as a `LocalFile` relative to the home directory, in byte
 * order, a directory before what is in it. Contents up to `INLINE_LIMIT` without NUL carry their bytes, others
 * the name of the file. Of DIR, a `.git` at its top is left out, links stay links, `.ssh` is always 0700, and a private key in it 0600.
 * By default, the user's own files (links there followed), or the package's. Raises `cannot-read`.
 */
export async function readDotfiles(source: DotfilesSource): Promise<readonly LocalFile[]> {
  const { dir, home, shipped, managed = MANAGED } = source;
  if (dir === undefined) {
    const own = await defaultSet(home);
    return own.length > 0 ? own : shippedSet(shipped);
  }
  const files = await directory(path.resolve(expandTilde(dir, home)));
  for (const file of files) refuseManaged(file, dir, managed);
  return files;
}

async function defaultSet(folder: string): Promise<readonly LocalFile[]> {
  const files = await Promise.all(
    DEFAULT_SET.map(async (name) => {
      const file = path.join(folder, name);
      const found = await stat(file).catch((error: unknown) => {
        if (hasCode(error, 'ENOENT')) return undefined;
        throw cannotRead(file, WHAT, error);
      });
      if (found === undefined) return [];
      if (!found.isFile()) throw cannotRead(file, WHAT, 'it is not a file');
      return [{ path: remotePath(name), entry: await fileEntry(Buffer.from(file), found) }];
    }),
  );
  return files.flat();
}

/** The package's own files have no history of the user's: neither their checkout's mode nor its times count. */
function shippedSet(shipped: DotfilesSource['shipped']): Promise<readonly LocalFile[]> {
  return Promise.all(
    DEFAULT_SET.map(async (name): Promise<LocalFile> => {
      const content = contentOf(await shipped(name));
      return { path: remotePath(name), entry: { kind: 'file', mode: 0o644, content } };
    }),
  );
}

async function directory(top: string): Promise<readonly LocalFile[]> {
  const found = await stat(top).catch((error: unknown) => {
    throw cannotRead(top, 'dotfiles directory', error);
  });
  if (!found.isDirectory()) throw cannotRead(top, 'dotfiles directory', 'it is not a directory');
  const files: LocalFile[] = [];
  for await (const file of below(Buffer.from(top))) files.push(file);
  return files;
}

/** Everything below a directory; `within` is its own path on the account. */
async function* below(folder: Buffer, within?: RemotePath): AsyncGenerator<LocalFile> {
  const names = await attempt(folder, readdir(folder, { encoding: 'buffer' }));
  for (const name of names.sort((a, b) => a.compare(b))) {
    if (within === undefined && name.equals(Buffer.from('.git'))) continue;
    const file = Buffer.concat([folder, Buffer.from('/'), name]);
    const here = remotePath(name);
    const there = within === undefined ? here : joinPath(within, here);
    const entry = await entryOf(file);
    yield { path: there, entry: keptPrivate(there, entry) };
    if (entry.kind === 'directory') yield* below(file, there);
  }
}

/** What stands on this machine, as it should stand on the account; links stay links unless followed. @throws PrepError `cannot-read` */
export async function entryOf(
  file: Buffer,
  { follow = false }: { readonly follow?: boolean } = {},
): Promise<Entry> {
  const found = await attempt(file, follow ? stat(file) : lstat(file));
  if (found.isDirectory()) return { kind: 'directory', mode: permissions(found) };
  if (found.isFile()) return fileEntry(file, found);
  if (!found.isSymbolicLink()) {
    throw cannotRead(
      file.toString(),
      WHAT,
      'it is neither a file, a directory nor a link',
      'take it out of there',
    );
  }
  const target = await attempt(file, readlink(file, { encoding: 'buffer' }));
  return { kind: 'symlink', target: remotePath(target) };
}

async function fileEntry(file: Buffer, found: Stats): Promise<Entry> {
  const mtime = Math.floor(found.mtimeMs / 1000);
  const content = await attempt(file, contentOfFile(file, found.size));
  return { kind: 'file', mode: permissions(found), mtime, content };
}

/** A name that is not UTF-8 cannot be a `localFile`, so such a file is kept in memory whatever its size. */
async function contentOfFile(file: Buffer, size: number): Promise<Content> {
  const name = file.toString();
  const nameable = Buffer.from(name).equals(file);
  if (size > INLINE_LIMIT && nameable) return { ...(await measured(file)), localFile: name };
  const content = contentOf(await readFile(file));
  if (!nameable || content.bytes?.includes(0) !== true) return content;
  return { size: content.size, checksum: content.checksum, localFile: name };
}

async function measured(file: Buffer): Promise<Content> {
  const sum = new Cksum();
  for await (const chunk of createReadStream(file)) sum.update(chunk as Buffer);
  return { size: sum.size, checksum: sum.digest() };
}

/** StrictModes wants ~/.ssh so and ssh the private keys in it, and git keeps no such modes. */
function keptPrivate(there: RemotePath, entry: Entry): Entry {
  if (there === '.ssh' && entry.kind === 'directory') return { ...entry, mode: 0o700 };
  if (!/^\.ssh\/[^/]+$/.test(there) || !isPrivateKey(entry)) return entry;
  return (entry.mode & 0o077) === 0 ? entry : { ...entry, mode: 0o600 };
}

/** By its first line, as the permissions of those that lie there are looked after. */
function isPrivateKey(entry: Entry): entry is Entry & { kind: 'file' } {
  if (entry.kind !== 'file' || entry.content.bytes === undefined) return false;
  const text = Buffer.from(entry.content.bytes).toString('latin1');
  return /^[^\n]*PRIVATE KEY/.test(text);
}

/** @throws PrepError `cannot-read` for a file of `dir` that would stand where a step looks after things */
export function refuseManaged(
  file: LocalFile,
  dir: string,
  managed: readonly string[] = MANAGED,
): void {
  const { path: there, entry } = file;
  if (there === '.zlogin' && entry.kind === 'symlink' && entry.target === '.zshenv') return;
  const taken = managed.find(
    (one) =>
      `${there}/`.startsWith(`${one}/`) ||
      (entry.kind !== 'directory' && `${one}/`.startsWith(`${there}/`)),
  );
  if (taken === undefined) return;
  const step = STEPS.get(taken);
  throw cannotRead(
    path.join(dir, pathBytes(there).toString()),
    WHAT,
    `~/${taken} is what prep itself looks after`,
    step === undefined
      ? 'take it out of there'
      : `take it out of there, or run prep with --skip ${step}`,
  );
}

function permissions(found: Stats): number {
  return found.mode & 0o777;
}

async function attempt<T>(file: Buffer, reading: Promise<T>): Promise<T> {
  try {
    return await reading;
  } catch (error) {
    throw cannotRead(file.toString(), WHAT, error);
  }
}
