import { generateKeyPairSync, type KeyPairKeyObjectResult } from 'node:crypto';
import type { Duplex } from 'node:stream';
import type { Client } from 'ssh2';
import type { Channel } from './session.ts';
import { execOn } from './ssh2-session.ts';

/* oxlint-disable no-underscore-dangle -- ssh2 names its private parts so */

/*
 * What is sent a flight before ssh2 would send it: servers handle packets in the order in which they come, so that by
 * the time one is read, what it depends on has happened. ssh2 has no public way to do this; these are the private parts
 * of its release 1.17 that are touched.
 */
interface Protocol {
  /** Sends the identification string. */
  start: () => void;
  /** Sends SSH_MSG_KEXINIT, and puts its payload into `_kexinit`. */
  rekey(): void;
  _kexinit: Buffer;
  readonly _offer: { readonly lists: { readonly kex: { readonly array: readonly string[] } } };
  /** The method that both sides have come to. */
  readonly _kex: { readonly type: string; _keys: KeyPairKeyObjectResult };
  readonly _handlers: {
    SERVICE_ACCEPT: (protocol: Protocol, name: string) => void;
    EXT_INFO: (protocol: Protocol, extensions: readonly unknown[]) => void;
    USERAUTH_PK_OK: (protocol: Protocol) => void;
    GLOBAL_REQUEST: (protocol: Protocol, name: string, wantsReply: boolean) => void;
  };
  requestFailure(): void;
  readonly _packetRW: {
    readonly write: {
      /** Where the payload begins in what `alloc` gives, in bytes. */
      readonly allocStart: number;
      alloc(length: number): Buffer;
      finalize(packet: Buffer): Buffer;
    };
  };
  readonly _cipher: {
    /** `packet` is whole, and in the clear. */
    encrypt: (packet: Buffer) => void;
    allocPacket(length: number): Buffer;
  };
  /** Methods of the class, which stand in for a moment as properties of the object. */
  exec?: (channel: number, command: string, wantReply: boolean) => void;
  authPK?: () => void;
}

function protocolOf(client: Client): Protocol {
  return (client as unknown as { readonly _protocol: Protocol })._protocol;
}

/** Message numbers (RFC 4253 section 12, RFC 5656 section 4). */
const [KEXINIT, KEX_ECDH_INIT, KEX_DH_GEX_REQUEST] = [20, 30, 34];

/** Where the payload of a packet begins, after its length and that of its padding, in bytes. */
const PAYLOAD = 5;

/**
 * Begins the key exchange together with the identification string, as dropbear's client does, instead of waiting for
 * the server's list of methods: of the client's list the server takes the first that it has (RFC 4253 section 7.1), and
 * nearly all have curve25519-sha256. `wrong` is called where the server has not; it takes amiss what it got, so that
 * another connection is called for. To be called before anything was sent.
 */
export function exchangeAtOnce(client: Client, wrong: () => void): void {
  const protocol = protocolOf(client);
  if (!/^curve25519-sha256(@|$)/.test(protocol._offer.lists.kex.array[0] ?? '')) return;
  const { start } = protocol;
  protocol.start = () => {
    start();
    protocol.rekey();
    const { _kexinit: sent, _cipher: cipher } = protocol;
    const keys = generateKeyPairSync('x25519');
    cipher.encrypt(ecdhInit(cipher, keys));
    const { encrypt } = cipher;
    // ssh2 does all of it once more, when it gets there: this time for itself alone.
    cipher.encrypt = (packet) => {
      const type = packet[PAYLOAD];
      if (type === KEXINIT) protocol._kexinit = sent;
      else if (type === KEX_ECDH_INIT && protocol._kex.type === '25519') protocol._kex._keys = keys;
      else if (type === KEX_ECDH_INIT || type === KEX_DH_GEX_REQUEST) wrong();
      else encrypt.call(cipher, packet);
    };
  };
}

