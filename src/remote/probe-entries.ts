import { cksum } from '../core/cksum.ts';
import type { Content, Entry } from '../core/facts.ts';
import { PrepError } from '../core/problem.ts';
import type { RemotePath } from '../core/remote-path.ts';
import type { Answer } from './answer.ts';

interface Meta {
  readonly mode: number;
  readonly type: number;
  readonly mtime?: number;
  readonly owner: number;
  readonly inode: string;
}

/** The type bits of st_mode. */
export const TYPE = {
  mask: 0o170000,
  directory: 0o040000,
  regular: 0o100000,
  symlink: 0o120000,
} as const;

/** What stands at each path that the answer speaks of. @throws PrepError `stale` */
export function readEntries(
  answer: Answer,
  relative: (name: string) => RemotePath,
): Map<RemotePath, Entry> {
  const contents = readContents(answer, relative);
  const links = new Map(
    answer.all('l').map(({ name, rest }) => [relative(name), rest as RemotePath]),
  );
  const lists = new Map(
    answer.all('n').map(({ name, rest }) => [relative(name), rest.split('\n').filter(Boolean)]),
  );
  const entries = new Map<RemotePath, Entry>();
  for (const { line } of answer.all('s')) {
    const [, dialect, mode, mtime, owner, inode, , name] =
      /^(\w+) (\S+) (\S+) (\d+) (\S+) (\d+) (.*)$/s.exec(line) ?? [];
    if (name === undefined) continue;
    const path = relative(name);
    const bits = modeBits(dialect!, mode!);
    const meta = {
      mode: bits & 0o7777,
      type: bits & TYPE.mask,
      ...(mtime !== '-' && { mtime: Number(mtime) }),
      owner: Number(owner),
      inode: inode!,
    };
    entries.set(path, entryOf(meta, contents.get(path), links.get(path), lists.get(path)));
  }
  return entries;
}

function entryOf(
  meta: Meta,
  content: Content | undefined,
  target: RemotePath | undefined,
  names: readonly string[] | undefined,
): Entry {
  const { mode, owner, mtime, inode } = meta;
  if (meta.type === TYPE.directory)
    return { kind: 'directory', mode, owner, ...(names && { names }) };
  if (meta.type === TYPE.symlink) return { kind: 'symlink', target: target ?? ('' as RemotePath) };
  if (meta.type !== TYPE.regular) return { kind: 'special' };
  if (content === undefined) return { kind: 'unreadable', mode, owner };
  return { kind: 'file', mode, owner, inode, content, ...(mtime !== undefined && { mtime }) };
}

/**
 * Sizes and checksums, and the bytes that were asked for.
 * @throws PrepError `stale` where a file changed while it was being read
 */
function readContents(
  answer: Answer,
  relative: (name: string) => RemotePath,
): Map<RemotePath, Content> {
  const contents = new Map<RemotePath, Content>();
  for (const { line } of answer.all('c')) {
    const [, checksum, size, name] = /^(\d+) (\d+) (.*)$/s.exec(line) ?? [];
    if (name !== undefined)
      contents.set(relative(name), { size: Number(size), checksum: Number(checksum) });
  }
  for (const { name, bytes } of answer.all('b')) {
    const path = relative(name);
    const content = contents.get(path);
    if (content === undefined) continue;
    if (bytes.length !== content.size || cksum(bytes) !== content.checksum) {
      throw new PrepError({ code: 'stale', path: name, found: '' });
    }
    contents.set(path, { ...content, bytes });
  }
  return contents;
}

const TYPE_LETTERS: Record<string, number> = {
  d: TYPE.directory,
  '-': TYPE.regular,
  l: TYPE.symlink,
};

/** The mode as st_mode has it, from `stat -c %f`, `stat -f %p` or the first column of `ls -l`. */
function modeBits(dialect: string, text: string): number {
  if (dialect === 'hex') return Number.parseInt(text, 16);
  if (dialect === 'octal') return Number.parseInt(text, 8);
  let mode = TYPE_LETTERS[text[0]!] ?? 0o010000;
  for (let i = 1; i <= 9; i++) {
    const letter = text[i]!;
    if (!/[-ST]/.test(letter)) mode |= 1 << (9 - i);
    if (/[sStT]/.test(letter)) mode |= 0o1000 << (3 - Math.ceil(i / 3));
  }
  return mode;
}
