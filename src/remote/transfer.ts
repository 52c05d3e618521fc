import { createReadStream } from 'node:fs';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Cksum } from '../core/cksum.ts';
import type { Content } from '../core/facts.ts';
import { printable, printablePath } from '../core/printable.ts';
import { PrepError, problemOf, type Problem } from '../core/problem.ts';
import type { RemotePath } from '../core/remote-path.ts';
import type { Session, Sftp } from '../ssh/session.ts';
import type { Conversation } from './conversation.ts';
import { explained } from './sftp-errors.ts';
import { SftpRequests } from './sftp-requests.ts';
import { pathWord, printfFormat } from './shell-text.ts';
import { pooled } from './side-by-side.ts';

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
 * Sends large and binary contents: by SFTP, where the account has none raw into `cat` on a channel of its
 * own, and where the server allows no further channel (MaxSessions) piece by piece through the conversation.
 * What arrives is checked by the script that puts it into place; what did not get there, and why, is given.
 * @throws PrepError `connection-lost`
 */
export async function sendFiles(
  session: Session,
  conversation: Conversation,
  files: readonly Sending[],
  onProgress: OnProgress,
): Promise<ReadonlyMap<RemotePath, Problem>> {
  const unsent = new Map<RemotePath, Problem>();
  const sftp = await session.sftp();
  const byShell = throughShell(session, conversation);
  const send = async (file: Sending): Promise<void> => {
    try {
      const from = await beginning(file);
      const source = (): Readable => counted(file, from, onProgress);
      if (sftp === undefined) await byShell(file, source, from);
      else
        await sftp.write(source(), file.to, from).catch((error: unknown) => {
          if ((error as { code?: unknown }).code !== NO_SUCH_FILE) throw error;
          return byShell(file, source, from);
        });
    } catch (error) {
      unsent.set(file.path, await whyNot(file, error, sftp));
      // Half a file may be what fills the disk.
      if (sftp === undefined) await conversation.run(`rm -f ${pathWord(file.to)}`);
      else await sftp.delete(file.to, true).catch(() => undefined);
    }
  };
  try {
    await pooled(files, send, sftp === undefined ? 1 : LANES);
    return unsent;
  } finally {
    // Over our own connection this closes the subsystem, not the session; nobody waits for its goodbye.
    void sftp?.end().catch(() => undefined);
  }
}

/** How many files are on their way at once; each way through `cat` would take a channel, and servers count those. */
const LANES = 8;

/** SSH_FX_NO_SUCH_FILE: SFTP has begun in another folder, where a start-up file or the server's settings have led it. */
const NO_SUCH_FILE = 2;

/** How many bytes need not be sent again: what stands there, if it is the content's beginning. */
export async function beginning({
  content,
  there,
}: Pick<Sending, 'content' | 'there'>): Promise<number> {
  if (there === undefined || there.size === 0 || there.size > content.size) return 0;
  const sum = new Cksum();
  for await (const chunk of bytesOf(content, 0, there.size)) sum.update(chunk as Buffer);
  return sum.digest() === there.checksum && sum.size === there.size ? there.size : 0;
}

