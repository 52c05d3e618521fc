import { createHmac, randomBytes } from 'node:crypto';
import { mkdir, open, readFile } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { isIPv6, SocketAddress } from 'node:net';
import { dirname } from 'node:path';
import { isWhole, keyTypeOf } from '../core/key-blob.ts';
import { cannotRead, cannotWrite, hasCode } from '../core/system-error.ts';
import { Kept } from './kept.ts';

/** One line of a known_hosts file (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT). */
export interface KnownHostsLine {
  readonly file: string;
  /** Counted from 1, comments and empty lines included. */
  readonly line: number;
  /** `revoked`: the key is never to be accepted. `cert-authority`: the key only signs certificates. */
  readonly marker: '' | 'revoked' | 'cert-authority';
  /** As written: a comma-separated list of patterns, or one hashed name, `|1|salt|hash`. */
  readonly hostnames: string;
  readonly keyType: string;
  /** The raw key blob (RFC 4253 section 6.6), decoded from base64 when it is asked for. */
  readonly key: Buffer;
}

const WHAT = 'known_hosts file';

const LINE =
  /^[ \t]*(?:@(revoked|cert-authority)[ \t]+)?([^\s@#][^ \t]*)[ \t]+([^ \t]+)[ \t]+([A-Za-z0-9+/]+={0,2})(?=[ \t\r]|$)/;

const kept = new Kept<readonly KnownHostsLine[]>();

/**
 * Reads known_hosts files, in the order given. A missing file counts as empty and a malformed line is
 * passed over, as in OpenSSH's hostkeys_foreach (hostfile.c); whether a key is whole is seen when it is looked up.
 * @throws PrepError `cannot-read`
 */
export async function readKnownHosts(files: readonly string[]): Promise<readonly KnownHostsLine[]> {
  const contents = await Promise.all(files.map((file) => kept.of([file], () => readLines(file))));
  return contents.flat();
}

/**
 * The name that known_hosts has for a host: `web1`, `[web1]:2222`; lower case, IPv6 addresses in their
 * canonical form. Port 0 stands for no port: give it with a HostKeyAlias (put_host_port in OpenSSH's misc.c).
 */
export function hostName(host: string, port: number): string {
  const mayBeIPv6 = host.includes(':') && !host.includes('%');
  const name = mayBeIPv6 && isIPv6(host) ? canonical(host) : lowerCase(host);
  return port === 0 || port === 22 ? name : `[${name}]:${port}`;
}

/**
 * Appends one line for a host key, in a single write, so that lines of concurrent writers do not mix. The file
 * (0600) and its folder (0700) are made where they are missing. A name that would read as a pattern or break the
 * line is written hashed, whatever `hash` (HashKnownHosts in ssh_config(5)) says. Port 0: `host` is a HostKeyAlias.
 * @throws PrepError `cannot-write`
 */
export async function rememberHostKey(
  file: string,
  host: string,
  port: number,
  key: Buffer,
  options: { readonly hash: boolean },
): Promise<void> {
  const name = hostName(host, port);
  const hash = options.hash || /[\s\p{Cc}*?!,#|@]/u.test(name);
  const type = keyTypeOf(key);
  if (!isWhole(key, type)) throw cannotWrite(file, WHAT, 'not a host key');
  const line = `${hash ? hashedName(name, randomBytes(20)) : name} ${type} ${key.toString('base64')}\n`;
  try {
    await mkdir(dirname(file), { recursive: true, mode: 0o700 });
    await append(file, line);
  } catch (error) {
    throw cannotWrite(file, WHAT, error);
  }
}

/** A host name as HashKnownHosts writes it: HMAC-SHA1 keyed with the salt (host_hash in hostfile.c). */
export function hashedName(name: string, salt: Buffer): string {
  const hash = createHmac('sha1', salt).update(name).digest('base64');
  return `|1|${salt.toString('base64')}|${hash}`;
}

/** Lower case, ASCII only, as tolower(3) in the C locale: U+212A must not turn into a plain k. */
export function lowerCase(text: string): string {
  return text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}

async function readLines(file: string): Promise<KnownHostsLine[]> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    if (hasCode(error, 'ENOENT') || hasCode(error, 'ENOTDIR')) return '';
    throw cannotRead(file, WHAT, error);
  });
  return text.split('\n').flatMap((line, index) => parseLine(line, file, index + 1) ?? []);
}

function parseLine(text: string, file: string, line: number): KnownHostsLine | undefined {
  const [, marker = '', hostnames = '', keyType = '', base64 = ''] = LINE.exec(text) ?? [];
  if (base64 === '' || base64.length % 4 !== 0) return undefined;
  return {
    file,
    line,
    marker: marker as KnownHostsLine['marker'],
    hostnames,
    keyType,
    get key() {
      return Buffer.from(base64, 'base64');
    },
  };
}

function canonical(address: string): string {
  return new SocketAddress({ address, family: 'ipv6' }).address;
}

async function append(file: string, line: string): Promise<void> {
  const handle = await open(file, 'a+', 0o600);
  try {
    const bytes = Buffer.from((await lacksNewline(handle)) ? `\n${line}` : line);
    const { bytesWritten } = await handle.write(bytes);
    if (bytesWritten < bytes.length) throw new Error('no space left on device');
  } finally {
    await handle.close();
  }
}

async function lacksNewline(handle: FileHandle): Promise<boolean> {
  const { size } = await handle.stat();
  if (size === 0) return false;
  const { buffer } = await handle.read(Buffer.alloc(1), 0, 1, size - 1);
  return buffer[0] !== 0x0a;
}
