import { mkdir, open, unlink, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import {
  authorizedKeyLine,
  parseAuthorizedKey,
  type AuthorizedKey,
} from '../core/authorized-key.ts';
import { PrepError } from '../core/problem.ts';
import { Secret } from '../core/secret.ts';
import { cannotWrite, hasCode } from '../core/system-error.ts';

/** A new ed25519 key pair that is nowhere on disk yet. */
export interface KeyPair {
  readonly publicKey: AuthorizedKey;
  /** The private half in OpenSSH's format, encrypted if there is a passphrase. */
  readonly privateText: Secret;
  /** Empty for none. Kept so that the trial login need not ask for it again. */
  readonly passphrase: Secret;
}

/** Where a pair stands once it is written. */
export interface KeyPairFiles {
  readonly privateFile: string;
  readonly publicFile: string;
}

/** bcrypt rounds, as ssh-keygen since OpenSSH 9.4; about half a second here. */
const ROUNDS = 24;

/** ssh2 makes 1 of 256 pairs wrongly (its issues #1390, #1514), so more than two attempts are rare already. */
const ATTEMPTS = 8;

/**
 * Makes an ed25519 pair in memory. The comment is UTF-8 text on one line (`alice@laptop`). Blocks for about
 * a second where there is a passphrase. Raises `cannot-make-key`.
 */
export async function makeKeyPair(passphrase: Secret, comment: string): Promise<KeyPair> {
  const { default: ssh2 } = await import('ssh2');
  const phrase = passphrase.reveal();
  const locked = phrase === '' ? {} : { passphrase: phrase, cipher: 'aes256-ctr', rounds: ROUNDS };
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    const pair = ssh2.utils.generateKeyPairSync('ed25519', { comment, ...locked });
    const publicKey = parseAuthorizedKey(Buffer.from(pair.public).toString('latin1'));
    if (publicKey !== undefined && belongTogether(ssh2.utils, pair, phrase)) {
      return { publicKey, privateText: new Secret(pair.private), passphrase };
    }
  }
  throw new PrepError({ code: 'cannot-make-key', cause: 'every key made was defective' });
}

/** Where `writeKeyPair` puts a pair in a folder (`~/.ssh`). */
export function keyPairFiles(folder: string): KeyPairFiles {
  const privateFile = path.join(folder, 'id_ed25519');
  return { privateFile, publicFile: `${privateFile}.pub` };
}

/**
 * Writes a pair into a folder, which is made (0700) if it is not there: `id_ed25519` (0600) and
 * `id_ed25519.pub` (0644). Overwrites nothing and leaves no half of a pair: raises `key-exists` where either
 * file is there already, and `cannot-write`.
 */
export async function writeKeyPair(folder: string, pair: KeyPair): Promise<KeyPairFiles> {
  const files = keyPairFiles(folder);
  const publicText = `${authorizedKeyLine(pair.publicKey)}\n`;
  await mkdir(folder, { recursive: true, mode: 0o700 }).catch(notWritten(folder));
  await create(files.privateFile, 0o600, Buffer.from(pair.privateText.reveal()));
  try {
    await create(files.publicFile, 0o644, Buffer.from(publicText, 'latin1'));
  } catch (error) {
    await unlink(files.privateFile).catch(() => undefined);
    throw error;
  }
  return files;
}

type Utils = (typeof import('ssh2'))['utils'];

function belongTogether(
  utils: Utils,
  pair: { readonly private: string; readonly public: string },
  phrase: string,
): boolean {
  const data = Buffer.from('prep');
  const publicKey = utils.parseKey(pair.public);
  const privateKey = utils.parseKey(pair.private, phrase === '' ? undefined : phrase);
  if (publicKey instanceof Error || privateKey instanceof Error) return false;
  return publicKey.verify(data, privateKey.sign(data));
}

async function create(file: string, mode: number, bytes: Buffer): Promise<void> {
  const handle = await open(file, 'wx', mode).catch(notWritten(file));
  try {
    await fill(handle, mode, bytes);
  } catch (error) {
    await unlink(file).catch(() => undefined);
    notWritten(file)(error);
  }
}

async function fill(handle: FileHandle, mode: number, bytes: Buffer): Promise<void> {
  try {
    await handle.chmod(mode);
    await handle.writeFile(bytes);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function notWritten(file: string): (error: unknown) => never {
  return (error) => {
    if (hasCode(error, 'EEXIST')) throw new PrepError({ code: 'key-exists', file }, error);
    throw cannotWrite(file, 'key', error);
  };
}
