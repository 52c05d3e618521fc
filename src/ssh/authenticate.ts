import type { AnyAuthMethod, KeyboardInteractiveCallback } from 'ssh2';
import { keyFingerprint } from '../core/authorized-key.ts';
import { printable } from '../core/printable.ts';
import { PrepError, type Problem } from '../core/problem.ts';
import type { Secret } from '../core/secret.ts';
import { METHODS, type Access, type Line, type Method } from './access.ts';
import { Exchange } from './keyboard-interactive.ts';
import { KeyTrials } from './key-trials.ts';
import type { LoginKey } from './login-key.ts';
import { loginReport } from './login-report.ts';
import type { Password } from './password.ts';
import type { Session } from './session.ts';

/** How often a server's own questions are answered, as ssh(1) does (NumberOfPasswordPrompts). */
const TRIES = 3;

/** What is being tried, and has no answer yet. */
interface Attempt {
  readonly method: Method;
  readonly key?: LoginKey;
  readonly exchange?: Exchange;
  /** Whether that which the server judges went out: the password, a signature. */
  sent: boolean;
}

/**
 * Another connection is called for. sshd with PAM breaks one on which a password was refused and
 * keyboard-interactive then let the user in (`pam_setcred(): Failure setting user credentials`).
 */
export class FreshConnection extends PrepError {
  constructor() {
    super({ code: 'hung-up', during: 'login', said: '' });
  }
}

/**
 * Logging in, over as many connections as the server makes necessary: what was refused on one is not
 * tried again on the next. Order: the keys at hand, then the password, then keyboard-interactive
 * (RFC 4252, RFC 4256), unless ssh_config has another, each as one factor of several where the server wants more. Nothing
 * is offered wholesale. A `none` request, which tells what the server takes, is sent only while a password is being
 * typed, and where the keys were refused without a word.
 */
