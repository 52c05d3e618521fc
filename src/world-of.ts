import { stepsFor } from './configured.ts';
import type { Destination } from './core/destination.ts';
import type { Observer } from './core/event.ts';
import type { Step } from './core/plan.ts';
import type { Prompter } from './core/prompter.ts';
import type { Secret } from './core/secret.ts';
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
  password?: Secret,
): World {
  return {
    wishes,
    steps: stepsFor(steps, wishes),
    prompter,
    attended,
    ...(password !== undefined && { password }),
    observe: view.observe,
    settings: (destination) => resolveSettings(destination, wishes, home),
    hopSettings: once((hop, before) => resolveSettings(hop, hopFlags(wishes, before), home)),
    chosen: new Map(),
    home,
    shippedDotfile,
    now: () => new Date(),
  };
}

/** The same, asking ssh once about each host on the way. */
function once(resolve: World['hopSettings']): World['hopSettings'] {
  const known = new Map<string, ReturnType<World['hopSettings']>>();
  return (hop, before) => {
    const name = JSON.stringify([hop, before]);
    const settings = known.get(name) ?? resolve(hop, before);
    known.set(name, settings);
    return settings;
  };
}

/** The port and the control path are the destination's alone. */
function hopFlags(wishes: Wishes, jump: readonly Destination[]): SettingsFlags {
  const { port: _, controlPath: __, ...flags } = wishes;
  return { ...flags, jump };
}
