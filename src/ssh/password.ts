import { PrepError } from '../core/problem.ts';
import type { Prompter } from '../core/prompter.ts';
import type { Secret } from '../core/secret.ts';

/** How often a password is asked for, as ssh(1) does (NumberOfPasswordPrompts). */
const TRIES = 3;

/**
 * The password of one account: given beforehand (file, standard input, environment) or asked for when
 * it is first needed, and then kept for whatever else wants it (chsh).
 */
export class Password {
  readonly #question: string;
  readonly #prompter: Prompter;
  readonly #given: Secret | undefined;
  #current: Secret | undefined;
  #asking: Promise<Secret> | undefined;
  #refused = 0;

  /** `question` is the whole prompt, e.g. `alice@web1's password:`. */
  constructor(question: string, prompter: Prompter, given?: Secret) {
    this.#question = question;
    this.#prompter = prompter;
    this.#given = given;
  }

  /** The password in use; undefined as long as nobody needed it. */
  get known(): Secret | undefined {
    return this.#current ?? this.#given;
  }

  /** How many were refused. */
  get tries(): number {
    return this.#refused;
  }

  /**
   * The password to try next. An empty answer counts as a wrong one.
   * @throws PrepError `wrong-password` when the tries are used up, else what the prompter raises
   */
  async obtain(question = this.#question, signal?: AbortSignal): Promise<Secret> {
    while (this.#current === undefined) {
      if (this.#refused >= (this.#given === undefined ? TRIES : 1)) throw this.#usedUp();
      if (this.#given !== undefined) this.#current = this.#given;
      else this.#take(await this.#ask(question, signal));
    }
    return this.#current;
  }

  /** The server did not take the password last obtained. */
  refuse(): void {
    this.#current = undefined;
    this.#refused++;
  }

  #take(answer: Secret): void {
    if (answer.empty) this.#refused++;
    else this.#current = answer;
  }

  /** One question at a time, however many connections wait for its answer. */
  async #ask(question: string, signal?: AbortSignal): Promise<Secret> {
    this.#asking ??= this.#prompter.password(question, signal);
    try {
      return await this.#asking;
    } finally {
      this.#asking = undefined;
    }
  }

  #usedUp(): PrepError {
    return new PrepError({ code: 'wrong-password', tries: this.#refused });
  }
}
