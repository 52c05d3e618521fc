import {
  link,
  lstat,
  mkdir,
  open,
  readdir,
  readlink,
  rename,
  rmdir,
  stat,
  symlink,
  unlink,
  type FileHandle,
} from 'node:fs/promises';
import type { Duplex } from 'node:stream';
import {
  ANSWER,
  answerOf,
  DONE,
  END_OF_FILE,
  nameOf,
  NOT_KNOWN,
  statusOf,
} from './sftp-answers.ts';
import {
  CREAT,
  exists,
  listing,
  openFlags,
  resolve,
  setAttributes,
  setFileAttributes,
} from './sftp-files.ts';
import {
  attributes,
  packet,
  PacketReader,
  PacketSplitter,
  readAttributes,
  string,
  uint32,
} from './sftp-packets.ts';

/** Whose files are served, and how. */
export interface SftpOptions {
  /** Relative paths start here. */
  readonly home: string;
  /** Makes what was created the account's own. */
  readonly own: (path: Buffer) => void;
  /**
   * The protocol has SYMLINK's link path first, OpenSSH its target; clients choose by whom they believe to speak to.
   */
  readonly targetFirst: boolean;
}

/** Serves SFTP version 3 (draft-ietf-secsh-filexfer-02, and OpenSSH's posix-rename, hardlink and fsync) on a channel. */
export function serveSftp(channel: Duplex, options: SftpOptions): void {
  const server = new SftpServer(options);
  const splitter = new PacketSplitter();
  let turn = Promise.resolve();
  channel.on('data', (bytes: Buffer) => {
    for (const request of splitter.add(bytes)) {
      // In order, as OpenSSH's server: what was written before a rename is there when it happens.
      turn = turn.then(async () => void channel.write(await server.answer(request)));
    }
  });
  channel.on('end', () => {
    turn = turn.then(() => server.close()).then(() => void channel.end());
  });
  channel.on('close', () => void turn.then(() => server.close()));
  channel.on('error', () => undefined);
}

/** Gives the answer; nothing means success. */
type Operation = (request: PacketReader) => Promise<Buffer | void>;

class SftpServer {
  readonly #options: SftpOptions;
  readonly #files = new Map<string, FileHandle>();
  readonly #folders = new Map<string, Buffer[]>();
  #opened = 0;

  constructor(options: SftpOptions) {
    this.#options = options;
  }

  /** The answer to one request. */
  async answer(request: Buffer): Promise<Buffer> {
    const reader = new PacketReader(request);
    const type = reader.byte();
    const id = reader.number();
    if (type === 1) return packet(ANSWER.version, uint32(3), ...EXTENSIONS);
    const answer = await this.#perform(type, reader);
    return packet(answer[0]!, uint32(id), answer.subarray(1));
  }

  /** Closes what the client left open. */
  async close(): Promise<void> {
    const files = [...this.#files.values()];
    this.#files.clear();
    await Promise.all(files.map((file) => file.close().catch(() => undefined)));
  }

  async #perform(type: number, reader: PacketReader): Promise<Buffer> {
    try {
      const operation = this.#operations[type];
      if (operation === undefined) return NOT_KNOWN;
      return (await operation(reader)) ?? DONE;
    } catch (error) {
      return statusOf(error as NodeJS.ErrnoException);
    }
  }

