import type { Socket } from 'node:net';
import type {
  AuthContext,
  AuthenticationType,
  ClientInfo,
  KeyboardAuthContext,
  PasswordAuthContext,
  ServerChannel,
} from 'ssh2';
import { Secret } from '../../src/core/secret.ts';
import {
  EmbeddedServer,
  makeHostKey,
  type Asked,
  type HostKey,
} from '../../src/demo/embedded-server.ts';
import { Sandbox, type SandboxOptions } from '../../src/demo/sandbox.ts';
import { randomPassword } from './account.ts';

/** A moment in a client's visit. */
export type Moment = 'connect' | 'login' | 'session' | 'exec' | 'sftp';

/** One question of keyboard-interactive, and the answer that it wants. */
export interface Question {
  readonly prompt: string;
  readonly echo?: boolean;
  readonly answer: string;
}

/** What goes wrong, or is unusual. May be changed while the server runs. */
export interface Faults {
  /** Said instead of an SSH identification; the connection is then closed. */
  says?: string;
  /** Hangs up when this moment comes. */
  hangUp?: Moment;
  /** Hangs up when so many bytes have gone to the client, counted per connection. */
  hangUpAfter?: number;
  /** Says nothing from this moment on, and keeps the connection. */
  silent?: Moment;
  /** What the server offers; default publickey and password. */
  methods?: AuthenticationType[];
  /** Refuses so many right passwords as if they were wrong. */
  wrongTimes?: number;
  /** Offers keyboard-interactive with these questions, all in one go, under `title` and with `instructions`. */
  questions?: readonly Question[];
  title?: string;
  instructions?: string;
  /** More rounds of questions after the first; one without questions only says its instructions. */
  rounds?: readonly { readonly questions: readonly Question[]; readonly instructions?: string }[];
  /** Demands a new password instead of letting the right one in, with these words until one has so many characters. */
  passwordExpired?: { readonly says: string; readonly wantsLength: number; becomes?: string };
  /** How many sessions one connection may have open at once. */
  maxSessions?: number;
  /** Refuses SFTP. */
  noSftp?: boolean;
  /** Answers every command with this sentence and status 1, as an SFTP-only account does. */
  noExec?: string;
  /** Changes each command before it is run. */
  rewrite?: (command: string) => string;
}

/** How a driven server is set up; the rest are the sandbox's own. */
export interface DrivenOptions extends Partial<SandboxOptions> {
  readonly banner?: string;
  readonly hostKey?: HostKey;
  /** A second server for the account of another one. */
  readonly sandbox?: Sandbox;
  readonly port?: number;
}

/** The embedded server, made to misbehave on demand. */
export class DrivenServer extends EmbeddedServer {
  readonly faults: Faults;
  readonly password: string;
  readonly hostKey: HostKey;
  /** Every command that was run, in order. */
  readonly commands: string[] = [];

  /** Use `startDriven`. */
  constructor(
    sandbox: Sandbox,
    hostKey: HostKey,
    faults: Faults,
    password: string,
    banner?: string,
  ) {
    super(sandbox, hostKey, banner);
    this.hostKey = hostKey;
    this.faults = faults;
    this.password = password;
  }

  /** Stops the server and removes the account. */
  async stop(): Promise<void> {
    await this.close();
    this.sandbox.remove();
  }

  protected override accept(socket: Socket): void {
    const { says, hangUp, hangUpAfter, silent } = this.faults;
    if (says !== undefined) return void socket.end(says);
    if (hangUp === 'connect') return void socket.destroy();
    if (silent === 'connect') return;
    if (hangUpAfter !== undefined) limit(socket, hangUpAfter);
    super.accept(socket);
  }

  protected override methods(): AuthenticationType[] {
    const { methods, questions } = this.faults;
    if (methods !== undefined) return methods;
    return questions === undefined ? super.methods() : ['publickey', 'keyboard-interactive'];
  }

  protected override authenticate(context: AuthContext): void {
    if (this.interrupted('login')) return;
    const { questions, wrongTimes = 0, passwordExpired } = this.faults;
    if (
      context.method === 'password' &&
      passwordExpired !== undefined &&
      this.sandbox.admits(context.password)
    ) {
      return demandNewPassword(context, passwordExpired);
    }
    if (context.method === 'keyboard-interactive' && questions !== undefined) {
      return this.#ask(context, questions);
    }
    if (context.method === 'password' && wrongTimes > 0 && this.sandbox.admits(context.password)) {
      this.faults.wrongTimes = wrongTimes - 1;
      return context.reject(this.methods());
    }
    super.authenticate(context);
  }

  protected override admitSession(open: number): boolean {
    if (this.interrupted('session')) return false;
    return open < (this.faults.maxSessions ?? Infinity);
  }

  protected override exec(channel: ServerChannel, command: string, asked: Asked): void {
    const { noExec, rewrite } = this.faults;
    this.commands.push(command);
    if (this.interrupted('exec')) return;
    if (noExec !== undefined) {
      channel.write(`${noExec}\n`);
      channel.exit(1);
      return void channel.end();
    }
    super.exec(channel, rewrite?.(command) ?? command, asked);
  }

  protected override sftp(accept: () => ServerChannel, info: ClientInfo): boolean {
    if (this.faults.noSftp === true) return false;
    return this.interrupted('sftp') || super.sftp(accept, info);
  }

  /** Whether the visit goes no further here. */
  private interrupted(moment: Moment): boolean {
    if (this.faults.hangUp === moment) this.hangUp();
    return this.faults.hangUp === moment || this.faults.silent === moment;
  }

  #ask(context: KeyboardAuthContext, questions: readonly Question[], round = 0): void {
    const { title = '', instructions = '', rounds = [] } = this.faults;
    const words = round === 0 ? instructions : rounds[round - 1]!.instructions;
    const prompts = questions.map(({ prompt, echo = false }) => ({ prompt, echo }));
    context.prompt(prompts, title, words ?? '', (answers) => {
      const right = questions.every(({ answer }, index) => answers[index] === answer);
      const next = rounds[round];
      if (!right || context.username !== this.sandbox.user) context.reject(this.methods());
      else if (next !== undefined) this.#ask(context, next.questions, round + 1);
      else context.accept();
    });
  }
}

/** RFC 4252 section 8: asks until a new one is good enough, and lets in with it. */
function demandNewPassword(
  context: PasswordAuthContext,
  expired: NonNullable<Faults['passwordExpired']>,
): void {
  context.requestChange(expired.says, (fresh) => {
    if (fresh.length < expired.wantsLength) return demandNewPassword(context, expired);
    expired.becomes = fresh;
    context.accept();
  });
}

/** Starts a server with an account of its own and a random password. Call its `stop()` when done. */
export async function startDriven(
  faults: Faults = {},
  options: DrivenOptions = {},
): Promise<DrivenServer> {
  const { banner, hostKey = await makeHostKey(), port = 0, sandbox, ...own } = options;
  const password = own.password?.reveal() ?? randomPassword();
  const account = sandbox ?? new Sandbox({ ...own, password: new Secret(password) });
  const server = new DrivenServer(account, hostKey, faults, password, banner);
  await server.listen(port);
  return server;
}

/** Cuts the line to the client after so many bytes. */
function limit(socket: Socket, bytes: number): void {
  const write = socket.write.bind(socket) as (...args: unknown[]) => boolean;
  let left = bytes;
  socket.write = (data: Uint8Array, ...rest: unknown[]): boolean => {
    const part = data.subarray(0, left);
    left -= part.length;
    const sent = write(part, ...rest);
    if (left <= 0) socket.destroySoon();
    return sent;
  };
}
