import { Cksum } from '../core/cksum.ts';
import { PrepError } from '../core/problem.ts';
import { remotePath, type RemotePath } from '../core/remote-path.ts';
import type { Sftp } from '../ssh/session.ts';

/** How many requests of one transfer are under way at once, and how many bytes each holds. */
const [AT_ONCE, PIECE] = [16, 32 * 1024];

/** How long the server may be silent while something is asked of it, in milliseconds. */
const PATIENCE = 60_000;

/** Status codes of the protocol (draft-ietf-secsh-filexfer-02, section 7). */
const [EOF, NO_SUCH_FILE, PERMISSION_DENIED] = [1, 2, 3];

type Raw = Sftp['raw'];
type Done<T> = (error: Error | null | undefined, answer?: T) => void;

/** What stat says. The mode has the type bits of st_mode; times are whole seconds since 1970. */
export interface Attributes {
  readonly mode: number;
  readonly uid: number;
  readonly size: number;
  readonly mtime: number;
}

/** What is to be set. The protocol has both times or none. */
export interface Setting {
  readonly mode?: number;
  readonly atime?: number;
  readonly mtime?: number;
}

/** A file system, as far as it matters for writing. */
export interface FileSystem {
  readonly readOnly: boolean;
  readonly full: boolean;
}

/**
 * SFTP requests as promises, any number of them under way at once. A connection that breaks ends all of
 * them with `connection-lost`; what the server says otherwise is thrown as it came (see `isAbsent`).
 */
export class SftpRequests {
  readonly #raw: Raw;
  readonly #pending = new Set<() => void>();
  #lost = false;
  #timer: NodeJS.Timeout | undefined;

