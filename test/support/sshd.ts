import { execFileSync, spawn, spawnSync, type ChildProcess } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export { makeAccount, type TestAccount } from './account.ts';

const SSHD = ['/usr/sbin/sshd', '/usr/local/sbin/sshd'].find((path) => existsSync(path));
const SFTP_SERVER = ['/usr/lib/openssh/sftp-server', '/usr/libexec/sftp-server'].find((path) =>
  existsSync(path),
);

/** What a server of one's own should be like. */
export interface SshdOptions {
  /** Lines of sshd_config(5); they win over the defaults here. */
  readonly config?: readonly string[];
  /** Where it listens; default 127.0.0.1, by which everything else here knows it. */
  readonly address?: '127.0.0.1' | '0.0.0.0';
  /** `Match` blocks, which must stand at the end. */
  readonly match?: readonly string[];
  /** A PAM stack of the server's own (pam.d(5)); default that of sshd. */
  readonly pam?: readonly string[];
  /** Files that this server and its sessions see in place of the machine's own, by absolute path; executable by nobody. */
  readonly files?: Readonly<Record<string, readonly string[]>>;
  /** Files and folders that this server and its accounts see in the place of others (source, then target); nobody else does. */
  readonly mounts?: readonly (readonly [source: string, target: string])[];
  /** Whether accounts may read its configuration: as /etc/ssh/sshd_config too, or only where it is. */
  readonly readable?: boolean | 'where it is';
  /** The SFTP subsystem: its own process (default), inside sshd, or none. */
  readonly sftp?: 'external' | 'internal' | 'none';
  /** What the listener has in its environment besides; its sessions have none of it. */
  readonly env?: Readonly<Record<string, string>>;
  /** Default: ed25519, ecdsa and rsa. */
  readonly hostKeys?: readonly HostKeyType[];
}

/** Kinds of host keys that ssh-keygen makes. */
export type HostKeyType = 'ed25519' | 'ecdsa' | 'rsa';

const HOST_KEYS: readonly HostKeyType[] = ['ed25519', 'ecdsa', 'rsa'];

/** A login that the server reported. */
export interface Login {
  readonly method: string;
  readonly user: string;
}

/** Why no real server can be started here; undefined where one can. */
export const noSshd: string | undefined = whyNoSshd();

/** A real OpenSSH server with PAM on loopback, in a folder of its own. */
export class TestSshd {
  readonly host = '127.0.0.1';
  readonly port: number;
  readonly folder: string;
  readonly #command: readonly string[];
  #process: ChildProcess;
  readonly #hostKeys: readonly HostKeyType[];
  readonly #env: NodeJS.ProcessEnv;
  #seen = 0;

