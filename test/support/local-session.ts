import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Channel, Exit, Session } from '../../src/ssh/session.ts';
import { inBusyboxRoot } from './busybox-root.ts';

/** What stands in for the server: this machine, with another home directory. */
export interface LocalSessionOptions {
  readonly home: string;
  /** The program that is /bin/sh there: it is run by that name, so bash, zsh and busybox behave as sh. */
  readonly shell?: string;
  /** The root directory of a system of busybox alone that the session is in; needs to be root. */
  readonly root?: string;
  /** PATH there. */
  readonly path?: string;
}

/** A session without a network: each channel is a child process with a home directory of its own. */
export function localSession(options: LocalSessionOptions): Session {
  const { home, shell = '/bin/sh', path, root } = options;
  const sh = join(mkdtempSync(join(tmpdir(), 'prep-sh-')), 'sh');
  symlinkSync(shell, sh);
  return {
    label: 'alice@here',
    login: 'none',
    exec: (command) => {
      const [file = '', ...args] =
        root === undefined
          ? ['/bin/bash', '-c', command.replaceAll('/bin/sh', sh)]
          : inBusyboxRoot(root, home, command);
      const child = spawn(file, args, {
        cwd: home,
        env: {
          HOME: root === undefined ? home : '/home/alice',
          PATH: path ?? process.env['PATH'] ?? '',
          SHELL: '/bin/bash',
        },
      });
      const exit = new Promise<Exit>((resolve) =>
        child.on('close', (status) =>
          resolve(status === null ? { kind: 'lost' } : { kind: 'status', status }),
        ),
      );
      const channel: Channel = {
        stdin: child.stdin,
        stdout: child.stdout,
        stderr: child.stderr,
        exit,
        close: () => child.kill('SIGKILL'),
      };
      return Promise.resolve(channel);
    },
    sftp: () => Promise.resolve(undefined),
    close: () => rmSync(dirname(sh), { recursive: true, force: true }),
  };
}
