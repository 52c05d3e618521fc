import { EventEmitter } from 'node:events';
import { SFTP } from 'ssh2/lib/protocol/SFTP.js';
import type { Channel, Sftp } from './session.ts';
import { SharedSftp } from './sftp.ts';

/** How long a server may take to begin with SFTP, in milliseconds. */
const PATIENCE = 30_000;

/**
 * What every server is taken for. Servers that differ from OpenSSH's in SFTP know its client by name, and
 * that is who speaks SSH here.
 */
const OPENSSH = Buffer.from('SSH-2.0-OpenSSH');

/**
 * SFTP through a channel on which its server runs already, such as `ssh -s HOST sftp`; ssh2 speaks it
 * without knowing the connection. Undefined where the channel ends without it.
 */
export function sftpThrough(channel: Channel): Promise<Sftp | undefined> {
  const { stdin, stdout, stderr, exit } = channel;
  const close = (): void => channel.close();
  // How much may be under way is the channel's own business.
  const end = {
    state: 'open',
    window: Number.MAX_SAFE_INTEGER,
    packetSize: 1 << 30,
    id: 0,
  } as const;
  const outgoing: { state: 'open' | 'closed' } & Omit<typeof end, 'state'> = { ...end };
  const wire = {
    _protocol: {
      _remoteIdentRaw: OPENSSH,
      channelData: (_id: number, data: Buffer) => void stdin.write(data),
      channelClose: close,
    },
  };
  const raw = new SFTP(wire, { type: 'sftp', incoming: { ...end }, outgoing }, {});
  const sftp = new SharedSftp(new EventEmitter(), raw);
  stderr.resume();
  stdout.on('data', (data: Buffer) => raw.push(data));
  return new Promise((resolve) => {
    const timer = setTimeout(close, PATIENCE);
    raw.once('ready', () => {
      clearTimeout(timer);
      resolve(sftp);
    });
    void exit.then(() => {
      clearTimeout(timer);
      outgoing.state = 'closed';
      raw.push(null);
      raw.emit('close');
      resolve(undefined);
    });
    // oxlint-disable-next-line no-underscore-dangle -- what ssh2's own client calls, too
    raw._init();
  });
}
