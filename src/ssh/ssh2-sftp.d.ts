/** ssh2's SFTP client, which the package has for itself; ssh2 is pinned. */
declare module 'ssh2/lib/protocol/SFTP.js' {
  import type { SFTPWrapper } from 'ssh2';

  /** One direction of a channel (RFC 4254, section 5.2), in bytes. */
  interface Direction {
    state: 'open' | 'closed';
    readonly window: number;
    readonly packetSize: number;
    readonly id: number;
  }

  /** What SFTP needs of the connection below. */
  interface Wire {
    readonly _protocol: {
      /** How the server calls itself: OpenSSH has the arguments of SSH_FXP_SYMLINK the other way round. */
      readonly _remoteIdentRaw: Buffer;
      channelData(id: number, data: Buffer): void;
      channelClose(id: number): void;
    };
  }

  /** Emits `ready` when the server has answered `_init`. */
  export const SFTP: new (
    client: Wire,
    channel: { type: 'sftp'; incoming: Direction; outgoing: Direction },
    options: object,
  ) => SFTPWrapper & {
    /** What the server said; null where it will say no more. */
    push(data: Buffer | null): void;
    _init(): void;
  };
}
