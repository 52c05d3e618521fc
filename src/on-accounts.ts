import { homedir } from 'node:os';
import { endOnSignals, interrupted, openTerminal, viewFor, type Terminal } from './at-terminal.ts';
import type { Invocation } from './cli/arguments.ts';
import { exitStatus, inTheWay } from './complain.ts';
import { wishesFor, type Setup } from './configured.ts';
import { label, type Destination } from './core/destination.ts';
import type { Event, Report } from './core/event.ts';
import type { Step } from './core/plan.ts';
import { printable } from './core/printable.ts';
import { problemOf, type Problem } from './core/problem.ts';
import { givenNewPassword, givenPassword } from './local/password.ts';
import { failure } from './run/fleet.ts';
import type { World } from './run/world.ts';
import { resolveSettings } from './ssh/settings.ts';
import type { Target } from './targets.ts';
import { hopSettingsFor, worldOf, type KnownHops } from './world-of.ts';

type OnAccounts = Extract<Invocation, { command: 'prepare' | 'undo' }>;

/** How far a run on accounts has come. */
interface Progress {
  /** The accounts that are known by now. */
  destinations: readonly Destination[];
  /** Whether the summary was given. */
  summed: boolean;
}

/** Does it, and with `--json` ends with the summary also where nothing could begin. */
export async function onAccounts(invocation: OnAccounts, setup: Setup): Promise<number> {
  const { destinations, options } = invocation;
  const progress = { destinations, summed: false };
  try {
    return await served(invocation, setup, progress);
  } catch (error) {
    if (!options.json || progress.summed) throw error;
    const { observe } = await viewFor(options);
    return inTheWay(observe, error, () => notBegun(progress, problemOf(error)));
  }
}

/** Every account that is known, none of which was worked on. */
function notBegun({ destinations }: Progress, problem: Problem): Event & { type: 'summary' } {
  return { type: 'summary', reports: destinations.map((one) => failure(one, problem)) };
}

async function served(invocation: OnAccounts, setup: Setup, progress: Progress): Promise<number> {
  const { steps } = setup;
  const { command, options } = invocation;
  const targets = await targetsFor(invocation, steps);
  progress.destinations = targets.map(({ destination }) => destination);
  const settings = settingsFor(targets);
  const password = await givenPassword(options.passwordFile);
  const newPassword = await givenNewPassword(options.newPasswordFile);
  const terminal = await openTerminal(options, targets);
  endOnSignals(terminal);
  const { view } = terminal;
  if (options.json) {
    terminal.lastWords = () => view.observe(notBegun(progress, { code: 'interrupted' }));
  }
  // What the last run did is undone, whatever is wanted by now.
  const configuration = command === 'undo' ? undefined : setup.configuration;
  const given = { ...(password && { password }), ...(newPassword && { newPassword }) };
  const worldFor = worldsIn({ ...setup, configuration }, terminal, settings, given);
  const onInterrupt = (lastWords: () => void): void => void (terminal.lastWords = lastWords);
  const onSummary = (): void => void (progress.summed = true);
  const isFailure = (report: Report): boolean => exitStatus(report) !== 0;
  try {
    const { serve } = await import('./serve.ts');
    const job = { command, options, targets, worldFor, isFailure, view, onInterrupt, onSummary };
    return Math.max(...(await serve(job)).map(exitStatus));
  } catch (error) {
    if (problemOf(error).code === 'interrupted') interrupted(terminal);
    throw error;
  } finally {
    terminal.close();
  }
}

/** The world of each account, made once; what is common to them is found out once. */
function worldsIn(
  { steps, configuration }: Setup,
  terminal: Terminal,
  settings: (target: Target) => World['settings'],
  given: Pick<World, 'password' | 'newPassword'>,
): (target: Target) => World {
  const worlds = new Map<Target, World>();
  const chosen: World['chosen'] = new Map();
  const hops: KnownHops = new Map();
  return (target) => {
    const { options, destination, password = given.password } = target;
    const wishes = wishesFor(options, configuration, destination);
    const made = worlds.get(target) ?? {
      ...worldOf(wishes, steps, terminal, homedir(), { ...given, ...(password && { password }) }),
      settings: settings(target),
      hopSettings: hopSettingsFor(wishes, homedir(), hops),
      chosen,
    };
    worlds.set(target, made);
    return made;
  };
}

/** The accounts that were asked for. What reads hosts files is loaded where there may be several. */
async function targetsFor(
  { destinations, options }: OnAccounts,
  steps: readonly Step[],
): Promise<readonly Target[]> {
  const [destination, ...others] = destinations;
  if (destination !== undefined && others.length === 0 && options.hosts === undefined) {
    return [{ destination, options, words: [label(destination)] }];
  }
  const { targetsOf } = await import('./targets.ts');
  const names = steps.map(({ name }) => name);
  const { targets, leftOut } = await targetsOf(destinations, options, names);
  for (const host of leftOut) process.stderr.write(`prep: ${printable(host)} is left out\n`);
  return targets;
}

/** Asks ssh once for each account; for a single one while the rest of prep is loaded, for many as they come. */
function settingsFor(targets: readonly Target[]): (target: Target) => World['settings'] {
  const asked = new Map<string, ReturnType<World['settings']>>();
  const settings = (
    { options }: Target,
    destination: Destination,
  ): ReturnType<World['settings']> => {
    const { port, jump, sshConfig, controlPath, knownHosts, hostKey } = options;
    const flags = [port, jump, sshConfig, controlPath, knownHosts, hostKey];
    const name = JSON.stringify([label(destination), ...flags]);
    const known = asked.get(name) ?? resolveSettings(destination, options, homedir());
    asked.set(name, known);
    return known;
  };
  const [target, ...others] = targets;
  if (target !== undefined && others.length === 0) {
    settings(target, target.destination).catch(() => undefined);
  }
  return (one) => (destination) => settings(one, destination);
}
