import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { randomBytes } from 'node:crypto';
import type { Destination } from '../core/destination.ts';
import { Secret } from '../core/secret.ts';
import { makeKeyPair, writeKeyPair } from '../local/key-pair.ts';
import { startEmbedded } from './embedded-server.ts';
import { Sandbox } from './sandbox.ts';

/** What a demonstration has ready for the run that it shows. */
export interface DemoSetting {
  /** The user's side: a home directory with a fresh key pair and known_hosts. */
  readonly home: string;
  /** The account's password, which the account's owner would type. */
  readonly password: Secret;
  /** known_hosts of that home. */
  readonly knownHosts: string;
  /** For `-F`: the real user's own configuration is not read. */
  readonly sshConfig: string;
}

/** Prepares the account as for a real one, and gives prep's exit status. */
export type DemoRun = (destination: Destination, setting: DemoSetting) => Promise<number>;

/**
 * Makes a throw-away account behind an SSH server of its own, lets `run` prepare it, and says what was
 * emulated and what was left where. Needs no root, no sshd and no network.
 */
export async function runDemo(run: DemoRun, print: (line: string) => void): Promise<number> {
  const password = new Secret(randomBytes(15).toString('base64url'));
  const sandbox = new Sandbox({ password });
  const server = await startEmbedded(sandbox);
  const home = await makeLaptop(sandbox, server.knownHosts);
  const knownHosts = join(home, '.ssh', 'known_hosts');
  print(
    `A throw-away account, ${sandbox.user}, on an SSH server of this process, port ${server.port}.\n`,
  );
  try {
    const destination = { user: sandbox.user, host: server.host, port: server.port };
    return await run(destination, { home, password, knownHosts, sshConfig: 'none' });
  } finally {
    await server.close();
    for (const line of epilogue(sandbox, home)) print(line);
  }
}

/** The user's side of the demonstration, beside the account's. */
async function makeLaptop(sandbox: Sandbox, knownHosts: string): Promise<string> {
  const home = join(sandbox.folder, 'laptop');
  mkdirSync(home, { mode: 0o700 });
  await writeKeyPair(join(home, '.ssh'), await makeKeyPair(new Secret(''), 'you@laptop'));
  writeFileSync(join(home, '.ssh', 'known_hosts'), knownHosts, { mode: 0o600 });
  return home;
}

function epilogue(sandbox: Sandbox, laptop: string): string[] {
  return [
    '',
    'Emulated, because a sandbox cannot have it:',
    ...sandbox.emulated.map((what) => `  - ${what}`),
    'The server has ended. Left behind:',
    `  the account   ${sandbox.home} (login shell ${sandbox.loginShell()})`,
    `  your side     ${laptop} (key pair, known_hosts)`,
    `  remove both   rm -r ${sandbox.folder}`,
  ];
}
