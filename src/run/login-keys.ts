import type { Destination } from '../core/destination.ts';
import { printable } from '../core/printable.ts';
import { candidateKeys, readPublicKey, type LocalKey } from '../local/keys.ts';
import { Kept } from '../ssh/kept.ts';
import { LoginKey } from '../ssh/login-key.ts';
import type { Settings } from '../ssh/settings.ts';
import type { World } from './world.ts';

/** More than these would use up a server's patience (MaxAuthTries is 6 by default). */
const KEYS = 3;

/** For how many destinations ssh is asked at the same time. */
const AT_ONCE = 10;

/** Told why a key is not tried. */
type Note = (text: string) => void;

/**
 * The keys to name to OpenSSH, which adds those of ssh_config by itself: the ones to try `first`, or else the newest of
 * the user's own where ssh_config names none; as far as ssh_config allows them.
 */
export async function keysForOpenSsh(
  world: World,
  settings: Settings,
  first: readonly LoginKey[] | 'usual',
  note: Note,
): Promise<readonly LoginKey[]> {
  if (first === 'usual' && settings.identityFiles.length > 0) return [];
  const wanted = first === 'usual' ? [] : first;
  const named = await namedKeys(world, settings, note);
  const own = await ownKeys(world, settings, wanted, named);
  return own.slice(0, Math.max(wanted.length, KEYS));
}

/**
 * The keys to offer to a host: `first`, then those that ssh_config names for it, or else the newest of the user's own,
 * as ssh(1) would; as far as ssh_config allows them (IdentitiesOnly, PubkeyAcceptedAlgorithms, PubkeyAuthentication),
 * but those chosen with `-i` in any case.
 */
export async function keysToOffer(
  world: World,
  settings: Settings,
  first: readonly LoginKey[],
  note: Note,
): Promise<readonly LoginKey[]> {
  if (!settings.methods.includes('publickey')) return [];
  const named = await namedKeys(world, settings, note);
  const own = await ownKeys(world, settings, first, named);
  const all = distinct([...own, ...named]);
  const fits = usable(settings);
  for (const { key } of all.filter((one) => !fits(one))) {
    const name = `key ${key.type} ${printable(key.comment)}`;
    note(`${name}: not tried, its private half is not here or only OpenSSH may use it`);
  }
  return all.filter(fits).slice(0, Math.max(first.length, KEYS));
}

/** The keys to try `first`, and where ssh_config names none the user's own; without those that it rules out. */
async function ownKeys(
  world: World,
  settings: Settings,
  first: readonly LoginKey[],
  named: readonly LoginKey[],
): Promise<readonly LoginKey[]> {
  const usual = settings.identityFiles.length > 0 ? [] : await candidates(world);
  const chosen = await chosenBlobs(world, settings);
  const own = [...first, ...usual.map((key) => loginKey(key, settings))]
    .map((key) => key.through(settings.agent))
    .filter((key) => chosen.includes(key.key.blob) || isAmong(settings, named, key));
  return distinct(own);
}

const ofRun = new WeakMap<World['chosen'], Promise<readonly LocalKey[]>>();

/** The user's own keys, read once in a run, which shares what was chosen. */
function candidates({ chosen, home }: World): Promise<readonly LocalKey[]> {
  const known = ofRun.get(chosen) ?? candidateKeys(home);
  ofRun.set(chosen, known);
  return known;
}

/** The keys of `-i`, or the usual ones, for what installs none. @throws PrepError for a file that is no key */
export async function chosenKeys({ wishes, home }: World): Promise<readonly LoginKey[] | 'usual'> {
  const { identities } = wishes;
  if (identities.length === 0) return 'usual';
  const keys = await Promise.all(identities.map((file) => readPublicKey(file, home)));
  return keys.map((key) => loginKey(key, {}));
}

/** The keys of `-i`, where they need to be told from others. */
async function chosenBlobs(
  { wishes, home }: World,
  { onlyIdentities }: Settings,
): Promise<string[]> {
  if (onlyIdentities === undefined) return [];
  const keys = await Promise.all(wishes.identities.map((file) => readPublicKey(file, home)));
  return keys.map(({ key }) => key.blob);
}

const made = new Map<string, LoginKey>();

/** A key of this machine as one to log in with: the same for all accounts, so that it is opened once. */
export function loginKey({ key, privateFile }: LocalKey, { agent }: { agent?: string }): LoginKey {
  const name = JSON.stringify([key.blob, privateFile]);
  const known =
    made.get(name) ?? new LoginKey(key, privateFile === undefined ? {} : { file: privateFile });
  made.set(name, known);
  return known.through(agent);
}

async function namedKeys(
  { home }: World,
  settings: Settings,
  note: Note,
): Promise<readonly LoginKey[]> {
  const found = await Promise.all(
    settings.identityFiles.map(async (file) => {
      try {
        return loginKey(await keyNamed(file, home), settings);
      } catch (error) {
        const because = printable((error as Error).message);
        note(`the key ${printable(file)} of ssh_config cannot be tried: ${because}`);
        return undefined;
      }
    }),
  );
  return found.filter((key) => key !== undefined);
}

const kept = new Kept<LocalKey>();

function keyNamed(file: string, home: string): Promise<LocalKey> {
  return kept.of([file, `${file}.pub`, file.replace(/\.pub$/, '')], () =>
    readPublicKey(file, home).catch(() => fromPrivate(file)),
  );
}

async function fromPrivate(file: string): Promise<LocalKey> {
  const { publicHalf } = await import('../ssh/identity-file.ts');
  return { key: await publicHalf(file), privateFile: file };
}

function isAmong(
  { onlyIdentities }: Settings,
  named: readonly LoginKey[],
  { key, file }: LoginKey,
): boolean {
  if (onlyIdentities === undefined) return true;
  if (file !== undefined && onlyIdentities.includes(file)) return true;
  return named.some((one) => one.key.blob === key.blob);
}

function usable({ keyAlgorithms }: Settings): (key: LoginKey) => boolean {
  const accepted = ({ type }: LoginKey['key']): boolean =>
    keyAlgorithms === undefined ||
    keyAlgorithms.includes(type) ||
    (type === 'ssh-rsa' && keyAlgorithms.some((name) => name.startsWith('rsa-sha2-')));
  return (key) => key.usable && accepted(key.key);
}

function distinct(keys: readonly LoginKey[]): readonly LoginKey[] {
  const blobs = keys.map(({ key }) => key.blob);
  return keys.filter(({ key }, index) => blobs.indexOf(key.blob) === index);
}

/** The agents that ssh_config names for the destinations, each once; without any, that of SSH_AUTH_SOCK. */
export async function agentsFor(
  { settings }: World,
  destinations: readonly Destination[],
): Promise<readonly string[]> {
  const usual = { agent: process.env['SSH_AUTH_SOCK'] };
  const agents = new Set<string | undefined>(destinations.length === 0 ? [usual.agent] : []);
  for (let at = 0; at < destinations.length; at += AT_ONCE) {
    const places = destinations.slice(at, at + AT_ONCE).map((destination) =>
      // What is wrong with a destination is said when its turn has come.
      settings(destination).catch(() => usual),
    );
    for (const { agent } of await Promise.all(places)) agents.add(agent);
  }
  return [...agents].filter((agent) => agent !== undefined);
}
