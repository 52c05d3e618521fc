/** Table of the CRC that POSIX cksum(1) uses: polynomial 0x04C11DB7, most significant bit first. */
const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 24;
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x80000000 ? (crc << 1) ^ 0x04c11db7 : crc << 1;
  return crc >>> 0;
});

/** The checksum that POSIX cksum(1) prints, computed piece by piece. It detects change, not malice. */
export class Cksum {
  #crc = 0;
  #size = 0;

  /** Takes in the next bytes. */
  update(bytes: Uint8Array): this {
    let crc = this.#crc;
    for (let i = 0; i < bytes.length; i++) {
      crc = ((crc << 8) ^ TABLE[(crc >>> 24) ^ bytes[i]!]!) >>> 0;
    }
    this.#crc = crc;
    this.#size += bytes.length;
    return this;
  }

  /** How many bytes went in. */
  get size(): number {
    return this.#size;
  }

  /** The checksum of everything that went in, an unsigned 32-bit number. */
  digest(): number {
    let crc = this.#crc;
    for (let rest = this.#size; rest > 0; rest = Math.floor(rest / 256)) {
      crc = ((crc << 8) ^ TABLE[(crc >>> 24) ^ (rest & 0xff)]!) >>> 0;
    }
    return ~crc >>> 0;
  }
}

/** POSIX cksum of some bytes. */
export function cksum(bytes: Uint8Array): number {
  return new Cksum().update(bytes).digest();
}
