import { openSync } from 'node:fs';
import { homedir } from 'node:os';
import { ReadStream } from 'node:tty';
import type { Invocation } from './cli/arguments.ts';
import type { Options } from './cli/options.ts';
import { wishesFor } from './configured.ts';
import { label, type Destination } from './core/destination.ts';
import { explain, PrepError, problemOf } from './core/problem.ts';
import { unattended } from './core/unattended.ts';
import { givenNewPassword, givenPassword } from './local/password.ts';
import type { Console } from './run/hand-over.ts';
import type { Master } from './ssh/master-list.ts';
import { resolveSettings } from './ssh/settings.ts';
import { textView } from './terminal/text.ts';
import { promptAt, type Terminal } from './at-terminal.ts';
import { worldOf } from './world-of.ts';

type HandingOver = Extract<Invocation, { command: 'run' | 'open' }>;

/** `prep run` and `prep open`: logs in, then the terminal is the command's. Gives the command's exit status. */
export async function handOver({
  command,
  destination,
  remoteCommand,
  options,
}: HandingOver): Promise<number> {
  const password = await givenPassword(options.passwordFile);
  const newPassword = await givenNewPassword(options.newPasswordFile);
  const terminal = await questionsAt(options);
  const console = consoleOf(terminal);
  const world = {
    ...worldOf(wishesFor(options, undefined), [], terminal, homedir()),
    ...(password !== undefined && { password }),
    ...(newPassword !== undefined && { newPassword }),
  };
  const { openSession, runCommand } = await import('./run/hand-over.ts');
  // As ssh(1) does: the words, with blanks between; the remote shell takes them apart again.
  const words = remoteCommand.length === 0 ? undefined : remoteCommand.join(' ');
  const work = command === 'run' ? runCommand : openSession;
  try {
    return await work(world, console, { destination, command: words });
  } catch (error) {
    return complain(terminal, destination, error);
  } finally {
    terminal.close();
  }
}

/** Until the terminal is handed over, a signal ends prep; from then on it is the command's. */
function consoleOf(terminal: Terminal): Console {
  let signalled = (_name: NodeJS.Signals): void => {
    terminal.view.interrupt();
    terminal.close();
    process.exit(explain({ code: 'interrupted' }).exit);
  };
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => signalled(name));
  }
  const { stdin, stdout, stderr } = process;
  const handOver = (then: (name: NodeJS.Signals) => void): void => {
    terminal.close();
    signalled = then;
  };
  return { stdin, stdout, stderr, handOver };
}

function complain({ view }: Terminal, destination: Destination, error: unknown): number {
  const problem = problemOf(error);
  if (process.env['DEBUG']) process.stderr.write(`${String((error as Error).stack)}\n`);
  view.observe({ type: 'problem', destination, problem });
  // What had begun and broke off ends as with ssh(1).
  return problem.code === 'connection-lost' ? 255 : explain(problem).exit;
}

/** Whatever prep itself has to say goes to standard error; standard output is the command's. */
async function questionsAt(options: Options): Promise<Terminal> {
  const view = textView({ out: process.stderr, err: process.stderr }, options);
  const input = process.stdin.isTTY ? process.stdin : controllingTerminal();
  if (input === undefined || !process.stderr.isTTY) {
    return { view, prompter: unattended(options.yes), attended: false, close: () => undefined };
  }
  return { view, ...(await promptAt(input, options)) };
}

/** Where standard input is a file or a pipe, questions are answered at the terminal all the same. */
function controllingTerminal(): ReadStream | undefined {
  try {
    return new ReadStream(openSync('/dev/tty', 'r'));
  } catch {
    return undefined;
  }
}

/** `prep open --list` and `prep open --exit`. */
export async function masters({
  exit,
  options,
}: Extract<Invocation, { command: 'masters' }>): Promise<number> {
  const { endMaster, liveMasters } = await import('./ssh/master-list.ts');
  const asked = exit === undefined || exit === 'all' ? { host: 'localhost' } : exit;
  const settings = await resolveSettings(asked, options, homedir());
  const example = settings.controlPath?.socket;
  const alive = await liveMasters(example);
  if (exit === undefined) {
    process.stdout.write(alive.map(lineOf).join(''));
    return 0;
  }
  const names = [settings.label, label(asked)];
  const chosen = alive.filter(
    (master) => exit === 'all' || names.includes(master.label ?? '') || master.socket === example,
  );
  if (chosen.length === 0 && exit !== 'all') throw new PrepError({ code: 'nothing-open' });
  const ended = await Promise.all(chosen.map(({ socket }) => endMaster(socket)));
  return ended.every(Boolean) ? 0 : 1;
}

function lineOf({ label: whose, pid, socket }: Master): string {
  return `${(whose ?? '-').padEnd(30)} pid ${String(pid).padEnd(8)} ${socket}\n`;
}
