/** What a server offers of that on which both sides must agree. */
export interface Offers {
  readonly kexAlgorithms: readonly string[];
  readonly hostKeyAlgorithms: readonly string[];
  readonly ciphers: readonly string[];
  readonly macs: readonly string[];
}

const KEXINIT = 20;

/** Message number and cookie before the first list (RFC 4253 section 7.1). */
const BEFORE_LISTS = 1 + 16;

/**
 * What a server offers, from the first bytes it sent: its identification and its SSH_MSG_KEXINIT
 * (RFC 4253 sections 4.2, 6 and 7.1), where the message came whole. Of the two directions, the
 * client's to the server.
 */
export function offeredAlgorithms(heard: Buffer): Offers | undefined {
  const start = /(?:^|\n)SSH-[^\n]*\n/.exec(heard.toString('latin1'));
  if (start === null) return undefined;
  const packet = heard.subarray(start.index + start[0].length);
  // Packet length (four bytes), padding length (one).
  if (packet.length < 5 + BEFORE_LISTS || packet[5] !== KEXINIT) return undefined;
  const lists: string[][] = [];
  for (let at = 5 + BEFORE_LISTS; lists.length < 6;) {
    if (packet.length < at + 4) return undefined;
    const length = packet.readUInt32BE(at);
    if (packet.length < at + 4 + length) return undefined;
    lists.push(
      packet
        .toString('latin1', at + 4, at + 4 + length)
        .split(',')
        .filter(isAlgorithm),
    );
    at += 4 + length;
  }
  const [kex = [], hostKey = [], cipher = [], , mac = []] = lists;
  return { kexAlgorithms: kex, hostKeyAlgorithms: hostKey, ciphers: cipher, macs: mac };
}

/** Extensions announce themselves among the key exchanges (RFC 8308 section 2.1). */
export function isAlgorithm(name: string): boolean {
  return !/^(ext-info-|kex-strict-)/.test(name);
}
