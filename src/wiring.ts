import { homedir } from 'node:os';
import { endOnSignals, interrupted, openTerminal } from './at-terminal.ts';
import type { Invocation } from './cli/arguments.ts';
import type { Options } from './cli/options.ts';
import { inTheWay } from './complain.ts';
import type { Setup } from './configured.ts';
import { printable } from './core/printable.ts';
import { PrepError, problemOf } from './core/problem.ts';

/** Runs a command that has to do with accounts, in the real world, and gives its exit status. */
export async function run(invocation: Invocation, setup: Setup): Promise<number> {
  switch (invocation.command) {
    case 'prepare':
    case 'undo':
      return (await import('./on-accounts.ts')).onAccounts(invocation, setup);
    case 'run':
    case 'open':
      return (await import('./session.ts')).handOver(invocation);
    case 'masters':
      return (await import('./session.ts')).masters(invocation);
    case 'mastering':
      return mastering(invocation);
    case 'init':
      return init(invocation.options);
    case 'export':
      return (await import('./exporting.ts')).exported(invocation, setup);
    case 'demo':
      return (await import('./demonstrate.ts')).demonstrate(invocation.options, setup.steps);
    default:
      throw new PrepError({ code: 'usage', text: `prep ${invocation.command} reaches no account` });
  }
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
