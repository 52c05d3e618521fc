import type { EventEmitter } from 'node:events';
import type { Readable } from 'node:stream';
import type { Client, SFTPWrapper } from 'ssh2';
import SftpClient from 'ssh2-sftp-client';
import type { Sftp } from './session.ts';

/**
 * ssh2-sftp-client on a connection that is there already. The package has no official way; version
 * 12.1.1, pinned, keeps everything in two plain fields that its `connect()` only fills in.
 */
export class SharedSftp extends SftpClient implements Sftp {
  readonly raw: SFTPWrapper;

  /** `client` is only listened to: for errors of the connection, while a request is under way. */
  constructor(client: EventEmitter, raw: SFTPWrapper) {
    super('prep', {});
    this.raw = raw;
    // Every pending request adds listeners to the connection.
    client.setMaxListeners(100);
    // What ssh2 cannot read ends the channel, and with it all that is asked for.
    raw.on('error', () => undefined);
    Object.assign(this, { client, sftp: raw });
    raw.on('close', () => Object.assign(this, { sftp: undefined }));
  }

  /** The inherited method would end the whole connection. */
  override end(): Promise<boolean> {
    const { sftp } = this as unknown as { sftp?: SFTPWrapper };
    if (sftp === undefined) return Promise.resolve(true);
    return new Promise((resolve) => {
      sftp.once('close', () => resolve(true));
      sftp.end();
    });
  }

  /** Many pieces are on their way at once, but in order: what an interruption leaves is a beginning. */
  async write(source: Readable, path: string, from: number): Promise<void> {
    const { sftp } = this as unknown as { sftp?: SFTPWrapper };
    if (sftp === undefined) throw new Error('No SFTP connection');
    const file = await answered<Buffer>((done) => sftp.open(path, from === 0 ? 'w' : 'r+', done));
    const pending = new Set<Promise<unknown>>();
    let failure: unknown;
    let position = from;
    try {
      for await (const piece of pieces(source)) {
        const at = position;
        position += piece.length;
        const write = answered<void>((done) =>
          sftp.write(file, piece, 0, piece.length, at, (error) => done(error)),
        );
        const settled = write
          .catch((error: unknown) => (failure ??= error))
          .finally(() => pending.delete(settled));
        pending.add(settled);
        if (pending.size >= PENDING) await Promise.race(pending);
        if (failure !== undefined) throw failure;
      }
      await Promise.all(pending);
      if (failure !== undefined) throw failure;
    } finally {
      source.destroy();
      sftp.close(file, () => undefined);
    }
  }
}

/** How many pieces may be on their way at once. */
const PENDING = 64;

/** Their size in bytes. Of more than 31,952, ssh2 would send the rest only after an answer, behind later pieces. */
const PIECE = 30 * 1024;

async function* pieces(source: Readable): AsyncGenerator<Buffer> {
  for await (const data of source) {
    const chunk = data as Buffer;
    for (let at = 0; at < chunk.length; at += PIECE) yield chunk.subarray(at, at + PIECE);
  }
}

/** A promise for what ssh2 gives to a callback. */
function answered<T>(
  ask: (done: (error: Error | null | undefined, value?: T) => void) => void,
): Promise<T> {
  return new Promise((resolve, reject) => {
    ask((error, value) => (error ? reject(error) : resolve(value as T)));
  });
}

/**
 * SFTP over `client`; undefined where the server has no such subsystem or allows no further channel, or the connection
 * is gone.
 */
export function sharedSftp(client: Client): Promise<Sftp | undefined> {
  return new Promise<Sftp>((resolve, reject) => {
    client.sftp((error, raw) => {
      if (error) return reject(error);
      resolve(new SharedSftp(client, raw));
    });
  }).catch(() => undefined);
}
