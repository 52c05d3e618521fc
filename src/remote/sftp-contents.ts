import { Cksum } from '../core/cksum.ts';
import type { RemotePath } from '../core/remote-path.ts';
import type { Setting, SftpRequests } from './sftp-requests.ts';

/**
 * How many requests of one transfer are under way at once, and how many bytes each holds. Of more than 31,952, ssh2
 * would send the rest only after an answer, behind later pieces; so what an interruption leaves is a beginning.
 */
const [AT_ONCE, PIECE] = [16, 30 * 1024];

/** What a file holds, as far as it can be compared. */
export interface Measure {
  readonly size: number;
  readonly checksum: number;
}

/** The first `size` bytes of a file, piece by piece and in order; fewer where it is shorter. */
export async function* piecesAt(
  sftp: SftpRequests,
  path: RemotePath,
  size: number,
): AsyncGenerator<Uint8Array> {
  const handle = await sftp.open(path, 'r');
  try {
    const starts = Array.from({ length: Math.ceil(size / PIECE) }, (_, index) => index * PIECE);
    const ask = (start: number): Promise<Uint8Array> => {
      const piece = pieceAt(sftp, handle, start, Math.min(PIECE, size - start));
      piece.catch(() => undefined);
      return piece;
    };
    const pieces = starts.splice(0, AT_ONCE).map(ask);
    for (let next = pieces.shift(); next !== undefined; next = pieces.shift()) {
      pieces.push(...starts.splice(0, 1).map(ask));
      yield await next;
    }
  } finally {
    await sftp.close(handle);
  }
}

/** A server may give less than was asked for. */
async function pieceAt(
  sftp: SftpRequests,
  handle: Buffer,
  at: number,
  length: number,
): Promise<Uint8Array> {
  const first = await sftp.readAt(handle, at, length);
  if (first.length === length || first.length === 0) return first;
  const got = first.length;
  return Buffer.concat([first, await pieceAt(sftp, handle, at + got, length - got)]);
}

/** The whole of a small file. */
export async function readAll(sftp: SftpRequests, path: RemotePath, size: number): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of piecesAt(sftp, path, size)) pieces.push(piece);
  return Buffer.concat(pieces);
}

/** Size and checksum of a file of any size, which is read for it but not kept. */
export async function measure(
  sftp: SftpRequests,
  path: RemotePath,
  size: number,
): Promise<Measure> {
  const sum = new Cksum();
  for await (const piece of piecesAt(sftp, path, size)) sum.update(piece);
  return { size: sum.size, checksum: sum.digest() };
}

async function* partsOf(pieces: Creation['pieces']): AsyncGenerator<Uint8Array> {
  for await (const piece of pieces) {
    for (let at = 0; at < piece.length; at += PIECE) yield piece.subarray(at, at + PIECE);
  }
}

/** A new file. */
export interface Creation {
  readonly pieces: AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
  readonly setting: Setting;
  /** How many bytes are there already, and right; then the file is not a new one. Default none. */
  readonly from?: number;
  /** Told how many bytes the server has acknowledged. */
  readonly onSent?: ((sent: number) => void) | undefined;
}

/** Makes a new file, or goes on with one, then sets its mode and time. Gives size and checksum of the whole. */
export async function create(
  sftp: SftpRequests,
  path: RemotePath,
  { pieces, setting, from = 0, onSent }: Creation,
): Promise<Measure> {
  const handle = await sftp.open(path, from === 0 ? 'wx' : 'r+');
  const sum = new Cksum();
  const underWay = new Set<Promise<void>>();
  let acknowledged = from;
  const send = (part: Uint8Array, at: number): void => {
    const sent = sftp.write(handle, part, at).then(() => {
      underWay.delete(sent);
      acknowledged += part.length;
      onSent?.(acknowledged);
    });
    sent.catch(() => undefined);
    underWay.add(sent);
  };
  try {
    for await (const part of partsOf(pieces)) {
      const there = Math.min(part.length, Math.max(0, from - sum.size));
      if (underWay.size >= AT_ONCE) await Promise.race(underWay);
      if (there < part.length) send(part.subarray(there), sum.size + there);
      sum.update(part);
    }
    // Whatever order the server works in, the time is set after the last write.
    await Promise.all(underWay);
    await sftp.setOpen(handle, setting);
  } finally {
    await sftp.close(handle);
  }
  return { size: sum.size, checksum: sum.digest() };
}
