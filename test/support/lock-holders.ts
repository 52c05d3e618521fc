import { execFileSync, spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { IDENTITY } from '../../src/remote/lock.ts';

/** Which words of an identity are other than they are: the birth, the boot, the machine. */
export type Changed = Partial<Record<1 | 3 | 4, string>>;

const children: ChildProcess[] = [];

/** How a process of that number here would name itself, in the words of a shell, with some words changed. */
export function identity(pid: number, changed: Changed = {}): string {
  const script = `${IDENTITY}\nb=$(born $1); echo "$1 \${b:-7} $H3 $H4 $H5 20260102T030405Z"`;
  const words = execFileSync('sh', ['-c', script, 'sh', String(pid)], { encoding: 'utf8' });
  return words
    .trim()
    .split(' ')
    .map((word, index) => changed[index as 1 | 3 | 4] ?? word)
    .join(' ');
}

/** A process that lives until `endAll`. */
export function alive(): number {
  const child = spawn('sleep', ['100'], { stdio: 'ignore' });
  children.push(child);
  return child.pid!;
}

/** The number of a process that has ended. */
export function dead(): number {
  return spawnSync('true').pid;
}

/** How a process named itself that has ended since, though its parent never asks how. */
export async function zombie(): Promise<string> {
  const script = 'sleep 100 & echo $!; exec sleep 100';
  const parent = spawn('sh', ['-c', script], { stdio: ['ignore', 'pipe', 'ignore'] });
  children.push(parent);
  const [data] = (await once(parent.stdout, 'data')) as [Buffer];
  const pid = Number(String(data));
  const name = identity(pid);
  process.kill(pid, 'SIGKILL');
  while (!/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'))) await sleep(5);
  return name;
}

/** Ends all of them. */
export function endAll(): void {
  children.splice(0).forEach((child) => child.kill('SIGKILL'));
}
