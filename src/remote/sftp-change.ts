import { createReadStream } from 'node:fs';
import { INLINE_LIMIT, sameContent, type Content, type Entry } from '../core/facts.ts';
import type { EntryChange } from '../core/plan.ts';
import { printablePath } from '../core/printable.ts';
import { PrepError } from '../core/problem.ts';
import { parentOf, type RemotePath } from '../core/remote-path.ts';
import { journalLine, keepsCopy, keptAt, temporaryAt } from './journal.ts';
import type { SftpJournal } from './sftp-journal.ts';
import { readEntry } from './sftp-probe.ts';
import { create, piecesAt } from './sftp-contents.ts';
import { isDenied } from './sftp-errors.ts';
import type { Setting, SftpRequests } from './sftp-requests.ts';

type File = Entry & { readonly kind: 'file' };

/** One change of a run. */
export interface Making {
  readonly run: string;
  readonly number: number;
  readonly step: string;
  readonly change: EntryChange;
  readonly onSent?: (sent: number) => void;
}

/**
 * Makes one change over SFTP: writes beside the target, compares what stands there with what was shown,
 * keeps it, writes the change down, and only then renames, so that each path is old or new.
 * @throws PrepError `stale`, `disk-full`, `not-writable`, `write-failed`, `connection-lost`
 */
export async function makeOverSftp(
  sftp: SftpRequests,
  journal: SftpJournal,
  making: Making,
): Promise<void> {
  const { change, run, number } = making;
  const { path, before, after } = change;
  const beside = temporaryAt(path, run, number);
  const writes = after.kind === 'symlink' || (after.kind === 'file' && !sameBytes(before, after));
  try {
    if (writes) await lay(sftp, beside, after, making.onSent);
    await compare(sftp, path, before);
    if (keepsCopy(change)) await keep(sftp, before as File, path, keptAt(run, number));
    await journal.note(journalLine({ number, step: making.step, change }));
    if (writes) await place(sftp, beside, path, before);
    else await alter(sftp, path, before, after);
  } catch (error) {
    if (writes) await sftp.unlink(beside).catch(() => undefined);
    throw await explained(sftp, path, error);
  }
}

function sameBytes(before: Entry, after: File): boolean {
  return before.kind === 'file' && sameContent(before.content, after.content);
}

/** Writes the new file, or link, beside the place where it will stand. */
async function lay(
  sftp: SftpRequests,
  beside: RemotePath,
  after: Entry,
  onSent: Making['onSent'],
): Promise<void> {
  if (after.kind === 'symlink') return sftp.symlink(after.target, beside);
  const { content, mode, mtime } = after as File;
  const written = await create(sftp, beside, {
    pieces: piecesOf(sftp, content),
    setting: { mode, ...both(mtime) },
    onSent,
  });
  const right = content.checksum === undefined || sameContent(written, content);
  if (!right || written.size !== content.size)
    throw new Error('what was written is not what was to be sent');
}

/** Times are whole seconds; the protocol sets both or none. */
function both(mtime: number | undefined): Setting {
  return mtime === undefined ? {} : { atime: mtime, mtime };
}

function piecesOf(
  sftp: SftpRequests,
  { bytes, localFile, keptAt: kept, size }: Content,
): AsyncIterable<Uint8Array> | Iterable<Uint8Array> {
  if (bytes !== undefined) return [bytes];
  if (kept !== undefined) return piecesAt(sftp, kept, size);
  return createReadStream(localFile!) as AsyncIterable<Uint8Array>;
}

/** @throws PrepError `stale` where something else stands there than was shown */
async function compare(sftp: SftpRequests, path: RemotePath, before: Entry): Promise<void> {
  // A large file whose time is known is not read once more.
  const trusted =
    before.kind === 'file' &&
    before.mtime !== undefined &&
    (before.content.checksum === undefined || before.content.size > INLINE_LIMIT);
  const found = await readEntry(sftp, { path, ...(!trusted && { bytes: 'all' }) });
  if (trusted && found.kind === 'file') {
    const { size } = before.content;
    if (found.content.size === size && found.mtime === before.mtime && found.mode === before.mode)
      return;
  } else if (words(found) === words(before)) return;
  throw new PrepError({ code: 'stale', path: printablePath(path), found: words(found) });
}

/** As the script of a shell account says what stands there. */
function words(entry: Entry): string {
  const mode = 'mode' in entry ? entry.mode.toString(8) : '';
  if (entry.kind === 'file')
    return `file ${mode} ${entry.content.size} ${entry.content.checksum ?? ''}`.trim();
  if (entry.kind === 'directory') return `directory ${mode}`;
  return entry.kind === 'symlink' ? `symlink ${entry.target}` : entry.kind;
}

/** Keeps a file under a second name, which costs nothing and loses nothing; where that cannot be, a copy. */
async function keep(
  sftp: SftpRequests,
  { content, mode, mtime }: File,
  path: RemotePath,
  kept: RemotePath,
): Promise<void> {
  try {
    await sftp.link(path, kept);
  } catch (error) {
    if (error instanceof PrepError) throw error;
    const pieces = piecesAt(sftp, path, content.size);
    await create(sftp, kept, { pieces, setting: { mode, ...both(mtime) } });
  }
}

/** Renames what was written into its place: onto nothing, or in one step onto what was there. */
async function place(
  sftp: SftpRequests,
  beside: RemotePath,
  path: RemotePath,
  before: Entry,
): Promise<void> {
  if (before.kind !== 'absent') return sftp.replace(beside, path);
  try {
    await sftp.move(beside, path);
  } catch (error) {
    if (error instanceof PrepError) throw error;
    // The protocol has no word for "it exists".
    await compare(sftp, path, before);
    throw error;
  }
}

/** Whatever needs no new file. */
async function alter(
  sftp: SftpRequests,
  path: RemotePath,
  before: Entry,
  after: Entry,
): Promise<void> {
  if (after.kind === 'absent') {
    return before.kind === 'directory' ? sftp.rmdir(path) : sftp.unlink(path);
  }
  if (after.kind === 'directory') {
    // The server's umask has its say in a new one.
    if (before.kind !== 'directory') await sftp.mkdir(path, after.mode);
    return sftp.set(path, { mode: after.mode });
  }
  if (after.kind !== 'file') throw new Error('prep cannot make such a file');
  const time = before.kind === 'file' && before.mtime === after.mtime ? undefined : after.mtime;
  return sftp.set(path, { mode: after.mode, ...both(time) });
}

/** What went wrong in words. SFTP says "Failure" of most things, so a full or read-only file system is asked for. */
export async function explained(
  sftp: SftpRequests,
  path: RemotePath,
  error: unknown,
): Promise<PrepError> {
  if (error instanceof PrepError) return error;
  const said = error instanceof Error ? error.message : String(error);
  const name = printablePath(path);
  if (isDenied(error)) return new PrepError({ code: 'not-writable', path: name, said }, error);
  if (NO_EXTENSION.test(said)) {
    const cause = 'its SFTP server cannot replace a file in one step (posix-rename@openssh.com)';
    return new PrepError({ code: 'write-failed', path: name, said: cause }, error);
  }
  const there = await sftp.fileSystem(parentOf(path) ?? ('.' as RemotePath)).catch(() => undefined);
  const code =
    there?.full === true ? 'disk-full' : there?.readOnly === true ? 'not-writable' : 'write-failed';
  return new PrepError({ code, path: name, said }, error);
}

/** What ssh2 says of an extension that the server has not announced. */
const NO_EXTENSION = /does not support this extended request/;
