/** Takes an SFTP packet's fields apart, in order. @throws RangeError where it is too short */
export class PacketReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  /** An unsigned 8-bit number. */
  byte(): number {
    return this.#bytes.readUInt8(this.#take(1));
  }

  /** An unsigned 32-bit number. */
  number(): number {
    return this.#bytes.readUInt32BE(this.#take(4));
  }

  /** An unsigned 64-bit number. */
  long(): number {
    return Number(this.#bytes.readBigUInt64BE(this.#take(8)));
  }

  /** A string of bytes, such as a path. */
  string(): Buffer {
    const length = this.number();
    const start = this.#take(length);
    return this.#bytes.subarray(start, start + length);
  }

  #take(length: number): number {
    const start = this.#at;
    if (start + length > this.#bytes.length) throw new RangeError('packet too short');
    this.#at += length;
    return start;
  }
}

/** An unsigned 32-bit number, as it travels. */
export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
}

/** A string, as it travels. */
export function string(text: string | Uint8Array): Buffer {
  const bytes = Buffer.from(text as string);
  return Buffer.concat([uint32(bytes.length), bytes]);
}

/** A packet of a type, as it travels. */
export function packet(type: number, ...fields: readonly Buffer[]): Buffer {
  const body = Buffer.concat([Buffer.from([type]), ...fields]);
  return Buffer.concat([uint32(body.length), body]);
}

/** Cuts a stream of bytes into packets (without their length). */
export class PacketSplitter {
  #pending: Buffer = Buffer.alloc(0);

  /** The packets that are whole now. */
  add(bytes: Buffer): Buffer[] {
    this.#pending = Buffer.concat([this.#pending, bytes]);
    const packets: Buffer[] = [];
    while (this.#pending.length >= 4) {
      const end = 4 + this.#pending.readUInt32BE(0);
      if (this.#pending.length < end) break;
      packets.push(this.#pending.subarray(4, end));
      this.#pending = this.#pending.subarray(end);
    }
    return packets;
  }
}

/** What a request wishes a file's attributes to be; absent means unchanged. */
export interface WishedAttributes {
  readonly size?: number;
  readonly mode?: number;
  readonly times?: readonly [access: number, modification: number];
}

const [SIZE, OWNERS, MODE, TIMES] = [1, 2, 4, 8] as const;

/** Reads attributes. Owners are read and forgotten: an ordinary account cannot give files away. */
export function readAttributes(reader: PacketReader): WishedAttributes {
  const flags = reader.number();
  const size = flags & SIZE ? reader.long() : undefined;
  if (flags & OWNERS) void [reader.number(), reader.number()];
  const mode = flags & MODE ? reader.number() & 0o7777 : undefined;
  const times = flags & TIMES ? ([reader.number(), reader.number()] as const) : undefined;
  return {
    ...(size !== undefined && { size }),
    ...(mode !== undefined && { mode }),
    ...(times !== undefined && { times }),
  };
}

/** A file's attributes, as they travel. */
export function attributes(stats: {
  readonly size: number;
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
  readonly atimeMs: number;
  readonly mtimeMs: number;
}): Buffer {
  const size = Buffer.alloc(8);
  size.writeBigUInt64BE(BigInt(stats.size));
  const times = [stats.atimeMs, stats.mtimeMs].map((time) => uint32(Math.floor(time / 1000)));
  const owners = [uint32(stats.uid), uint32(stats.gid)];
  return Buffer.concat([uint32(0xf), size, ...owners, uint32(stats.mode), ...times]);
}
