import { connect as dial, type Socket } from 'node:net';
import {
  Client,
  type ClientChannel,
  type ClientErrorExtensions,
  type ServerHostKeyAlgorithm,
} from 'ssh2';
import type SftpClient from 'ssh2-sftp-client';
import { printable, printableLines } from '../core/printable.ts';
import { PrepError, type Problem } from '../core/problem.ts';
import { Login, type Access } from './authenticate.ts';
import type { HostKeyJudge } from './host-key.ts';
import type { Channel, Exit, Pty, Session } from './session.ts';
import type { Settings } from './settings.ts';

/** What a connection is for, besides getting in. */
export interface ConnectOptions {
  /**
   * A command that will surely be run first. It is sent right behind the request that logs in, one
   * flight earlier than `exec` could (RFC 4252 section 5.1: what follows a successful request is
   * passed to the service), where the server is known to take packets in order.
   */
  readonly first?: string;
  /** Settles when it is time to log in: until then the connection only exchanges keys. */
  readonly loginWhen?: Promise<unknown>;
  /** Gives up at once when aborted. */
  readonly signal?: AbortSignal;
  /** What the server says before login, made harmless. */
  readonly banner?: (text: string) => void;
}

/** How many connections one login may take: each must have got further than the one before. */
const CONNECTIONS = 6;

/** How long a server may stay silent while prep waits for its answer to a login request, in milliseconds: PAM may ask a directory far away. */
const LOGIN_PATIENCE = 60_000;

/** Keep-alive: a connection that is silent for three of these counts as broken. In milliseconds. */
const KEEPALIVE = 15_000;

/**
 * Opens one authenticated connection. A server that hangs up between two tries (MaxAuthTries,
 * LoginGraceTime) is dialled again; what was tried is not tried twice.
 * @throws PrepError with what went wrong on the way, or what the person answered
 */
export async function connect(
  settings: Settings,
  access: Access,
  judge: HostKeyJudge,
  options: ConnectOptions = {},
): Promise<Session> {
  let connection: Connection | undefined;
  const login = new Login(access, () => connection?.sendFirst());
  for (let count = 1; ; count++) {
    const progress = login.progress;
    connection = new Connection(
      settings,
      access,
      judge,
      login,
      count === 1 ? options : rest(options),
    );
    try {
      return await connection.open();
    } catch (error) {
      if (!(error instanceof PrepError) || error.problem.code !== 'hung-up') throw error;
      if (login.progress === progress || count === CONNECTIONS) throw error;
      if (!login.mayGoOn(error.problem.said)) throw error;
      access.note('the server hung up; connecting again');
    }
  }
}

function rest(options: ConnectOptions): ConnectOptions {
  const { first: _, ...others } = options;
  return others;
}

/** One TCP connection on its way to being a session. */
class Connection {
  readonly #settings: Settings;
  readonly #access: Access;
  readonly #judge: HostKeyJudge;
  readonly #login: Login;
  readonly #options: ConnectOptions;
  readonly #client = new Client();
  readonly #socket: Socket;
  #said = Buffer.alloc(0);
  #phase: 'dialling' | 'key exchange' | 'login' | 'open' = 'dialling';
  #timer: NodeJS.Timeout | undefined;
  #first: { requests: number; channel: Promise<Channel> } | undefined;
  #requests = 0;
  #disconnect = '';
  #fail: (error: PrepError) => void = () => undefined;

  constructor(
    settings: Settings,
    access: Access,
    judge: HostKeyJudge,
    login: Login,
    options: ConnectOptions,
  ) {
    this.#settings = settings;
    this.#access = access;
    this.#judge = judge;
    this.#login = login;
    this.#options = options;
    // ssh2 leaves Nagle's algorithm on, which makes most of its packets wait for an acknowledgement.
    this.#socket = dial({ host: settings.address, port: settings.port, noDelay: true });
  }

