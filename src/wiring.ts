import { homedir, userInfo } from 'node:os';
import type { ReadStream } from 'node:tty';
import type { ExportFormat, Invocation } from './cli/arguments.ts';
import type { Options } from './cli/options.ts';
import { wishesFor } from './configured.ts';
import type { Configuration } from './core/configuration.ts';
import { label, type Destination } from './core/destination.ts';
import type { Event, Observer, Report } from './core/event.ts';
import type { Desired, Step } from './core/plan.ts';
import { printable } from './core/printable.ts';
import { explain, PrepError, problemOf, type Problem } from './core/problem.ts';
import type { Prompter } from './core/prompter.ts';
import { answeringSafely, unattended } from './core/unattended.ts';
import { givenNewPassword, givenPassword } from './local/password.ts';
import { failure } from './run/fleet.ts';
import type { World } from './run/world.ts';
import { resolveSettings } from './ssh/settings.ts';
import type { Target } from './targets.ts';
import type { View } from './terminal/view.ts';
import { hopSettingsFor, worldOf, type KnownHops } from './world-of.ts';

/** What belongs to the terminal while prep runs. */
export interface Terminal {
  readonly view: View;
  readonly prompter: Prompter;
  readonly attended: boolean;
  /** Says what is known, where the run is interrupted. */
  lastWords?: () => void;
  close(): void;
}

/** What the user has set up: every step that may run, and what the configuration file says, if there is one. */
interface Setup {
  readonly steps: readonly Step[];
  readonly configuration: Configuration | undefined;
}

/** Runs a command that has to do with accounts, in the real world, and gives its exit status. */
export async function run(invocation: Invocation, setup: Setup): Promise<number> {
  if (invocation.command === 'demo') return demo(invocation.options, setup.steps);
  if (invocation.command === 'export') return exported(invocation, setup);
  if (invocation.command === 'init') return init(invocation.options);
  if (invocation.command === 'mastering') return mastering(invocation);
  if (invocation.command === 'run' || invocation.command === 'open') {
    return (await import('./session.ts')).handOver(invocation);
  }
  if (invocation.command === 'masters') {
    return (await import('./session.ts')).masters(invocation);
  }
  if (invocation.command !== 'prepare' && invocation.command !== 'undo') {
    throw new PrepError({ code: 'usage', text: `prep ${invocation.command} reaches no account` });
  }
  return onAccounts(invocation, setup);
}

type OnAccounts = Extract<Invocation, { command: 'prepare' | 'undo' }>;

/** How far a run on accounts has come. */
interface Progress {
  /** The accounts that are known by now. */
  destinations: readonly Destination[];
  /** Whether the summary was given. */
  summed: boolean;
}

/** Does it, and with `--json` ends with the summary also where nothing could begin. */
async function onAccounts(invocation: OnAccounts, setup: Setup): Promise<number> {
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

/** Writes a configuration file to begin with. */
async function init(options: Options): Promise<number> {
  const { initConfig } = await import('./config/init.ts');
  const terminal = await openTerminal(options);
  endOnSignals(terminal);
  try {
    const place = { named: options.config, home: homedir(), env: process.env };
    const file = await initConfig(place, terminal.prompter);
    process.stdout.write(`${printable(file)} is written; look it over, then see: prep steps\n`);
    return 0;
  } catch (error) {
    if (problemOf(error).code === 'interrupted') interrupted(terminal);
    throw error;
  } finally {
    terminal.close();
  }
}

/** Edits the user's ssh_config; no account is reached. */
async function mastering({
  options,
  remove,
}: Extract<Invocation, { command: 'mastering' }>): Promise<number> {
  const run = await import('./run/mastering.ts');
  const terminal = await openTerminal(options);
  endOnSignals(terminal);
  const { view, prompter } = terminal;
  const runtimeDir = process.env['XDG_RUNTIME_DIR'];
  const world = {
    wishes: options,
    home: homedir(),
    ...(runtimeDir !== undefined && { runtimeDir }),
    prompter,
    observe: view.observe,
  };
  try {
    const report = await run.mastering(world, remove);
    view.observe({ type: 'summary', reports: [], edits: [report] });
    await view.finish();
    return report.status === 'declined' ? 1 : 0;
  } catch (error) {
    return inTheWay(view.observe, error, () => ({ type: 'summary', reports: [], edits: [] }));
  } finally {
    terminal.close();
  }
}

/** Tells what keeps a whole command from being done, then the summary; gives the exit status. */
function inTheWay(observe: Observer, error: unknown, summary: () => Event): number {
  const problem = problemOf(error);
  if (process.env['DEBUG']) process.stderr.write(`${String((error as Error).stack)}\n`);
  observe({ type: 'problem', problem });
  observe(summary());
  return explain(problem).exit;
}

function failed(world: World, destination: Destination, error: unknown): Report {
  const problem = problemOf(error);
  if (process.env['DEBUG']) process.stderr.write(`${String((error as Error).stack)}\n`);
  world.observe({ type: 'problem', destination, problem });
  return failure(destination, problem);
}

function exitStatus({ status, steps, problem }: Report): number {
  if (problem !== undefined) return explain(problem).exit;
  return status === 'failed' || steps.some((step) => step.status === 'blocked') ? 1 : 0;
}

/** Where nobody sits at a terminal, nobody is asked; where nobody looks at one, lines are plain. */
async function openTerminal(options: Options, targets: readonly Target[] = []): Promise<Terminal> {
  const typed = process.stdin.isTTY === true && options.hosts !== '-';
  const attended = typed && process.stderr.isTTY === true;
  if (!attended) {
    const view = await viewFor(options, targets);
    return { view, prompter: unattended(options.yes), attended, close: () => undefined };
  }
  return { view: await viewFor(options, targets), ...(await promptAt(process.stdin, options)) };
}

/** Asks at a terminal. */
export async function promptAt(
  input: ReadStream,
  { yes }: Pick<Options, 'yes'>,
): Promise<Omit<Terminal, 'view'>> {
  const { Keyboard } = await import('./terminal/keyboard.ts');
  const { InquirerPrompter } = await import('./terminal/inquirer.ts');
  const keyboard = new Keyboard(input);
  const asking = new InquirerPrompter(keyboard, process.stderr);
  const prompter = yes ? answeringSafely(asking) : asking;
  return { prompter, attended: true, close: () => keyboard.close() };
}

async function viewFor(options: Options, targets: readonly Target[] = []): Promise<View> {
  const streams = { out: process.stdout, err: process.stderr };
  const accounts = targets.map(({ destination }) => destination);
  const manner = { verbosity: options.verbosity, accounts };
  if (options.json) return (await import('./terminal/ndjson.ts')).ndjsonView(streams, manner);
  if (process.stdout.isTTY === true && options.verbosity !== 'quiet') {
    return (await import('./terminal/task-list.ts')).taskListView(streams, manner);
  }
  return (await import('./terminal/text.ts')).textView(streams, manner);
}

/** Ctrl-C, being told to end, and the terminal's going away all mean the same. */
function endOnSignals(terminal: Terminal): void {
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => interrupted(terminal));
  }
}

