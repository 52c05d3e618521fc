import { joinPath, remotePath, type RemotePath } from '../core/remote-path.ts';
import type { Sftp } from '../ssh/session.ts';
import { TYPE } from './probe-entries.ts';
import { SftpUnderWay, type Done } from './sftp-under-way.ts';
import { isEnd, orAbsent, orNothing, wire } from './sftp-errors.ts';

type Raw = Sftp['raw'];

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
  readonly #underWay: SftpUnderWay;
  /** Whether SYMLINK has its arguments the other way round than the library has them for a server of that name. */
  #swapped = false;
  #followsLinks = false;
  #learnt: Promise<void> | undefined;

  constructor({ raw }: Pick<Sftp, 'raw'>) {
    this.#raw = raw;
    this.#underWay = new SftpUnderWay(raw);
  }

  /** What stands at a path, links not followed; undefined for nothing. ProFTPD follows them even so: READLINK tells. */
  async lstat(path: RemotePath): Promise<Attributes | undefined> {
    if (this.#isOpenSsh) return this.#attributes(path);
    const reading = this.readlink(path).catch(orNothing);
    const [found, target] = await Promise.all([this.#attributes(path), reading]);
    if (found === undefined || target === undefined) return found;
    return { ...found, mode: TYPE.symlink | 0o777 };
  }

  #attributes(path: RemotePath): Promise<Attributes | undefined> {
    return this.#ask<Attributes>((done) => this.#raw.lstat(wire(path), done)).catch(orAbsent);
  }

  get #isOpenSsh(): boolean {
    // oxlint-disable-next-line no-underscore-dangle -- what the library itself decides by
    return (this.#raw as unknown as { readonly _isOpenSSH?: boolean })._isOpenSSH === true;
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
    return (await this.#lines(path)).map(({ filename }) => remotePath(filename));
  }

  /** How many names each file in a directory has, as far as the server tells. */
  async linkCounts(path: RemotePath): Promise<ReadonlyMap<RemotePath, number>> {
    const counts = (await this.#lines(path)).map(({ filename, longname }) => {
      const [, links = 0] = LONG_NAME.exec(longname) ?? [];
      return [remotePath(filename), Number(links)] as const;
    });
    return new Map(counts);
  }

  async #lines(path: RemotePath): Promise<readonly { filename: string; longname: string }[]> {
    const asked = this.#ask<readonly { filename: string; longname: string }[]>((done) =>
      this.#raw.readdir(wire(path), done),
    );
    return (await asked.catch(orNothing)) ?? [];
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
    void this.close(handle).catch(() => undefined);
    const itself = some?.find(({ filename }) => filename === '.');
    const [, , owner] = LONG_NAME.exec(itself?.longname ?? '') ?? [];
    return owner === user ? itself?.attrs.uid : undefined;
  }

  /** Opens a file: to read it, as a new one to write, to write at its end, or anywhere in one that is there. */
  open(path: RemotePath, how: 'r' | 'wx' | 'a' | 'r+'): Promise<Buffer> {
    return this.#ask((done) => this.#raw.open(wire(path), how, { mode: 0o600 }, done));
  }

  /** The first bytes of a file, whatever its size is said to be. */
  async beginning(path: RemotePath, length: number): Promise<Uint8Array> {
    const handle = await this.open(path, 'r');
    try {
      return await this.readAt(handle, 0, length);
    } finally {
      void this.close(handle).catch(() => undefined);
    }
  }

  /** Writes some bytes at a place in an open file. */
  write(handle: Buffer, bytes: Uint8Array, at: number): Promise<void> {
    const piece = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return this.#ask((done) => this.#raw.write(handle, piece, 0, piece.length, at, done));
  }

  /** Closes an open file. */
  close(handle: Buffer): Promise<void> {
    return this.#ask((done) => this.#raw.close(handle, done));
  }

  /** Sets mode and times of an open file. */
  setOpen(handle: Buffer, setting: Setting): Promise<void> {
    return this.#ask((done) => this.#raw.fsetstat(handle, setting, done));
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
    const [first, second] = this.#swapped ? [path, target] : [target, path];
    return this.#ask((done) => this.#raw.symlink(wire(first), wire(second), done));
  }

  /**
   * Finds out how the server has symbolic links, by one in `folder`: to be called before the first is made. The
   * protocol has the link's path first in SYMLINK, OpenSSH its target, and so have others that do not call themselves
   * that (ProFTPD, and OpenSSH's sftp-server behind dropbear). OpenSSH is not asked.
   */
  learnLinks(folder: RemotePath): Promise<void> {
    return (this.#learnt ??= this.#isOpenSsh ? Promise.resolve() : this.#tryLink(folder));
  }

  /** A link to `.`: with the arguments the wrong way round none can be made. The last run may have left one. */
  async #tryLink(folder: RemotePath): Promise<void> {
    const link = joinPath(folder, 'link');
    for (const swapped of [false, true, false, true]) {
      this.#swapped = swapped;
      const made = await this.symlink('.' as RemotePath, link).catch((error: unknown) => {
        orNothing(error);
        return false;
      });
      if (made !== false) {
        const found = await this.#attributes(link);
        this.#followsLinks = ((found?.mode ?? 0) & TYPE.mask) !== TYPE.symlink;
      }
      await this.unlink(link).catch(orNothing);
      if (made !== false) return;
    }
    this.#swapped = false;
  }

  /** Whether a rename that replaces something takes what a link leads to for the link (ProFTPD); see `learnLinks`. */
  get followsLinks(): boolean {
    return this.#followsLinks;
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
    type Statvfs = Record<'f_flag' | 'f_bavail' | 'f_files' | 'f_favail', number | bigint>;
    return this.#ask<Statvfs>((done) => this.#raw.ext_openssh_statvfs(wire(path), done))
      .then(({ f_flag, f_bavail, f_files, f_favail }) => ({
        readOnly: (Number(f_flag) & 1) !== 0,
        // Some file systems count no files.
        full: Number(f_bavail) === 0 || (Number(f_files) > 0 && Number(f_favail) === 0),
      }))
      .catch(orNothing);
  }

  /** Bytes of an open file from a place on, at most so many; none at its end. */
  async readAt(handle: Buffer, at: number, length: number): Promise<Uint8Array> {
    const buffer = Buffer.allocUnsafe(length);
    const count = await this.#ask<number>((done) =>
      this.#raw.read(handle, buffer, 0, length, at, done),
    ).catch((error: unknown) => {
      if (isEnd(error)) return 0;
      throw error;
    });
    return buffer.subarray(0, count);
  }

  #ask<T>(send: (done: Done<T>) => void): Promise<T> {
    return this.#underWay.ask(send);
  }
}

/** As `ls -l` has it: mode, number of names, owner. */
const LONG_NAME = /^\S+ +(\d+) +(\S+) /;
