import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { treeOf, type Tree } from './tree.ts';

/** A file to lay into a home: its text or bytes (mode 0644), or more precisely. A name ending in `/` makes a directory. */
export type HomeFile =
  | string
  | Uint8Array
  | { readonly content?: string | Uint8Array; readonly mode?: number; readonly link?: string };

/** What a throw-away account should be like. */
export interface AccountOptions {
  /** Default one that nobody has. No account of that name may be there yet. */
  readonly name?: string;
  /** Login shell; default `/bin/bash`. */
  readonly shell?: string;
  /** Laid over the skeleton, by path relative to the home. */
  readonly files?: Readonly<Record<string, HomeFile>>;
  /** The password; default a random one. */
  readonly password?: string;
  /** The home directory, where the usual `/home/NAME` will not do. */
  readonly home?: string;
}

/** GECOS mark by which leftovers of dead test runs are known. */
const MARK = 'prep test account of process';

/** A real account on this machine, with a random password, gone after `remove()`. */
export class TestAccount {
  readonly name: string;
  readonly password: string;
  readonly home: string;
  readonly uid: number;
  readonly gid: number;

  constructor(options: AccountOptions = {}) {
    const { shell = '/bin/bash', files = {}, name, home, password } = options;
    this.name = name ?? `prep_${randomBytes(4).toString('hex')}`;
    this.password = password ?? randomPassword();
    this.home = home ?? `/home/${this.name}`;
    const gecos = `${MARK} ${process.pid}`;
    shadow('useradd', ['-m', '-d', this.home, '-s', shell, '-c', gecos, this.name]);
    const { uid, gid } = statSync(this.home);
    this.uid = uid;
    this.gid = gid;
    living.add(this);
    shadow('chpasswd', [], `${this.name}:${this.password}\n`);
    for (const [path, file] of Object.entries(files)) this.write(path, file);
  }

  /** Lays a file into the home, owned by the account. Missing folders are made, 0755. */
  write(path: string, file: HomeFile): void {
    const at = join(this.home, path);
    this.#makeFolder(path.endsWith('/') ? at : dirname(at));
    const { content, mode, link } = isContent(file) ? { content: file } : file;
    if (link !== undefined) symlinkSync(link, at);
    else if (!path.endsWith('/')) writeFileSync(at, content ?? '');
    if (link === undefined) chmodSync(at, mode ?? (path.endsWith('/') ? 0o755 : 0o644));
    lchownSync(at, this.uid, this.gid);
  }

  /** The bytes of a file of the home, as latin1 text so that nothing is lost. */
  read(path: string): string {
    return readFileSync(join(this.home, path), 'latin1');
  }

  /** The login shell that the passwd entry names now. */
  passwdShell(): string {
    return passwdEntry(this.name)?.[6] ?? '';
  }

  /** A snapshot of the home. */
  tree(): Tree {
    return treeOf(this.home);
  }

  /** Runs a command as root about this account, e.g. `chage -d 0 NAME`; its name is appended. */
  administer(command: string, ...args: string[]): void {
    shadow(command, [...args, this.name]);
  }

  /** Ends the account's processes, and sshd's for it, as a reboot does. */
  endSessions(): void {
    if (living.has(this)) endProcesses(this.name, this.uid);
  }

  /** Whether anything stands at a path of the home, if only a link to nowhere. */
  has(path: string): boolean {
    return lstatSync(join(this.home, path), { throwIfNoEntry: false }) !== undefined;
  }

  /** Ends the account's processes and deletes it with its home; once, for the next account may have its uid. */
  remove(): void {
    if (!living.delete(this)) return;
    removeAccount(this.name, this.uid, this.home);
  }

  #makeFolder(folder: string): void {
    if (folder === this.home || !folder.startsWith(this.home)) return;
    this.#makeFolder(dirname(folder));
    try {
      mkdirSync(folder, { mode: 0o755 });
      lchownSync(folder, this.uid, this.gid);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
}

const living = new Set<TestAccount>();
process.on('exit', () => [...living].forEach((account) => account.remove()));

/** Makes a throw-away account; call its `remove()` when done (a forgotten one goes when the process ends). */
export function makeAccount(options?: AccountOptions): TestAccount {
  return new TestAccount(options);
}

/** A password nobody has seen before, safe to type and to search for. */
export function randomPassword(): string {
  return `pw${randomBytes(15).toString('base64url')}`;
}

/** Removes the accounts of test runs that are no longer alive. */
export function removeDeadAccounts(): void {
  for (const line of readFileSync('/etc/passwd', 'utf8').split('\n')) {
    const [name = '', , uid, , gecos = '', home = ''] = line.split(':');
    if (!/^prep_[0-9a-f]{8}$/.test(name) || !gecos.startsWith(MARK)) continue;
    if (!isAlive(Number(gecos.slice(MARK.length)))) removeAccount(name, Number(uid), home);
  }
}

function removeAccount(name: string, uid: number, home: string): void {
  endProcesses(name, uid);
  if (passwdEntry(name)) shadow('userdel', ['-f', name]);
  rmSync(home, { recursive: true, force: true });
  rmSync(`/var/mail/${name}`, { force: true });
}

function endProcesses(name: string, uid: number): void {
  for (let round = 0; round < 100 && killProcesses(name, uid) > 0; round++) pause(10);
}

/** What runs under an account of ours, and what sshd runs for it as root. */
function processesOf(name: string, uid: number): string[] {
  return readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && belongs(pid, name, uid));
}

/** Kills all of it; says how many there were. */
function killProcesses(name: string, uid: number): number {
  const pids = processesOf(name, uid);
  for (const pid of pids) {
    try {
      process.kill(Number(pid), 'SIGKILL');
    } catch {
      continue;
    }
  }
  return pids.length;
}

function belongs(pid: string, name: string, uid: number): boolean {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'latin1');
    if (/^State:\s+Z/m.test(status)) return false;
    if (Number(/^Uid:\s+(\d+)/m.exec(status)?.[1]) === uid) return true;
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1').startsWith(`sshd: ${name} `);
  } catch {
    return false;
  }
}

function passwdEntry(name: string): string[] | undefined {
  return readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'))
    .find((fields) => fields[0] === name);
}

/** One at a time over all test processes: shadow's own lock makes those who wait sleep for whole seconds, or fail. */
function shadow(command: string, args: readonly string[], input = ''): void {
  const lock = join(tmpdir(), 'prep-test-accounts.lock');
  execFileSync('flock', [lock, command, ...args], { input, stdio: 'pipe' });
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function isContent(file: HomeFile): file is string | Uint8Array {
  return typeof file === 'string' || file instanceof Uint8Array;
}

function pause(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}
