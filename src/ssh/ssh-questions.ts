import { printable, printableLines } from '../core/printable.ts';
import { PrepError, problemOf } from '../core/problem.ts';
import type { HostKeyQuestion, Prompter } from '../core/prompter.ts';
import { Secret } from '../core/secret.ts';
import type { AskedBySsh } from './askpass.ts';
import type { NewPassword, Password } from './password.ts';
import { CURRENT_PROMPT, NEW_PROMPT, parted, PASSWORD_PROMPT } from './server-prompt.ts';
import type { Settings } from './settings.ts';

/** Who and what answers what ssh asks on its way into one account. */
export interface Answers {
  /** Absent where no password may be used (the trial login). */
  readonly password?: Password;
  /** Where the server demands a new one. */
  readonly newPassword?: NewPassword;
  readonly prompter: Prompter;
  /** What else was typed already: passphrases by key file, passwords for other hosts by ssh's question. */
  readonly typed: Map<string, Secret>;
  /** Shown to the person at once. */
  readonly notice: (text: string) => void;
}

/** `(alice@web1) Password: `: whom ssh asks for, where it says so. */
const WHOM = /^(?:\(([^()\s]+@[^()\s]+)\) )|^([^\s']+@[^\s']+)'s password: *$/;

const PASSPHRASE = /^Enter passphrase for (?:[\w-]+ )?key '?(.*?)'?: *$/i;
/** Of a token or a security key: too many wrong ones lock it, so none is kept for another time. */
const PIN = /^Enter PIN for /;
const HOST_KEY = /^The authenticity of host '([^' ]+)[^']*' can't be established/;

/**
 * ssh's questions, answered as prep's own are: the password from the one place where it is kept, tried
 * once each; the rest by the person. What cannot be answered is kept as `failure`, and ends the login.
 */
export class Questions {
  readonly #settings: Settings;
  readonly #answers: Answers;
  /** Whether the password went out and ssh has not asked for it again. */
  #unjudged = false;
  #tried = new Set<string>();
  /** Why a question could not be answered. */
  failure: unknown;
  /** How many were answered; a connection that breaks is worth another when this grew. */
  answered = 0;

  constructor(settings: Settings, answers: Answers) {
    this.#settings = settings;
    this.#answers = answers;
  }

  /** Whether a password was given that ssh has not called wrong so far. */
  get unjudged(): boolean {
    return this.#unjudged;
  }

  /** Another connection, and another round of questions. */
  begin(): void {
    this.#unjudged = false;
    this.#tried = new Set();
  }

  /** The server did not take the password it was last given. */
  refused(): void {
    if (this.#unjudged) this.#answers.password?.refuse();
    this.#unjudged = false;
  }

  /** The login has succeeded: a password that was changed on the way is the one from now on. */
  succeeded(): void {
    const chosen = this.#answers.newPassword?.chosen;
    if (chosen !== undefined) this.#answers.password?.renew(chosen);
  }

  /** Answers one question; undefined where ssh is to go on without. Never rejects. */
  readonly answer = async (asked: AskedBySsh): Promise<Secret | undefined> => {
    try {
      const answer = await this.#answerTo(asked);
      this.answered++;
      return answer;
    } catch (error) {
      this.failure ??= error;
      return undefined;
    }
  };

  #answerTo({ prompt, hint }: AskedBySsh): Promise<Secret | undefined> {
    const { prompter, notice } = this.#answers;
    if (hint === 'none') {
      notice(printableLines(prompt.trim()));
      return Promise.resolve(undefined);
    }
    if (HOST_KEY.test(prompt)) return this.#hostKey(prompt);
    if (hint === 'confirm') return this.#confirm(prompt);
    const [, file] = PASSPHRASE.exec(prompt) ?? [];
    if (file !== undefined) return this.#passphrase(file, prompt.trim());
    if (PIN.test(prompt)) return withoutWhenAlone(prompter.password(printableLines(prompt)));
    const { question, before } = parted(prompt);
    const whom = WHOM.exec(prompt);
    const bare = question.replace(/^\([^()]*@[^()]*\) /, '');
    if (!this.#concerns(whom?.[1] ?? whom?.[2])) return this.#elsewhere(prompt.trim(), bare);
    if (PASSWORD_PROMPT.test(bare)) return this.#password();
    return this.#change(bare, before) ?? prompter.answer(printableLines(prompt), false);
  }

  /** Somebody else's prompt may come from a ProxyCommand that runs ssh itself: a secret is never tried on another host. */
  #concerns(whom: string | undefined): boolean {
    const { user, address, hostKeyAlias, proxyCommand } = this.#settings;
    if (whom === undefined) return proxyCommand === undefined;
    // ssh cuts the name at 30 characters and the host at 128 (sshconnect2.c).
    const hosts = [address, hostKeyAlias ?? address];
    return hosts.some(
      (host) => whom === `${user.slice(0, 30)}@${host.toLowerCase().slice(0, 128)}`,
    );
  }

  async #password(): Promise<Secret> {
    const { password } = this.#answers;
    if (password === undefined) throw new PrepError({ code: 'wrong-password', tries: 0 });
    this.refused();
    const secret = await password.obtain();
    this.#unjudged = true;
    return secret;
  }

  /** The answer where the server asks for the password to be changed; undefined where it asks for something else. */
  #change(question: string, said: string): Promise<Secret> | undefined {
    const isNew = NEW_PROMPT.test(question);
    if (!isNew && !CURRENT_PROMPT.test(question)) return undefined;
    // Whoever must change the password has given the right one.
    this.#unjudged = false;
    const { password, newPassword } = this.#answers;
    if (newPassword === undefined) throw new PrepError({ code: 'password-expired' });
    return isNew ? newPassword.answer(question, said) : password?.obtain();
  }

  async #hostKey(prompt: string): Promise<Secret> {
    const [, host = ''] = HOST_KEY.exec(prompt) ?? [];
    const [, keyType = '', fingerprint = ''] =
      /^(\S+) key fingerprint is (\S+?)\.?$/m.exec(prompt) ?? [];
    const question: HostKeyQuestion = { host: printable(host), keyType, fingerprint };
    if (await this.#answers.prompter.hostKey(question)) return new Secret('yes');
    throw new PrepError({ code: 'host-key-declined', host: question.host });
  }

  async #confirm(prompt: string): Promise<Secret | undefined> {
    const agreed = await this.#answers.prompter.confirm(printable(prompt.trim()), {
      preset: false,
    });
    return agreed ? new Secret('yes') : undefined;
  }

  /** Without a passphrase ssh goes on to the next key, or method. */
  async #passphrase(file: string, question: string): Promise<Secret | undefined> {
    const typed = await withoutWhenAlone(this.#once(file, question));
    return typed?.empty === true ? undefined : typed;
  }

  /** What a host on a way of the user's own wants to know. */
  #elsewhere(question: string, bare: string): Promise<Secret> {
    if (PASSWORD_PROMPT.test(bare)) return this.#once(question, question);
    return this.#answers.prompter.answer(printableLines(question), false);
  }

  /** What was typed for this before, unless that was wrong. */
  async #once(name: string, question: string): Promise<Secret> {
    const { typed, prompter } = this.#answers;
    const known = this.#tried.has(name) ? undefined : typed.get(name);
    this.#tried.add(name);
    const secret = known ?? (await prompter.password(question));
    typed.set(name, secret);
    return secret;
  }
}

/** Undefined where there is nobody to ask: what would be asked opens one way in of several. */
function withoutWhenAlone(asked: Promise<Secret>): Promise<Secret | undefined> {
  return asked.catch((error: unknown) => {
    if (problemOf(error).code !== 'needs-an-answer') throw error;
    return undefined;
  });
}
