import { execFile, spawn } from 'node:child_process';
import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll } from 'vitest';
import type { AccountOptions } from './account.ts';
import { Laptop, runPrep, type LaptopOptions, type PrepOptions, type PrepRun } from './laptop.ts';
import {
  makeAccount,
  startSshd,
  type SshdOptions,
  type TestAccount,
  type TestSshd,
} from './sshd.ts';
import type { Answer } from './typist.ts';

/** How prep is run; where `password` is true, PREP_PASSWORD has the right one. */
export type PrepFlags = Partial<Omit<PrepOptions, 'laptop'>> & { readonly password?: boolean };

/** What a plain command did. */
export interface Ran {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** One user with a laptop, and one account of theirs on a server. */
export class Visit {
  readonly server: TestSshd;
  readonly account: TestAccount;
  readonly laptop: Laptop;
  /** The port by which the laptop reaches the server; another one than the server's leads there. */
  port: number;

  constructor(server: TestSshd, account: TestAccount, laptop: Laptop) {
    this.server = server;
    this.account = account;
    this.laptop = laptop;
    this.port = server.port;
  }

  /** `prep_1a2b3c4d@127.0.0.1:40022`, as a user would type it. */
  get destination(): string {
    return `${this.account.name}@${this.server.host}:${this.port}`;
  }

  /** Runs `prep ARGS DESTINATION`; afterwards the account's password has leaked nowhere. */
  prep(args: readonly string[] = [], options: PrepFlags = {}): Promise<PrepRun> {
    const { password = false, env = {}, ...rest } = options;
    return runPrep([...args, this.destination], {
      laptop: this.laptop,
      accounts: [this.account],
      env: { ...env, ...(password && { PREP_PASSWORD: this.account.password }) },
      ...rest,
    });
  }

  /** Runs prep with the password until it is aborted, without a chance to say goodbye. */
  begin(args: readonly string[], signal: AbortSignal): Promise<void> {
    const command = [resolve('dist/main.cjs'), ...args, this.destination];
    const env = this.laptop.env({ PREP_PASSWORD: this.account.password });
    const child = spawn(process.execPath, command, {
      env,
      stdio: 'ignore',
      signal,
      killSignal: 'SIGKILL',
    });
    return new Promise((done) => child.on('error', () => undefined).on('close', () => done()));
  }

  /** Waits until the account has that file. @throws Error where the run of `begin` that is to make it ends first */
  async made(name: string, run: Promise<void>): Promise<void> {
    let over = false;
    void run.then(() => (over = true));
    while (!this.account.has(name)) {
      if (over) throw new Error(`the run ended before it made ${name}`);
      await sleep(1);
    }
  }

  /** Runs `prep undo --yes DESTINATION` with the password. */
  undo(args: readonly string[] = []): Promise<PrepRun> {
    return runPrep(['undo', '--yes', ...args, this.destination], {
      laptop: this.laptop,
      accounts: [this.account],
      env: { PREP_PASSWORD: this.account.password },
    });
  }

  /** Runs prep at a terminal, and types. */
  typing(args: readonly string[], ...answers: readonly Answer[]): Promise<PrepRun> {
    return this.prep(args, { pty: true, answers, timeout: 25_000 });
  }

  /** Types the account's password where it is asked for, or another one. */
  typesPassword(text = this.account.password): Answer {
    return { prompt: /'s password: *$/, type: `${text}\r` };
  }

  /** Plain ssh from the laptop, which may ask nothing: with the key, or not at all. */
  ssh(command: string, ...options: readonly string[]): Promise<Ran> {
    const place = ['-p', String(this.server.port), `${this.account.name}@${this.server.host}`];
    const strict = [
      '-o',
      'BatchMode=yes',
      '-o',
      'StrictHostKeyChecking=no',
      '-o',
      'LogLevel=ERROR',
    ];
    return ran('ssh', [...strict, ...options, ...place, command], this.laptop.env());
  }

  /** Lets the laptop's key in, as an earlier run would have. */
  authorize(key = this.laptop.read('.ssh/id_ed25519.pub')!): void {
    this.account.write('.ssh/', { mode: 0o700 });
    this.account.write('.ssh/authorized_keys', { content: key, mode: 0o600 });
  }

  /** authorized_keys of the account. */
  get authorizedKeys(): string {
    return this.account.read('.ssh/authorized_keys');
  }

  /** The laptop's public key, as its line stands in authorized_keys. */
  get keyLine(): string {
    return `${this.laptop.read('.ssh/id_ed25519.pub')!.trim()}\n`;
  }
}

/** One server for the tests of a file; users come and go with each test. */
export class Stage {
  #server: TestSshd | undefined;
  #leaving: (() => void)[] = [];

  constructor(options: SshdOptions) {
    beforeAll(async () => {
      this.#server = await startSshd({ hostKeys: ['ed25519'], ...options });
    });
    afterEach(() =>
      this.#leaving
        .splice(0)
        .reverse()
        .forEach((leave) => leave()),
    );
    afterAll(() => this.#server?.stop());
  }

  get server(): TestSshd {
    return this.#server!;
  }

  /** A user who knows the server already, with an account that is reachable only by password. */
  visit(options: { account?: AccountOptions; laptop?: LaptopOptions } = {}): Visit {
    const account = makeAccount(options.account);
    this.later(() => account.remove());
    const laptop = new Laptop({ knownHosts: this.server.knownHosts(), ...options.laptop });
    this.later(() => laptop.remove());
    this.server.forget();
    return new Visit(this.server, account, laptop);
  }

  /** Done when the test is over, the last first. */
  later(leave: () => void): void {
    this.#leaving.push(leave);
  }
}

/** A server for the tests of the `describe` block that this is called in. */
export function useSshd(options: SshdOptions = {}): Stage {
  return new Stage(options);
}

/** The summary that ends `--json`. */
export interface Summary {
  readonly type: 'summary';
  readonly accounts: readonly AccountSummary[];
}

/** One account of the summary. */
export interface AccountSummary {
  readonly destination: string;
  readonly status: string;
  readonly verified: boolean;
  readonly steps: readonly {
    readonly name: string;
    readonly status: string;
    readonly reason: string;
    readonly changes: readonly Record<string, string>[];
  }[];
  readonly problem?: { readonly code: string };
}

/** The one account of a `--json` run's summary. */
export function accountOf(run: PrepRun): AccountSummary {
  return (run.events.at(-1) as unknown as Summary).accounts[0]!;
}

/** What became of each step, by name. */
export function statusesOf(run: PrepRun): Record<string, string> {
  return Object.fromEntries(accountOf(run).steps.map(({ name, status }) => [name, status]));
}

/** Runs a plain program to its end. */
export function ran(
  file: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<Ran> {
  return new Promise((resolve) => {
    const child = execFile(file, args, { env, timeout: 30_000 }, (error, stdout, stderr) => {
      resolve({ status: error === null ? 0 : Number(error.code ?? 255), stdout, stderr });
    });
    child.stdin?.end();
  });
}
