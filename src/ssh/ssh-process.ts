import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import type { Writable } from 'node:stream';
import { shellWord } from '../core/shell-word.ts';
import { overMaster } from './control-master.ts';
import type { LoginKey } from './login-key.ts';
import type { OpenSshMaster } from './openssh-master.ts';
import type { PrivateFolder } from './private-folder.ts';
import type { Settings } from './settings.ts';

/** A running `ssh`. */
export interface SshProcess {
  /** Its exit status; 127 where there is no ssh. */
  readonly ended: Promise<number>;
  /** Called with what it and its proxies say on standard error. */
  onSaid: (text: string) => void;
  /** Ends it, as `ssh -O exit` does, and has its folder removed. */
  kill(): void;
}

/**
 * ssh, and beside it a shell that notices when prep is gone, however it went (its end of descriptor 3 closes with
 * it): then ssh is ended, unless prep has said that it is over by itself, and the folder ($0) removed.
 */
const WITH_WATCH = `{ read -r over; [ "$over" ] || kill "$$"; rm -rf "$0"; } <&3 >/dev/null 2>&1 &
exec ssh "$@" 3<&-`;

/** Starts ssh in a session of its own, so that it has no terminal: neither to ask at, nor to be interrupted from. */
export function startSsh(
  args: readonly string[],
  folder: string,
  env: Readonly<Record<string, string>>,
): SshProcess {
  const child = spawn('/bin/sh', ['-c', WITH_WATCH, folder, ...args], {
    stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
    detached: true,
  });
  const lifeline = child.stdio[3] as Writable;
  lifeline.on('error', () => undefined);
  let over = false;
  const kill = (): void => {
    process.off('exit', kill);
    child.kill('SIGTERM');
    if (over) lifeline.end('over\n');
    else lifeline.destroy();
  };
  process.on('exit', kill);
  const ended = new Promise<number>((resolve) => {
    child.on('error', () => resolve(127));
    child.on('exit', (status) => {
      over = true;
      // What a proxy said last is on its way still.
      setImmediate(() => resolve(status ?? 255));
    });
  });
  const started: SshProcess = { ended, onSaid: () => undefined, kill };
  child.stderr!.setEncoding('utf8').on('data', (text: string) => started.onSaid(text));
  return started;
}

/** What makes a master what it is to be. */
export interface MasterWishes {
  readonly socket: string;
  readonly keys: readonly LoginKey[];
  readonly keyAlone?: boolean;
  /** Whether no key is to be tried. */
  readonly withoutKeys: boolean;
  readonly over?: OpenSshMaster;
  readonly forwardings?: boolean;
  /** A host key that was accepted before, as a line of known_hosts. */
  readonly knownHost?: string;
}

const POLICIES = { ask: 'ask', 'accept-new': 'accept-new', strict: 'yes' } as const;

/** The arguments of the ssh that becomes the master: what the user typed, and what prep needs of it, which beats ssh_config. */
export function masterArguments(
  settings: Settings,
  folder: PrivateFolder,
  wishes: MasterWishes,
): readonly string[] {
  const { keys, keyAlone = false, socket } = wishes;
  const options = [
    ...ALWAYS,
    ...hostKeyOptions(settings, folder, wishes.knownHost),
    `ConnectTimeout=${seconds(settings.connectTimeout)}`,
    `ServerAliveInterval=${seconds(settings.keepAlive.interval)}`,
    `ServerAliveCountMax=${settings.keepAlive.count}`,
    ...(wishes.forwardings === true ? [] : ['ClearAllForwardings=yes']),
    ...(wishes.over === undefined ? [] : [`ProxyCommand=${through(wishes.over)}`]),
    ...(keyAlone ? ALONE : []),
    ...(wishes.withoutKeys ? ['PubkeyAuthentication=no'] : []),
  ];
  const files = keys.map((key, index) => key.file ?? publicHalf(folder, key, index));
  return [
    '-MNv',
    '-S',
    socket.replaceAll('%', '%%'),
    '-E',
    folder.file('log'),
    ...options.flatMap((option) => ['-o', option]),
    ...(keyAlone ? files.slice(0, 1) : files).flatMap((file) => ['-i', file]),
    ...settings.sshArguments,
    '--',
    settings.destination.host,
  ];
}

function seconds(milliseconds: number): number {
  return Math.ceil(milliseconds / 1000);
}

const ALWAYS = [
  'ControlPersist=no',
  'PermitLocalCommand=no',
  'RemoteCommand=none',
  'RequestTTY=no',
  'UpdateHostKeys=no',
];

/** ssh writes new keys to the first file; that one is prep's own, who remembers them in a real run. */
function hostKeyOptions(
  { hostKeyPolicy, knownHosts }: Settings,
  folder: PrivateFolder,
  knownHost: string | undefined,
): readonly string[] {
  const learned = folder.file('known_hosts');
  writeFileSync(learned, knownHost === undefined ? '' : `${knownHost}\n`, { mode: 0o600 });
  return [
    `StrictHostKeyChecking=${POLICIES[hostKeyPolicy]}`,
    `UserKnownHostsFile=${[learned, ...knownHosts].map(quoted).join(' ')}`,
    'GlobalKnownHostsFile=/dev/null',
  ];
}

/** A key that the agent holds is named by its public half, for which ssh looks beside the file that is not there. */
function publicHalf(folder: PrivateFolder, { key }: LoginKey, index: number): string {
  const file = folder.file(`key${index}`);
  writeFileSync(`${file}.pub`, `${key.type} ${key.blob}\n`, { mode: 0o600 });
  return file;
}

/** Nothing but a plain key lets the user in: no certificate beside it, no password. */
const ALONE = [
  'PreferredAuthentications=publickey',
  'IdentitiesOnly=yes',
  'PubkeyAcceptedKeyTypes=-*-cert-v01@openssh.com',
];

/** The command that leads over another master. */
function through(over: OpenSshMaster): string {
  const words = ['ssh', ...overMaster(over.socket, over.settings), '-W', '[%h]:%p', '--'];
  return [...words, over.settings.address].map(shellQuoted).join(' ');
}

/** A word of the ProxyCommand: for the shell, and with the tokens that are meant as such only. */
function shellQuoted(word: string): string {
  return shellWord(word === '[%h]:%p' ? word : word.replaceAll('%', '%%'));
}

/** A file name in a list of ssh_config(5). */
function quoted(file: string): string {
  return `"${file.replaceAll('%', '%%')}"`;
}
