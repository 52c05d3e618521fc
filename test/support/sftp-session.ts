import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Session, Sftp } from '../../src/ssh/session.ts';

/** OpenSSH's own SFTP server, where it is installed. */
export const SFTP_SERVER = ['/usr/lib/openssh/sftp-server', '/usr/libexec/sftp-server'].find(
  (path) => existsSync(path),
);

/** What ssh2's client needs of a connection, to speak SFTP over something else. */
interface Wire {
  readonly _protocol: {
    readonly _remoteIdentRaw: Buffer;
    channelData(id: number, data: Buffer): void;
    channelClose(): void;
    channelWindowAdjust(): void;
  };
}

type SftpClass = new (
  client: Wire,
  channel: object,
  options: object,
) => Sftp['raw'] & { push(data: Buffer | null): void; _init(): void };

/** ssh2's SFTP, which is private to the package. */
const { SFTP } = createRequire(import.meta.url)('ssh2/lib/protocol/SFTP.js') as { SFTP: SftpClass };

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
    { cwd: home, stdio: ['pipe', 'pipe', 'ignore'] },
  );
  child.stdin.on('error', () => undefined);
  const end = { state: 'open', window: Number.MAX_SAFE_INTEGER, packetSize: 1 << 20, id: 0 };
  const raw = new SFTP(
    {
      _protocol: {
        _remoteIdentRaw: Buffer.from('SSH-2.0-OpenSSH_9.2'),
        channelData: (_id, data) => void child.stdin.write(data),
        channelClose: () => void child.kill(),
        channelWindowAdjust: () => undefined,
      },
    },
    { type: 'sftp', incoming: { ...end }, outgoing: end },
    {},
  );
  child.stdout.on('data', (data: Buffer) => raw.push(data));
  child.on('close', () => {
    end.state = 'closed';
    raw.push(null);
    raw.emit('close');
  });
  const ready = new Promise((resolve) => raw.once('ready', resolve));
  // oxlint-disable-next-line no-underscore-dangle -- what ssh2's client calls, too
  raw._init();
  return {
    label: 'alice@here',
    login: 'none',
    exec: () => Promise.reject(new Error('this account runs no commands')),
    sftp: async () => {
      await ready;
      return { raw } as unknown as Sftp;
    },
    close: () => void child.kill('SIGKILL'),
  };
}
