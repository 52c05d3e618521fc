import type { Destination } from '../core/destination.ts';
import type { Secret } from '../core/secret.ts';
import { HostKeyJudge } from '../ssh/host-key.ts';
import type { MasterOptions } from '../ssh/master-opening.ts';
import { openMaster } from '../ssh/open-master.ts';
import type { OpenSshMaster } from '../ssh/openssh-master.ts';
import { NewPassword } from '../ssh/password.ts';
import type { Settings } from '../ssh/settings.ts';
import { passwordFor } from './access.ts';
import { keysForOpenSsh } from './login-keys.ts';
import { atHop } from './route.ts';
import type { World } from './world.ts';

/** What opening a master to the host itself takes. */
export type OpeningWishes = Pick<
  MasterOptions,
  'keys' | 'keyAlone' | 'password' | 'newPassword' | 'socket' | 'forwardings' | 'listed' | 'banner'
>;

/** How to reach a host with OpenSSH. */
export interface OpenSshWay {
  open(judge: HostKeyJudge, wishes: OpeningWishes): Promise<OpenSshMaster>;
  /** Remembers the host keys of the hosts on the way that were accepted for the first time. */
  remember(): Promise<void>;
  /** Hangs up on the hosts on the way. */
  close(): void;
}

/**
 * How to reach a host with the user's own ssh: over jump hosts, each a master of its own, so that each has
 * its own host key and its own password asked under its own name; a ProxyCommand is ssh's own business.
 */
export function openSshWay(
  world: World,
  settings: Settings,
  typed = new Map<string, Secret>(),
): OpenSshWay {
  const { destination } = settings;
  const last = settings.jump.at(-1);
  const before = settings.jump.slice(0, -1);
  let hop: Promise<Hop> | undefined;
  return {
    open: async (judge, wishes) => {
      if (last !== undefined) hop ??= reachHop(world, last, before, typed);
      const over = (await hop)?.master;
      for (const { file, passphrase } of wishes.keys) {
        if (file !== undefined && passphrase?.empty === false) typed.set(file, passphrase);
      }
      return openMaster(settings, judge, {
        ...wishes,
        ...asking(world, destination, typed),
        ...(over !== undefined && { over }),
      });
    },
    remember: async () => {
      const there = await hop;
      await there?.way.remember();
      await there?.judge.remember();
    },
    close: () => {
      hop
        ?.then(({ master, way }) => {
          master.close();
          way.close();
        })
        .catch(() => undefined);
    },
  };
}

function asking(
  world: World,
  destination: Destination,
  typed: Map<string, Secret>,
): Pick<MasterOptions, 'prompter' | 'typed' | 'note' | 'notice'> {
  const { observe, prompter } = world;
  return {
    prompter,
    typed,
    note: (text) => observe({ type: 'note', destination, text }),
    notice: (text) => observe({ type: 'notice', destination, text }),
  };
}

interface Hop {
  readonly master: OpenSshMaster;
  readonly judge: HostKeyJudge;
  readonly way: OpenSshWay;
}

async function reachHop(
  world: World,
  hop: Destination,
  before: readonly Destination[],
  typed: Map<string, Secret>,
): Promise<Hop> {
  const settings = await world.hopSettings(hop, before);
  const way = openSshWay(world, settings, typed);
  const judge = await HostKeyJudge.read(settings, world.prompter);
  const { note } = asking(world, hop, typed);
  const keys = await keysForOpenSsh(world, settings, 'usual', note);
  const password = passwordFor(world, settings);
  const newPassword = world.wishes.dryRun
    ? {}
    : { newPassword: new NewPassword(settings.label, world.prompter) };
  const master = await way
    .open(judge, { keys, password, ...newPassword })
    .catch((error: unknown) => {
      way.close();
      throw atHop(settings, error);
    });
  return { master, judge, way };
}
