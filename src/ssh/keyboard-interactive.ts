import type { Prompt } from 'ssh2';
import { printable, printableLines } from '../core/printable.ts';
import { PrepError } from '../core/problem.ts';
import type { Secret } from '../core/secret.ts';
import type { Access } from './access.ts';
import type { Password } from './password.ts';
import { CURRENT_PROMPT, NEW_PROMPT, parted, PASSWORD_PROMPT } from './server-prompt.ts';

/** One exchange of questions and answers (RFC 4256), over as many rounds as the server likes. */
export class Exchange {
  readonly #access: Access;
  readonly #password: Password;
  #said = '';
  /** Whether the password went out, and the server has not said yet what it thinks of it. */
  unjudged = false;
  /** Whether anything was asked for, and whether that was more than the password. */
  asked = { password: false, more: false };

  constructor(access: Access, password: Password) {
    this.#access = access;
    this.#password = password;
  }

  /**
   * Answers one round; `lost` withdraws an open question, unless it is for the password, which outlives the exchange.
   * @throws PrepError where an answer cannot be had
   */
  async answers(
    instructions: string,
    prompts: readonly Prompt[],
    lost: AbortSignal,
  ): Promise<readonly string[]> {
    const said = printableLines(instructions).trim();
    this.#said = instructions;
    // Words before a question belong to it; words alone are for the record.
    const toQuestion = prompts.some((prompt) => !isPassword(prompt)) ? said : '';
    if (said !== '' && toQuestion === '') this.#access.note(printable(instructions.trim()));
    const answers: string[] = [];
    for (const [index, prompt] of prompts.entries()) {
      const answer = await this.#answer(prompt, index === 0 ? toQuestion : '', lost);
      answers.push(answer.reveal());
    }
    return answers;
  }

  async #answer(prompt: Prompt, said: string, lost: AbortSignal): Promise<Secret> {
    const { question, before } = parted(prompt.prompt);
    if (isPassword(prompt)) return this.#ofPassword();
    const hidden = prompt.echo !== true;
    const changed = hidden ? await this.#change(question, before || this.#said) : undefined;
    if (changed !== undefined) return changed;
    this.asked.more = true;
    // Asked for beforehand, but the server asks for something else first.
    this.#password.withdraw();
    const message = said === '' ? prompt.prompt : `${said}\n${prompt.prompt}`;
    return this.#access.prompter.answer(printableLines(message), !hidden, lost);
  }

  /** Asked for a second time, the first was wrong. */
  async #ofPassword(): Promise<Secret> {
    if (this.asked.password) this.#password.refuse();
    this.asked.password = true;
    const secret = await this.#password.obtain();
    this.unjudged = true;
    return secret;
  }

  /**
   * The answer where the server asks for the password to be changed; undefined where it asks for
   * something else. @throws PrepError `password-expired` where it may not be changed
   */
  async #change(question: string, said: string): Promise<Secret | undefined> {
    const isNew = NEW_PROMPT.test(question);
    if (!isNew && !CURRENT_PROMPT.test(question)) return undefined;
    // Whoever must change the password has given the right one.
    this.unjudged = false;
    const { newPassword } = this.#access;
    if (newPassword === undefined) throw new PrepError({ code: 'password-expired' });
    return isNew ? newPassword.answer(question, said) : this.#password.obtain();
  }
}

function isPassword({ prompt, echo }: Prompt): boolean {
  return echo !== true && PASSWORD_PROMPT.test(parted(prompt).question);
}
