import { spawn, type ChildProcess } from 'node:child_process';
import { Duplex } from 'node:stream';
import { PrepError } from '../core/problem.ts';
import { dial } from './dial.ts';
import type { Settings } from './settings.ts';
import { expandTokens } from './tokens.ts';

/** Opens a byte stream to the SSH server that `settings` name. @throws PrepError where something on the way refuses */
export type Route = (settings: Settings) => Duplex | Promise<Duplex>;

/** Straight over TCP. */
export const directly: Route = dial;

/** Through a command of the user's own configuration (ssh_config(5), ProxyCommand), run as ssh runs it. */
export function throughCommand(command: string): Route {
  return (settings) => {
    const { address, port, user, destination } = settings;
    for (const name of [address, user, destination.host]) {
      if (/^-|[^\w.:%@+-]/.test(name)) {
        throw new PrepError({ code: 'usage', text: `"${name}" may not stand in a ProxyCommand` });
      }
    }
    const child = spawn(
      `exec ${expandTokens(command, { address, host: destination.host, port, user })}`,
      {
        shell: true,
        stdio: ['pipe', 'pipe', 'inherit'],
      },
    );
    const wire = Duplex.from({ readable: child.stdout, writable: child.stdin });
    child.on('error', (error) => wire.destroy(error)).on('close', () => wire.destroy());
    endWith(child, wire);
    return wire;
  };
}

/** How long a command may take to end by itself, in milliseconds. */
const GRACE = 500;

const alive = new Set<ChildProcess>();
process.on('exit', () => alive.forEach((child) => child.kill()));

/**
 * Ends a command with its wire. The end of its input is what most wait for, to end what they have started in their
 * turn; only what goes on by itself is killed.
 */
function endWith(child: ChildProcess, wire: Duplex): void {
  alive.add(child);
  let timer: NodeJS.Timeout | undefined;
  child.on('exit', () => {
    alive.delete(child);
    clearTimeout(timer);
  });
  wire.on('close', () => {
    if (child.exitCode === null && child.signalCode === null) {
      timer = setTimeout(() => child.kill(), GRACE);
    }
  });
}