  /** Use `startSshd`. */
  constructor(folder: string, port: number, options: SshdOptions) {
    const { hostKeys, pam, files = {}, mounts = [], readable = false, env = {} } = options;
    this.folder = folder;
    this.port = port;
    this.#hostKeys = hostKeys ?? HOST_KEYS;
    // A listener that outlives a killed test process would hold its port for ever.
    const own = seeing(this.#path('seen'), { ...(pam && { '/etc/pam.d/sshd': pam }), ...files }, [
      ...mounts,
      ...(readable === true ? [[this.#path('sshd_config'), '/etc/ssh/sshd_config'] as const] : []),
    ]);
    const command = [SSHD!, '-D', '-f', this.#path('sshd_config'), '-E', this.#path('log')];
    this.#env = { ...process.env, ...env };
    this.#command = ['--pdeathsig', 'KILL', ...own, ...command];
    this.#process = this.#start();
  }

  /** Everything the server has said, at LogLevel VERBOSE. */
  log(): string {
    return existsSync(this.#path('log')) ? readFileSync(this.#path('log'), 'utf8') : '';
  }

  /** How many connections were made since the start or the last `forget()`. */
  connections(): number {
    return this.#recent().match(/^Connection from /gm)?.length ?? 0;
  }

  /** Who logged in, and how, since the start or the last `forget()`. */
  logins(): Login[] {
    return [...this.#recent().matchAll(/^Accepted (\S+) for (\S+) from/gm)].map((match) => ({
      method: match[1]!,
      user: match[2]!,
    }));
  }

  /** How many wrong passwords (or signatures of keys) came since the start or the last `forget()`. */
  refusals(method: 'password' | 'publickey' = 'password'): number {
    return this.#recent().match(new RegExp(`^Failed ${method} for `, 'gm'))?.length ?? 0;
  }

  /** Counts from here on. */
  forget(): void {
    this.#seen = this.log().length;
  }

  /** The server's host keys as known_hosts lines, for this port or one that leads to it. */
  knownHosts(port = this.port): string {
    const lines = this.#hostKeys.map((type) => `[${this.host}]:${port} ${this.hostKey(type)}`);
    return lines.map((line) => `${line}\n`).join('');
  }

  /** `type blob` of one host key. */
  hostKey(type: HostKeyType): string {
    const line = readFileSync(this.#path(`${type}.pub`), 'utf8');
    return line.split(' ').slice(0, 2).join(' ').trim();
  }

  /** Whether the listener is still there. */
  get running(): boolean {
    return this.#process.exitCode === null && this.#process.signalCode === null;
  }

  /** Ends the listener and whatever came of it at once, as a reboot does: connections and sessions. */
  halt(): void {
    if (!this.running) return;
    for (const pid of [this.#process.pid!, ...descendants(this.#process.pid!)]) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It has ended by itself.
      }
    }
  }

  /** Listens again where it listened before. @throws Error with the server's own words */
  async restart(): Promise<void> {
    this.#seen = 0;
    rmSync(this.#path('log'), { force: true });
    this.#process = this.#start();
    if (!(await listens(this))) throw new Error(`sshd did not start again: ${this.log()}`);
  }

  /** Ends the listener and removes its folder. Sessions end with the accounts they belong to. */
  stop(): void {
    this.#process.kill('SIGKILL');
    rmSync(this.folder, { recursive: true, force: true });
  }

  #start(): ChildProcess {
    return spawn('setpriv', this.#command, { stdio: 'ignore', env: this.#env });
  }

  #path(name: string): string {
    return join(this.folder, name);
  }

  #recent(): string {
    return this.log().slice(this.#seen).replaceAll('\r', '');
  }
}

/** The processes that a process started, those that these started, and so on. */
function descendants(pid: number): number[] {
  const children = readdirSync('/proc').filter((one) => /^\d+$/.test(one) && parentOf(one) === pid);
  return children.flatMap((child) => [Number(child), ...descendants(Number(child))]);
}

/** The parent of a process (proc(5), field 4 of stat); undefined once it has ended. */
function parentOf(pid: string): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
  } catch {
    return undefined;
  }
}

/** A command whose program, and what it starts, sees other files in some places; nobody else does. */
function seeing(
  folder: string,
  files: Readonly<Record<string, readonly string[]>>,
  others: readonly (readonly [source: string, target: string])[],
): string[] {
  const mounts = Object.entries(files).map(([path, lines], index) => {
    const file = `${folder}-${index}`;
    writeFileSync(file, lines.map((line) => `${line}\n`).join(''), { mode: 0o644 });
    return `place ${path} && mount --bind ${file} ${path}`;
  });
  mounts.push(...others.map(([source, target]) => `mount --rbind ${source} ${target}`));
  if (mounts.length === 0) return [];
  // A file that is not there gets a folder of its own to be in.
  const place =
    'place() { [ -e "$1" ] || { d=${1%/*}; mountpoint -q "$d" || mount -t tmpfs none "$d"; : >"$1"; }; }';
  // A mount on a file goes when somebody elsewhere puts another in its place, as useradd does with /etc/passwd.
  // Files that are just being put in their places may vanish under cp.
  const etc =
    '/etc/passwd' in files ? `cp -a /etc ${folder}-etc; mount --bind ${folder}-etc /etc && ` : '';
  const script = `${place}; ${etc}${mounts.join(' && ')} && exec "$@"`;
  return ['unshare', '--mount', 'sh', '-c', script, 'sh'];
}

/** Starts a server and waits until it listens. @throws Error with the server's own words */
export async function startSshd(options: SshdOptions = {}): Promise<TestSshd> {
  const { hostKeys = HOST_KEYS } = options;
  mkdirSync('/run/sshd', { recursive: true, mode: 0o755 });
  for (let attempt = 0; ; attempt++) {
    const folder = mkdtempSync(join(tmpdir(), 'prep-sshd-'));
    hostKeys.forEach((type) => makeHostKey(join(folder, type), type));
    const port = await freePort();
    writeFileSync(join(folder, 'sshd_config'), configuration(folder, port, options));
    if (options.readable !== undefined) chmodSync(folder, 0o755);
    const server = new TestSshd(folder, port, options);
    if (await listens(server)) return server;
    const said = server.log() || 'it said nothing';
    server.stop();
    if (!said.includes('Address already in use') || attempt === 4) {
      throw new Error(`sshd did not start: ${said}`);
    }
  }
}

/** A port of 127.0.0.1 that nobody listens on now. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function configuration(folder: string, port: number, options: SshdOptions): string {
  const { config = [], match = [], sftp = 'external', hostKeys = HOST_KEYS } = options;
  const { address = '127.0.0.1' } = options;
  const server = sftp === 'internal' ? 'internal-sftp' : SFTP_SERVER;
  const lines = [
    ...config,
    `Port ${port}`,
    `ListenAddress ${address}`,
    ...hostKeys.map((type) => `HostKey ${join(folder, type)}`),
    'UsePAM yes',
    'PasswordAuthentication yes',
    'KbdInteractiveAuthentication no',
    'PermitRootLogin no',
    'AllowUsers prep_*',
    'MaxStartups 1000',
    'PrintMotd no',
    'LogLevel VERBOSE',
    'PidFile none',
    ...(penalises() ? ['PerSourcePenalties no'] : []),
    ...(sftp === 'none' ? [] : [`Subsystem sftp ${server}`]),
    ...match,
  ];
  return lines.map((line) => `${line}\n`).join('');
}

/** Making RSA keys takes long; one set serves all servers of a test process. */
const hostKeyCache = new Map<HostKeyType, readonly [secret: string, open: string]>();

function makeHostKey(file: string, type: HostKeyType): void {
  const made = hostKeyCache.get(type);
  if (made === undefined) {
    execFileSync('ssh-keygen', ['-q', '-t', type, '-N', '', '-C', 'test host', '-f', file]);
    hostKeyCache.set(type, [readFileSync(file, 'utf8'), readFileSync(`${file}.pub`, 'utf8')]);
    return;
  }
  writeFileSync(file, made[0], { mode: 0o600 });
  writeFileSync(`${file}.pub`, made[1]);
}

async function listens(server: TestSshd): Promise<boolean> {
  for (let waited = 0; waited < 10_000 && server.running; waited += 10) {
    if (server.log().includes('Server listening on ')) return true;
    await sleep(10);
  }
  return false;
}

/** OpenSSH 9.8 and later shut out an address after a few refused logins. */
function penalises(): boolean {
  const { stderr } = spawnSync(SSHD!, ['-V'], { encoding: 'utf8' });
  const [, major = 0, minor = 0] = /OpenSSH_(\d+)\.(\d+)/.exec(stderr) ?? [];
  return Number(major) * 100 + Number(minor) >= 908;
}

function whyNoSshd(): string | undefined {
  if (process.getuid?.() !== 0) return 'not root';
  if (SSHD === undefined || SFTP_SERVER === undefined) return 'openssh-server is not installed';
  const tools = ['useradd', 'userdel', 'chpasswd', 'ssh-keygen', 'flock', 'setpriv'];
  const missing = tools.filter(
    (tool) => spawnSync('sh', ['-c', `command -v ${tool}`]).status !== 0,
  );
  return missing.length > 0 ? `${missing.join(', ')} missing` : undefined;
}
