import { Cksum } from '../core/cksum.ts';
import type { RemotePath } from '../core/remote-path.ts';
import type { Setting, SftpRequests } from './sftp-requests.ts';

/** How many requests of one transfer are under way at once, and how many bytes each holds. */
const [AT_ONCE, PIECE] = [16, 32 * 1024];

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
  /** Told how many bytes the server has acknowledged. */
  readonly onSent?: ((sent: number) => void) | undefined;
}

/** Makes a new file, then sets its mode and time. Gives size and checksum of what was written. */
export async function create(
  sftp: SftpRequests,
  path: RemotePath,
  { pieces, setting, onSent }: Creation,
): Promise<Measure> {
  const handle = await sftp.open(path, 'wx');
  const sum = new Cksum();
  const underWay = new Set<Promise<void>>();
  let acknowledged = 0;
  const send = (part: Uint8Array): void => {
    const sent = sftp.write(handle, part, sum.size).then(() => {
      underWay.delete(sent);
      acknowledged += part.length;
      onSent?.(acknowledged);
    });
    sent.catch(() => undefined);
    underWay.add(sent);
    sum.update(part);
  };
  try {
    for await (const part of partsOf(pieces)) {
      if (underWay.size >= AT_ONCE) await Promise.race(underWay);
      send(part);
    }
    // Whatever order the server works in, the time is set after the last write.
    await Promise.all(underWay);
    await sftp.setOpen(handle, setting);
  } finally {
    await sftp.close(handle);
  }
  return { size: sum.size, checksum: sum.digest() };
}
