import type { Destination } from '../core/destination.ts';
import type { AuthorizedKey } from '../core/authorized-key.ts';
import type { Desired } from '../core/plan.ts';
import { writeKeyPair } from '../local/key-pair.ts';
import { chooseKeys, type ChosenKeys } from '../local/keys.ts';
import { LoginKey } from '../ssh/login-key.ts';
import { desiredState } from './desired-state.ts';
import { agentsFor, loginKey } from './login-keys.ts';
import type { World } from './world.ts';

/** The keys to install, and what is to be done with them. */
export interface KeysToInstall {
  readonly wanted: readonly AuthorizedKey[];
  readonly keys: readonly LoginKey[];
  /** The private halves of the keys that are installed, where they are files here. */
  readonly privateFiles: readonly string[];
  /** Whether the keys are known anywhere yet. */
  readonly keysAreNew: boolean;
  /** Writes the key pair that was wished for, if one was, when the first account is about to be changed. */
  readonly writePair: () => Promise<void>;
}

/** The desired state, put together once for all accounts that wish for the same. */
export interface Preparation extends KeysToInstall {
  readonly desired: Desired;
}

/** Reads this machine's half of the job, for all destinations: keys and dotfiles. @throws PrepError */
export async function gather(
  world: World,
  destinations: readonly Destination[],
): Promise<Preparation> {
  const { identities } = world.wishes;
  const wanted = world.steps.some(({ name }) => name === 'authorized-keys');
  const wish = JSON.stringify([identities, wanted]);
  const chosen = world.chosen.get(wish) ?? keysFor(world, destinations, wanted);
  world.chosen.set(wish, chosen);
  const keys = await chosen;
  return { ...keys, desired: await desiredState(world, keys.wanted) };
}

async function keysFor(
  world: World,
  destinations: readonly Destination[],
  wanted: boolean,
): Promise<KeysToInstall> {
  const { wishes, home, prompter } = world;
  const { identities } = wishes;
  const agents = (): Promise<readonly string[]> => agentsFor(world, destinations);
  const chosen: ChosenKeys =
    wanted || identities.length > 0
      ? await chooseKeys({ identities, home, prompter, agents })
      : { keys: [] };
  return {
    wanted: chosen.keys.map(({ key }) => key),
    keys: loginKeys(chosen),
    privateFiles: chosen.keys.flatMap(({ privateFile }) => privateFile ?? []),
    keysAreNew: chosen.toMake !== undefined,
    writePair: pairWriter(chosen),
  };
}

/** One pair, written once, however many accounts wait for it. */
function pairWriter({ toMake }: ChosenKeys): () => Promise<void> {
  let written: Promise<unknown> | undefined;
  return async () => {
    if (toMake === undefined) return;
    written ??= writeKeyPair(toMake.folder, toMake.pair);
    await written;
  };
}

/** The chosen keys as keys to log in with, their private halves wherever they are. */
function loginKeys({ keys, toMake }: ChosenKeys): LoginKey[] {
  return keys.map((key) =>
    toMake === undefined
      ? loginKey(key, {})
      : new LoginKey(key.key, {
          ...(key.privateFile !== undefined && { file: key.privateFile }),
          text: toMake.pair.privateText,
          passphrase: toMake.pair.passphrase,
        }),
  );
}
