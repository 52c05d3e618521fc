import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import type { TestAccount } from './account.ts';
import { assertNoSecret, ProcessWatch } from './secrecy.ts';
import { treeOf, type Tree } from './tree.ts';
import { atTerminal, type Answer } from './typist.ts';

export { assertNoSecret } from './secrecy.ts';
export type { Answer } from './typist.ts';

/** What a user's own machine should have. */
export interface LaptopOptions {
  /** Key pairs in ~/.ssh, made by ssh-keygen without a passphrase; default one ed25519. */
  readonly keys?: readonly ('ed25519' | 'ecdsa' | 'rsa')[];
  /** Lines of ~/.ssh/known_hosts, e.g. of `TestSshd.knownHosts()`. */
  readonly knownHosts?: string;
  /** Files of the home, by relative path. */
  readonly files?: Readonly<Record<string, string | Uint8Array>>;
}

/** A user's own machine, as far as prep sees it: a home directory of its own. */
export class Laptop {
  readonly #folder = mkdtempSync(join(tmpdir(), 'prep-laptop-'));
  readonly home = join(this.#folder, 'home');

  constructor({ keys = ['ed25519'], knownHosts, files = {} }: LaptopOptions = {}) {
    for (const name of ['home/.ssh', 'bin', 'tmp']) {
      mkdirSync(join(this.#folder, name), { recursive: true, mode: 0o700 });
    }
    writeFileSync(join(this.#folder, 'bin', 'ssh'), SSH, { mode: 0o755 });
    writeFileSync(join(this.#folder, 'ssh_config'), sshConfig(this.home));
    for (const type of keys) this.makeKey(`.ssh/id_${type}`, type);
    if (knownHosts !== undefined) this.write('.ssh/known_hosts', knownHosts);
    for (const [path, content] of Object.entries(files)) this.write(path, content);
  }

  /** The absolute path of a file of the home. */
  path(name: string): string {
    return join(this.home, name);
  }

  /** Writes a file of the home. */
  write(name: string, content: string | Uint8Array, mode = 0o644): void {
    mkdirSync(dirname(this.path(name)), { recursive: true, mode: 0o755 });
    writeFileSync(this.path(name), content, { mode });
  }

  /** Reads a file of the home; undefined where there is none. */
  read(name: string): string | undefined {
    return existsSync(this.path(name)) ? readFileSync(this.path(name), 'latin1') : undefined;
  }

  /** Makes a key pair and gives its public line. */
  makeKey(name: string, type: 'ed25519' | 'ecdsa' | 'rsa' = 'ed25519', passphrase = ''): string {
    const args = ['-q', '-t', type, '-N', passphrase, '-C', 'user@laptop', '-f', this.path(name)];
    execFileSync('ssh-keygen', args);
    return this.read(`${name}.pub`)!.trim();
  }

  /** Writes a file beside the home, where secrets may lie, and gives its path. */
  passwordFile(...lines: readonly string[]): string {
    const file = join(this.#folder, 'password');
    writeFileSync(file, lines.map((line) => `${line}\n`).join(''), { mode: 0o600 });
    return file;
  }

  /** A snapshot of the home. */
  tree(): Tree {
    return treeOf(this.home);
  }

  /** The environment of a program run here: nothing of the real user's, and no agent. */
  env(extra: Readonly<Record<string, string | undefined>> = {}): Record<string, string> {
    const env = {
      HOME: this.home,
      PATH: `${join(this.#folder, 'bin')}:${process.env['PATH'] ?? '/usr/bin:/bin'}`,
      LAPTOP_SSH_CONFIG: join(this.#folder, 'ssh_config'),
      TMPDIR: join(this.#folder, 'tmp'),
      USER: 'user',
      LOGNAME: 'user',
      SHELL: '/bin/sh',
      LANG: 'C.UTF-8',
      TERM: 'xterm-256color',
      ...extra,
    };
    return Object.fromEntries(
      Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined),
    );
  }

  /** Removes it all. */
  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** One run of the built command. */
export interface PrepOptions {
  readonly laptop: Laptop;
  /** The single executable, instead of dist/main.cjs and this node. */
  readonly executable?: string;
  /** Accounts whose passwords must not be found afterwards in anything printed or written. */
  readonly accounts?: readonly Pick<TestAccount, 'password' | 'home'>[];
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
  /** Piped into standard input, which is empty by default. Without a terminal only. */
  readonly stdin?: string;
  /** Run at a terminal of 100 columns and 30 rows. */
  readonly pty?: boolean;
  /** With a terminal: what to type when. */
  readonly answers?: readonly Answer[];
  /** With a terminal: send standard output elsewhere, as `prep ... >FILE` does. */
  readonly redirect?: boolean;
  /** A signal for prep, once `when` is to be read in what it printed. Without a terminal only. */
  readonly signal?: { readonly when: RegExp; readonly send: NodeJS.Signals };
  /** What happens elsewhere, once `when` is to be read in what prep printed. Without a terminal only. */
  readonly meanwhile?: readonly { readonly when: RegExp; act(): void }[];
  /** Killed after so many milliseconds, and the run throws. */
  readonly timeout?: number;
}

/** How a run of the built command went. */
export interface PrepRun {
  /** Exit status; 128 + N where signal N ended it. */
  readonly status: number;
  /** With a terminal: empty unless redirected. */
  readonly stdout: string;
  /** With a terminal: empty. */
  readonly stderr: string;
  /** With a terminal: the text a person reads in the end, redrawing done. */
  readonly screen: string;
  /** The lines at which something was typed. */
  readonly typed: readonly string[];
  /** With a terminal: how it was left. */
  readonly terminal: { readonly echo: boolean; readonly lines: boolean; readonly cursor: boolean };
  /** `--json`'s lines, parsed. */
  readonly events: readonly Record<string, unknown>[];
}

/** Runs the built prep as a user would. @throws Error where it does not end, or a password leaked */
export async function runPrep(args: readonly string[], options: PrepOptions): Promise<PrepRun> {
  const { laptop, accounts = [], pty = false, executable } = options;
  const usual = [process.execPath, resolve('dist/main.cjs'), ...args] as const;
  const command = executable === undefined ? usual : ([executable, ...args] as const);
  const folder = pty ? mkdtempSync(join(tmpdir(), 'prep-terminal-')) : '';
  const around = pty ? atOwnTerminal(folder, command, options) : command;
  const secrets = accounts.map((account) => account.password);
  const watch = new ProcessWatch(secrets, [command, around, REPORTING]);
  const run = await (pty ? withTerminal(folder, around, options) : withPipes(command, options));
  watch.stop();
  const { stdout, stderr, screen, output } = run;
  for (const { password, home } of accounts) {
    const folders = [laptop.home, laptop.env()['TMPDIR']!, home].filter((folder) =>
      existsSync(folder),
    );
    assertNoSecret(password, { printed: { stdout, stderr, screen, output }, folders });
  }
  return { ...run, events: eventsOf(stdout) };
}

type Raw = Omit<PrepRun, 'events'> & { readonly output: string };
type Command = readonly [string, ...string[]];

/** Runs a command, then tells how it left its terminal; Ctrl-C is for the command alone. */
const AT_TERMINAL = `report=$1 out=$2; shift 2; trap : INT
if [ "$out" ]; then "$@" >"$out"; else "$@"; fi; status=$?
stty -a >"$report"; exit "$status"`;
const REPORTING = ['stty', '-a'];

function atOwnTerminal(folder: string, command: Command, { redirect }: PrepOptions): Command {
  const [report, out] = [join(folder, 'stty'), redirect === true ? join(folder, 'stdout') : ''];
  return ['/bin/sh', '-c', AT_TERMINAL, 'sh', report, out, ...command];
}

async function withTerminal(folder: string, around: Command, options: PrepOptions): Promise<Raw> {
  const { laptop, env, cwd = laptop.home, answers = [], redirect = false, timeout } = options;
  try {
    const { done } = atTerminal(around, {
      env: laptop.env(env),
      cwd,
      answers,
      ...(timeout !== undefined && { timeout }),
    });
    const { cursorVisible, ...run } = await done;
    const modes = readFileSync(join(folder, 'stty'), 'utf8');
    const on = (mode: string): boolean => new RegExp(`\\s${mode}\\b`).test(modes);
    const terminal = { echo: on('echo'), lines: on('icanon'), cursor: cursorVisible };
    const stdout = redirect ? readFileSync(join(folder, 'stdout'), 'utf8') : '';
    return { ...run, stdout, stderr: '', terminal };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function withPipes([file, ...args]: Command, options: PrepOptions): Promise<Raw> {
  const {
    laptop,
    env,
    cwd = laptop.home,
    stdin,
    signal,
    meanwhile = [],
    timeout = 50_000,
  } = options;
  const child = spawn(file, args, { env: laptop.env(env), cwd, stdio: ['pipe', 'pipe', 'pipe'] });
  let [stdout, stderr] = ['', ''];
  const awaited = new Set([
    ...(signal ? [{ when: signal.when, act: () => void child.kill(signal.send) }] : []),
    ...meanwhile,
  ]);
  const watch = (): void => {
    for (const one of awaited) {
      if (one.when.test(stdout + stderr) && awaited.delete(one)) one.act();
    }
  };
  child.stdout.setEncoding('utf8').on('data', (text: string) => ((stdout += text), watch()));
  child.stderr.setEncoding('utf8').on('data', (text: string) => ((stderr += text), watch()));
  child.stdin.on('error', () => undefined).end(stdin ?? '');
  const timer = setTimeout(() => child.kill('SIGKILL'), timeout);
  const [code, killer] = await new Promise<[number | null, NodeJS.Signals | null]>(
    (done, failed) => {
      child.on('error', failed).on('close', (code, killer) => done([code, killer]));
    },
  );
  clearTimeout(timer);
  if (killer === 'SIGKILL') throw new Error(`prep did not end:\n${stdout}${stderr}`);
  const terminal = { echo: true, lines: true, cursor: true };
  const status = code ?? 128 + constants.signals[killer ?? 'SIGINT'];
  return { status, stdout, stderr, screen: '', typed: [], terminal, output: '' };
}

function eventsOf(stdout: string): Record<string, unknown>[] {
  if (!stdout.startsWith('{')) return [];
  return stdout
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

/** OpenSSH takes the home directory from the passwd file, whatever HOME says; this one takes it from HOME. */
const SSH = `#!/bin/sh
case " $* " in *" -F"*) exec /usr/bin/ssh "$@" ;; esac
if ! grep -qis identityfile "$HOME/.ssh/config"; then
  for type in ed25519 ecdsa rsa; do
    [ ! -f "$HOME/.ssh/id_$type" ] || set -- -o "IdentityFile=$HOME/.ssh/id_$type" "$@"
  done
fi
exec /usr/bin/ssh -F "$LAPTOP_SSH_CONFIG" "$@"
`;

function sshConfig(home: string): string {
  const known = `${home}/.ssh/known_hosts`;
  return `Include ${home}/.ssh/config\nHost *\n  UserKnownHostsFile ${known}\n`;
}
