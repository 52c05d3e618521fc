import type { AnyAuthMethod, KeyboardInteractiveCallback, Prompt } from 'ssh2';
import { printable } from '../core/printable.ts';
import { PrepError } from '../core/problem.ts';
import type { Prompter } from '../core/prompter.ts';
import { OneKey, type LoginKey } from './login-key.ts';
import type { Password } from './password.ts';
import type { Session } from './session.ts';

/** All that a user has to get into one account. */
export interface Access {
  readonly user: string;
  /** Tried in order, each once. */
  readonly keys: readonly LoginKey[];
  /** Absent where no password may be used (the trial login). */
  readonly password?: Password;
  readonly prompter: Prompter;
  /** Told what was tried and what came of it. */
  readonly note: (text: string) => void;
}

type Method = 'publickey' | 'password' | 'keyboard-interactive';

/** A prompt that wants the account's password: `Password:`, `alice@web1's password:`, `(alice@web1) Password:`. */
const PASSWORD_PROMPT = /^(\([^)]*\) ?)?([^ ]+'s )?password( for [^ ]+)?: *$/i;

/**
 * Logging in, over as many connections as the server makes necessary: what was tried on one is not
 * tried again on the next. Order: the keys at hand, then the password, then keyboard-interactive
 * (RFC 4252, RFC 4256). Nothing is offered wholesale, and there is no `none` request.
 */
export class Login {
  readonly #access: Access;
  readonly #sent: () => void;
  #untried: LoginKey[];
  #trying: Method | undefined;
  #keysTried = 0;
  /** How often something new was tried; a connection that breaks is worth another when this grew. */
  progress = 0;

  /** `sent` is called right after a request that may succeed went out. */
  constructor(access: Access, sent: () => void) {
    this.#access = access;
    this.#sent = sent;
    this.#untried = [...access.keys];
  }

  /** The method tried last: after success, the way in. */
  get login(): Session['login'] {
    if (this.#trying === 'publickey') return 'key';
    return this.#trying ?? 'none';
  }

  /** Whether the password is what will be asked for first. */
  get startsWithPassword(): boolean {
    return this.#untried.length === 0 && this.#access.password !== undefined;
  }

  /** A new connection: what was under way on the last one has no answer to wait for. */
  restart(): void {
    this.#trying = undefined;
  }

  /**
   * The next method to try; `left` is what the server says can continue (null before its first word).
   * @throws PrepError when nothing is left
   */
  async next(left: readonly string[] | null, partial: boolean): Promise<AnyAuthMethod> {
    this.#judge(partial);
    const offered = (method: Method): boolean => left === null || left.includes(method);
    const key = offered('publickey') ? this.#untried.shift() : undefined;
    this.progress++;
    if (key !== undefined) return this.#publicKey(key);
    if (this.#access.password !== undefined) {
      if (offered('password')) return this.#password(this.#access.password);
      if (offered('keyboard-interactive')) return this.#keyboard(this.#access.password);
    }
    throw new PrepError({
      code: 'password-not-offered',
      offers: left ?? [],
      keyTried: this.#keysTried > 0,
    });
  }

  /** Called when the server asks for more: what was tried last either failed or was only one factor. */
  #judge(partial: boolean): void {
    if (this.#trying === undefined) return;
    this.#access.note(
      `${this.#trying}: ${partial ? 'accepted, but the server wants more' : 'refused'}`,
    );
    if (this.#trying !== 'publickey' && !partial) this.#access.password?.refuse();
    this.#trying = undefined;
  }

  #publicKey(key: LoginKey): AnyAuthMethod {
    this.#keysTried++;
    this.#trying = 'publickey';
    this.#access.note(`trying key ${key.key.type} ${printable(key.key.comment)}`);
    return {
      type: 'agent',
      username: this.#access.user,
      agent: new OneKey(key, this.#access.prompter, this.#sent),
    };
  }

  async #password(password: Password): Promise<AnyAuthMethod> {
    const secret = await password.obtain();
    this.#trying = 'password';
    this.#access.note('trying password');
    queueMicrotask(() => process.nextTick(this.#sent));
    return { type: 'password', username: this.#access.user, password: secret.reveal() };
  }

  #keyboard(password: Password): AnyAuthMethod {
    this.#trying = 'keyboard-interactive';
    this.#access.note('trying keyboard-interactive');
    let answered = false;
    return {
      type: 'keyboard-interactive',
      username: this.#access.user,
      prompt: (_name, instructions, _language, prompts, finish: KeyboardInteractiveCallback) => {
        if (instructions.trim() !== '') this.#access.note(printable(instructions));
        const answers = this.#answers(prompts, password, answered);
        answered = true;
        answers.then(finish, this.#failed);
      },
    };
  }

  /** Set by the connection: where an answer that cannot be had ends the login. */
  onFailure: (error: unknown) => void = () => undefined;
  readonly #failed = (error: unknown): void => {
    this.onFailure(error);
  };

  async #answers(
    prompts: readonly Prompt[],
    password: Password,
    asksAgain: boolean,
  ): Promise<string[]> {
    const answers: string[] = [];
    for (const { prompt, echo } of prompts) {
      const wantsPassword = echo !== true && PASSWORD_PROMPT.test(prompt);
      if (wantsPassword && asksAgain) password.refuse();
      const answer = wantsPassword
        ? await password.obtain()
        : await this.#access.prompter.answer(printable(prompt), echo === true);
      answers.push(answer.reveal());
    }
    return answers;
  }
}