/** `string Q_C` (RFC 8731 section 3). */
function ecdhInit(cipher: Protocol['_cipher'], { publicKey }: KeyPairKeyObjectResult): Buffer {
  const point = publicKey.export({ type: 'spki', format: 'der' }).subarray(-32);
  const packet = cipher.allocPacket(1 + 4 + point.length);
  packet[PAYLOAD] = KEX_ECDH_INIT;
  packet.writeUInt32BE(point.length, PAYLOAD + 1);
  packet.set(point, PAYLOAD + 5);
  return packet;
}

/** The number that sshd gives to the first channel of a connection. */
const FIRST_CHANNEL = 0;

/**
 * Begins to log in without waiting for the server's leave (SSH_MSG_SERVICE_ACCEPT, RFC 4253 section 10); where that
 * takes knowing the server's signature algorithms (`first.needsAlgorithms`: RSA has several), as soon as it has named
 * them (SSH_MSG_EXT_INFO, RFC 8308). To be called in the moment when keys were exchanged.
 *
 * To what comes while the server's word on the login is outstanding, a packet that means nothing goes back: sshd before
 * 10.1 has Nagle on until a command runs, so that each word of it waits until the one before was acknowledged, and this
 * system may put that off for 40 ms where it has nothing to send.
 */
export function loginAtOnce(client: Client, first: { readonly needsAlgorithms: boolean }): void {
  const protocol = protocolOf(client);
  const { SERVICE_ACCEPT: leave, EXT_INFO: learn } = protocol._handlers;
  let [asked, begun, learned] = [false, false, false];
  const goOn = (): void => {
    if (begun) return sendNothing(protocol);
    begun = true;
    leave(protocol, 'ssh-userauth');
  };
  protocol._handlers.SERVICE_ACCEPT = goOn;
  protocol._handlers.EXT_INFO = (_, extensions) => {
    learn(protocol, extensions);
    learned = true;
    if (asked) goOn();
  };
  // ssh2 asks for the service once this returns.
  process.nextTick(() => {
    asked = true;
    if (learned || !first.needsAlgorithms) goOn();
  });
}

/** SSH_MSG_IGNORE with no data (RFC 4253 section 11.2), which either side takes at any time. */
const NOTHING = Uint8Array.of(2, 0, 0, 0, 0);

function sendNothing({ _packetRW: { write }, _cipher }: Protocol): void {
  const packet = write.alloc(NOTHING.length);
  packet.set(NOTHING, write.allocStart);
  _cipher.encrypt(write.finalize(packet));
}

/** Lets the next key be offered with its signature, without asking first whether it would be taken (RFC 4252 section 7). */
export function signAtOnce(client: Client): void {
  const protocol = protocolOf(client);
  protocol.authPK = () => {
    delete protocol.authPK;
    protocol._handlers.USERAUTH_PK_OK(protocol);
  };
}

/** A command under way before the login it depends on was granted. */
export interface Ahead {
  readonly channel: Promise<Channel>;
  /** To be called when the login was not granted: the next command is an ordinary one. */
  withdraw(): void;
}

/** Runs a command as the first of a connection, without waiting for its channel to be confirmed. */
export function execAhead(client: Client, wire: Duplex, command: string): Ahead {
  const protocol = protocolOf(client);
  const withdraw = (): void => void delete protocol.exec;
  withdraw();
  const channel = execOn(client, wire, command);
  channel.catch(() => undefined);
  protocol.exec?.(FIRST_CHANNEL, command, true);
  // ssh2 asks for the command once the channel is confirmed; that was done already.
  protocol.exec = (number, ...request) => {
    withdraw();
    if (number !== FIRST_CHANNEL) protocol.exec?.(number, ...request);
  };
  return { channel, withdraw };
}

/**
 * Takes no notice of the further host keys that sshd announces (OpenSSH's PROTOCOL, section 2.5): ssh2 would have each
 * proven, RSA ones at some cost, and nobody here asks for them.
 */
export function ignoreFurtherHostKeys(client: Client): void {
  protocolOf(client)._handlers.GLOBAL_REQUEST = (protocol, _name, wantsReply) => {
    if (wantsReply) protocol.requestFailure();
  };
}
