import { lookup } from 'node:dns/promises';
import { connect, isIP, type Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import type { Duplex } from 'node:stream';
import { PrepError } from '../core/problem.ts';
import type { Settings } from './settings.ts';

/**
 * Opens a TCP connection: from BindAddress or BindInterface and to an address of AddressFamily, where ssh_config
 * names them. ssh2 leaves Nagle's algorithm on, which makes most of its packets wait for an acknowledgement.
 * @throws PrepError `cannot-resolve`, `cannot-connect`
 */
export function dial(settings: Settings): Duplex | Promise<Duplex> {
  const { address: host, port, addressFamily: family, bindAddress, bindInterface } = settings;
  if (family !== undefined && isIP(host) !== 0 && isIP(host) !== family) {
    throw new PrepError({ code: 'cannot-resolve', host, family });
  }
  const to = { host, port, noDelay: true, ...(family !== undefined && { family }) };
  if (bindAddress === undefined && bindInterface === undefined) return gathering(connect(to));
  return localAddress(settings).then((from) =>
    gathering(connect({ ...to, localAddress: from, family: isIP(from) })),
  );
}

/**
 * Sends in one go what is written in one turn of the event loop. ssh2 writes each packet in three pieces; as
 * segments of their own they would use up what TCP may send before the first acknowledgement (RFC 6928).
 */
function gathering(wire: Socket): Socket {
  const write = wire.write.bind(wire) as (...written: unknown[]) => boolean;
  wire.write = (...written: unknown[]): boolean => {
    if (wire.writableCorked === 0) {
      wire.cork();
      setImmediate(() => wire.uncork());
    }
    return write(...written);
  };
  return wire;
}

async function localAddress(settings: Settings): Promise<string> {
  const { address, addressFamily, bindAddress, bindInterface = '' } = settings;
  const family = addressFamily ?? ([4, 6] as const).find((one) => one === isIP(address));
  const found =
    bindAddress === undefined
      ? addressOf(bindInterface, family)
      : await addressNamed(bindAddress, family);
  if (found !== undefined) return found;
  const what =
    bindAddress === undefined ? `BindInterface ${bindInterface}` : `BindAddress ${bindAddress}`;
  const cause = `this machine has no ${family === undefined ? '' : `IPv${family} `}address for ${what}`;
  throw new PrepError({ code: 'cannot-connect', host: address, port: settings.port, cause });
}

/** The address of an interface, as OpenSSH picks it: link-local ones and those of loopback only for want of another. */
function addressOf(name: string, family: 4 | 6 | undefined): string | undefined {
  const found = (networkInterfaces()[name] ?? [])
    .filter((one) => family === undefined || one.family === `IPv${family}`)
    .map(({ address, internal }) => ({
      address,
      last: internal || /^(fe80:|169\.254\.)/i.test(address),
    }));
  return (found.find(({ last }) => !last) ?? found[0])?.address;
}

async function addressNamed(name: string, family: 4 | 6 | undefined): Promise<string | undefined> {
  if (isIP(name) !== 0) return family === undefined || isIP(name) === family ? name : undefined;
  const found = await lookup(name, { ...(family !== undefined && { family }) }).catch(
    () => undefined,
  );
  return found?.address;
}
