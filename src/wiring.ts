import { homedir, userInfo } from 'node:os';
import type { ReadStream } from 'node:tty';
import type { ExportFormat, Invocation } from './cli/arguments.ts';
import type { Options } from './cli/options.ts';
import { label, type Destination } from './core/destination.ts';
import type { Observer, Report } from './core/event.ts';
import type { Desired, Step } from './core/plan.ts';
import { printable } from './core/printable.ts';
import { explain, PrepError, problemOf } from './core/problem.ts';
import type { Prompter } from './core/prompter.ts';
import type { Secret } from './core/secret.ts';
import { answeringSafely, unattended } from './core/unattended.ts';
import { givenNewPassword, givenPassword } from './local/password.ts';
import type { World } from './run/world.ts';
import { shippedDotfile } from './shipped.ts';
import { resolveSettings, type SettingsFlags } from './ssh/settings.ts';
import type { Target } from './targets.ts';
import type { View } from './terminal/view.ts';

/** What belongs to the terminal while prep runs. */
export interface Terminal {
  readonly view: View;
  readonly prompter: Prompter;
  readonly attended: boolean;
  /** Says what is known, where the run is interrupted. */
  lastWords?: () => void;
  close(): void;
}

/** Runs a command that has to do with accounts, in the real world, and gives its exit status. */
export async function run(invocation: Invocation, steps: readonly Step[]): Promise<number> {
  if (invocation.command === 'demo') return demo(invocation.options, steps);
  if (invocation.command === 'export') return exported(invocation, steps);
  if (invocation.command === 'mastering') return mastering(invocation);
  if (invocation.command === 'run' || invocation.command === 'open') {
    return (await import('./session.ts')).handOver(invocation);
  }
  if (invocation.command === 'masters') {
    return (await import('./session.ts')).masters(invocation);
  }
  if (invocation.command !== 'prepare' && invocation.command !== 'undo') {
    throw notThereYet(`prep ${invocation.command}`);
  }
  const { command, options } = invocation;
  refuseWhatIsMissing(options);
  const targets = await targetsFor(invocation, steps);
  const settings = settingsFor(targets);
  const password = await givenPassword(options.passwordFile);
  const newPassword = await givenNewPassword(options.newPasswordFile);
  const terminal = await openTerminal(options, targets);
  process.on('SIGINT', () => interrupted(terminal)).on('SIGTERM', () => interrupted(terminal));
  const worldFor = (target: Target): World => ({
    ...worldOf(target.options, steps, terminal, homedir(), target.password ?? password),
    settings: settings(target),
    ...(newPassword !== undefined && { newPassword }),
  });
  const onInterrupt = (lastWords: () => void): void => void (terminal.lastWords = lastWords);
  const isFailure = (report: Report): boolean => exitStatus(report) !== 0;
  try {
    const { serve } = await import('./serve.ts');
    const { view } = terminal;
    const job = { command, options, targets, worldFor, isFailure, view, onInterrupt };
    return Math.max(...(await serve(job)).map(exitStatus));
  } catch (error) {
    if (problemOf(error).code === 'interrupted') interrupted(terminal);
    throw error;
  } finally {
    terminal.close();
  }
}

/** The accounts that were asked for. What reads hosts files is loaded where there may be several. */
async function targetsFor(
  { destinations, options }: Extract<Invocation, { command: 'prepare' | 'undo' }>,
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
    const name = JSON.stringify([label(destination), options.port]);
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

/** Edits the user's ssh_config; no account is reached. */
async function mastering({
  options,
  remove,
}: Extract<Invocation, { command: 'mastering' }>): Promise<number> {
  const run = await import('./run/mastering.ts');
  const terminal = await openTerminal(options);
  process.on('SIGINT', () => interrupted(terminal)).on('SIGTERM', () => interrupted(terminal));
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
    const problem = problemOf(error);
    if (process.env['DEBUG']) process.stderr.write(`${String((error as Error).stack)}\n`);
    view.observe({ type: 'problem', problem });
    view.observe({ type: 'summary', reports: [], edits: [] });
    return explain(problem).exit;
  } finally {
    terminal.close();
  }
}

function failed(world: World, destination: Destination, error: unknown): Report {
  const problem = problemOf(error);
  if (process.env['DEBUG']) process.stderr.write(`${String((error as Error).stack)}\n`);
  world.observe({ type: 'problem', destination, problem });
  return { destination, status: 'failed', steps: [], verified: 'not tried', problem };
}

function exitStatus({ status, steps, problem }: Report): number {
  if (problem !== undefined) return explain(problem).exit;
  return status === 'failed' || steps.some((step) => step.status === 'blocked') ? 1 : 0;
}

/** Everything around a run, as the command line has it. */
export function worldOf(
  options: Options,
  steps: readonly Step[],
  { view, prompter, attended }: Terminal,
  home: string,
  password?: Secret,
): World {
  const { only, skip } = options;
  const wanted = steps.filter(({ name }) => (only?.includes(name) ?? true) && !skip.includes(name));
  return {
    wishes: options,
    steps: wanted,
    prompter,
    attended,
    ...(password !== undefined && { password }),
    observe: view.observe,
    settings: (destination) => resolveSettings(destination, options, home),
    hopSettings: once((hop, before) => resolveSettings(hop, hopFlags(options, before), home)),
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
function hopFlags(options: Options, jump: readonly Destination[]): SettingsFlags {
  const { port: _, controlPath: __, ...flags } = options;
  return { ...flags, jump };
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
  { yes }: Options,
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

/** Whatever is under way on the server is finished or undone there by itself: each path is old or new. */
function interrupted(terminal: Terminal): never {
  terminal.lastWords?.();
  terminal.view.interrupt();
  terminal.close();
  process.exit(explain({ code: 'interrupted' }).exit);
}

/** Flags whose work is not part of this version say so, instead of being ignored. */
function refuseWhatIsMissing(options: Options): void {
  const missing: readonly (readonly [boolean, string])[] = [
    [options.config !== undefined, '--config'],
  ];
  for (const [given, name] of missing) if (given) throw notThereYet(name);
}

function notThereYet(what: string): PrepError {
  return new PrepError({ code: 'usage', text: `${what} is not part of this version yet` });
}

/** Writes down what prepare would bring about, for tools that do it without prep. */
async function exported(
  { options, format, destinations }: Extract<Invocation, { command: 'export' }>,
  steps: readonly Step[],
): Promise<number> {
  const terminal = await openTerminal(options);
  try {
    const world = worldOf(options, steps, terminal, homedir());
    const { gather } = await import('./run/gather.ts');
    const { desired, keysAreNew } = await gather(world, destinations);
    if (keysAreNew) throw new PrepError({ code: 'no-key' });
    const names = new Set(world.steps.map(({ name }) => name));
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
    const terminal = { view, prompter: unattended(true), attended: false, close: () => undefined };
    const wishes: Options = { ...options, knownHosts, sshConfig };
    const world = worldOf(wishes, steps, terminal, home, password);
    const report = await gather(world, [destination])
      .then((preparation) => prepare(world, destination, preparation))
      .catch((error: unknown) => failed(world, destination, error));
    const observe: Observer = view.observe;
    observe({ type: 'report', report });
    observe({ type: 'summary', reports: [report] });
    await view.finish();
    return exitStatus(report);
  }, print);
}
