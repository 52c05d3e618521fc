import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Laptop } from './laptop.ts';
import type { Stage } from './stage.ts';

/** Starts an ssh-agent for the rest of a test, adds keys of the laptop's home to it, and gives its socket. */
export async function startAgent(
  stage: Stage,
  laptop: Laptop,
  keys: readonly string[],
): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'prep-agent-'));
  stage.later(() => rmSync(folder, { recursive: true }));
  const socket = join(folder, 'agent');
  const agent = spawn('ssh-agent', ['-D', '-a', socket], { stdio: 'ignore' });
  stage.later(() => agent.kill());
  while (!existsSync(socket)) await sleep(10);
  const env = { ...laptop.env(), SSH_AUTH_SOCK: socket };
  for (const key of keys) {
    execFileSync('ssh-add', ['-q', laptop.path(key)], { env, stdio: 'ignore' });
  }
  return socket;
}
