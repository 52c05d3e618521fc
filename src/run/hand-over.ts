import { constants } from 'node:os';
import type { ReadStream, WriteStream } from 'node:tty';
import { finished } from 'node:stream/promises';
import type { Destination } from '../core/destination.ts';
import { PrepError } from '../core/problem.ts';
import { HostKeyJudge } from '../ssh/host-key.ts';
import { OpenSshMaster } from '../ssh/openssh-master.ts';
import { attachTo } from '../ssh/over-master.ts';
import { NewPassword, Password } from '../ssh/password.ts';
import { freeSocket } from '../ssh/private-folder.ts';
import type { Channel, Session } from '../ssh/session.ts';
import type { Settings } from '../ssh/settings.ts';
import { chosenKeys } from './login-keys.ts';
import { liveMaster, rememberHostKey } from './reach.ts';
import { Ways } from './ways.ts';
import type { World } from './world.ts';

/** The standard streams, and who has them. */
export interface Console {
  readonly stdin: ReadStream;
  readonly stdout: WriteStream;
  readonly stderr: WriteStream;
  /** No question will be asked any more: the terminal is the command's from now on, and so are the signals. */
  handOver(signalled: (name: NodeJS.Signals) => void): void;
}

/** What to run on the server: `undefined` is the user's own screen. */
export interface Handing {
  readonly destination: Destination;
  readonly command: string | undefined;
}

/** How a session comes about: over a master, whosever it is, or on a connection of ssh2. */
type Line =
  | { readonly socket: string; readonly close: () => void }
  | { readonly session: Session; readonly close: () => void };

/** Runs one command, and gives its exit status. @throws PrepError where it could not be run */
export async function runCommand(
  world: World,
  console: Console,
  { destination, command = '' }: Handing,
): Promise<number> {
  const settings = await world.settings(destination);
  const line = (await lineOver(world, settings)) ?? (await logIn(world, settings, 'once'));
  try {
    return 'socket' in line
      ? await overSocket(line.socket, settings, console, command, false)
      : await piped(await line.session.exec(command), console);
  } finally {
    line.close();
  }
}

/**
 * screen, on which the user comes back to what was left there; else tmux, else the login shell, saying so.
 * One line for whatever login shell the account has: within it stands no quote and no `!`.
 */
const SCREEN = `exec /bin/sh -c '${[
  'has() { command -v "$1" >/dev/null 2>&1; }',
  'has screen && exec screen -DR',
  'has tmux && echo "prep: the server has no screen; this is tmux" >&2 && exec tmux new-session -A -D -s prep',
  'echo "prep: the server has neither screen nor tmux; this is your login shell" >&2',
  'exec "${SHELL:-/bin/sh}" -l',
].join('; ')}'`;

/** Opens an interactive session, and gives its exit status. @throws PrepError where it did not come about */
export async function openSession(
  world: World,
  console: Console,
  { destination, command = SCREEN }: Handing,
): Promise<number> {
  const settings = mayBegin(await world.settings(destination));
  const line = (await lineOver(world, settings)) ?? (await logIn(world, settings, 'shared'));
  const terminal = console.stdin.isTTY;
  let status = 255;
  try {
    status =
      'socket' in line
        ? await overSocket(line.socket, settings, console, command, terminal)
        : await interactive(line.session, console, command);
    return status;
  } finally {
    if (status === 255 && console.stdout.isTTY) console.stdout.write(TIDY);
    line.close();
  }
}

/** What a full-screen program switched on and could not switch off any more: other screen, hidden cursor, keypad, mouse, pasting, colours. */
const TIDY =
  '\u001b[?47l\u001b[?25h\u001b[?1l\u001b>\u001b[?1000;1002;1003;1006;2004l\u001b[0m\r\n';

/** Where no master is alive yet, `prep open -S SOCK` opens one there. */
function mayBegin({ controlPath, ...settings }: Settings): Settings {
  if (controlPath === undefined) return settings;
  return { ...settings, controlPath: { ...controlPath, required: false } };
}

/** A master that is alive already. */
async function lineOver(world: World, settings: Settings): Promise<Line | undefined> {
  const session = await liveMaster(world, settings);
  const socket = settings.controlPath?.socket;
  return session && socket !== undefined ? { socket, close: () => undefined } : undefined;
}

