import { spawn, spawnSync, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import {
  accessSync,
  chmodSync,
  chownSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import type { Secret } from '../core/secret.ts';
import { emulatedPrograms, ZSH_STAND_IN } from './emulated-programs.ts';

/** What a throw-away account should be like. */
export interface SandboxOptions {
  readonly password: Secret;
  /** Default `demo`. */
  readonly user?: string;
  /** Default bash, or sh where there is none. */
  readonly loginShell?: string;
  /** The lines of /etc/shells as the account sees it; default this machine's, with zsh among them. */
  readonly shells?: readonly string[];
}

/**
 * An account that exists in one folder only: a home directory, a passwd entry, a password, and a login
 * shell of this machine that does the work. Where this process is root the account is not.
 */
export class Sandbox {
  readonly user: string;
  readonly uid: number;
  readonly gid: number;
  /** All that belongs to the sandbox. */
  readonly folder: string;
  /** The account's home directory. */
  readonly home: string;
  /** What is not as on a real server, in words. */
  readonly emulated: readonly string[];
  readonly #etc: string;
  readonly #bin: string;
  readonly #ownShells: boolean;

  constructor(options: SandboxOptions) {
    this.user = options.user ?? 'demo';
    const identity = someoneElse();
    [this.uid, this.gid] = identity;
    this.folder = mkdtempSync(join(temporaryFolder(identity), 'prep-demo-'));
    chmodSync(this.folder, 0o755);
    [this.#etc, this.#bin] = [this.#make('etc'), this.#make('bin')];
    this.#make('home');
    this.home = this.#make(`home/${this.user}`);
    const shells = options.shells ?? usualShells(this.#bin);
    this.#ownShells = shells.join() !== shellsOf(SHELLS).join();
    this.#furnish(options, shells);
    this.emulated = emulated(this.#ownShells, shells.includes(join(this.#bin, 'zsh')));
  }

  /** The login shell that the passwd entry names now. */
  loginShell(): string {
    return readFileSync(join(this.#etc, 'passwd'), 'utf8').trim().split(':').at(-1)!;
  }

  /** Whether this is the account's password. */
  admits(password: string): boolean {
    const [salt = '', hash = ''] = readFileSync(join(this.#etc, 'shadow'), 'utf8').split(/\s/);
    return timingSafeEqual(Buffer.from(digest(salt, password)), Buffer.from(hash));
  }

  /** Runs a command through the login shell, as sshd does. */
  run(
    command: string,
    extra: Readonly<Record<string, string>> = {},
  ): ChildProcessWithoutNullStreams {
    const shell = this.loginShell();
    const env = {
      ...extra,
      HOME: this.home,
      USER: this.user,
      LOGNAME: this.user,
      SHELL: shell,
      PATH: `${this.#bin}:${process.env['PATH'] ?? '/usr/bin:/bin'}`,
    };
    const { uid, gid } = this;
    const identity = uid === process.getuid?.() ? {} : { uid, gid };
    return spawn(shell, ['-c', command], {
      argv0: basename(shell),
      cwd: existsSync(this.home) ? this.home : '/',
      detached: true,
      env,
      ...identity,
    });
  }

  /** A command for the account's shell in which /etc/shells becomes the sandbox's own, where that differs. */
  translate(text: string): string {
    return this.#ownShells ? text.replaceAll(SHELLS, join(this.#etc, 'shells')) : text;
  }

  /** The same for a stream that comes in pieces. */
  translation(): (bytes: Buffer) => Buffer {
    if (!this.#ownShells) return (bytes) => bytes;
    let held = '';
    return (bytes) => {
      const text = held + bytes.toString('latin1');
      const end = text.length - unfinished(text);
      held = text.slice(end);
      return Buffer.from(this.translate(text.slice(0, end)), 'latin1');
    };
  }

  /** Makes a file or folder the account's own. */
  own(path: string): void {
    if (this.uid !== process.getuid?.()) chownSync(path, this.uid, this.gid);
  }

  /** Removes everything. */
  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  #make(name: string): string {
    const path = join(this.folder, name);
    mkdirSync(path, { mode: 0o755 });
    this.own(path);
    return path;
  }

  #write(path: string, text: string, mode = 0o644): void {
    writeFileSync(path, text, { mode });
    chmodSync(path, mode);
    this.own(path);
  }

  #furnish({ password, loginShell }: SandboxOptions, shells: readonly string[]): void {
    const shell = loginShell ?? (existsSync('/bin/bash') ? '/bin/bash' : '/bin/sh');
    const { user, uid, gid, home } = this;
    const salt = randomBytes(16).toString('hex');
    const etc = {
      passwd: `${user}:x:${uid}:${gid}:A throw-away account:${home}:${shell}`,
      group: `${user}:x:${gid}:`,
      shells: shells.join('\n'),
    };
    for (const [name, text] of Object.entries(etc)) this.#write(join(this.#etc, name), `${text}\n`);
    this.#write(join(this.#etc, 'shadow'), `${salt} ${digest(salt, password.reveal())}\n`, 0o600);
    const programs = emulatedPrograms({ user, etc: this.#etc, real: whereIs });
    const standIns = shells.includes(join(this.#bin, 'zsh')) ? { zsh: ZSH_STAND_IN } : {};
    for (const [name, text] of Object.entries({ ...programs, ...standIns })) {
      this.#write(join(this.#bin, name), text, 0o755);
    }
    for (const [name, text] of Object.entries(SKELETON)) this.#write(join(home, name), text);
  }
}

const SHELLS = '/etc/shells';

/** How many characters at the end may be the beginning of `SHELLS`. */
function unfinished(text: string): number {
  for (let count = SHELLS.length - 1; count > 0; count--) {
    if (text.endsWith(SHELLS.slice(0, count))) return count;
  }
  return 0;
}

/** What an ordinary new account has in its home. */
const SKELETON = {
  '.bashrc': "case $- in *i*) ;; *) return ;; esac\nPS1='\\u@\\h:\\w\\$ '\nalias ll='ls -l'\n",
  '.profile': 'if [ -n "$BASH_VERSION" ] && [ -f "$HOME/.bashrc" ]; then . "$HOME/.bashrc"; fi\n',
};

function emulated(shells: boolean, zsh: boolean): string[] {
  return [
    'the account has no entry in the passwd file of this machine: getent, id, chsh and usermod know it, sudo does not',
    ...(shells ? ['/etc/shells is a list of its own'] : []),
    ...(zsh ? ['there is no zsh on this machine: sh stands in for it'] : []),
  ];
}

/** This machine's login shells, with zsh among them: its own, or a stand-in. */
function usualShells(bin: string): string[] {
  const shells = shellsOf(SHELLS);
  if (shells.length === 0) shells.push('/bin/sh');
  const zsh = whereIs('zsh');
  if (shells.some((shell) => basename(shell) === 'zsh' && existsSync(shell))) return shells;
  return [...shells, zsh === '' ? join(bin, 'zsh') : zsh];
}

function shellsOf(file: string): string[] {
  if (!existsSync(file)) return [];
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('/'));
}

function digest(salt: string, password: string): string {
  return createHash('sha256').update(salt).update(password).digest('hex');
}

/** Where a program is on this process's search path; empty where it is not. */
function whereIs(program: string): string {
  const folders = (process.env['PATH'] ?? '').split(':').filter((folder) => folder.startsWith('/'));
  const found = folders.map((folder) => join(folder, program)).find(isExecutable);
  return found ?? '';
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * Where to make the sandbox: commands name this folder without quotes, so its path must need none, and the
 * account must be able to get there.
 */
function temporaryFolder([uid, gid]: Identity): string {
  const folder = realpathSync(tmpdir());
  const reachable =
    spawnSync('/bin/sh', ['-c', 'cd "$1"', 'sh', folder], { uid, gid }).status === 0;
  return reachable && /^[\w./+-]+$/.test(folder) ? folder : realpathSync('/tmp');
}

type Identity = readonly [uid: number, gid: number];

/** The user and group to be: this process's own, or, where that is root, ones that nobody has. */
function someoneElse(): Identity {
  const [uid, gid] = [process.getuid?.() ?? 0, process.getgid?.() ?? 0];
  if (uid !== 0) return [uid, gid];
  const taken = ['/etc/passwd', '/etc/group'].map((file) => readFileSync(file, 'utf8')).join('\n');
  const free = (number: number): boolean => !taken.includes(`:${number}:`);
  const number = Array.from({ length: 100 }, (_, index) => 62_000 + index).find(free) ?? 0;
  const possible = spawnSync('/bin/sh', ['-c', ':'], { uid: number, gid: number }).status === 0;
  return possible ? [number, number] : [uid, gid];
}
