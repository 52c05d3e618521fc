import { spawn } from 'node:child_process';
import { PrepError } from '../core/problem.ts';
import { printable } from '../core/printable.ts';
import type { Channel, Exit, Pty, Session, Sftp } from './session.ts';
import type { Settings } from './settings.ts';

/** How long a master may take to say that it is alive, in milliseconds; and one that ssh_config merely names. */
const PATIENCE = 5000;
const BRIEFLY = 1000;

/**
 * A session over a control master that somebody else opened (ssh_config(5), ControlMaster). Nobody logs
 * in again: each channel is one `ssh -S SOCK` child.
 * @throws PrepError `master-dead` where nothing answers on the socket
 */
export async function attach(socket: string, settings: Settings): Promise<Session> {
  const state = await masterState(socket, settings);
  if (state !== undefined) throw new PrepError({ code: 'master-dead', socket, said: state });
  const opened: Promise<Sftp | undefined>[] = [];
  return {
    label: settings.label,
    login: 'none',
    exec: (command, pty) => Promise.resolve(channelOver(socket, settings, command, pty)),
    sftp: () => {
      const sftp = sftpOver(socket, settings);
      opened.push(sftp);
      return sftp;
    },
    // The master is not ours to end; SFTP through it is.
    close: () => {
      for (const sftp of opened) void sftp.then((one) => one?.end());
    },
  };
}

/** What is wrong with a master; undefined where it is alive. A stale socket is never waited for. */
async function masterState(socket: string, settings: Settings): Promise<string | undefined> {
  const child = spawn(
    'ssh',
    [...overMaster(socket, settings), '-O', 'check', '--', settings.address],
    {
      stdio: ['ignore', 'ignore', 'pipe'],
      timeout: settings.controlPath?.required === false ? BRIEFLY : PATIENCE,
    },
  );
  let said = '';
  child.stderr.on('data', (data: Buffer) => (said += data.toString('utf8')));
  const status = await new Promise<number | null>((resolve) => {
    child.on('close', resolve).on('error', () => resolve(null));
  });
  return status === 0 ? undefined : printable(said.trim().split('\n').at(-1) ?? '');
}

/** What makes `ssh` go over a master. A dead socket must not make ssh dial anew: with `ProxyCommand=false` it cannot. */
export function overMaster(socket: string, { user, port }: Settings): string[] {
  const options = ['ControlMaster=no', 'ProxyCommand=false', 'BatchMode=yes', 'LogLevel=ERROR'];
  // ssh expands tokens in a path that it is given; this one is expanded already.
  const place = ['-F', 'none', '-S', socket.replaceAll('%', '%%'), '-l', user, '-p', String(port)];
  return [...place, ...options.flatMap((option) => ['-o', option])];
}

/** One remote command over a master. */
export function channelOver(
  socket: string,
  settings: Settings,
  command: string,
  pty?: Pty,
): Channel {
  const terminal = pty === undefined ? '-T' : '-tt';
  return channel([...overMaster(socket, settings), terminal, '--', settings.address, command], pty);
}

/** SFTP over a master; undefined where the server has no such subsystem or allows no further channel. */
export async function sftpOver(socket: string, settings: Settings): Promise<Sftp | undefined> {
  const { sftpThrough } = await import('./sftp-stream.ts');
  const args = [...overMaster(socket, settings), '-T', '-s', '--', settings.address, 'sftp'];
  return sftpThrough(channel(args));
}

function channel(args: readonly string[], pty?: Pty): Channel {
  const child = spawn('ssh', args, {
    env: { ...process.env, ...(pty !== undefined && { TERM: pty.term }) },
  });
  // ssh may have ended just now, as `exit` will tell.
  child.stdin.on('error', () => undefined);
  const exit = new Promise<Exit>((resolve) => {
    child.on('error', () => resolve({ kind: 'lost' }));
    // ssh(1) ends with 255 when the connection broke.
    child.on('close', (status) =>
      resolve(status === null || status === 255 ? { kind: 'lost' } : { kind: 'status', status }),
    );
  });
  return {
    stdin: child.stdin,
    stdout: child.stdout,
    stderr: child.stderr,
    exit,
    close: () => child.kill(),
  };
}
