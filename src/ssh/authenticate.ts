import type { AnyAuthMethod, KeyboardInteractiveCallback, Prompt } from 'ssh2';
import { printable, printableLines } from '../core/printable.ts';
import { PrepError, type Problem } from '../core/problem.ts';
import type { Secret } from '../core/secret.ts';
import type { Prompter } from '../core/prompter.ts';
import { OneKey, type LoginKey } from './login-key.ts';
import type { LoginMethod } from './login-settings.ts';
import type { NewPassword, Password } from './password.ts';
import type { Session } from './session.ts';

/** All that a user has to get into one account. */
export interface Access {
  readonly user: string;
  /** Tried in order, each once. */
  readonly keys: readonly LoginKey[];
  /** Absent where no password may be used (the trial login). */
  readonly password?: Password;
  /** What may be tried, in this order; all of it, where absent. */
  readonly methods?: readonly LoginMethod[];
  /** Where the server demands a new one. */
  readonly newPassword?: NewPassword;
  readonly prompter: Prompter;
  /** Told what was tried and what came of it. */
  readonly note: (text: string) => void;
}

/** Tried in this order where ssh_config does not say otherwise. */
const METHODS: readonly LoginMethod[] = ['publickey', 'password', 'keyboard-interactive'];

/** A prompt that wants the account's password: `Password:`, `alice@web1's password:`, `(alice@web1) Password:`. */
const PASSWORD_PROMPT = /^(\([^)]*\) ?)?([^ ]+'s )?password( for [^ ]+)?: *$/i;

/** PAM's questions where an expired password is changed within the login. */
const CURRENT_PROMPT = /^\(?current\)?( unix)? password: *$/i;
const NEW_PROMPT = /^((enter )?new|re-?type|re-?enter).*password.*: *$/i;

/**
 * Logging in, over as many connections as the server makes necessary: what was tried on one is not
 * tried again on the next. Order: the keys at hand, then the password, then keyboard-interactive
 * (RFC 4252, RFC 4256), unless ssh_config has another. Nothing is offered wholesale, and there is no `none` request.
 */
export class Login {
  readonly #access: Access;
  readonly #sent: () => void;
  #untried: LoginKey[];
  #trying: LoginMethod | undefined;
  /** Whether the password went out on this connection and the server has not judged it yet. */
  #unjudged = false;
  #askedForMethods = false;
  #keysTried = 0;
  #atOnce = false;
  #key: LoginKey | undefined;
  /** How often something new was tried; a connection that breaks is worth another when this grew. */
  progress = 0;

  /** `sent` is called right after a request that may succeed went out. */
  constructor(access: Access, sent: () => void) {
    this.#access = access;
    this.#sent = sent;
    this.#untried = [...access.keys];
  }

  get #methods(): readonly LoginMethod[] {
    return this.#access.methods ?? METHODS;
  }

  /** To be called when the login has succeeded: a password that was changed on the way is the one from now on. */
  succeeded(): void {
    const chosen = this.#access.newPassword?.chosen;
    if (chosen !== undefined) this.#access.password?.renew(chosen);
  }

  /** The method tried last: after success, the way in. */
  get login(): Session['login'] {
    if (this.#trying === 'publickey') return 'key';
    return this.#trying ?? 'none';
  }

  /** Whether the method tried is a key that needs nobody to be asked before it signs. */
  get signsAtOnce(): boolean {
    return this.#atOnce && this.#trying === 'publickey';
  }

  /** The blob of the key tried last, if a key it was. */
  get key(): string | undefined {
    return this.#trying === 'publickey' ? this.#key?.key.blob : undefined;
  }

  /** Whether the password is what will be asked for first. */
  get startsWithPassword(): boolean {
    const first = this.#methods.find((one) => one !== 'publickey' || this.#untried.length > 0);
    return first === 'password' && this.#access.password !== undefined;
  }

  /**
   * The connection broke: whether to go on with another. A password that was on its way is not sent
   * again by itself, lest it lock the account; one refusal too many (MaxAuthTries) is a refusal.
   */
  mayGoOn(said: string): boolean {
    const unjudged = this.#unjudged;
    this.#trying = undefined;
    this.#unjudged = false;
    if (!unjudged) return true;
    if (!/too many authentication failures/i.test(said)) return false;
    this.#access.password?.refuse();
    return true;
  }

  /**
   * The next method to try; `left` is what the server says can continue (null before its first word).
   * @throws PrepError when nothing is left
   */
  async next(left: readonly string[] | null, partial: boolean): Promise<AnyAuthMethod> {
    const offered = (method: LoginMethod): boolean => left === null || left.includes(method);
    this.#judge(partial, offered);
    this.progress++;
    for (const method of this.#methods.filter(offered)) {
      const attempt = this.#attempt(method);
      if (attempt !== undefined) return attempt;
    }
    if (left === null && this.#keysTried > 0 && !this.#askedForMethods) {
      // ssh2 keeps to itself what the server said when it refused the key.
      this.#askedForMethods = true;
      return { type: 'none', username: this.#access.user };
    }
    throw new PrepError(this.#nothingLeft(offered, left ?? []));
  }

  /** Undefined where there is nothing to try it with. */
  #attempt(method: LoginMethod): AnyAuthMethod | Promise<AnyAuthMethod> | undefined {
    const { password } = this.#access;
    if (method === 'publickey') {
      const key = this.#untried.shift();
      return key && this.#publicKey(key);
    }
    if (password === undefined) return undefined;
    return method === 'password' ? this.#password(password) : this.#keyboard(password);
  }

  #nothingLeft(offered: (method: LoginMethod) => boolean, offers: readonly string[]): Problem {
    const keyTried = this.#keysTried > 0;
    const ruledOut = METHODS.filter((one) => offered(one) && !this.#methods.includes(one));
    if (this.#access.password === undefined || ruledOut.length === 0) {
      return { code: 'password-not-offered', offers, keyTried };
    }
    return { code: 'login-ruled-out', methods: ruledOut, keyTried };
  }

  /**
   * Called when the server asks for more: what was tried last either failed, or was only one factor, or
   * is a method that the server does not have, which says nothing of the password.
   */
  #judge(partial: boolean, offered: (method: LoginMethod) => boolean): void {
    if (this.#trying === undefined) return;
    this.#access.note(
      `${this.#trying}: ${partial ? 'accepted, but the server wants more' : 'refused'}`,
    );
    if (this.#unjudged && !partial && offered(this.#trying)) this.#access.password?.refuse();
    this.#trying = undefined;
    this.#unjudged = false;
  }

  async #publicKey(key: LoginKey): Promise<AnyAuthMethod> {
    this.#keysTried++;
    this.#atOnce = await key.isOpen();
    this.#key = key;
    this.#trying = 'publickey';
    if (this.#access.password?.known === undefined) this.#access.prompter.expectQuestion?.();
    this.#access.note(`trying key ${key.key.type} ${printable(key.key.comment)}`);
    return {
      type: 'agent',
      username: this.#access.user,
      agent: new OneKey(key, this.#access.prompter, this.#sent, this.#asking),
    };
  }

  async #password(password: Password): Promise<AnyAuthMethod> {
    const secret = await password.obtain();
    this.#trying = 'password';
    this.#unjudged = true;
    this.#access.note('trying password');
    queueMicrotask(() => process.nextTick(this.#sent));
    return { type: 'password', username: this.#access.user, password: secret.reveal() };
  }

  #keyboard(password: Password): AnyAuthMethod {
    this.#trying = 'keyboard-interactive';
    this.#access.note('trying keyboard-interactive');
    const asked = { password: false, said: '' };
    return {
      type: 'keyboard-interactive',
      username: this.#access.user,
      prompt: (_name, instructions, _language, prompts, finish: KeyboardInteractiveCallback) => {
        if (instructions.trim() !== '') this.#access.note(printable(instructions));
        this.#asking(true);
        asked.said = instructions;
        this.#answers(prompts, password, asked)
          .finally(() => this.#asking(false))
          .then(finish, this.#failed);
      },
    };
  }

  /** Set by the connection: where an answer that cannot be had ends the login. */
  onFailure: (error: unknown) => void = () => undefined;
  readonly #failed = (error: unknown): void => {
    this.onFailure(error);
  };

  /** Set by the connection: told when it is no longer the server that is waited for, and when it is again. */
  onAsking: (asking: boolean) => void = () => undefined;
  readonly #asking = (asking: boolean): void => {
    this.onAsking(asking);
  };

  async #answers(
    prompts: readonly Prompt[],
    password: Password,
    asked: { password: boolean; said: string },
  ): Promise<string[]> {
    const answers: string[] = [];
    for (const { prompt, echo } of prompts) {
      const hidden = echo !== true;
      const { question, before } = parted(prompt);
      const wantsPassword = hidden && PASSWORD_PROMPT.test(question);
      if (wantsPassword && asked.password) password.refuse();
      const answer = wantsPassword
        ? await password.obtain()
        : (hidden && (await this.#change(question, before || asked.said, password))) ||
          (await this.#access.prompter.answer(printableLines(prompt), !hidden));
      answers.push(answer.reveal());
      asked.password ||= wantsPassword;
      this.#unjudged ||= wantsPassword;
    }
    return answers;
  }

  /**
   * The answer where the server asks for the password to be changed; undefined where it asks for
   * something else. @throws PrepError `password-expired` where it may not be changed
   */
  async #change(question: string, said: string, password: Password): Promise<Secret | undefined> {
    const isNew = NEW_PROMPT.test(question);
    if (!isNew && !CURRENT_PROMPT.test(question)) return undefined;
    // Whoever must change the password has given the right one.
    this.#unjudged = false;
    const { newPassword } = this.#access;
    if (newPassword === undefined) throw new PrepError({ code: 'password-expired' });
    return isNew ? newPassword.answer(question, said) : password.obtain();
  }
}

/** PAM's prompt, and what its modules had to say before: sshd passes both on as one. */
function parted(prompt: string): { question: string; before: string } {
  const lines = prompt.replace(/\r/g, '').split('\n');
  return { question: lines.pop() ?? '', before: (lines.at(-1) ?? '').trim() };
}
