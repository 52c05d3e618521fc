import { printable } from '../core/printable.ts';
import { PrepError } from '../core/problem.ts';
import type { Prompter } from '../core/prompter.ts';
import type { Secret } from '../core/secret.ts';

/** How often a password is asked for where nobody says otherwise, as ssh(1) does (NumberOfPasswordPrompts). */
const TRIES = 3;

/**
 * The password of one account: given beforehand (file, standard input, environment) or asked for when
 * it is first needed, and then kept for whatever else wants it (chsh).
 */
export class Password {
  readonly #question: string;
  readonly #prompter: Prompter;
  readonly #given: Secret | undefined;
  readonly #tries: number;
  #current: Secret | undefined;
  #obtaining: Promise<Secret> | undefined;
  #withdrawal = new AbortController();
  #refused = 0;

  /** `question` is the whole prompt, e.g. `alice@web1's password:`. */
  constructor(question: string, prompter: Prompter, given?: Secret, tries = TRIES) {
    this.#question = question;
    this.#prompter = prompter;
    this.#given = given;
    this.#tries = tries;
  }

  /** The password in use; undefined as long as nobody needed it. */
  get known(): Secret | undefined {
    return this.#current ?? this.#given;
  }

  /** Whether it was given beforehand: then there is no other to try. */
  get given(): boolean {
    return this.#given !== undefined;
  }

  /** Whether its question is open: the answer serves whichever connection is there by then. */
  get asking(): boolean {
    return this.#obtaining !== undefined;
  }

  /** How many were refused. */
  get tries(): number {
    return this.#refused;
  }

  /**
   * The password to try next. An empty answer counts as a wrong one.
   * @throws PrepError `wrong-password` when the tries are used up, else what the prompter raises
   */
  obtain(question = this.#question): Promise<Secret> {
    if (this.#current !== undefined) return Promise.resolve(this.#current);
    // One question at a time, however many wait for its answer.
    this.#obtaining ??= this.#find(question).finally(() => (this.#obtaining = undefined));
    return this.#obtaining;
  }

  /** Opens the question before its answer is needed. */
  ask(): void {
    this.obtain().catch(() => undefined);
  }

  /** Takes back the question, if it is open; whoever waits for its answer gets `reason`. */
  withdraw(reason: unknown = new Error('the answer is not needed')): void {
    const withdrawal = this.#withdrawal;
    this.#withdrawal = new AbortController();
    withdrawal.abort(reason);
  }

  async #find(question: string): Promise<Secret> {
    if (this.#given !== undefined && this.#refused === 0) return (this.#current = this.#given);
    while (this.#given === undefined && this.#refused < this.#tries) {
      // As ssh(1) has it.
      const again = this.#refused === 0 ? '' : 'Permission denied, please try again.\n';
      const answer = await this.#prompter.password(again + question, this.#withdrawal.signal);
      if (!answer.empty) return (this.#current = answer);
      this.#refused++;
    }
    throw new PrepError({ code: 'wrong-password', tries: this.#refused });
  }

  /** The server did not take the password last obtained. */
  refuse(): void {
    this.#current = undefined;
    this.#refused++;
  }

  /** The account's password is another one from now on. */
  renew(secret: Secret): void {
    this.#current = secret;
  }
}

/** Words of the server's, as they stand within a question. */
function oneLine(said: string): string {
  return printable(said.trim().replace(/\s+/g, ' '));
}

/** A question for a new password that only wants it typed again. */
const AGAIN = /retype|re-?enter|again|repeat|confirm/i;

/** The new password, where the server demands a change: given beforehand, or asked for twice. */
export class NewPassword {
  readonly #account: string;
  readonly #prompter: Prompter;
  readonly #given: Secret | undefined;
  #current: Secret | undefined;

  /** `account` is named in the question. */
  constructor(account: string, prompter: Prompter, given?: Secret) {
    this.#account = account;
    this.#prompter = prompter;
    this.#given = given;
  }

  /** The one that was last handed over; undefined as long as none was wanted. */
  get chosen(): Secret | undefined {
    return this.#current;
  }

  /**
   * Answers one question of the server's. Asked for a new one again, it has refused the last, for the
   * reason in `said`.
   * @throws PrepError `new-password-refused` where the one given beforehand was refused
   */
  async answer(question: string, said: string): Promise<Secret> {
    if (AGAIN.test(question) && this.#current !== undefined) return this.#current;
    if (this.#given !== undefined) return this.#take(said);
    const reason =
      this.#current === undefined && said === '' ? 'The password must be changed.' : oneLine(said);
    const message = `${reason} New password for ${this.#account}:`;
    this.#current = await this.#prompter.newPassword(message);
    return this.#current;
  }

  /** Answers SSH_MSG_USERAUTH_PASSWD_CHANGEREQ, whose `prompt` says why. @throws PrepError as `answer` does */
  change(prompt: string): Promise<Secret> {
    return this.answer('New password:', prompt);
  }

  #take(said: string): Secret {
    if (this.#current !== undefined) {
      throw new PrepError({ code: 'new-password-refused', said: printable(said) });
    }
    this.#current = this.#given!;
    return this.#current;
  }
}
