import { execFile } from 'node:child_process';
import { stat } from 'node:fs/promises';
import path from 'node:path';
import type { DotfileSource } from '../core/configuration.ts';
import type { LocalFile } from '../core/plan.ts';
import { joinPath, parentOf, remotePath, type RemotePath } from '../core/remote-path.ts';
import { PrepError } from '../core/problem.ts';
import { cannotRead } from '../core/system-error.ts';
import { entryOf, readDotfiles, refuseManaged } from './dotfiles.ts';
import { rendered } from './template.ts';

/** Where a command runs, and what templates may name. */
export interface SourcesContext {
  readonly home: string;
  /** The package's own dotfiles; not used where there are sources. */
  readonly shipped: (name: string) => Promise<Uint8Array>;
  readonly values: Readonly<Record<string, string>>;
  /** Paths that steps of this run look after, so that no file may stand there; all that prep does, if not given. */
  readonly managed?: readonly string[];
}

/** How much a command may print, in bytes, and how long it may take, in milliseconds. */
const LIMIT = 64 * 1024 * 1024;
const PATIENCE = 60_000;

/**
 * The files of several sources as they should stand on the account, a directory before what is in it; of two that
 * mean the same path, the later source wins.
 * @throws PrepError `cannot-read`, `bad-config` for a template
 */
export async function readSources(
  sources: readonly DotfileSource[],
  context: SourcesContext,
): Promise<readonly LocalFile[]> {
  const files = new Map<RemotePath, LocalFile>();
  for (const source of sources) {
    for (const file of await readSource(source, context)) {
      refuseManaged(file, nameOf(source), context.managed);
      const { path, entry } = file;
      const isPrivate = path === '.ssh' && entry.kind === 'directory';
      files.set(path, isPrivate ? { path, entry: { ...entry, mode: 0o700 } } : file);
    }
  }
  for (const { path } of Array.from(files.values())) addParents(files, path);
  return [...files.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** Folders that no source has, but something stands in. @throws PrepError `cannot-read` where a file stands in its place */
function addParents(files: Map<RemotePath, LocalFile>, path: RemotePath): void {
  const parent = parentOf(path);
  if (parent === undefined) return;
  const there = files.get(parent);
  if (there === undefined) {
    const mode = parent === '.ssh' ? 0o700 : 0o755;
    files.set(parent, { path: parent, entry: { kind: 'directory', mode } });
  } else if (there.entry.kind !== 'directory') {
    const cause = `one source has it as a file, another has ${path} in it`;
    throw cannotRead(`~/${parent}`, 'dotfile', cause);
  }
  addParents(files, parent);
}

function nameOf(source: DotfileSource): string {
  if ('command' in source) return source.command.join(' ');
  return 'template' in source ? source.template : source.path;
}

async function readSource(
  source: DotfileSource,
  context: SourcesContext,
): Promise<readonly LocalFile[]> {
  if ('command' in source) return outputOf(source.command, context.home);
  if ('template' in source) {
    const entry = await rendered(source.template, context.values);
    return [{ path: target(source.to, source.template), entry }];
  }
  const { path: name, to, exclude = [] } = source;
  const found = await stat(name).catch(() => undefined);
  if (found?.isFile() === true) {
    const place = to?.endsWith('/') === true ? `${to}${path.basename(name)}` : to;
    const entry = await entryOf(Buffer.from(name), { follow: true });
    return [{ path: target(place ?? path.basename(name), name), entry }];
  }
  if (found?.isDirectory() !== true) return matching(await split(name), to, exclude);
  if (exclude.length > 0) return matching({ top: name, pattern: '**' }, to, exclude);
  const files = await readDotfiles({ ...context, dir: name, managed: [] });
  return files.map((file) => ({ ...file, path: below(to, file.path, name) }));
}

/** A glob, and the directory that it counts from. */
interface Glob {
  readonly top: string;
  readonly pattern: string;
}

/** Takes a glob apart before its first wildcard. @throws PrepError `cannot-read` for a name that has none */
async function split(name: string): Promise<Glob> {
  const { isDynamicPattern } = await import('tinyglobby');
  const parts = name.split('/');
  const first = parts.findIndex((part) => isDynamicPattern(part));
  if (first < 0) throw cannotRead(name, 'dotfile', 'no such file or directory');
  return { top: parts.slice(0, first).join('/') || '/', pattern: parts.slice(first).join('/') };
}

/** What a glob means, in the order of the names. @throws PrepError `cannot-read` where it means nothing */
async function matching(
  { top, pattern }: Glob,
  to: string | undefined,
  exclude: readonly string[],
): Promise<readonly LocalFile[]> {
  const { glob } = await import('tinyglobby');
  const left = exclude.flatMap((one) => [one, `${one.replace(/\/$/, '')}/**`]);
  const names = await glob(pattern, {
    cwd: top,
    dot: true,
    onlyFiles: false,
    followSymbolicLinks: false,
    expandDirectories: false,
    ignore: ['.git', '.git/**', ...left],
  }).catch((error: unknown) => {
    throw cannotRead(path.join(top, pattern), 'dotfiles', error);
  });
  if (names.length === 0) {
    throw cannotRead(path.join(top, pattern), 'dotfiles', 'there is nothing of that name');
  }
  const files = names
    .map((name) => name.replace(/\/$/, ''))
    .filter((name) => name !== '' && name !== '.')
    .sort()
    .map(async (name): Promise<LocalFile> => {
      const file = path.join(top, name);
      return { path: below(to, remotePath(name), file), entry: await entryOf(Buffer.from(file)) };
    });
  return Promise.all(files);
}

function below(to: string | undefined, name: RemotePath, file: string): RemotePath {
  return to === undefined ? name : joinPath(target(to, file), name);
}

/** A place within the account's home directory. @throws PrepError `cannot-read` */
function target(to: string, file: string): RemotePath {
  const plain = path.posix.normalize(to.replace(/^~\//, '')).replace(/\/$/, '');
  if (!path.posix.isAbsolute(plain) && !/^\.{1,2}(\/|$)/.test(plain)) return remotePath(plain);
  throw cannotRead(file, 'dotfile', `"${to}" is no place within the account's home directory`);
}

async function outputOf(
  [program = '', ...args]: readonly string[],
  home: string,
): Promise<readonly LocalFile[]> {
  const name = [program, ...args].join(' ');
  const bytes = await new Promise<Buffer>((resolve, reject) => {
    const options = { cwd: home, encoding: 'buffer', maxBuffer: LIMIT, timeout: PATIENCE } as const;
    execFile(program, args, options, (error, stdout, stderr) => {
      if (error === null) return resolve(stdout);
      const late = `it came to no end within ${PATIENCE / 1000} s`;
      const last = stderr.toString().trim().split('\n').at(-1) || error.message;
      // One that printed too much is killed as well, and that has a code.
      const said = error.killed && !error.code ? late : last;
      reject(cannotRead(name, 'output of', said));
    }).stdin?.end();
  });
  const { unpacked } = await import('./archive.ts');
  const files = await unpacked(bytes, LIMIT).catch((error: unknown) => {
    if (error instanceof PrepError) throw error;
    throw cannotRead(name, 'archive printed by', error);
  });
  return files.map(({ path: there, entry }) => ({ path: target(there, name), entry }));
}
