import type { Destination } from '../core/destination.ts';
import type { Desired } from '../core/plan.ts';
import { readDotfiles } from '../local/dotfiles.ts';
import { writeKeyPair } from '../local/key-pair.ts';
import { chooseKeys, type ChosenKeys } from '../local/keys.ts';
import { LoginKey } from '../ssh/login-key.ts';
import { agentsFor, loginKey } from './login-keys.ts';
import type { World } from './world.ts';

/** The desired state, put together once for all accounts. */
export interface Preparation {
  readonly desired: Desired;
  readonly keys: readonly LoginKey[];
  /** The private halves of the keys that are installed, where they are files here. */
  readonly privateFiles: readonly string[];
  /** Whether the keys are known anywhere yet. */
  readonly keysAreNew: boolean;
  /** Writes the key pair that was wished for, if one was, when the first account is about to be changed. */
  readonly writePair: () => Promise<void>;
}

/** Reads this machine's half of the job, for all destinations: keys and dotfiles. @throws PrepError */
export async function gather(
  world: World,
  destinations: readonly Destination[],
): Promise<Preparation> {
  const { wishes, home } = world;
  const names = new Set(world.steps.map(({ name }) => name));
  const chosen: ChosenKeys =
    names.has('authorized-keys') || wishes.identities.length > 0
      ? await chooseKeys({
          identities: wishes.identities,
          home,
          prompter: world.prompter,
          agents: () => agentsFor(world, destinations),
        })
      : { keys: [] };
  const dotfiles = names.has('dotfiles')
    ? await readDotfiles({
        home,
        shipped: world.shippedDotfile,
        ...(wishes.dotfiles !== undefined && { dir: wishes.dotfiles }),
      })
    : [];
  const desired = {
    keys: chosen.keys.map(({ key }) => key),
    dotfiles,
    loginShell: wishes.shell,
    shellFallback: wishes.shellFallback,
  };
  return {
    desired,
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