  /** By request type. */
  readonly #operations: Readonly<Record<number, Operation>> = {
    3: (request) => this.#open(request),
    4: (request) => this.#close(request),
    5: (request) => this.#read(request),
    6: (request) => this.#write(request),
    7: async (request) => answerOf(ANSWER.attributes, attributes(await lstat(this.#path(request)))),
    8: async (request) => answerOf(ANSWER.attributes, attributes(await this.#file(request).stat())),
    9: async (request) => setAttributes(this.#path(request), readAttributes(request)),
    10: async (request) => setFileAttributes(this.#file(request), readAttributes(request)),
    11: (request) => this.#openFolder(request),
    12: (request) => this.#readFolder(request),
    13: async (request) => unlink(this.#path(request)),
    14: (request) => this.#makeFolder(request),
    15: async (request) => rmdir(this.#path(request)),
    16: async (request) => nameOf(await resolve(this.#path(request))),
    17: async (request) => answerOf(ANSWER.attributes, attributes(await stat(this.#path(request)))),
    18: (request) => this.#rename(request),
    19: async (request) => nameOf(await readlink(this.#path(request), 'buffer')),
    20: (request) => this.#symlink(request),
    200: (request) => this.#extended(request),
  };

  #path(request: PacketReader): Buffer {
    const path = request.string();
    if (path[0] === 0x2f) return path;
    const home = Buffer.from(`${this.#options.home}/`);
    return path.length === 0 ? home.subarray(0, -1) : Buffer.concat([home, path]);
  }

  #file(request: PacketReader): FileHandle {
    const file = this.#files.get(request.string().toString());
    if (file === undefined) throw new Error('Invalid handle');
    return file;
  }

  #newHandle(): string {
    return String(this.#opened++);
  }

  async #open(request: PacketReader): Promise<Buffer> {
    const path = this.#path(request);
    const flags = request.number();
    const { mode = 0o666 } = readAttributes(request);
    const isNew = (flags & CREAT) !== 0 && !(await exists(path));
    const file = await open(path, openFlags(flags), mode);
    if (isNew) this.#options.own(path);
    const handle = this.#newHandle();
    this.#files.set(handle, file);
    return answerOf(ANSWER.handle, string(handle));
  }

  async #close(request: PacketReader): Promise<void> {
    const handle = request.string().toString();
    if (this.#folders.delete(handle)) return;
    const file = this.#files.get(handle);
    if (file === undefined) throw new Error('Invalid handle');
    this.#files.delete(handle);
    await file.close();
  }

  async #read(request: PacketReader): Promise<Buffer> {
    const file = this.#file(request);
    const position = request.long();
    const buffer = Buffer.alloc(Math.min(request.number(), 256 * 1024));
    const { bytesRead } = await file.read(buffer, 0, buffer.length, position);
    if (bytesRead === 0 && buffer.length > 0) return END_OF_FILE;
    return answerOf(ANSWER.data, string(buffer.subarray(0, bytesRead)));
  }

  async #write(request: PacketReader): Promise<void> {
    const file = this.#file(request);
    const position = request.long();
    const bytes = request.string();
    for (let written = 0; written < bytes.length;) {
      const part = await file.write(bytes, written, bytes.length - written, position + written);
      written += part.bytesWritten;
    }
  }

  async #openFolder(request: PacketReader): Promise<Buffer> {
    const path = this.#path(request);
    const names = await readdir(path, 'buffer');
    const handle = this.#newHandle();
    const here = [Buffer.from('.'), Buffer.from('..'), ...names];
    this.#folders.set(handle, await Promise.all(here.map((child) => listing(path, child))));
    return answerOf(ANSWER.handle, string(handle));
  }

  #readFolder(request: PacketReader): Promise<Buffer> {
    const entries = this.#folders.get(request.string().toString());
    if (entries === undefined) return Promise.reject(new Error('Invalid handle'));
    const next = entries.splice(0, 100);
    if (next.length === 0) return Promise.resolve(END_OF_FILE);
    return Promise.resolve(answerOf(ANSWER.name, uint32(next.length), ...next));
  }

  async #makeFolder(request: PacketReader): Promise<void> {
    const path = this.#path(request);
    await mkdir(path, readAttributes(request).mode ?? 0o777);
    this.#options.own(path);
  }

  /** SFTP's own rename replaces nothing. */
  async #rename(request: PacketReader): Promise<void> {
    const [from, to] = [this.#path(request), this.#path(request)];
    if (await exists(to)) throw new Error('File exists');
    await rename(from, to);
  }

  async #symlink(request: PacketReader): Promise<void> {
    const [first, second] = [request.string(), request.string()];
    const [target, at] = this.#options.targetFirst ? [first, second] : [second, first];
    const path = this.#path(new PacketReader(string(at)));
    await symlink(target, path);
    this.#options.own(path);
  }

  async #extended(request: PacketReader): Promise<Buffer | void> {
    const extension = request.string().toString();
    if (extension === 'fsync@openssh.com') return this.#file(request).sync();
    if (extension === 'posix-rename@openssh.com') {
      return rename(this.#path(request), this.#path(request));
    }
    if (extension === 'hardlink@openssh.com') {
      return link(this.#path(request), this.#path(request));
    }
    return NOT_KNOWN;
  }
}

const EXTENSIONS = [
  'posix-rename@openssh.com',
  'hardlink@openssh.com',
  'fsync@openssh.com',
].flatMap((extension) => [string(extension), string('1')]);
