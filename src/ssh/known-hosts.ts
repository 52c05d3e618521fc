import { isWhole, keyTypeOf } from '../core/key-blob.ts';
import { matchesPatterns } from '../core/patterns.ts';
import { hashedName, hostName, lowerCase } from './known-hosts-file.ts';
import type { KnownHostsLine } from './known-hosts-file.ts';

export { hostName, readKnownHosts, rememberHostKey } from './known-hosts-file.ts';
export type { KnownHostsLine } from './known-hosts-file.ts';

/** What known_hosts says of a host key, and the line that says so; no line where the host is unknown. */
export interface HostKeyJudgement {
  readonly verdict: 'known' | 'unknown' | 'changed' | 'revoked';
  readonly file?: string;
  readonly line?: number;
}

/**
 * Judges the key that a host presented. As in OpenSSH (check_hostkeys_by_key_or_type in hostfile.c) any other key
 * of the host, whatever its type, makes it `changed`, a `@revoked` line wins over everything, and a
 * `@cert-authority` line says nothing of a plain key. Unlike OpenSSH, a key known for the bare host name does not
 * vouch for another port. Port 0: `host` is a HostKeyAlias.
 */
export function judgeHostKey(
  lines: readonly KnownHostsLine[],
  host: string,
  port: number,
  key: Buffer,
): HostKeyJudgement {
  const about = linesAbout(lines, hostName(host, port));
  const revoked = about.find((line) => line.marker === 'revoked' && line.key.equals(key));
  if (revoked) return judgement('revoked', revoked);
  const plain = about.filter((line) => line.marker === '');
  const equal = plain.find((line) => line.key.equals(key));
  if (equal) return judgement('known', equal);
  const other = plain.find((line) => line.keyType === keyTypeOf(key)) ?? plain[0];
  return other ? judgement('changed', other) : { verdict: 'unknown' };
}

/** The types of the keys that a host is known by, in file order, each once. Port 0: `host` is a HostKeyAlias. */
export function knownKeyTypes(
  lines: readonly KnownHostsLine[],
  host: string,
  port: number,
): readonly string[] {
  const plain = linesAbout(lines, hostName(host, port)).filter((line) => line.marker === '');
  return [...new Set(plain.map((line) => line.keyType))];
}

/** What ssh2 can verify, best first; `ssh-rsa` signs with SHA-1, and is offered only where that is allowed. */
export const HOST_KEY_ALGORITHMS: readonly string[] = [
  'ssh-ed25519',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  'rsa-sha2-512',
  'rsa-sha2-256',
  'ssh-rsa',
];

/**
 * The host key algorithms to offer: those of the known key types first, best first within each half, as
 * order_hostkeyalgs does in OpenSSH's sshconnect2.c; of those `allowed` (HostKeyAlgorithms, in its order), `ssh-rsa`
 * too. A name that ssh2 does not support never appears.
 */
export function hostKeyAlgorithms(
  types: readonly string[],
  allowed: readonly string[] = HOST_KEY_ALGORITHMS.filter((name) => name !== 'ssh-rsa'),
): string[] {
  const names = allowed.filter((name) => HOST_KEY_ALGORITHMS.includes(name));
  const held = (name: string): boolean =>
    types.includes(name.startsWith('rsa-') ? 'ssh-rsa' : name);
  return [...names.filter(held), ...names.filter((name) => !held(name))];
}

const TYPE_NAMES: ReadonlyMap<string, string> = new Map([
  ['ssh-ed25519', 'ED25519'],
  ['ecdsa-sha2-nistp256', 'ECDSA'],
  ['ecdsa-sha2-nistp384', 'ECDSA'],
  ['ecdsa-sha2-nistp521', 'ECDSA'],
  ['ssh-rsa', 'RSA'],
  ['ssh-dss', 'DSA'],
  ['sk-ssh-ed25519@openssh.com', 'ED25519-SK'],
  ['sk-ecdsa-sha2-nistp256@openssh.com', 'ECDSA-SK'],
]);

/** The type of a key blob as `ssh-keygen -l` prints it: `ED25519`, `ECDSA`, `RSA`, ...; else `unknown`. */
export function keyTypeName(key: Buffer): string {
  return keyTypeLabel(keyTypeOf(key));
}

/** The same for a type by its name on the wire, such as `ssh-ed25519`. */
export function keyTypeLabel(type: string): string {
  return TYPE_NAMES.get(type) ?? 'unknown';
}

/** Hashed names cost an HMAC each, so what was looked up once is not looked up again. */
const found = new WeakMap<readonly KnownHostsLine[], Map<string, KnownHostsLine[]>>();

function linesAbout(lines: readonly KnownHostsLine[], name: string): KnownHostsLine[] {
  const byName = found.get(lines) ?? new Map<string, KnownHostsLine[]>();
  found.set(lines, byName);
  const about = byName.get(name) ?? lines.filter((line) => isAbout(line, name));
  byName.set(name, about);
  return about;
}

function isAbout(line: KnownHostsLine, name: string): boolean {
  return matchesHost(line.hostnames, name) && isWhole(line.key, line.keyType);
}

function matchesHost(hostnames: string, name: string): boolean {
  if (hostnames.startsWith('|')) return matchesHashed(hostnames, name);
  return matchesPatterns(lowerCase(hostnames).split(','), [name]);
}

function matchesHashed(hostnames: string, name: string): boolean {
  const salt = Buffer.from(hostnames.split('|')[2] ?? '', 'base64');
  return salt.length === 20 && hashedName(name, salt) === hostnames;
}

function judgement(verdict: HostKeyJudgement['verdict'], by: KnownHostsLine): HostKeyJudgement {
  return { verdict, file: by.file, line: by.line };
}
