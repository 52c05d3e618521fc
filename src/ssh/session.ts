import type { Readable, Writable } from 'node:stream';
import type { SFTPWrapper } from 'ssh2';
import type SftpClient from 'ssh2-sftp-client';

/** How a remote command ended. `lost`: the connection broke before the server said. */
export type Exit =
  | { readonly kind: 'status'; readonly status: number }
  /** `signal` by its name as in RFC 4254, section 6.10: `TERM`. */
  | { readonly kind: 'signal'; readonly signal: string }
  | { readonly kind: 'lost' };

/** A terminal for a remote command. */
export interface Pty {
  readonly term: string;
  readonly columns: number;
  readonly rows: number;
}

/** One remote command within a session. */
export interface Channel {
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** Never rejects. */
  readonly exit: Promise<Exit>;
  /** Sends the command a signal by its name (`INT`; RFC 4254, section 6.9). False where there is no way to, any more. */
  readonly signal?: (name: string) => boolean;
  /** Tells the command how large its terminal is now (RFC 4254, section 6.7). */
  readonly resize?: (size: Pick<Pty, 'columns' | 'rows'>) => void;
  /** Hangs up at once, without waiting for the server. */
  close(): void;
}

/** SFTP within a session. It ends on its own; the session stays. */
export interface Sftp extends SftpClient {
  /** The requests themselves, for sending many at once. */
  readonly raw: SFTPWrapper;
  /**
   * Writes what a stream gives into a file, from a byte on; with 0 the file is begun anew.
   * @throws Error of ssh2, or the stream's own
   */
  write(source: Readable, path: string, from: number): Promise<void>;
}

/** One authenticated connection. */
export interface Session {
  /** `alice@web1`, for messages. */
  readonly label: string;
  /** How the user got in: by a key alone, by a key and another factor, or without one. */
  readonly login: 'key' | 'key and more' | 'password' | 'keyboard-interactive' | 'none';
  /** The fingerprint (`SHA256:...`) of the key that let the user in; none for a certificate. */
  readonly key?: string | undefined;
  /** Runs a command through the account's login shell. @throws PrepError where the server refuses the channel. */
  exec(command: string, pty?: Pty): Promise<Channel>;
  /** Opens SFTP; undefined where the account has none. @throws PrepError `connection-lost` */
  sftp(): Promise<Sftp | undefined>;
  /** Hangs up at once. */
  close(): void;
}