export class Login {
  readonly #access: Access;
  readonly #sent: () => void;
  readonly #keys: KeyTrials;
  #attempt: Attempt | undefined;
  /** The factors that this connection's server has accepted so far. */
  #accepted: { readonly method: Method; readonly key?: LoginKey }[] = [];
  /** Whether the password was right, as one factor of several or where it had to be changed. */
  #proven = false;
  /** Whether keyboard-interactive goes before the password method, and whether it is of no use. */
  #keyboard: 'after' | 'before' | 'useless' = 'after';
  #answersRefused = 0;
  /** What the server takes first, once it has said so: a new connection begins with that knowledge. */
  #offers: readonly string[] | null = null;
  #askedForMethods = false;
  readonly #refusedOnce = new Set<Method>();
  #line: Line = {
    failed: () => undefined,
    asking: () => undefined,
    lost: new AbortController().signal,
  };
  /** How often something new was tried; a connection that breaks is worth another when this grew. */
  progress = 0;

  /** `sent` is called right after a request that may succeed went out. */
  constructor(access: Access, sent: () => void) {
    this.#access = access;
    this.#sent = sent;
    this.#keys = new KeyTrials(access.keys);
  }

  /** Goes on over another connection. */
  over(line: Line): void {
    this.#line = line;
  }

  /** To be called when the login has succeeded: a password that was changed on the way is the one from now on. */
  succeeded(): void {
    this.#access.password?.withdraw();
    this.#renew();
    const { method, key } = this.#attempt ?? {};
    if (method !== undefined) this.#accepted.push({ method, ...(key && { key }) });
    this.#attempt = undefined;
  }

  /** The way in, as far as it is known. */
  get login(): Session['login'] {
    const methods = this.factors;
    if (methods.includes('publickey')) return methods.length === 1 ? 'key' : 'key and more';
    return (methods.at(-1) as 'password' | 'keyboard-interactive' | undefined) ?? 'none';
  }

  /** The methods that were accepted, in their order, and the one being tried. */
  get factors(): readonly string[] {
    const methods = this.#accepted.map(({ method }) => method);
    return this.#attempt === undefined ? methods : [...methods, this.#attempt.method];
  }

  /** How the login came about and why nothing else was tried, in words; `left` is what the server last said. */
  report(left: readonly string[] | null): string {
    const { keys } = this.#access;
    return loginReport({ factors: this.factors, refused: this.#refusedOnce, keys, left });
  }

  /** Whether what is tried next can only be worded knowing the server's signature algorithms. */
  get needsAlgorithms(): boolean {
    return this.#keys.nextIsRsa;
  }

  /** Whether the method tried is a key that needs nobody to be asked before it signs. */
  get signsAtOnce(): boolean {
    return this.#keys.opensAtOnce && this.#attempt?.method === 'publickey';
  }

  /** The fingerprint of the key that was accepted last, or is being tried. */
  get key(): string | undefined {
    const last = this.#accepted.findLast((factor) => factor.key !== undefined)?.key;
    const key = this.#attempt?.key ?? last;
    return key && keyFingerprint(key.key);
  }

  /** Asks for the password while the connection comes about, if it is what will be tried first. */
  askMeanwhile(): void {
    if (this.#startsWithPassword) this.#password?.ask();
  }

  get #startsWithPassword(): boolean {
    const first = this.#methods.find((one) => one !== 'publickey' || this.#keys.any);
    return first === 'password';
  }

  /** Whether a question is open whose answer is of use on another connection too: for the password, for a passphrase. */
  get awaitsAnswer(): boolean {
    return this.#keys.unlocking || this.#access.password?.asking === true;
  }

  /** What `next` gave last could not be sent any more. */
  withdraw(): void {
    const { key } = this.#attempt ?? {};
    if (key !== undefined) this.#keys.again(key);
    this.#attempt = undefined;
  }

  /**
   * The connection broke: whether to go on with another. What was on its way to be judged is not sent
   * again by itself, lest it lock the account; one refusal too many (MaxAuthTries) is a refusal.
   */
  mayGoOn(said: string): boolean {
    const { method, key, exchange, sent = false } = this.#attempt ?? {};
    const unjudged = sent || exchange?.unjudged === true;
    const again = this.#accepted.flatMap((factor) => factor.key ?? []);
    this.#attempt = undefined;
    this.#accepted = [];
    if (key !== undefined && this.#keys.deservesAnother(key, sent, said)) again.push(key);
    this.#keys.again(...again);
    // A key locks nothing; but who let it in and then said why not will not do otherwise next time.
    if (!unjudged || (method === 'publickey' && said === '')) return true;
    if (!/too many authentication failures/i.test(said)) return false;
    if (method !== 'publickey' && !this.#proven) this.#access.password?.refuse();
    return true;
  }

  /**
   * The next method to try; `left` is what the server says can continue (null before its first word).
   * @throws PrepError when nothing is left
   */
  async next(left: readonly string[] | null, partial: boolean): Promise<AnyAuthMethod> {
    const known = left ?? this.#offers;
    const offered = (method: Method): boolean => known?.includes(method) !== false;
    this.#judge(partial, offered);
    if (this.#accepted.length === 0) this.#offers = known;
    this.progress++;
    if (known === null && this.#hasTimeToLearn) return this.#askForMethods();
    for (const method of this.#order.filter(offered)) {
      const attempt = this.#try(method);
      if (attempt !== undefined) return attempt;
    }
    // ssh2 keeps to itself what the server said when it refused the key.
    if (known === null && this.#keys.tried.length > 0 && !this.#askedForMethods) {
      return this.#askForMethods();
    }
    throw new PrepError(this.#nothingLeft(offered, known ?? []));
  }

  /** Whether the password is being typed, so that to ask what the server takes at all costs no time. */
  get #hasTimeToLearn(): boolean {
    const password = this.#password;
    if (!this.#startsWithPassword || this.#askedForMethods || password === undefined) return false;
    if (password.known === undefined) password.ask();
    return password.known === undefined;
  }

  #askForMethods(): AnyAuthMethod {
    this.#askedForMethods = true;
    return { type: 'none', username: this.#access.user };
  }

  /** Undefined where there is nothing to try it with. */
  #try(method: Method): AnyAuthMethod | Promise<AnyAuthMethod> | undefined {
    const password = this.#password;
    if (method === 'publickey') return this.#byKey();
    if (password === undefined) return undefined;
    return method === 'password' ? this.#byPassword(password) : this.#interactive(password);
  }

  #nothingLeft(offered: (method: Method) => boolean, offers: readonly string[]): Problem {
    const tries = this.#access.password?.tries ?? 0;
    if (tries > 0) return { code: 'wrong-password', tries };
    const ruledOut = METHODS.filter((one) => offered(one) && !this.#methods.includes(one));
    if (this.#access.password !== undefined && ruledOut.length > 0) {
      const keyTried = this.#keys.tried.length > 0;
      return { code: 'login-ruled-out', methods: ruledOut, keyTried };
    }
    return {
      code: 'password-not-offered',
      offers,
      accepted: this.factors,
      keys: this.#keys.tried.map(({ key }) => keyFingerprint(key)),
    };
  }

  get #methods(): readonly Method[] {
    return this.#access.methods ?? METHODS;
  }

  /** What may be tried, in the order of what is known by now. */
  get #order(): readonly Method[] {
    if (this.#keyboard === 'after') return this.#methods;
    const others = this.#methods.filter((method) => method !== 'keyboard-interactive');
    if (this.#keyboard === 'useless') return others;
    const before = others.indexOf('password');
    return [...others.slice(0, before), 'keyboard-interactive', ...others.slice(before)];
  }

  /**
   * The server demands a new password before it lets the user in (RFC 4252 section 8), because of
   * `prompt`; asked once more, it did not like the last one. Gives the old and the new one.
   * @throws PrepError `password-expired` where it may not be changed, and what asking for one raises
   */
  async change(prompt: string): Promise<{ current: Secret; next: Secret }> {
    const { password, newPassword } = this.#access;
    this.#proven = true;
    if (this.#attempt !== undefined) this.#attempt.sent = false;
    if (password === undefined || newPassword === undefined) {
      throw new PrepError({ code: 'password-expired' });
    }
    this.#access.note('password: accepted, but the server demands a new one');
    const [current, next] = [await password.obtain(), await newPassword.change(prompt)];
    if (this.#attempt !== undefined) this.#attempt.sent = true;
    return { current, next };
  }

  get #password(): Password | undefined {
    const { password, keyFirst = false } = this.#access;
    return keyFirst && this.#accepted.length === 0 ? undefined : password;
  }

  /**
   * Called when the server asks for more: what was tried last either failed, or was only one factor, or
   * is a method that the server does not have, which says nothing of the password.
   */
  #judge(partial: boolean, offered: (method: Method) => boolean): void {
    const attempt = this.#attempt;
    if (attempt === undefined) return;
    this.#attempt = undefined;
    const { method, key, exchange } = attempt;
    this.#access.note(`${method}: ${partial ? 'accepted, but the server wants more' : 'refused'}`);
    if (!partial) this.#refusedOnce.add(method);
    if (partial) {
      this.#proven ||= method === 'password' || exchange?.unjudged === true;
      this.#renew();
      this.#accepted.push({ method, ...(key && { key }) });
    } else if (method === 'password' && this.#access.newPassword?.chosen !== undefined) {
      throw new PrepError({ code: 'new-password-refused', said: '' });
    } else if (key !== undefined && !offered(method)) {
      this.#keys.unseen(key);
    } else if (exchange !== undefined) {
      this.#refused(exchange);
    } else if (method === 'password' && offered(method)) {
      const other = 'keyboard-interactive';
      const untried = this.#methods.includes(other) && !this.#refusedOnce.has(other);
      if (this.#keyboard !== 'after' || !offered(other) || !untried) {
        return this.#access.password?.refuse();
      }
      // PAM may want a code besides, which only the other method can ask for; it gets the same password.
      this.#keyboard = 'before';
      throw new FreshConnection();
    }
  }

  /** @throws PrepError `answers-refused` where that was once too often */
  #refused({ asked, unjudged }: Exchange): void {
    const { password } = this.#access;
    if (!asked.password && !asked.more) {
      if (this.#keyboard === 'before') password?.refuse();
      this.#keyboard = 'useless';
      return;
    }
    const blamed = unjudged && !this.#proven && !(asked.more && password?.given === true);
    if (blamed) password?.refuse();
    else if (++this.#answersRefused === TRIES) {
      throw new PrepError({ code: 'answers-refused', tries: TRIES });
    }
  }

  #renew(): void {
    const chosen = this.#access.newPassword?.chosen;
    if (chosen !== undefined) this.#access.password?.renew(chosen);
  }

  #byKey(): Promise<AnyAuthMethod> | undefined {
    const { user, prompter, password, note } = this.#access;
    const attempt = { method: 'publickey' as const, sent: false };
    const next = this.#keys.next(prompter, this.#line, () => {
      attempt.sent = true;
      this.#sent();
      // While the server judges the key.
      if (password?.known === undefined) setImmediate(() => prompter.expectQuestion?.());
    });
    if (next === undefined) return undefined;
    this.#attempt = Object.assign(attempt, { key: next.key });
    const { type, comment } = next.key.key;
    note(`trying key ${type} ${printable(comment)}`);
    return next.agent.then((agent) => ({ type: 'agent', username: user, agent }));
  }

  async #byPassword(password: Password): Promise<AnyAuthMethod> {
    const secret = await password.obtain();
    this.#attempt = { method: 'password', sent: true };
    this.#access.note('trying password');
    queueMicrotask(() => process.nextTick(this.#sent));
    return { type: 'password', username: this.#access.user, password: secret.reveal() };
  }

  #interactive(password: Password): AnyAuthMethod {
    const exchange = new Exchange(this.#access, password);
    this.#attempt = { method: 'keyboard-interactive', exchange, sent: false };
    this.#access.note('trying keyboard-interactive');
    const line = this.#line;
    return {
      type: 'keyboard-interactive',
      username: this.#access.user,
      prompt: (_name, instructions, _language, prompts, finish: KeyboardInteractiveCallback) => {
        line.asking(true);
        exchange
          .answers(instructions, prompts, line.lost)
          .finally(() => line.asking(false))
          .then((answers) => finish([...answers]), line.failed);
      },
    };
  }
}
