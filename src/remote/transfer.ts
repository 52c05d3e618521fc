import { createReadStream } from 'node:fs';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Content } from '../core/facts.ts';
import { printable, printablePath } from '../core/printable.ts';
import { PrepError, type Problem } from '../core/problem.ts';
import type { RemotePath } from '../core/remote-path.ts';
import type { Session } from '../ssh/session.ts';
import { pathWord } from './shell-text.ts';

/** One content on its way to the server. */
export interface Sending {
  /** What it will be, for the progress bar. */
  readonly path: RemotePath;
  readonly content: Content;
  /** Where it goes; a plain ASCII name in the run's folder. */
  readonly to: RemotePath;
}

type OnProgress = ((path: RemotePath, sent: number, total: number) => void) | undefined;

/**
 * Sends large and binary contents: by SFTP, and where the account has none raw into `cat` on a channel of
 * its own. What arrives is checked by the script that puts it into place; what did not get there, and why,
 * is given.
 * @throws PrepError `connection-lost`
 */
export async function sendFiles(
  session: Session,
  files: readonly Sending[],
  onProgress: OnProgress,
): Promise<ReadonlyMap<RemotePath, Problem>> {
  const unsent = new Map<RemotePath, Problem>();
  const sftp = await session.sftp();
  try {
    for (const file of files) {
      const sent =
        sftp === undefined
          ? sendThroughCat(session, file, counted(file, onProgress))
          : sendOverSftp(sftp, file, onProgress);
      await sent.catch(async (error: unknown) => {
        unsent.set(file.path, whyNot(file.path, error));
        // Half a file may be what fills the disk.
        await sftp?.delete(file.to, true).catch(() => undefined);
      });
    }
    return unsent;
  } finally {
    // Over our own connection this closes the subsystem, not the session; nobody waits for its goodbye.
    void sftp?.end().catch(() => undefined);
  }
}

type Sftp = NonNullable<Awaited<ReturnType<Session['sftp']>>>;

/** A stream waits for the answer to each piece; a large file is sent in many pieces at once. */
function sendOverSftp(sftp: Sftp, file: Sending, onProgress: OnProgress): Promise<unknown> {
  const { path, content, to } = file;
  if (content.localFile === undefined) return sftp.put(counted(file, onProgress), to);
  const step = (sent: number): void => onProgress?.(path, sent, content.size);
  return sftp.fastPut(content.localFile, to, { step });
}

/** @throws PrepError where the connection broke */
function whyNot(path: RemotePath, error: unknown): Problem {
  if (error instanceof PrepError && error.problem.code === 'no-shell') {
    // The server allows no further channel (MaxSessions).
    return { code: 'write-failed', path: printablePath(path), said: error.problem.said };
  }
  if (error instanceof PrepError && error.problem.code !== 'connection-lost') return error.problem;
  const text = error instanceof Error ? error.message : String(error);
  if (error instanceof PrepError || LOST.test(text)) {
    throw new PrepError({ code: 'connection-lost', certain: 0, uncertain: 0 }, error);
  }
  const said = printable(text.replace(/^(fastPut|put): | Local: .*$/gs, ''));
  return { code: 'write-failed', path: printablePath(path), said };
}

/** How ssh2 and its SFTP client say that the connection is gone. */
const LOST = /ECONN|EPIPE|Unexpected (end|close)|No SFTP connection|Not connected|No response/i;

/** The bytes of a content, counted as they go. */
function counted({ path, content }: Sending, onProgress: OnProgress): Readable {
  const { bytes, localFile, size } = content;
  const source: Readable =
    bytes === undefined ? createReadStream(localFile!) : Readable.from([Buffer.from(bytes)]);
  let sent = 0;
  const counter = new Transform({
    transform(chunk: Buffer, _encoding, done): void {
      sent += chunk.length;
      onProgress?.(path, sent, size);
      done(null, chunk);
    },
  });
  source.on('error', (error) => counter.destroy(error));
  return source.pipe(counter);
}

async function sendThroughCat(session: Session, { to }: Sending, source: Readable): Promise<void> {
  const channel = await session.exec(`exec cat >${pathWord(to)}`);
  let said = '';
  channel.stdout.resume();
  channel.stderr.on('data', (data: Buffer) => (said += data.toString('latin1')));
  await pipeline(source, channel.stdin);
  const exit = await channel.exit;
  if (exit.kind === 'status' && exit.status === 0) return;
  throw new PrepError({
    code: 'write-failed',
    path: to,
    said: said.trim().split('\n').at(-1) ?? '',
  });
}
