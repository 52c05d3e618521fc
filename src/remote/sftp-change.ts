import { createReadStream } from 'node:fs';
import { INLINE_LIMIT, sameContent, type Content, type Entry } from '../core/facts.ts';
import type { EntryChange } from '../core/plan.ts';
import { printablePath } from '../core/printable.ts';
import { PrepError } from '../core/problem.ts';
import type { RemotePath } from '../core/remote-path.ts';
import { journalLine, keepsCopy, keptAt, sentTo, temporaryAt } from './journal.ts';
import type { SftpRun } from './sftp-run.ts';
import { readEntry } from './sftp-probe.ts';
import { create, measure, piecesAt, type Measure } from './sftp-contents.ts';
import { explained, orNothing } from './sftp-errors.ts';
import type { Setting, SftpRequests } from './sftp-requests.ts';
import { beginning } from './transfer.ts';

type File = Entry & { readonly kind: 'file' };

/** One change of a run. */
export interface Making {
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
  run: SftpRun,
  making: Making,
): Promise<void> {
  const { change, number } = making;
  const { path, before, after } = change;
  const writes = after.kind === 'symlink' || (after.kind === 'file' && !sameBytes(before, after));
  const beside = temporaryAt(path, run.name, number);
  const laid = writes ? [beside] : [];
  if (writes && isLarge(after)) laid.push(sentTo(run.name, number, after.content));
  try {
    if (sftp.followsLinks && isAboutLink(change)) throw new Error(FOLLOWS);
    if (after.kind === 'symlink') await sftp.symlink(after.target, beside);
    else if (writes) await lay(sftp, beside, after, making, run.name);
    if ((await compare(sftp, change)) === 'already') {
      if (writes) await sftp.unlink(beside);
      return;
    }
    if (keepsCopy(change)) await keep(sftp, before as File, path, keptAt(run.name, number));
    await run.note(journalLine({ number, step: making.step, change }));
    if (writes) await place(sftp, beside, change);
    else await alter(sftp, path, before, after);
  } catch (error) {
    const reason = await explained(sftp, path, error);
    // Half a file may be what fills the disk, which can be seen no more once it is gone.
    for (const one of laid) await sftp.unlink(one).catch(() => undefined);
    throw reason;
  }
}

/** Why a link is not replaced, nor replaces anything: what it leads to would be, and be lost. */
const FOLLOWS = 'its SFTP server follows links where it replaces files';

function isAboutLink({ before, after }: EntryChange): boolean {
  if (before.kind === 'absent' || after.kind === 'absent') return false;
  return before.kind === 'symlink' || after.kind === 'symlink';
}

function sameBytes(before: Entry, after: File): boolean {
  return before.kind === 'file' && sameContent(before.content, after.content);
}

/** What is read from a file here is sent into the run's folder first, where the next run finds half of it. */
function isLarge(after: Entry): after is File {
  return after.kind === 'file' && after.content.localFile !== undefined;
}

/** Writes the new file beside the place where it will stand. */
async function lay(
  sftp: SftpRequests,
  beside: RemotePath,
  after: File,
  { number, onSent }: Making,
  run: string,
): Promise<void> {
  const { content } = after;
  const whole = { pieces: piecesOf(sftp, content), setting: settingOf(after), onSent };
  if (!isLarge(after)) return checked(content, await create(sftp, beside, whole));
  const sent = sentTo(run, number, content);
  checked(
    content,
    await create(sftp, sent, { ...whole, from: await thereOf(sftp, sent, content) }),
  );
  await sftp.move(sent, beside).catch(async (error: unknown) => {
    if (error instanceof PrepError) throw error;
    // The target is on another file system, or may not be written.
    const again = { ...whole, pieces: piecesOf(sftp, content) };
    checked(content, await create(sftp, beside, again));
    await sftp.unlink(sent);
  });
}

/** How much of a content an interrupted run has sent already; what is no beginning of it goes. */
async function thereOf(sftp: SftpRequests, sent: RemotePath, content: Content): Promise<number> {
  const size = (await sftp.lstat(sent))?.size;
  if (size === undefined) return 0;
  const there = size > content.size ? undefined : await measure(sftp, sent, size).catch(orNothing);
  const right = await beginning({ content, there });
  if (right === 0) await sftp.unlink(sent);
  return right;
}

/** @throws Error where something else was written */
function checked(content: Content, written: Measure): void {
  const right = content.checksum === undefined || sameContent(written, content);
  if (!right || written.size !== content.size)
    throw new Error('what was written is not what was to be sent');
}

function settingOf({ mode, mtime }: File): Setting {
  return { mode, ...both(mtime) };
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

/**
 * Whether there stands what was shown, or already what is wanted: another run may have brought it about.
 * @throws PrepError `stale` where it is something else
 */
async function compare(
  sftp: SftpRequests,
  { path, before, after }: EntryChange,
): Promise<'before' | 'already'> {
  // A large file whose time is known is not read once more.
  const trusted =
    before.kind === 'file' &&
    before.mtime !== undefined &&
    (before.content.checksum === undefined || before.content.size > INLINE_LIMIT);
  if (trusted) {
    const found = await readEntry(sftp, { path });
    const { mtime, mode } = before;
    if (found.kind === 'file' && found.content.size === before.content.size)
      if (found.mtime === mtime && found.mode === mode) return 'before';
  }
  const found = words(await readEntry(sftp, { path, bytes: 'some' }));
  if (!trusted && found === words(before)) return 'before';
  if (found === words(after)) return 'already';
  throw new PrepError({ code: 'stale', path: printablePath(path), found });
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
  file: File,
  path: RemotePath,
  kept: RemotePath,
): Promise<void> {
  try {
    await sftp.link(path, kept);
  } catch (error) {
    if (error instanceof PrepError) throw error;
    const pieces = piecesAt(sftp, path, file.content.size);
    await create(sftp, kept, { pieces, setting: settingOf(file) }).catch(
      async (reason: unknown) => {
        await sftp.unlink(kept).catch(() => undefined);
        throw reason;
      },
    );
  }
}

/** Renames what was written into its place: onto nothing, or in one step onto what was there. */
async function place(sftp: SftpRequests, beside: RemotePath, change: EntryChange): Promise<void> {
  const { path, before } = change;
  if (before.kind !== 'absent') return sftp.replace(beside, path);
  try {
    await sftp.move(beside, path);
  } catch (error) {
    if (error instanceof PrepError) throw error;
    // The protocol has no word for "it exists".
    await compare(sftp, change);
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
