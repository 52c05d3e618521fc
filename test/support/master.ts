import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Stage, Visit } from './stage.ts';

/** Somebody who is there already. */
export interface Mastered {
  readonly visit: Visit;
  readonly socket: string;
  /** Ends the master as a crash does: its socket stays. */
  kill(): Promise<void>;
}

/** A user who has a control master to the account, let in by a key that prep knows nothing of. */
export async function withMaster(stage: Stage, name = 'master'): Promise<Mastered> {
  const visit = stage.visit();
  const { laptop, account, server } = visit;
  visit.authorize(`${laptop.makeKey('elsewhere')}\n`);
  const socket = laptop.path(name);
  const place = ['-p', String(server.port), `${account.name}@${server.host}`];
  const key = ['-i', laptop.path('elsewhere'), '-o', 'IdentitiesOnly=yes', '-o', 'BatchMode=yes'];
  const asIs = socket.replaceAll('%', '%%');
  const child = spawn('ssh', ['-M', '-N', '-S', asIs, ...key, ...place], {
    env: laptop.env(),
    stdio: 'ignore',
  });
  const ended = new Promise<void>((resolve) => child.on('close', () => resolve()));
  stage.later(() => child.kill('SIGKILL'));
  for (let waited = 0; !existsSync(socket); waited += 20) {
    if (waited > 10_000) throw new Error(`no control master: ${server.log()}`);
    await sleep(20);
  }
  server.forget();
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL');
    await ended;
  };
  return { visit, socket, kill };
}
