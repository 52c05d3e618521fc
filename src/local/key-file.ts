import { open, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';
import {
  isCertAuthority,
  isCertificate,
  optionNames,
  parseAuthorizedKey,
  type AuthorizedKey,
} from '../core/authorized-key.ts';
import { PrepError, type Problem } from '../core/problem.ts';
import { cannotRead } from '../core/system-error.ts';
import { expandTilde, isFile } from './files.ts';

/** A public key of this machine's user. */
export interface LocalKey {
  readonly key: AuthorizedKey;
  /** Where it was read from; absent for a key that only the agent holds. */
  readonly file?: string;
  /** The private half, where it lies beside. */
  readonly privateFile?: string;
}

/** A public key that stands in a file. */
export interface KeyFile extends LocalKey {
  readonly file: string;
}

/** No more than this is read of any file that may hold a key. */
const READ_LIMIT = 64 * 1024;

const PRIVATE_KEY = 'a private key';

/** What else may be in a file given as a public key, by how one of its lines begins. */
const OTHER_FORMATS: readonly (readonly [RegExp, string])[] = [
  [/^(-----BEGIN [A-Z ]*PRIVATE KEY-----|SSH PRIVATE KEY FILE)/m, PRIVATE_KEY],
  [/^PuTTY-User-Key-File-/m, 'a PuTTY key'],
  [/^---- BEGIN SSH2 PUBLIC KEY/m, 'a public key in RFC 4716 format (ssh-keygen -i converts it)'],
  [/^-----BEGIN [A-Z ]*PUBLIC KEY-----/m, 'a PEM public key (ssh-keygen -i -m PKCS8 converts it)'],
  [/^-----BEGIN [A-Z ]*CERTIFICATE( REQUEST)?-----/m, 'a PEM certificate'],
  [/^-----BEGIN PGP /m, 'a PGP key'],
  [/(^|[ \t])(ssh-|ecdsa-sha2-|sk-)[\w@.-]+[ \t]+AAAA/m, 'a damaged public key'],
];

/** sshd(8); a key line with any other word before it is a line of known_hosts, or no line of OpenSSH's at all. */
const OPTIONS = new Set(
  (
    'agent-forwarding cert-authority command= environment= expiry-time= from= no-agent-forwarding ' +
    'no-port-forwarding no-pty no-touch-required no-user-rc no-x11-forwarding permitlisten= permitopen= ' +
    'port-forwarding principals= pty restrict tunnel= user-rc verify-required x11-forwarding'
  ).split(' '),
);

/**
 * The public key that `-i FILE` names: FILE itself, or else FILE.pub beside it. Raises `not-a-public-key`,
 * saying what was found instead, and `cannot-read`.
 */
export async function readPublicKey(file: string, home = homedir()): Promise<KeyFile> {
  const named = expandTilde(file, home);
  const beside = `${named}.pub`;
  const own = await keyIn(named);
  if (!('code' in own)) return keyFile(named, own);
  if (named.endsWith('.pub')) throw new PrepError(own);
  if (!(await isFile(beside))) throw new PrepError(withoutPublicHalf(own));
  const other = await keyIn(beside);
  if ('code' in other) throw new PrepError(other);
  return keyFile(beside, other);
}

async function keyFile(file: string, key: AuthorizedKey): Promise<KeyFile> {
  const privateFile = file.endsWith('.pub') ? file.slice(0, -'.pub'.length) : undefined;
  if (privateFile === undefined || !(await isFile(privateFile))) return { key, file };
  return { key, file, privateFile };
}

/** The key in a file, or why there is none. */
export async function keyIn(file: string): Promise<AuthorizedKey | Problem> {
  try {
    const bytes = await firstBytes(file);
    const found = keyOf(bytes);
    return typeof found === 'string' ? { code: 'not-a-public-key', file, found } : found;
  } catch (error) {
    if (await isDirectory(file)) return { code: 'not-a-public-key', file, found: 'a directory' };
    return cannotRead(file, 'key', error).problem;
  }
}

/** The key in a file's bytes, or what the bytes are instead. */
function keyOf(bytes: Buffer): AuthorizedKey | string {
  const text = bytes.toString('latin1').replace(/^\u00ef\u00bb\u00bf/, '');
  if (text.trim() === '') return 'an empty file';
  if (/^(\u00ff\u00fe|\u00fe\u00ff)/.test(text)) return 'text in UTF-16 (save it as plain ASCII)';
  if (text.includes('\0')) return 'binary data';
  const other = OTHER_FORMATS.find(([begins]) => begins.test(text))?.[1];
  const keys = text.split('\n').flatMap((line) => parseAuthorizedKey(line) ?? []);
  if (keys.length === 0) return other ?? 'text without a key';
  if (keys.length > 1) return `a list of ${keys.length} keys`;
  if (bytes.length > READ_LIMIT) return 'a file of more than 64 KiB';
  return objectionTo(keys[0]!) ?? keys[0]!;
}

function objectionTo(key: AuthorizedKey): string | undefined {
  if (isCertificate(key)) return 'a certificate';
  if (isCertAuthority(key)) return 'the key of a certificate authority';
  const strange = optionNames(key.options).find((name) => !OPTIONS.has(name));
  return strange && `a line that starts with "${strange}" and not with a key`;
}

/** Whether a private key was found where a public one was wanted. */
export function isPrivateKey(problem: Problem): boolean {
  return problem.code === 'not-a-public-key' && problem.found === PRIVATE_KEY;
}

/** The same problem, adding that the public half is missing, where a private key was found. */
export function withoutPublicHalf(problem: Problem): Problem {
  if (problem.code !== 'not-a-public-key' || !isPrivateKey(problem)) return problem;
  const beside = `${path.basename(problem.file)}.pub`;
  return {
    ...problem,
    found: `a private key (and there is no ${beside} beside it; ssh-keygen -y makes it)`,
  };
}

/** One byte more than the limit at most, to tell that there is more. Pipes (`-i <(...)`) are read to their end. */
async function firstBytes(file: string): Promise<Buffer> {
  const handle = await open(file, 'r');
  try {
    const buffer = Buffer.alloc(READ_LIMIT + 1);
    let size = 0;
    for (let read = -1; read !== 0 && size < buffer.length; size += read) {
      read = (await handle.read(buffer, size, buffer.length - size, null)).bytesRead;
    }
    return buffer.subarray(0, size);
  } finally {
    await handle.close();
  }
}

async function isDirectory(file: string): Promise<boolean> {
  return (await stat(file).catch(() => undefined))?.isDirectory() === true;
}
