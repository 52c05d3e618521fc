import { createReadStream } from 'node:fs';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Cksum } from '../core/cksum.ts';
import type { Content } from '../core/facts.ts';
import { printable, printablePath } from '../core/printable.ts';
import { PrepError, type Problem } from '../core/problem.ts';
import type { RemotePath } from '../core/remote-path.ts';
import type { Session } from '../ssh/session.ts';
import { pathWord } from './shell-text.ts';

/** One content on its way to the server. */
export interface Sending {
  /** That of its change. */
  readonly number: number;
  /** What it will be, for the progress bar. */
  readonly path: RemotePath;
  readonly content: Content;
  /** Where it goes; a plain ASCII name in the run's folder. */
  readonly to: RemotePath;
  /** What stands there already: perhaps the content's beginning. */
  readonly there?: Content | undefined;
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
  const send = async (file: Sending): Promise<void> => {
    const from = await beginning(file);
    const source = counted(file, from, onProgress);
    try {
      if (sftp === undefined) await sendThroughCat(session, file, source, from);
      else await sftp.write(source, file.to, from);
    } catch (error) {
      unsent.set(file.path, whyNot(file.path, error));
      // Half a file may be what fills the disk.
      await sftp?.delete(file.to, true).catch(() => undefined);
    }
  };
  try {
    const lanes = sftp === undefined ? 1 : LANES;
    const queue = files.values();
    const lane = async (): Promise<void> => {
      for (const file of queue) await send(file);
    };
    await Promise.all(Array.from({ length: lanes }, lane));
    return unsent;
  } finally {
    // Over our own connection this closes the subsystem, not the session; nobody waits for its goodbye.
    void sftp?.end().catch(() => undefined);
  }
}

/** How many files are on their way at once; each way through `cat` would take a channel, and servers count those. */
const LANES = 8;

/** How many bytes need not be sent again: what stands there, if it is the content's beginning. */
async function beginning({ content, there }: Sending): Promise<number> {
  if (there === undefined || there.size === 0 || there.size > content.size) return 0;
  const sum = new Cksum();
  for await (const chunk of bytesOf(content, 0, there.size)) sum.update(chunk as Buffer);
  return sum.digest() === there.checksum && sum.size === there.size ? there.size : 0;
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
  const said = printable(text);
  return { code: 'write-failed', path: printablePath(path), said };
}

/** How ssh2 and its SFTP client say that the connection is gone. */
const LOST = /ECONN|EPIPE|Unexpected (end|close)|No SFTP connection|Not connected|No response/i;

/** The bytes of a content from one place to another. */
function bytesOf({ bytes, localFile }: Content, from: number, to: number): Readable {
  if (bytes !== undefined) return Readable.from([Buffer.from(bytes).subarray(from, to)]);
  if (from >= to) return Readable.from([]);
  return createReadStream(localFile!, { start: from, end: to - 1 });
}

/** The bytes of a content, counted as they go. */
function counted({ path, content }: Sending, from: number, onProgress: OnProgress): Readable {
  const source = bytesOf(content, from, content.size);
  let sent = from;
  const counter = new Transform({
    transform(chunk: Buffer, _encoding, done): void {
      sent += chunk.length;
      onProgress?.(path, sent, content.size);
      done(null, chunk);
    },
  });
  source.on('error', (error) => counter.destroy(error));
  return source.pipe(counter);
}

async function sendThroughCat(
  session: Session,
  { to }: Sending,
  source: Readable,
  from: number,
): Promise<void> {
  const channel = await session.exec(`exec cat >${from === 0 ? '' : '>'}${pathWord(to)}`);
  let said = '';
  channel.stdout.resume();
  channel.stderr.on('data', (data: Buffer) => (said += data.toString('latin1')));
  await pipeline(source, channel.stdin);
  const exit = await channel.exit;
  if (exit.kind === 'status' && exit.status === 0) return;
  if (exit.kind === 'lost') {
    throw new PrepError({ code: 'connection-lost', certain: 0, uncertain: 0 });
  }
  throw new PrepError({
    code: 'write-failed',
    path: to,
    said: said.trim().split('\n').at(-1) ?? '',
  });
}
