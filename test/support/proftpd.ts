import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort, noSshd } from './sshd.ts';

const [PROGRAM, MODULES] = ['/usr/sbin/proftpd', '/usr/lib/proftpd'];

/** Why ProFTPD cannot be started here; undefined where it can. */
export const noProftpd: string | undefined =
  noSshd ??
  (existsSync(PROGRAM) && existsSync(`${MODULES}/mod_sftp.so`)
    ? undefined
    : 'proftpd-core or proftpd-mod-crypto is not installed');

/** ProFTPD as a server for SFTP alone (mod_sftp), which lets this machine's accounts in. */
export interface Proftpd {
  readonly port: number;
  stop(): void;
}

/** Starts one, on 127.0.0.1. @throws Error with its own words */
export async function startProftpd(): Promise<Proftpd> {
  const folder = mkdtempSync(join(tmpdir(), 'prep-proftpd-'));
  const at = (name: string): string => join(folder, name);
  const port = await freePort();
  execFileSync('ssh-keygen', ['-q', '-t', 'rsa', '-m', 'PEM', '-N', '', '-f', at('key')]);
  writeFileSync(at('conf'), configuration(folder, port));
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', PROGRAM, '-n', '-c', at('conf')], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr.on('data', (data: Buffer) => (said += data.toString('utf8')));
  const stop = (): void => {
    child.kill('SIGTERM');
    rmSync(folder, { recursive: true, force: true });
  };
  for (let waited = 0; !said.includes('STARTUP'); waited += 20) {
    if (waited > 10_000 || child.exitCode !== null) {
      stop();
      throw new Error(`ProFTPD did not start: ${said}`);
    }
    await sleep(20);
  }
  return { port, stop };
}

function configuration(folder: string, port: number): string {
  return `ServerType standalone
DefaultAddress 127.0.0.1
Port ${port}
UseIPv6 off
User nobody
Group nogroup
ModulePath ${MODULES}
LoadModule mod_tls.c
LoadModule mod_sftp.c
ScoreboardFile ${folder}/scoreboard
PidFile ${folder}/pid
WtmpLog off
RequireValidShell off
AuthOrder mod_auth_unix.c
AllowOverwrite on
SFTPEngine on
SFTPHostKey ${folder}/key
SFTPAuthMethods password
`;
}
