import type { LoginShellChange } from '../core/plan.ts';
import { printable } from '../core/printable.ts';
import { problemOf, type Problem } from '../core/problem.ts';
import type { Secret } from '../core/secret.ts';
import type { Session } from '../ssh/session.ts';
import { shellCommand } from './program-calls.ts';

/** chsh's question for the account's password, in the C locale: PAM's, shadow's and BSD's. */
const PASSWORD_PROMPT = /password[^:\n]*: *$/i;

/** Listens to one chsh and answers its one question; another question is not ours to answer. */
export class Chsh {
  readonly #change: LoginShellChange;
  readonly #password: Secret | undefined;
  #said = '';
  #heardUpTo = 0;
  #answered = 0;
  #failed = false;

  constructor(change: LoginShellChange, password: Secret | undefined) {
    this.#change = change;
    this.#password = password;
  }

  /** Takes all that chsh has said so far; `reply` writes a line to it. */
  hear(text: string, reply: (line: string) => void): void {
    this.#said = text;
    if (!PASSWORD_PROMPT.test(text.slice(this.#heardUpTo))) return;
    this.#heardUpTo = text.length;
    this.#answered++;
    // A second question means that the first answer was wrong: an empty line ends it.
    reply(this.#answered === 1 ? (this.#password?.reveal() ?? '') : '');
  }

  /** Says that chsh ended without success. */
  fail(): void {
    this.#failed = true;
  }

  /** Whether chsh gave up without asking anything: it may want a terminal. */
  get needsTerminal(): boolean {
    return this.#failed && this.#answered === 0 && this.#change.as === 'self';
  }

  /** What went wrong, once it failed. */
  problem(): Problem {
    const tool = this.#change.by;
    const last =
      this.#said
        .replace(/password[^:\n]*: */gi, '')
        .trim()
        .split('\n')
        .at(-1) ?? '';
    const wrong = last === '' || /authentication (failure|error|token)|incorrect|wrong/i.test(last);
    if (this.#answered > 0 && wrong) return { code: 'chsh-wrong-password', tool };
    return { code: 'chsh-refused', tool, said: printable(last) };
  }
}

/** How long a question on the terminal may take to come, in milliseconds. */
const PATIENCE = 30_000;

/**
 * Runs chsh on a terminal of its own, for systems where it asks nobody else. The path of the shell comes
 * from /etc/shells and holds nothing that any login shell would take apart.
 */
export async function changeOnTerminal(
  session: Session,
  change: LoginShellChange,
  password: Secret | undefined,
): Promise<Problem | undefined> {
  if (!/^[\w/.+-]+$/.test(change.after)) {
    return { code: 'chsh-refused', tool: change.by, said: 'the shell has an unusual path' };
  }
  const chsh = new Chsh(change, password);
  const pty = { term: 'dumb', columns: 80, rows: 24 };
  let channel;
  try {
    channel = await session.exec(`env LC_ALL=C ${shellCommand(change)}`, pty);
  } catch (error) {
    const problem = problemOf(error);
    if (problem.code !== 'no-shell') throw error;
    // PermitTTY, MaxSessions.
    const said = `it wants a terminal, which the server does not give: ${problem.said}`;
    return { code: 'chsh-refused', tool: change.by, said };
  }
  let said = '';
  const timer = setTimeout(() => channel.close(), PATIENCE);
  channel.stderr.resume();
  channel.stdout.on('data', (data: Buffer) => {
    said += data.toString('latin1').replaceAll('\r', '');
    chsh.hear(said, (line) => channel.stdin.write(`${line}\n`));
  });
  const exit = await channel.exit;
  clearTimeout(timer);
  if (exit.kind === 'status' && exit.status === 0) return undefined;
  chsh.fail();
  return chsh.problem();
}
