import type { Client, SFTPWrapper } from 'ssh2';
import SftpClient from 'ssh2-sftp-client';
import type { Sftp } from './session.ts';

/**
 * ssh2-sftp-client on a connection that is there already. The package has no official way; version
 * 12.1.1, pinned, keeps everything in two plain fields that its `connect()` only fills in.
 */
class SharedSftp extends SftpClient implements Sftp {
  readonly raw: SFTPWrapper;

  constructor(client: Client, raw: SFTPWrapper) {
    super('prep', {});
    this.raw = raw;
    Object.assign(this, { client, sftp: raw });
    raw.on('close', () => Object.assign(this, { sftp: undefined }));
  }

  /** The inherited method would end the whole connection. */
  override end(): Promise<boolean> {
    const { sftp } = this as unknown as { sftp?: SFTPWrapper };
    if (sftp === undefined) return Promise.resolve(true);
    return new Promise((resolve) => {
      sftp.once('close', () => resolve(true));
      sftp.end();
    });
  }
}

/** SFTP over `client`; undefined where the server has no such subsystem or allows no further channel. */
export function sharedSftp(client: Client): Promise<Sftp | undefined> {
  return new Promise((resolve) => {
    client.sftp((error, raw) => {
      if (error) return resolve(undefined);
      // Every pending request adds listeners to the connection.
      client.setMaxListeners(100);
      resolve(new SharedSftp(client, raw));
    });
  });
}
