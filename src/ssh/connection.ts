import type { Duplex } from 'node:stream';
import {
  Client,
  type Algorithms,
  type ClientErrorExtensions,
  type ServerHostKeyAlgorithm,
} from 'ssh2';
import { printable, printableLines } from '../core/printable.ts';
import { PrepError } from '../core/problem.ts';
import {
  exchangeAtOnce,
  execAhead,
  ignoreFurtherHostKeys,
  loginAtOnce,
  signAtOnce,
  type Ahead,
} from './ahead.ts';
import type { Access } from './access.ts';
import type { Login } from './authenticate.ts';
import type { HostKeyJudge } from './host-key.ts';
import { heedAnyWord } from './keep-alive.ts';
import type { Route } from './route.ts';
import type { Settings } from './settings.ts';
import { changePassword, hearFailures } from './ssh2-login.ts';
import { Ssh2Session } from './ssh2-session.ts';
import { troubleOf, type Phase, type Scene } from './trouble.ts';

/** What a connection is for, besides getting in. */
export interface ConnectOptions {
  /**
   * A command that will surely be run first. It is sent right behind the request that logs in, two
   * flights earlier than `exec` could (RFC 4252 section 5.1: what follows a successful request is
   * passed to the service), where the server is known to take packets in order.
   */
  readonly first?: string;
  /** Settles when it is time to log in: until then the connection only exchanges keys. */
  readonly loginWhen?: Promise<unknown>;
  /** Gives up at once when aborted. */
  readonly signal?: AbortSignal;
  /** How to get there; straight, if not given. */
  readonly route?: Route;
  /** What the server says before login, made harmless. */
  readonly banner?: (text: string) => void;
}

/** How long a server may stay silent while prep waits for its answer to a login request, in milliseconds: PAM may ask a directory far away. */
const LOGIN_PATIENCE = 60_000;

/** How much of a server's first words is kept: they hold its offer of algorithms. In bytes. */
const GREETING = 16_384;

/** How ssh2 takes the method to try next. */
type Next = (method: unknown) => void;

/** What one connection is made of, besides. */
export interface Wired extends ConnectOptions {
  readonly wire: Duplex;
  readonly algorithms: Algorithms;
  /** Whether to begin the key exchange without having heard which methods the server has. */
  readonly guess: boolean;
}

/** The server has no use for the method that was guessed; another connection, without a guess, is called for. */
export class WrongGuess extends PrepError {
  constructor() {
    super({ code: 'hung-up', during: 'key exchange', said: '' });
  }
}

/** One connection on its way to being a session. */
export class Connection {
  readonly #settings: Settings;
  readonly #access: Access;
  readonly #judge: HostKeyJudge;
  readonly #login: Login;
  readonly #options: Omit<Wired, 'wire'>;
  readonly #client = new Client();
  readonly #wire: Duplex;
  #said = Buffer.alloc(0);
  #phase: Phase = 'dialling';
  #timer: NodeJS.Timeout | undefined;
  #first: { requests: number; ahead: Ahead } | undefined;
  #requests = 0;
  /** Where nobody has been yet, a key will hardly be known. */
  readonly #wasKnown: boolean;
  #disconnect = '';
  /** Whether somebody is looking at the host key; servers hang up on those who take long (LoginGraceTime). */
  #judging = false;
  #brokeMeanwhile: unknown;
  readonly #lost = new AbortController();
  /** What the server said before it hung up, if it is short enough to be the reason. */
  #lastWords = '';
  #left: readonly string[] | null = null;
  #fail: (error: PrepError) => void = () => undefined;

  constructor(
    settings: Settings,
    access: Access,
    judge: HostKeyJudge,
    login: Login,
    { wire, ...options }: Wired,
  ) {
    this.#settings = settings;
    this.#access = access;
    this.#judge = judge;
    this.#wasKnown = judge.expectsNoQuestion;
    this.#login = login;
    this.#options = options;
    this.#wire = wire;
  }

