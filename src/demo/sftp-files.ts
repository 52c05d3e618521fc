import { constants } from 'node:fs';
import { chmod, lstat, realpath, truncate, utimes, type FileHandle } from 'node:fs/promises';
import { attributes, string, type WishedAttributes } from './sftp-packets.ts';

/** The bit of an open request that makes a missing file. */
export const CREAT = 8;

/** The flags of open(2) for those of an open request. */
export function openFlags(flags: number): number {
  const [read, write, append, truncated, exclusive] = [1, 2, 4, 16, 32].map((bit) => flags & bit);
  const access = write ? (read ? constants.O_RDWR : constants.O_WRONLY) : constants.O_RDONLY;
  return (
    access |
    (append ? constants.O_APPEND : 0) |
    (flags & CREAT ? constants.O_CREAT : 0) |
    (truncated ? constants.O_TRUNC : 0) |
    (exclusive ? constants.O_EXCL : 0)
  );
}

/** Changes what is wished of the attributes of the file at a path. */
export async function setAttributes(path: Buffer, wish: WishedAttributes): Promise<void> {
  if (wish.size !== undefined) await truncate(path, wish.size);
  if (wish.mode !== undefined) await chmod(path, wish.mode);
  if (wish.times !== undefined) await utimes(path, ...wish.times);
}

/** The same for an open file. */
export async function setFileAttributes(file: FileHandle, wish: WishedAttributes): Promise<void> {
  if (wish.size !== undefined) await file.truncate(wish.size);
  if (wish.mode !== undefined) await file.chmod(wish.mode);
  if (wish.times !== undefined) await file.utimes(...wish.times);
}

/** The absolute path without links; its last part need not exist. */
export async function resolve(path: Buffer): Promise<Buffer> {
  try {
    return await realpath(path, 'buffer');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    const slash = path.lastIndexOf(0x2f);
    const parent = await realpath(path.subarray(0, Math.max(slash, 1)), 'buffer');
    return Buffer.concat([parent, path.subarray(slash)]);
  }
}

/** Whether anything stands at a path. */
export async function exists(path: Buffer): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}

/** One entry of a folder: its name, a line as `ls -l` has it, its attributes. */
export async function listing(folder: Buffer, child: Buffer): Promise<Buffer> {
  const stats = await lstat(Buffer.concat([folder, Buffer.from('/'), child]));
  const kind = stats.isDirectory() ? 'd' : stats.isSymbolicLink() ? 'l' : '-';
  const letters = Array.from('rwxrwxrwx', (letter, i) =>
    stats.mode & (0o400 >> i) ? letter : '-',
  );
  const { nlink, uid, gid, size } = stats;
  const line = `${kind}${letters.join('')} ${nlink} ${uid} ${gid} ${size} ${child.toString('latin1')}`;
  return Buffer.concat([string(child), string(line), attributes(stats)]);
}