  constructor({ raw }: Pick<Sftp, 'raw'>) {
    this.#raw = raw;
    for (const event of ['close', 'end', 'error'] as const) raw.on(event, () => this.#end());
  }

  /** What stands at a path, links not followed; undefined for nothing. */
  lstat(path: RemotePath): Promise<Attributes | undefined> {
    return this.#ask<Attributes>((done) => this.#raw.lstat(wire(path), done)).catch(orAbsent);
  }

  /** What a path leads to; undefined for nothing. */
  stat(path: RemotePath): Promise<Attributes | undefined> {
    return this.#ask<Attributes>((done) => this.#raw.stat(wire(path), done)).catch(orAbsent);
  }

  async readlink(path: RemotePath): Promise<RemotePath> {
    return remotePath(await this.#ask<string>((done) => this.#raw.readlink(wire(path), done)));
  }

  /** The absolute path without links; the last name may be missing. */
  async realpath(path: RemotePath): Promise<RemotePath> {
    return remotePath(await this.#ask<string>((done) => this.#raw.realpath(wire(path), done)));
  }

  /** The names in a directory; none where there is no such directory, or it may not be read. */
  async list(path: RemotePath): Promise<readonly RemotePath[]> {
    const list = await this.#ask<readonly { filename: string }[]>((done) =>
      this.#raw.readdir(wire(path), done),
    ).catch(orNothing);
    return (list ?? []).map(({ filename }) => remotePath(filename));
  }

  /** The user number of a directory's owner, where the server calls the owner by this name. */
  async ownerCalled(user: string, path: RemotePath): Promise<number | undefined> {
    const handle = await this.#ask<Buffer>((done) => this.#raw.opendir(wire(path), done)).catch(
      orNothing,
    );
    if (handle === undefined) return undefined;
    type Line = { filename: string; longname: string; attrs: Attributes };
    const some = await this.#ask<readonly Line[]>((done) => {
      // The types do not have the option by which ssh2 leaves `.` in.
      const raw = this.#raw as unknown as Record<'readdir', (...words: unknown[]) => void>;
      raw.readdir(handle, { full: true }, done);
    }).catch(orNothing);
    void this.#close(handle).catch(() => undefined);
    const itself = some?.find(({ filename }) => filename === '.');
    const [, owner] = /^\S+ +\d+ +(\S+) /.exec(itself?.longname ?? '') ?? [];
    return owner === user ? itself?.attrs.uid : undefined;
  }

  /** The first `size` bytes of a file, piece by piece and in order; fewer where it is shorter. */
  async *read(path: RemotePath, size: number): AsyncGenerator<Uint8Array> {
    const handle = await this.#ask<Buffer>((done) => this.#raw.open(wire(path), 'r', done));
    try {
      const pieces: Promise<Uint8Array>[] = [];
      let asked = 0;
      const more = (): void => {
        if (asked >= size) return;
        const piece = this.#piece(handle, asked, Math.min(PIECE, size - asked));
        piece.catch(() => undefined);
        pieces.push(piece);
        asked += PIECE;
      };
      while (pieces.length < AT_ONCE && asked < size) more();
      for (let next = pieces.shift(); next !== undefined; next = pieces.shift()) {
        more();
        yield await next;
      }
    } finally {
      await this.#close(handle);
    }
  }

  /** The whole of a small file. */
  async readAll(path: RemotePath, size: number): Promise<Buffer> {
    const pieces: Uint8Array[] = [];
    for await (const piece of this.read(path, size)) pieces.push(piece);
    return Buffer.concat(pieces);
  }

  /** Size and checksum of a file of any size, which is read for it but not kept. */
  async measure(path: RemotePath, size: number): Promise<{ size: number; checksum: number }> {
    const sum = new Cksum();
    for await (const piece of this.read(path, size)) sum.update(piece);
    return { size: sum.size, checksum: sum.digest() };
  }

  /** Makes a new file and sets its mode and time. Gives size and checksum of what was written. */
  async create(
    path: RemotePath,
    pieces: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
    setting: Setting,
    onSent?: (sent: number) => void,
  ): Promise<{ size: number; checksum: number }> {
    const handle = await this.#ask<Buffer>((done) =>
      this.#raw.open(wire(path), 'wx', { mode: 0o600 }, done),
    );
    const sum = new Cksum();
    const underWay = new Set<Promise<void>>();
    let acknowledged = 0;
    try {
      for await (const piece of pieces) {
        for (let at = 0; at < piece.length; at += PIECE) {
          const part = piece.subarray(at, at + PIECE);
          const sent = this.append(handle, part, sum.size).then(() => {
            underWay.delete(sent);
            acknowledged += part.length;
            onSent?.(acknowledged);
          });
          sent.catch(() => undefined);
          underWay.add(sent);
          sum.update(part);
          if (underWay.size >= AT_ONCE) await Promise.race(underWay);
        }
      }
      // Whatever order the server works in, the time is set after the last write.
      await Promise.all(underWay);
      await this.#ask<void>((done) => this.#raw.fsetstat(handle, setting, done));
    } finally {
      await this.#close(handle);
    }
    return { size: sum.size, checksum: sum.digest() };
  }

  /** Opens a file for writing at its end. */
  openEnd(path: RemotePath): Promise<Buffer> {
    return this.#ask((done) => this.#raw.open(wire(path), 'a', { mode: 0o600 }, done));
  }

  /** Writes some bytes at a place in an open file. */
  append(handle: Buffer, bytes: Uint8Array, at: number): Promise<void> {
    const piece = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return this.#ask((done) => this.#raw.write(handle, piece, 0, piece.length, at, done));
  }

  /** Closes an open file. */
  finish(handle: Buffer): Promise<void> {
    return this.#close(handle);
  }

  set(path: RemotePath, setting: Setting): Promise<void> {
    return this.#ask((done) => this.#raw.setstat(wire(path), setting, done));
  }

  mkdir(path: RemotePath, mode: number): Promise<void> {
    return this.#ask((done) => this.#raw.mkdir(wire(path), { mode }, done));
  }

  rmdir(path: RemotePath): Promise<void> {
    return this.#ask((done) => this.#raw.rmdir(wire(path), done));
  }

  unlink(path: RemotePath): Promise<void> {
    return this.#ask((done) => this.#raw.unlink(wire(path), done));
  }

  symlink(target: RemotePath, path: RemotePath): Promise<void> {
    return this.#ask((done) => this.#raw.symlink(wire(target), wire(path), done));
  }

  /** A second name for a file. */
  link(path: RemotePath, second: RemotePath): Promise<void> {
    return this.#ask((done) => this.#raw.ext_openssh_hardlink(wire(path), wire(second), done));
  }

  /** Gives a file another name, where that is free (the protocol's own rename replaces nothing). */
  move(path: RemotePath, to: RemotePath): Promise<void> {
    return this.#ask((done) => this.#raw.rename(wire(path), wire(to), done));
  }

  /** Puts a file in the place of another in one step. @throws Error where the server cannot */
  replace(path: RemotePath, to: RemotePath): Promise<void> {
    return this.#ask((done) => this.#raw.ext_openssh_rename(wire(path), wire(to), done));
  }

  /** The file system that holds a path; undefined where the server does not tell. */
  fileSystem(path: RemotePath): Promise<FileSystem | undefined> {
    type Statvfs = { f_flag: number | bigint; f_bavail: number | bigint };
    return this.#ask<Statvfs>((done) => this.#raw.ext_openssh_statvfs(wire(path), done))
      .then(({ f_flag, f_bavail }) => ({
        readOnly: (Number(f_flag) & 1) !== 0,
        full: Number(f_bavail) === 0,
      }))
      .catch(orNothing);
  }

  async #piece(handle: Buffer, at: number, length: number): Promise<Uint8Array> {
    const buffer = Buffer.allocUnsafe(length);
    let got = 0;
    while (got < length) {
      const from = got;
      const count = await this.#ask<number>((done) =>
        this.#raw.read(handle, buffer, from, length - from, at + from, done),
      ).catch((error: unknown) => {
        if (codeOf(error) === EOF) return 0;
        throw error;
      });
      if (count === 0) break;
      got += count;
    }
    return buffer.subarray(0, got);
  }

  #close(handle: Buffer): Promise<void> {
    return this.#ask((done) => this.#raw.close(handle, done));
  }

  #ask<T>(send: (done: Done<T>) => void): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const lose = (): void =>
        reject(new PrepError({ code: 'connection-lost', certain: 0, uncertain: 0 }));
      // ssh2 drops what is sent to a closed channel, and calls nobody back.
      if (this.#lost) return lose();
      this.#pending.add(lose);
      this.#wait();
      const done: Done<T> = (error, answer) => {
        this.#pending.delete(lose);
        this.#wait();
        if (!error) resolve(answer as T);
        else if (LOST.test(error.message)) lose();
        else reject(error);
      };
      try {
        send(done);
      } catch (error) {
        // An extension that the server has not.
        done(error as Error);
      }
    });
  }

  #wait(): void {
    if (this.#pending.size === 0) clearTimeout(this.#timer);
    else if (this.#timer === undefined) this.#timer = setTimeout(() => this.#end(), PATIENCE);
    else this.#timer.refresh();
    if (this.#pending.size === 0) this.#timer = undefined;
  }

  #end(): void {
    this.#lost = true;
    for (const lose of this.#pending) lose();
    this.#pending.clear();
    this.#wait();
  }
}

/** How ssh2 says that nobody will answer any more. */
const LOST = /No response from server/;

/** A name that is not UTF-8, which the SFTP library cannot send. */
export class UnsendableName extends Error {
  constructor() {
    super('its name is not UTF-8, which prep cannot send over SFTP');
  }
}

/** A path as the library wants it. @throws UnsendableName */
function wire(path: RemotePath): string {
  const text = Buffer.from(path, 'latin1').toString('utf8');
  if (remotePath(text) !== path) throw new UnsendableName();
  return text;
}

function codeOf(error: unknown): unknown {
  return (error as { code?: unknown }).code;
}

/** Whether an error says that there is nothing at a path, or nothing that this user may see. */
export function isAbsent(error: unknown): boolean {
  return (
    [NO_SUCH_FILE, PERMISSION_DENIED].includes(Number(codeOf(error))) ||
    error instanceof UnsendableName
  );
}

/** Whether an error says that this user may not. */
export function isDenied(error: unknown): boolean {
  return codeOf(error) === PERMISSION_DENIED;
}

function orAbsent(error: unknown): undefined {
  if (isAbsent(error)) return undefined;
  throw error;
}

/** For what is good to know but may be missing; a lost connection is another matter. */
export function orNothing(error: unknown): undefined {
  if (error instanceof PrepError) throw error;
  return undefined;
}

/** Works through `items`, some of them at once, and gives the results in order. */
export async function pooled<T, R>(
  items: readonly T[],
  work: (item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let mine = next++; mine < items.length; mine = next++) {
      results[mine] = await work(items[mine]!);
    }
  };
  await Promise.all(Array.from({ length: 2 * AT_ONCE }, worker));
  return results;
}