/** Whatever is under way on the server is finished or undone there by itself: each path is old or new. */
function interrupted(terminal: Terminal): never {
  terminal.lastWords?.();
  terminal.view.interrupt();
  terminal.close();
  process.exit(explain({ code: 'interrupted' }).exit);
}

/** The steps that other tools can do. */
const EXPORTABLE = [
  'ssh-dir',
  'authorized-keys',
  'permissions',
  'packages',
  'dotfiles',
  'zlogin',
  'login-shell',
];

/** Writes down what prepare would bring about, for tools that do it without prep. */
async function exported(
  { options, format, destinations }: Extract<Invocation, { command: 'export' }>,
  { steps, configuration }: Setup,
): Promise<number> {
  const terminal = await openTerminal(options);
  try {
    const [destination, ...others] = destinations;
    const one = others.length === 0 ? destination : undefined;
    const world = worldOf(wishesFor(options, configuration, one), steps, terminal, homedir());
    const { gather } = await import('./run/gather.ts');
    const { desired, keysAreNew } = await gather(world, destinations);
    if (keysAreNew) throw new PrepError({ code: 'no-key' });
    const names = new Set(world.steps.map(({ name }) => name));
    const own = [...names].filter((name) => !EXPORTABLE.includes(name));
    if (own.length > 0) process.stderr.write(`prep: ${own.join(', ')}: not written down\n`);
    process.stdout.write(await description(format, desired, names, destinations));
    return 0;
  } finally {
    terminal.close();
  }
}

async function description(
  format: ExportFormat,
  desired: Desired,
  names: ReadonlySet<string>,
  destinations: readonly Destination[],
): Promise<string> {
  if (format === 'ansible') {
    const { ansiblePlaybook } = await import('./export/ansible.ts');
    return ansiblePlaybook(desired, names, destinations);
  }
  const { cloudConfig } = await import('./export/cloud-init.ts');
  return cloudConfig(desired, names, destinations[0]?.user ?? userInfo().username);
}

async function demo(options: Options, steps: readonly Step[]): Promise<number> {
  const { runDemo } = await import('./demo/demo.ts');
  const { gather } = await import('./run/gather.ts');
  const { prepare } = await import('./run/prepare.ts');
  const view = await viewFor(options);
  const print = (line: string): boolean => process.stdout.write(`${line}\n`);
  return runDemo(async (destination, { home, password, knownHosts, sshConfig }) => {
    const { observe } = view;
    const onlooker = { view, prompter: unattended(true), attended: false };
    const wishes = wishesFor({ ...options, knownHosts, sshConfig }, undefined);
    const world = worldOf(wishes, steps, onlooker, home, { password });
    const report = await gather(world, [destination])
      .then((preparation) => prepare(world, destination, preparation))
      .catch((error: unknown) => failed(world, destination, error));
    observe({ type: 'report', report });
    observe({ type: 'summary', reports: [report] });
    await view.finish();
    return exitStatus(report);
  }, print);
}
