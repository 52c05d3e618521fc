import { stepsFor } from './configured.ts';
import type { Destination } from './core/destination.ts';
import type { Observer } from './core/event.ts';
import type { Step } from './core/plan.ts';
import type { Prompter } from './core/prompter.ts';
import type { Wishes, World } from './run/world.ts';
import { shippedDotfile } from './shipped.ts';
import { resolveSettings, type SettingsFlags } from './ssh/settings.ts';

/** Who watches a run and answers its questions. */
interface Onlooker {
  readonly view: { readonly observe: Observer };
  readonly prompter: Prompter;
  readonly attended: boolean;
}

/** The world of a run: this machine as it is, and who sits at it. */
export function worldOf(
  wishes: Wishes,
  steps: readonly Step[],
  { view, prompter, attended }: Onlooker,
  home: string,
  given: Pick<World, 'password' | 'newPassword'> = {},
): World {
  return {
    wishes,
    steps: stepsFor(steps, wishes),
    prompter,
    attended,
    ...given,
    observe: view.observe,
    settings: (destination) => resolveSettings(destination, wishes, home),
    hopSettings: hopSettingsFor(wishes, home),
    chosen: new Map(),
    home,
    shippedDotfile,
    now: () => new Date(),
  };
}

/** What is known of hosts on the way by now. */
export type KnownHops = Map<string, ReturnType<World['hopSettings']>>;

/** Resolves hosts on the way, asking ssh once about each; `known` is for all accounts of a run. */
export function hopSettingsFor(
  wishes: Wishes,
  home: string,
  known: KnownHops = new Map(),
): World['hopSettings'] {
  return (hop, before) => {
    const flags = hopFlags(wishes, before);
    const { sshConfig, knownHosts, hostKey } = flags;
    const name = JSON.stringify([hop, before, sshConfig, knownHosts, hostKey]);
    const settings = known.get(name) ?? resolveSettings(hop, flags, home);
    known.set(name, settings);
    return settings;
  };
}

/** The port and the control path are the destination's alone. */
function hopFlags(wishes: Wishes, jump: readonly Destination[]): SettingsFlags {
  const { port: _, controlPath: __, ...flags } = wishes;
  return { ...flags, jump };
}
