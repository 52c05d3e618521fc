import { execFile } from 'node:child_process';
import { lstat, readdir } from 'node:fs/promises';
import { hostname, userInfo } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import {
  isCertificate,
  keyFingerprint,
  parseAuthorizedKey,
  type AuthorizedKey,
} from '../core/authorized-key.ts';
import { printableBytes } from '../core/printable.ts';
import { PrepError } from '../core/problem.ts';
import type { Prompter } from '../core/prompter.ts';
import { fileTime } from './files.ts';
import {
  isPrivateKey,
  keyIn,
  readPublicKey,
  withoutPublicHalf,
  type KeyFile,
  type LocalKey,
} from './key-file.ts';
import { keyPairFiles, makeKeyPair, type KeyPair } from './key-pair.ts';

export { readPublicKey, type KeyFile, type LocalKey };

/** What `chooseKeys` decides from. */
export interface KeyWish {
  /** The files named with `-i`. */
  readonly identities: readonly string[];
  readonly home: string;
  readonly prompter: Prompter;
  /** The sockets of the agents to look in; default that of SSH_AUTH_SOCK. */
  readonly agents?: () => Promise<readonly string[]>;
}

/** The keys to install. */
export interface ChosenKeys {
  readonly keys: readonly LocalKey[];
  /** A pair yet to be written to `folder` with `writeKeyPair`, once it is certain that something will be changed. */
  readonly toMake?: { readonly pair: KeyPair; readonly folder: string };
}

/** The user's own keys, `~/.ssh/id_*.pub`, newest first. Certificates, DSA keys and broken files are passed over. */
export async function candidateKeys(home: string): Promise<readonly KeyFile[]> {
  const files = await namesIn(home, /^id_.*(?<!-cert)\.pub$/s);
  const dated = await Promise.all(
    files.map(async (file) => ({ file, time: await fileTime(file) })),
  );
  const newest = dated
    .filter(({ time }) => time !== undefined)
    .sort((a, b) => b.time! - a.time! || (a.file < b.file ? -1 : 1));
  const found = await Promise.all(
    newest.map(({ file }) => readPublicKey(file, home).catch(() => undefined)),
  );
  return distinct(found.flatMap((key) => (key?.key.type === 'ssh-dss' ? [] : (key ?? []))));
}

/** The keys that an agent holds, as `ssh-add -L` lists them; none where there is no agent or it does not answer in 5 s. */
export async function agentKeys(
  socket = process.env['SSH_AUTH_SOCK'] ?? '',
): Promise<readonly AuthorizedKey[]> {
  if (socket === '') return [];
  try {
    const list = await promisify(execFile)('ssh-add', ['-L'], {
      timeout: 5000,
      encoding: 'latin1',
      env: { ...process.env, SSH_AUTH_SOCK: socket },
    });
    const keys = list.stdout.split('\n').flatMap((line) => parseAuthorizedKey(line) ?? []);
    return keys.filter((key) => !isCertificate(key));
  } catch {
    return [];
  }
}

/**
 * Which keys to install: those named; else one of the user's own (asked where there are several; the newest is
 * the safe answer); else one of the agent's; else a new pair, if the user wants one. Writes nothing. Raises
 * `no-key`, `key-exists`, and what `readPublicKey`, `makeKeyPair` and the prompter raise.
 */
export async function chooseKeys(wish: KeyWish): Promise<ChosenKeys> {
  const { identities, home, prompter } = wish;
  if (identities.length > 0) {
    return {
      keys: distinct(await Promise.all(identities.map((file) => readPublicKey(file, home)))),
    };
  }
  const own = await candidateKeys(home);
  const offered = own.length > 0 ? own : await heldKeys(wish);
  if (offered.length > 0) return { keys: [await oneOf(offered, prompter)] };
  await refuseToReplace(home);
  return newPair(home, prompter);
}

async function heldKeys({ agents }: KeyWish): Promise<readonly LocalKey[]> {
  const sockets = await agents?.();
  const held = await Promise.all(sockets?.map((socket) => agentKeys(socket)) ?? [agentKeys()]);
  return distinct(held.flat().map((key) => ({ key })));
}

async function oneOf(offered: readonly LocalKey[], prompter: Prompter): Promise<LocalKey> {
  const [first] = offered;
  if (offered.length === 1) return first!;
  const choices = offered.map((value) => ({ name: nameOf(value), value }));
  return prompter.choose({ message: 'Which key shall be installed?', choices }, first);
}

function nameOf({ key, file }: LocalKey): string {
  const comment = printableBytes(Buffer.from(key.comment, 'latin1'));
  const name = file === undefined ? `agent: ${key.type}` : path.basename(file);
  return [name, keyFingerprint(key), comment].filter((word) => word !== '').join(' ');
}

async function newPair(home: string, prompter: Prompter): Promise<ChosenKeys> {
  const folder = path.join(home, '.ssh');
  const { privateFile, publicFile } = keyPairFiles(folder);
  const question = `There is no SSH key on this machine to install. Make one, ${privateFile}?`;
  const wanted = await prompter.confirm(question, { preset: true }).catch(noKeyIfUnattended);
  if (!wanted) throw new PrepError({ code: 'no-key' });
  const passphrase = await prompter.newPassword('Passphrase for the new key (empty for none):', {
    mayBeEmpty: true,
  });
  const pair = await makeKeyPair(passphrase, userAtHost());
  return {
    keys: [{ key: pair.publicKey, file: publicFile, privateFile }],
    toMake: { pair, folder },
  };
}

function noKeyIfUnattended(error: unknown): never {
  const unattended = error instanceof PrepError && error.problem.code === 'needs-an-answer';
  throw unattended ? new PrepError({ code: 'no-key' }, error) : error;
}

/** A private key without its public half is no candidate, but neither is this a machine without keys. */
async function refuseToReplace(home: string): Promise<void> {
  for (const file of await namesIn(home, /^id_.*(?<!\.pub)$/s)) {
    if ((await fileTime(file)) === undefined) continue;
    const found = await keyIn(file);
    if ('code' in found && isPrivateKey(found)) throw new PrepError(withoutPublicHalf(found));
  }
  for (const file of Object.values(keyPairFiles(path.join(home, '.ssh')))) {
    const there = await lstat(file).catch(() => undefined);
    if (there !== undefined) throw new PrepError({ code: 'key-exists', file });
  }
}

function userAtHost(): string {
  try {
    return `${userInfo().username}@${hostname()}`;
  } catch {
    return hostname();
  }
}

async function namesIn(home: string, wanted: RegExp): Promise<readonly string[]> {
  const folder = path.join(home, '.ssh');
  const names = await readdir(folder).catch(() => []);
  return names
    .filter((name) => wanted.test(name))
    .sort()
    .map((name) => path.join(folder, name));
}

function distinct<T extends LocalKey>(keys: readonly T[]): readonly T[] {
  const blobs = keys.map(({ key }) => key.blob);
  return keys.filter(({ key }, i) => blobs.indexOf(key.blob) === i);
}
