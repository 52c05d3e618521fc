import type { Duplex } from 'node:stream';
import type { Client, ClientChannel } from 'ssh2';
import { printable } from '../core/printable.ts';
import { PrepError, type Problem } from '../core/problem.ts';
import type { Channel, Exit, Pty, Session, Sftp } from './session.ts';
import type { Settings } from './settings.ts';

/** Where a connection from the server is to lead, and how long it may take. */
type Beyond = Pick<Settings, 'address' | 'port' | 'connectTimeout'>;

/** A session over ssh2. */
export class Ssh2Session implements Session {
  readonly label: string;
  readonly login: Session['login'];
  readonly key: string | undefined;
  readonly #client: Client;
  readonly #wire: Duplex;
  #early: { command?: string | undefined; channel?: Promise<Channel> | undefined };

  constructor(
    name: string,
    { login, key }: Pick<Session, 'login' | 'key'>,
    client: Client,
    wire: Duplex,
    early: { command?: string | undefined; channel?: Promise<Channel> | undefined },
  ) {
    this.label = name;
    this.login = login;
    this.key = key;
    this.#client = client;
    this.#wire = wire;
    this.#early = early;
  }

  async exec(command: string, pty?: Pty): Promise<Channel> {
    const { command: first, channel: early } = this.#early;
    if (early !== undefined && pty === undefined && command === first) {
      this.#early = {};
      return early;
    }
    return execOn(this.#client, this.#wire, command, pty);
  }

  async sftp(): Promise<Sftp | undefined> {
    const { sharedSftp } = await import('./sftp.ts');
    const sftp = await sharedSftp(this.#client);
    // What became of a broken connection says nothing of the account.
    if (sftp === undefined && !this.#wire.writable)
      throw new PrepError({ code: 'connection-lost', certain: 0, uncertain: 0 });
    return sftp;
  }

  /**
   * A connection from there to another host, as `ssh -W` makes it; the server says nothing until it knows whether
   * it came about, for which it is given `connectTimeout` milliseconds.
   * @throws PrepError `cannot-connect`, `no-answer`
   */
  forward({ address: host, port, connectTimeout }: Beyond): Promise<Duplex> {
    const from = this.label;
    return new Promise((resolve, reject) => {
      let late = false;
      const timer = setTimeout(() => {
        late = true;
        const seconds = connectTimeout / 1000;
        reject(new PrepError({ code: 'no-answer', host, port, seconds, from }));
      }, connectTimeout);
      this.#client.forwardOut('127.0.0.1', 0, host, port, (error, channel) => {
        clearTimeout(timer);
        if (!error) return late ? void channel.destroy() : resolve(channel);
        const cause = `from ${from}: ${printable(error.message)}`;
        reject(new PrepError({ code: 'cannot-connect', host, port, cause }, error));
      });
    });
  }

  close(): void {
    this.#client.removeAllListeners('error').on('error', () => undefined);
    this.#wire.destroy();
  }
}

/** Runs a command on a connection. @throws PrepError `no-shell`, `connection-lost` */
export function execOn(client: Client, wire: Duplex, command: string, pty?: Pty): Promise<Channel> {
  const options = pty && { pty: { term: pty.term, cols: pty.columns, rows: pty.rows } };
  return new Promise<Channel>((resolve, reject) => {
    client.exec(command, options ?? {}, (error, channel) => {
      if (error) reject(error);
      else resolve(channelOf(channel));
    });
  }).catch((error: Error) => {
    const problem: Problem = wire.writable
      ? { code: 'no-shell', said: printable(error.message) }
      : { code: 'connection-lost', certain: 0, uncertain: 0 };
    throw new PrepError(problem, error);
  });
}

function channelOf(channel: ClientChannel): Channel {
  // stream 'close' without 'exit' is a broken connection, never success.
  let exit: Exit = { kind: 'lost' };
  channel.on('exit', (status: number | null, signal?: string) => {
    // ssh2 puts SIG before the name.
    const name = signal?.replace(/^SIG/, '') ?? '';
    exit = status === null ? { kind: 'signal', signal: name } : { kind: 'status', status };
  });
  const ended = new Promise<Exit>((resolve) => channel.once('close', () => resolve(exit)));
  channel.on('error', () => undefined);
  return {
    stdin: channel,
    stdout: channel,
    stderr: channel.stderr,
    exit: ended,
    signal: (name) => {
      // ssh2 sends none behind the end of the input.
      const open = channel.writable;
      if (open) channel.signal(name);
      return open;
    },
    resize: ({ columns, rows }) => channel.setWindow(rows, columns, 0, 0),
    close: () => channel.close(),
  };
}
