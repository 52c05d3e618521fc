import { printable } from '../core/printable.ts';
import { PrepError, problemOf } from '../core/problem.ts';
import type { Secret } from '../core/secret.ts';
import type { NewPassword, Password } from './password.ts';
import type { Session } from './session.ts';

/** What sshd says instead of running a command, where PAM wants the password changed first (session.c, do_pwchange). */
const EXPIRED = /password change required|password has expired|change your password|must change/i;

/** How long passwd may be silent, in milliseconds. */
const PATIENCE = 60_000;

/** Whether an account runs no command because its password must be changed first. */
function isExpired(error: unknown): boolean {
  const problem = problemOf(error);
  return problem.code === 'no-shell' && EXPIRED.test(problem.said);
}

/** What an expired password takes. */
export interface Renewal<S extends Session> {
  readonly password: Password;
  /** Absent where nothing may be changed. */
  readonly newPassword?: NewPassword;
  /** Logs in once more. */
  readonly logIn: () => Promise<S>;
}

/**
 * Does the first thing in a session. Where the password must be changed before, does that, and the first
 * thing then in a session of its own; the first one is closed whenever it is of no more use.
 * @throws PrepError `password-expired` where nothing may be changed, `new-password-refused`, and what `first` raises
 */
export async function pastExpiry<S extends Session, T>(
  session: S,
  first: (session: S) => Promise<T>,
  { password, newPassword, logIn }: Renewal<S>,
): Promise<{ readonly session: S; readonly result: T }> {
  try {
    return { session, result: await first(session) };
  } catch (error) {
    try {
      if (!isExpired(error)) throw error;
      if (newPassword === undefined) throw new PrepError({ code: 'password-expired' }, error);
      const current = await password.obtain(`${session.label}'s current password:`);
      await changeExpired(session, current, newPassword);
      if (newPassword.chosen !== undefined) password.renew(newPassword.chosen);
    } finally {
      session.close();
    }
  }
  const again = await logIn();
  try {
    return { session: again, result: await first(again) };
  } catch (error) {
    again.close();
    throw error;
  }
}

/** Why a session does nothing at all, where its password has expired: sshd says so only to a command. */
export async function expiryOf(session: Session): Promise<PrepError | undefined> {
  const channel = await session.exec('true');
  let said = '';
  for (const stream of [channel.stdout, channel.stderr]) {
    stream.on('data', (data: Buffer) => (said = (said + data.toString('utf8')).slice(-2000)));
  }
  const timer = setTimeout(() => channel.close(), PATIENCE);
  await channel.exit;
  clearTimeout(timer);
  if (!EXPIRED.test(said)) return undefined;
  return new PrepError({ code: 'no-shell', said: printable(said.trim()) });
}

/**
 * Changes a password that must be changed at first login: on a terminal, sshd runs passwd(1) whatever
 * was asked for, and hangs up afterwards.
 * @throws PrepError `new-password-refused`, and what asking for a new one raises
 */
async function changeExpired(session: Session, current: Secret, next: NewPassword): Promise<void> {
  const pty = { term: 'dumb', columns: 80, rows: 24 };
  const channel = await session.exec('true', pty);
  let timer: NodeJS.Timeout | undefined;
  const wait = (): void => {
    clearTimeout(timer);
    timer = setTimeout(() => channel.close(), PATIENCE);
  };
  const dialogue = new Dialogue(current, next, (line) => {
    wait();
    channel.stdin.write(`${line}\n`);
  });
  wait();
  channel.stderr.resume();
  channel.stdout.on('data', (data: Buffer) => {
    wait();
    // A person may take as long as it takes to invent a password.
    if (dialogue.hear(data.toString('utf8'), () => channel.close())) clearTimeout(timer);
  });
  const exit = await channel.exit;
  clearTimeout(timer);
  if (dialogue.failure !== undefined) throw dialogue.failure;
  if (exit.kind === 'status' && exit.status === 0) return;
  throw new PrepError({ code: 'new-password-refused', said: dialogue.lastLine });
}

/** passwd's questions: the current password, the new one, and that again. One asked a second time was refused. */
class Dialogue {
  readonly #current: Secret;
  readonly #next: NewPassword;
  readonly #say: (line: string) => void;
  #heard = '';
  #answering = false;
  failure: unknown;

  constructor(current: Secret, next: NewPassword, say: (line: string) => void) {
    this.#current = current;
    this.#next = next;
    this.#say = say;
  }

  /** The last whole line that was no question: why passwd gave up. */
  get lastLine(): string {
    const lines = this.#heard
      .split('\n')
      .filter((line) => line.trim() !== '' && !/: *$/.test(line));
    return printable(lines.at(-1)?.trim() ?? '');
  }

  /** Takes what passwd said next, and answers its question if it is one. Whether it waits for us now. */
  hear(text: string, hangUp: () => void): boolean {
    this.#heard += text.replaceAll('\r', '');
    const question = /[^\n]*password[^\n]*: *$/i.exec(this.#heard)?.[0];
    if (question === undefined) return this.#answering;
    const said = this.lastLine;
    this.#heard = '';
    this.#answering = true;
    this.#answer(question, said)
      .finally(() => (this.#answering = false))
      .then(
        (secret) => this.#say(secret.reveal()),
        (error: unknown) => {
          this.failure = error;
          hangUp();
        },
      );
    return true;
  }

  #answer(question: string, said: string): Promise<Secret> {
    return isForNew(question) ? this.#next.answer(question, said) : Promise.resolve(this.#current);
  }
}

/** `New password:`, `Retype new password:`, `Re-enter ...`. */
function isForNew(question: string): boolean {
  return /new|retype|re-?enter|again|repeat/i.test(question);
}
