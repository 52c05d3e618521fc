import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import type { Exit, Session } from '../../src/ssh/session.ts';
import { sftpThrough } from '../../src/ssh/sftp-stream.ts';

/** OpenSSH's own SFTP server, where it is installed. */
export const SFTP_SERVER = ['/usr/lib/openssh/sftp-server', '/usr/libexec/sftp-server'].find(
  (path) => existsSync(path),
);

/** How a server differs from OpenSSH's. */
export interface SftpSessionOptions {
  readonly home: string;
  /** Requests that the server does not know (`sftp-server -P`). */
  readonly without?: readonly string[];
}

/** A session without a network that lets in SFTP alone: OpenSSH's sftp-server, started in a directory. */
export function sftpSession({ home, without = [] }: SftpSessionOptions): Session {
  const child = spawn(
    SFTP_SERVER!,
    ['-d', home, ...(without.length > 0 ? ['-P', without.join(',')] : [])],
    { cwd: home, stdio: 'pipe' },
  );
  child.stdin.on('error', () => undefined);
  const exit = new Promise<Exit>((resolve) => child.on('close', () => resolve({ kind: 'lost' })));
  const { stdin, stdout, stderr } = child;
  const sftp = sftpThrough({ stdin, stdout, stderr, exit, close: () => child.kill() });
  return {
    label: 'alice@here',
    login: 'none',
    exec: () => Promise.reject(new Error('this account runs no commands')),
    sftp: () => sftp,
    close: () => void child.kill('SIGKILL'),
  };
}
