import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import type { Settings } from './settings.ts';

/** A command over a control master, with the standard streams of this very process. */
export interface Attached {
  /** Its exit status as ssh(1) has it: 255 where the connection broke. */
  readonly ended: Promise<number>;
  signal(name: NodeJS.Signals): void;
}

/** What the user's own ssh must not do where it only passes through: dial anew, forward a second time, or run something else. */
const OPTIONS = [
  'ControlMaster=no',
  'ProxyCommand=false',
  'BatchMode=yes',
  'ClearAllForwardings=yes',
  'RemoteCommand=none',
  'LogLevel=ERROR',
];

/**
 * Runs a command over a master. ssh itself holds the terminal: its modes, its size and its signals are
 * passed on as ever, and nothing is copied on the way.
 */
export function attachTo(
  socket: string,
  { sshArguments, destination }: Settings,
  command: string,
  terminal: boolean,
): Attached {
  const args = [
    '-S',
    socket.replaceAll('%', '%%'),
    terminal ? '-t' : '-T',
    ...OPTIONS.flatMap((option) => ['-o', option]),
    ...sshArguments,
    '--',
    destination.host,
    command,
  ];
  const child = spawn('ssh', args, { stdio: 'inherit' });
  const ended = new Promise<number>((resolve) => {
    child.on('error', () => resolve(255));
    child.on('exit', (status, signal) =>
      resolve(status ?? 128 + (signal === null ? 0 : constants.signals[signal])),
    );
  });
  return { ended, signal: (name) => void child.kill(name) };
}