/** A connection of our own; `shared` is one that others can use meanwhile, where OpenSSH is there. */
async function logIn(world: World, settings: Settings, how: 'once' | 'shared'): Promise<Line> {
  const { destination, label, controlPath, passwordPrompts } = settings;
  const judge = await HostKeyJudge.read(settings, world.prompter);
  const question = `${label}'s password:`;
  const password = new Password(question, world.prompter, world.password, passwordPrompts);
  const newPassword = new NewPassword(label, world.prompter, world.newPassword);
  const keys = await chosenKeys(world);
  const secrets = { password, newPassword };
  const ways = new Ways(world, { destination, keys }, settings, judge, secrets);
  let session: Session | undefined;
  const close = (): void => {
    session?.close();
    ways.way.close();
  };
  try {
    const socket = await freeSocket(controlPath?.socket);
    const wishes = { forwardings: true, listed: true, ...(socket !== undefined && { socket }) };
    const master = how === 'shared' ? await ways.openMaster(wishes) : undefined;
    session = master ?? (await ways.logIn());
    await ways.way.remember();
    await rememberHostKey(world, destination, judge);
    if (session instanceof OpenSshMaster) return { socket: session.socket, close };
    return { session, close };
  } catch (error) {
    close();
    throw error;
  }
}

async function overSocket(
  socket: string,
  settings: Settings,
  console: Console,
  command: string,
  terminal: boolean,
): Promise<number> {
  const attached = attachTo(socket, settings, command, terminal);
  let sent: NodeJS.Signals | undefined;
  console.handOver((name) => {
    // At a terminal Ctrl-C comes to ssh by itself.
    if (name === 'SIGINT' && console.stdin.isTTY) return;
    sent = name;
    attached.signal(name);
  });
  const status = await attached.ended;
  return status === 255 && sent !== undefined ? 128 + constants.signals[sent] : status;
}

/** A command on pipes: what it reads and writes passes through as it is, no faster than the slower side takes it. */
async function piped(channel: Channel, console: Console): Promise<number> {
  const { stdin, stdout, stderr } = console;
  const signalled = endOnSignal(channel, console, true);
  channel.stdout.pipe(stdout, { end: false });
  channel.stderr.pipe(stderr, { end: false });
  stdin.pipe(channel.stdin);
  const unread = endOnDeafness(channel, stdout);
  const done = Promise.all([channel.exit, ended(channel.stdout), ended(channel.stderr)]);
  try {
    return await Promise.race([signalled, unread, done.then(([exit]) => statusOf(exit))]);
  } finally {
    letGo(stdin, channel);
  }
}

/** Settles when nobody reads what the command prints any more, with the status of one that SIGPIPE ended: what is on its way still would never be taken. */
function endOnDeafness(channel: Channel, stdout: Console['stdout']): Promise<number> {
  return new Promise((resolve) => {
    stdout.once('error', () => {
      channel.close();
      resolve(128 + constants.signals.SIGPIPE);
    });
  });
}

/** Settles when a signal has ended the command without its own word: a server may never answer to the end of a channel. */
function endOnSignal(channel: Channel, console: Console, politely: boolean): Promise<number> {
  return new Promise((resolve) => {
    let asked = !politely;
    console.handOver((name) => {
      if (!asked && channel.signal?.(name.slice(3)) === true) return void (asked = true);
      channel.close();
      resolve(128 + constants.signals[name]);
    });
  });
}

function ended(stream: NodeJS.ReadableStream): Promise<void> {
  return finished(stream, { writable: false }).catch(() => undefined);
}

function letGo(stdin: ReadStream, channel: Channel): void {
  stdin.unpipe(channel.stdin);
  stdin.pause();
  if (stdin.isTTY) stdin.unref();
  else stdin.destroy();
}

/** An interactive command on a connection of ssh2: this side does what ssh(1) does with a terminal. */
async function interactive(session: Session, console: Console, command: string): Promise<number> {
  const { stdin, stdout } = console;
  if (!stdin.isTTY) return piped(await session.exec(command), console);
  const size = (): { columns: number; rows: number } => ({
    columns: stdout.columns || 80,
    rows: stdout.rows || 24,
  });
  const term = process.env['TERM'] ?? 'dumb';
  const channel = await session.exec(command, { term, ...size() });
  const resized = (): void => channel.resize?.(size());
  const signalled = endOnSignal(channel, console, false);
  stdin.setRawMode(true).ref();
  stdout.on('resize', resized);
  channel.stdout.pipe(stdout, { end: false });
  stdin.pipe(channel.stdin);
  try {
    const done = Promise.all([channel.exit, ended(channel.stdout)]);
    return await Promise.race([signalled, done.then(([exit]) => statusOf(exit))]);
  } finally {
    stdout.off('resize', resized);
    stdin.setRawMode(false);
    letGo(stdin, channel);
  }
}

function statusOf(exit: Awaited<Channel['exit']>): number {
  if (exit.kind === 'status') return exit.status;
  if (exit.kind === 'lost')
    throw new PrepError({ code: 'connection-lost', certain: 0, uncertain: 0 });
  return 128 + (constants.signals[`SIG${exit.signal}` as NodeJS.Signals] ?? 0);
}