  open(): Promise<Session> {
    return new Promise((resolve, reject) => {
      this.#fail = (error): void => {
        this.#patience(0);
        this.#socket.destroy();
        reject(error);
      };
      this.#login.onFailure = this.#broken;
      this.#login.onAsking = (asking) => this.#patience(asking ? 0 : LOGIN_PATIENCE);
      this.#listen(resolve);
      this.#options.signal?.addEventListener('abort', () => {
        this.#fail(new PrepError({ code: 'interrupted' }));
      });
      this.#patience(this.#settings.connectTimeout);
      this.#client.connect({
        sock: this.#socket,
        username: this.#settings.user,
        readyTimeout: 0,
        keepaliveInterval: KEEPALIVE,
        algorithms: { serverHostKey: [...this.#judge.algorithms] as ServerHostKeyAlgorithm[] },
        hostVerifier: (key: Buffer, verify: (valid: boolean) => void): void => {
          this.#verify(key, verify);
        },
        authHandler: (left, partial, next) => {
          this.#next(left, partial === true, next as (method: unknown) => void);
        },
      });
    });
  }

  /** Sends the command that will be run first, once, if this server is one that takes it early. */
  readonly sendFirst = (): void => {
    const { first } = this.#options;
    if (first === undefined || this.#first !== undefined || !this.#isOpenSsh) return;
    const channel = execOn(this.#client, this.#socket, first);
    channel.catch(() => undefined);
    this.#first = { requests: this.#requests, channel };
  };

  get #isOpenSsh(): boolean {
    return /(^|\n)SSH-2\.0-OpenSSH_/.test(this.#said.toString('latin1'));
  }

  #listen(resolve: (session: Session) => void): void {
    this.#socket.on('data', this.#heard);
    this.#client
      .on('handshake', () => {
        if (this.#phase === 'open') return;
        this.#phase = 'login';
        this.#patience(LOGIN_PATIENCE);
      })
      .on('banner', (text) => this.#options.banner?.(printableLines(text)))
      .on('ready', () => {
        this.#phase = 'open';
        this.#patience(0);
        this.#socket.off('data', this.#heard);
        this.#access.note(`logged in with ${this.#login.login} over one connection`);
        resolve(this.#session());
      })
      .on('error', this.#broken)
      .on('close', () => this.#broken(new Error('closed')));
  }

  readonly #heard = (data: Buffer): void => {
    if (this.#phase === 'dialling') {
      if (this.#said.length < 4096)
        this.#said = Buffer.concat([this.#said, data]).subarray(0, 4096);
      if (this.#said.includes('SSH-')) this.#phase = 'key exchange';
    }
    if (this.#timer !== undefined) this.#timer.refresh();
  };

  /** Waits so long for the server's next word; 0 stops waiting (a person is being asked). Once open, keep-alive watches. */
  #patience(milliseconds: number): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (milliseconds === 0 || this.#phase === 'open' || this.#socket.destroyed) return;
    const { address: host, port } = this.#settings;
    this.#timer = setTimeout(() => {
      this.#fail(new PrepError({ code: 'no-answer', host, port, seconds: milliseconds / 1000 }));
    }, milliseconds);
  }

  #verify(key: Buffer, verify: (valid: boolean) => void): void {
    this.#patience(0);
    this.#judge.judge(key).then(
      () => {
        this.#patience(this.#settings.connectTimeout);
        verify(true);
      },
      (error: unknown) => {
        this.#broken(error);
        verify(false);
      },
    );
  }

  #next(left: string[] | null, partial: boolean, next: (method: unknown) => void): void {
    this.#patience(0);
    const ready = this.#options.loginWhen ?? Promise.resolve();
    ready
      .then(() => this.#login.next(left, partial))
      .then((method) => {
        if (this.#socket.destroyed) return this.#broken(new Error('closed'));
        this.#requests++;
        this.#patience(LOGIN_PATIENCE);
        next(method);
      })
      .catch(this.#broken);
  }

  readonly #broken = (error: unknown): void => {
    const level = (error as ClientErrorExtensions).level;
    if (level === 'agent') return this.#access.note(`the key could not be used: ${String(error)}`);
    if (this.#phase === 'open') return;
    if (error instanceof PrepError) return this.#fail(error);
    const disconnected = typeof (error as { code?: unknown }).code === 'number';
    if (disconnected) {
      this.#disconnect = printable((error as Error).message);
      return;
    }
    this.#fail(new PrepError(this.#recognise(error as Error & ClientErrorExtensions), error));
  };

  /** What an error of the socket or of ssh2 means at this point. */
  #recognise(error: Error & ClientErrorExtensions): Problem {
    const { address: host } = this.#settings;
    const { code = '' } = error as NodeJS.ErrnoException;
    if (/^(ENOTFOUND|EAI_)/.test(code)) return { code: 'cannot-resolve', host };
    const [, kind] = /no matching (.*?)(?: algorithm)?$/i.exec(error.message) ?? [];
    if (kind !== undefined)
      return { code: 'no-common-algorithm', what: kind, cause: error.message };
    if (this.#phase === 'dialling') return this.#noServer(code || error.message);
    const during = this.#phase === 'key exchange' ? 'the key exchange' : 'login';
    const said =
      this.#disconnect ||
      (/close|lost|reset/i.test(`${error.message}${code}`) ? '' : error.message);
    return { code: 'hung-up', during, said };
  }

  #noServer(cause: string): Problem {
    const { address: host, port } = this.#settings;
    const said = printable(this.#said.toString('latin1').split(/\r?\n/)[0] ?? '').slice(0, 80);
    if (this.#said.length > 0) return { code: 'not-ssh', host, port, said };
    // As sshd does with too many at once (MaxStartups), and with addresses it has had enough of.
    if (!/^E[A-Z]+$/.test(cause)) return { code: 'hung-up', during: 'the greeting', said: '' };
    const reasons: Record<string, string> = {
      ECONNREFUSED: 'connection refused',
      EHOSTUNREACH: 'no route to host',
      ENETUNREACH: 'network is unreachable',
      ETIMEDOUT: 'timed out',
      ECONNRESET: 'connection reset',
    };
    return { code: 'cannot-connect', host, port, cause: reasons[cause] ?? cause };
  }

  #session(): Session {
    const early = this.#first?.requests === this.#requests ? this.#first.channel : undefined;
    return new Ssh2Session(this.#settings.label, this.#login.login, this.#client, this.#socket, {
      command: this.#options.first,
      channel: early,
    });
  }
}

/** A session over ssh2. */
class Ssh2Session implements Session {
  readonly label: string;
  readonly login: Session['login'];
  readonly #client: Client;
  readonly #socket: Socket;
  #early: { command?: string | undefined; channel?: Promise<Channel> | undefined };

  constructor(
    name: string,
    login: Session['login'],
    client: Client,
    socket: Socket,
    early: { command?: string | undefined; channel?: Promise<Channel> | undefined },
  ) {
    this.label = name;
    this.login = login;
    this.#client = client;
    this.#socket = socket;
    this.#early = early;
  }

  async exec(command: string, pty?: Pty): Promise<Channel> {
    const { command: first, channel: early } = this.#early;
    if (early !== undefined && pty === undefined && command === first) {
      this.#early = {};
      return early;
    }
    return execOn(this.#client, this.#socket, command, pty);
  }

  async sftp(): Promise<SftpClient | undefined> {
    const { sharedSftp } = await import('./sftp.ts');
    return sharedSftp(this.#client);
  }

  close(): void {
    this.#client.removeAllListeners('error').on('error', () => undefined);
    this.#socket.destroy();
  }
}

function execOn(client: Client, socket: Socket, command: string, pty?: Pty): Promise<Channel> {
  const options = pty && { pty: { term: pty.term, cols: pty.columns, rows: pty.rows } };
  return new Promise<Channel>((resolve, reject) => {
    client.exec(command, options ?? {}, (error, channel) => {
      if (error) reject(error);
      else resolve(channelOf(channel));
    });
  }).catch((error: Error) => {
    const problem: Problem = socket.writable
      ? { code: 'no-shell', said: printable(error.message), sftp: false }
      : { code: 'connection-lost', certain: 0, uncertain: 0 };
    throw new PrepError(problem, error);
  });
}

function channelOf(channel: ClientChannel): Channel {
  // stream 'close' without 'exit' is a broken connection, never success.
  let exit: Exit = { kind: 'lost' };
  channel.on('exit', (status: number | null, signal?: string) => {
    exit = status === null ? { kind: 'signal', signal: signal ?? '' } : { kind: 'status', status };
  });
  const ended = new Promise<Exit>((resolve) => channel.once('close', () => resolve(exit)));
  channel.on('error', () => undefined);
  return {
    stdin: channel,
    stdout: channel,
    stderr: channel.stderr,
    exit: ended,
    close: () => channel.close(),
  };
}