/** @throws PrepError where the connection broke */
async function whyNot(
  { path, to }: Sending,
  error: unknown,
  sftp: Sftp | undefined,
): Promise<Problem> {
  if (error instanceof PrepError && error.problem.code !== 'connection-lost') return error.problem;
  const text = error instanceof Error ? error.message : String(error);
  if (error instanceof PrepError || LOST.test(text)) {
    throw new PrepError({ code: 'connection-lost', certain: 0, uncertain: 0 }, error);
  }
  // What could not be read here has a name for a code.
  if (sftp !== undefined && typeof (error as { code?: unknown }).code === 'number')
    return (await explained(new SftpRequests(sftp), path, error, to)).problem;
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

/** How many bytes one script carries, and one printf of it: ksh93 loses zeros where 4 KiB of them follow each other. */
const PIECE = 256 * 1024;
const WORD = 2 * 1024;

/** The answer to each piece is waited for, so that no more than one is in memory. */
async function sendInPieces(
  conversation: Conversation,
  { path, to }: Sending,
  source: Readable,
  from: number,
): Promise<void> {
  const file = pathWord(to);
  const write = async (script: string): Promise<void> => {
    // The shell's own printf may not say why it cannot write; cat(1) does.
    const failing = `{ echo | cat >>${file}; } 2>&1`;
    const answer = await conversation.run(
      `if ${script} 2>/dev/null; then say sent; else say unsent; ${failing}; fi`,
    );
    const said = answer.all('unsent').at(-1)?.rest.trim().split('\n').at(-1);
    if (said !== undefined) throw new PrepError({ code: 'write-failed', path, said });
  };
  if (from === 0) await write(`{ :; } >${file}`);
  for await (const piece of inPieces(source)) {
    const text = piece.toString('latin1');
    const words: string[] = [];
    for (let at = 0; at < text.length; at += WORD) {
      words.push(`printf ${printfFormat(text.slice(at, at + WORD))}`);
    }
    await write(`{ ${words.join(' &&\n')}; } >>${file}`);
  }
}

/** The same bytes in pieces of `PIECE`, the last one shorter. */
async function* inPieces(source: Readable): AsyncGenerator<Buffer> {
  let gathered: Buffer[] = [];
  let size = 0;
  for await (const chunk of source as AsyncIterable<Buffer>) {
    gathered.push(chunk);
    size += chunk.length;
    if (size < PIECE) continue;
    yield Buffer.concat(gathered);
    [gathered, size] = [[], 0];
  }
  if (size > 0) yield Buffer.concat(gathered);
}

/**
 * Sends without SFTP, one file after another: each way through `cat` takes a channel, which servers count, and
 * there is one conversation.
 */
function throughShell(
  session: Session,
  conversation: Conversation,
): (file: Sending, source: () => Readable, from: number) => Promise<void> {
  let refused = false;
  let turn: Promise<unknown> = Promise.resolve();
  const send = async (file: Sending, source: () => Readable, from: number): Promise<void> => {
    if (refused) return sendInPieces(conversation, file, source(), from);
    try {
      await sendThroughCat(session, file, source, from);
    } catch (error) {
      if (problemOf(error).code !== 'no-shell') throw error;
      refused = true;
      await send(file, source, from);
    }
  };
  return (...what) => {
    const sent = turn.then(() => send(...what));
    turn = sent.catch(() => undefined);
    return sent;
  };
}

/** How a stream names a reader that has gone. */
const STOPPED = /^(EPIPE|ECONNRESET|ERR_STREAM_PREMATURE_CLOSE)$/;

/** The channel begins where start-up files led it; this line means the same to every login shell. */
async function sendThroughCat(
  session: Session,
  { path, to }: Sending,
  source: () => Readable,
  from: number,
): Promise<void> {
  const channel = await session.exec(
    `cd "$HOME"; exec cat >${from === 0 ? '' : '>'}${pathWord(to)}`,
  );
  let said = '';
  channel.stdout.resume();
  channel.stderr.on('data', (data: Buffer) => (said += data.toString('latin1')));
  const broken: unknown = await pipeline(source(), channel.stdin).then(
    () => undefined,
    (error: unknown) => error,
  );
  // Whoever stops reading says why; only what could not be read here is not waited for.
  if (broken !== undefined && !STOPPED.test((broken as NodeJS.ErrnoException).code ?? ''))
    throw broken;
  const exit = await channel.exit;
  if (exit.kind === 'status' && exit.status === 0 && broken === undefined) return;
  if (exit.kind === 'lost') {
    throw new PrepError({ code: 'connection-lost', certain: 0, uncertain: 0 });
  }
  throw new PrepError({
    code: 'write-failed',
    path: printablePath(path),
    said: said.trim().split('\n').at(-1) ?? '',
  });
}