  open(): Promise<Ssh2Session> {
    const { keepAlive } = this.#settings;
    return new Promise((resolve, reject) => {
      this.#fail = (error): void => {
        this.#patience(0);
        this.#lost.abort(error);
        this.#wire.destroy();
        reject(error);
      };
      this.#login.over({ failed: this.#broken, asking: this.#asking, lost: this.#lost.signal });
      this.#listen(resolve);
      this.#options.signal?.addEventListener('abort', () => {
        this.#fail(new PrepError({ code: 'interrupted' }));
      });
      this.#patience(this.#settings.connectTimeout);
      this.#client.connect({
        sock: this.#wire,
        username: this.#settings.user,
        readyTimeout: 0,
        keepaliveInterval: keepAlive.interval,
        keepaliveCountMax: keepAlive.count,
        algorithms: {
          ...this.#options.algorithms,
          serverHostKey: [...this.#judge.algorithms] as ServerHostKeyAlgorithm[],
        },
        hostVerifier: (key: Buffer, verify: (valid: boolean) => void): void => {
          this.#verify(key, verify);
        },
        authHandler: (left, partial, next) => {
          this.#next(this.#left ?? left, partial === true, next as Next);
        },
      });
      if (this.#options.guess) exchangeAtOnce(this.#client, () => this.#fail(new WrongGuess()));
      hearFailures(this.#client, (left, partial) => {
        this.#left = left;
        return partial && this.#goOn();
      });
    });
  }

  /** Sends the command that will be run first behind a request to log in, if this server is one that takes it early. */
  readonly sendFirst = (): void => {
    const { first } = this.#options;
    if (first === undefined || !this.#isOpenSsh) return;
    if (this.#login.signsAtOnce && !this.#wasKnown) return;
    this.#first = {
      requests: this.#requests,
      ahead: execAhead(this.#client, this.#wire, first),
    };
  };

  get #isOpenSsh(): boolean {
    return /(^|\n)SSH-2\.0-OpenSSH_/.test(this.#said.toString('latin1'));
  }

  #listen(resolve: (session: Ssh2Session) => void): void {
    this.#wire.on('data', this.#heard);
    this.#client
      .on('handshake', () => {
        if (this.#phase === 'open') return;
        this.#phase = 'login';
        this.#patience(LOGIN_PATIENCE);
        if (this.#isOpenSsh) loginAtOnce(this.#client, this.#login);
      })
      .on('banner', (text) => {
        this.#lastWords = text.trim();
        this.#options.banner?.(printableLines(text));
      })
      .on('change password', (prompt, done) => {
        this.#asking(true);
        this.#login
          .change(prompt)
          .finally(() => this.#asking(false))
          .then((passwords) => changePassword(this.#client, passwords, done))
          .catch(this.#broken);
      })
      .on('ready', () => {
        this.#phase = 'open';
        this.#login.succeeded();
        this.#patience(0);
        ignoreFurtherHostKeys(this.#client);
        this.#wire.off('data', this.#heard);
        heedAnyWord(this.#client, this.#wire);
        this.#access.note(this.#login.report(this.#left));
        resolve(this.#session());
      })
      .on('error', this.#broken)
      .on('close', () => this.#broken(new Error('closed')));
  }

  readonly #heard = (data: Buffer): void => {
    if (this.#phase === 'dialling' || this.#phase === 'key exchange') {
      if (this.#said.length < GREETING)
        this.#said = Buffer.concat([this.#said, data]).subarray(0, GREETING);
      if (this.#said.includes('SSH-')) this.#phase = 'key exchange';
    }
    if (this.#timer !== undefined) this.#timer.refresh();
  };

  /** Waits so long for the server's next word; 0 stops waiting (a person is being asked). Once open, keep-alive watches. */
  #patience(milliseconds: number): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (milliseconds === 0 || this.#phase === 'open' || this.#wire.destroyed) return;
    const { address: host, port } = this.#settings;
    this.#timer = setTimeout(() => {
      this.#fail(new PrepError({ code: 'no-answer', host, port, seconds: milliseconds / 1000 }));
    }, milliseconds);
  }

  #verify(key: Buffer, verify: (valid: boolean) => void): void {
    this.#patience(0);
    this.#judging = true;
    this.#judge.judge(key).then(
      () => {
        this.#judging = false;
        if (this.#brokeMeanwhile !== undefined) {
          this.#login.progress++;
          return this.#broken(this.#brokeMeanwhile);
        }
        this.#patience(this.#settings.connectTimeout);
        verify(true);
      },
      (error: unknown) => {
        this.#judging = false;
        this.#broken(error);
        // ssh2 cannot take back what is gone already.
        if (!this.#wire.destroyed) verify(false);
      },
    );
  }

  /** Told that a person is asked, and that the answer is there: the server may have hung up meanwhile. */
  readonly #asking = (open: boolean): void => {
    this.#patience(open ? 0 : LOGIN_PATIENCE);
    if (!open && this.#brokeMeanwhile !== undefined) this.#broken(this.#brokeMeanwhile);
  };

  #tryNext: Next | undefined;

  /** Goes on with another factor, past what ssh2 would do with a key. */
  #goOn(): boolean {
    const next = this.#tryNext;
    if (next !== undefined) this.#next(this.#left, true, next);
    return next !== undefined;
  }

  #next(left: readonly string[] | null, partial: boolean, next: Next): void {
    this.#tryNext = next;
    this.#patience(0);
    const ready = this.#options.loginWhen ?? Promise.resolve();
    ready
      .then(() => this.#login.next(left, partial))
      .then((method) => {
        if (this.#wire.destroyed) {
          this.#login.withdraw();
          return this.#broken(new Error('closed'));
        }
        this.#requests++;
        this.#patience(LOGIN_PATIENCE);
        if (this.#isOpenSsh && this.#login.signsAtOnce) signAtOnce(this.#client);
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
    if (this.#judging || (this.#phase === 'login' && this.#login.awaitsAnswer)) {
      this.#brokeMeanwhile ??= error;
      return;
    }
    this.#fail(
      new PrepError(troubleOf(error as Error & ClientErrorExtensions, this.#scene), error),
    );
  };

  /** What there is to see of the connection. */
  get #scene(): Scene {
    return {
      settings: this.#settings,
      phase: this.#phase,
      heard: this.#said,
      disconnect: this.#disconnect,
      banner: this.#lastWords,
    };
  }

  #session(): Ssh2Session {
    const { requests, ahead } = this.#first ?? {};
    if (requests !== this.#requests) ahead?.withdraw();
    const early = requests === this.#requests ? ahead?.channel : undefined;
    return new Ssh2Session(this.#settings.label, this.#login, this.#client, this.#wire, {
      command: this.#options.first,
      channel: early,
    });
  }
}
