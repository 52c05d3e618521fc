import { optionNames } from '../core/authorized-key.ts';
import type { Facts } from '../core/facts.ts';
import { printable } from '../core/printable.ts';
import { PrepError, problemOf } from '../core/problem.ts';
import { nobody } from '../core/unattended.ts';
import type { Access } from '../ssh/access.ts';
import { connect } from '../ssh/connect.ts';
import type { LoginKey } from '../ssh/login-key.ts';
import { Password } from '../ssh/password.ts';
import type { Session } from '../ssh/session.ts';
import { optionsOf } from './key-lines.ts';
import type { OpenSshWay } from './openssh-way.ts';
import type { Reached } from './reach.ts';
import type { World } from './world.ts';

/** What a trial login showed. */
export interface Proof {
  /** None where the account lets in SFTP alone, or the key runs a command of its own there. */
  readonly loginShell?: string;
  /** Whether it is one command alone that the key is for. */
  readonly forced?: boolean;
  /** Whether the server wanted the password besides the key. */
  readonly withPassword: boolean;
}

/** A trial login under way: connected and its keys exchanged, but not logged in until `go`. */
export interface Trial {
  /**
   * Logs in now, with the key alone (and the password, where the server wants it besides). Called again, it gives the
   * same proof.
   * @throws PrepError `key-not-enough` where the server takes the key and wants something else too
   */
  go(): Promise<Proof>;
  /** Never mind. */
  cancel(): void;
}

/** Marks the answer, in case a start-up file talks. Every login shell runs this; tcsh would take a colon behind the name amiss. */
const COMMAND = 'echo prep-trial:$SHELL';

/** How long a login shell may take over that, in milliseconds. */
const PATIENCE = 30_000;

/** How much is kept of what a start-up file prints, which may have no end: more than the answer takes. */
const NOISE = 4096;

/**
 * Dials for a trial login while the account is still being changed. Only logging in waits: sshd reads
 * the passwd entry at the first login request, so an earlier one would prove the old login shell.
 */
export function beginTrial(world: World, reached: Reached, key: LoginKey): Trial {
  if (reached.openssh !== undefined) return trialOf(reached.openssh, reached, key);
  const { settings, judge, way, facts } = reached;
  const how = seenOf(facts, key);
  let open = (): void => undefined;
  const loginWhen = new Promise<void>((resolve) => (open = resolve));
  const giveUp = new AbortController();
  const access = trialAccess(world, reached, key);
  const dial = (): Promise<Session> =>
    connect(settings, access, judge, {
      route: way.route,
      ...(how === 'shell' && { first: COMMAND }),
      loginWhen,
      signal: giveUp.signal,
    });
  const session = dial();
  let lost = false;
  session.catch(() => (lost = true));
  const proof = async (): Promise<Proof> => {
    open();
    // A server has no patience with those who do not log in (LoginGraceTime), and changes may take long.
    if (lost) return proofOf(dial(), how);
    try {
      return await proofOf(session, how);
    } catch (error) {
      // It may have been started again in the meantime.
      if (!isBroken(error)) throw error;
      return proofOf(dial(), how);
    }
  };
  return { go: once(proof), cancel: () => giveUp.abort() };
}

/** Nobody may be waiting for it yet when it fails. */
function once<T>(begin: () => Promise<T>): () => Promise<T> {
  let begun: Promise<T> | undefined;
  return () => {
    if (begun === undefined) {
      begun = begin();
      begun.catch(() => undefined);
    }
    return begun;
  };
}

/** The key, and the password where it is known: a server may want both. Nobody is asked. */
function trialAccess(
  world: World,
  { settings, session, password }: Reached,
  key: LoginKey,
): Access {
  const { destination, user } = settings;
  const { known } = password;
  return {
    user,
    keys: [key],
    // Where both were wanted the first time, the password may have to come first.
    keyFirst: session.login !== 'key and more',
    ...(known !== undefined && { password: new Password('', nobody, known) }),
    prompter: nobody,
    note: (text) => world.observe({ type: 'note', destination, text: `trial login: ${text}` }),
  };
}

async function proofOf(entering: Promise<Session>, how: Seen): Promise<Proof> {
  const session = await entering.catch(asFarAsItGoes);
  const withPassword = session.login !== 'key';
  if (how === 'shell') return { loginShell: await shellOf(session), withPassword };
  if (how === 'sftp') await transfers(session);
  else session.close();
  return { withPassword, forced: how === 'nothing' };
}

/** What there is to see once the key has let in. */
type Seen = 'shell' | 'sftp' | 'nothing';

function seenOf(facts: Facts, key: LoginKey): Seen {
  return isForced(facts, key) ? 'nothing' : facts.account.access;
}

/** Whether authorized_keys lets the key run one command alone; it then runs that, whatever is asked for. */
function isForced(facts: Facts, { key }: LoginKey): boolean {
  return optionNames(optionsOf(facts, key) ?? '').includes('command=');
}

/** An account for file transfer alone has let the key in when SFTP answers. */
async function transfers(session: Session): Promise<void> {
  try {
    const sftp = await session.sftp();
    if (sftp === undefined) throw new PrepError({ code: 'no-shell', said: '' });
  } finally {
    session.close();
  }
}

/** A server that offers nothing did not answer: the connection broke while the key was on its way. */
function isBroken(error: unknown): boolean {
  const problem = problemOf(error);
  if (problem.code === 'password-not-offered') return problem.offers.length === 0;
  return problem.code === 'hung-up' || problem.code === 'connection-lost';
}

/** A server that asks for more has taken the key. */
function asFarAsItGoes(error: unknown): never {
  const problem = problemOf(error);
  if (problem.code === 'needs-an-answer') {
    throw new PrepError({ code: 'key-not-enough', wants: problem.question }, error);
  }
  if (problem.code === 'wrong-password') {
    throw new PrepError({ code: 'key-not-enough', wants: 'password' }, error);
  }
  if (problem.code === 'password-not-offered' && problem.accepted.includes('publickey')) {
    throw new PrepError({ code: 'key-not-enough', wants: problem.offers.join(', ') }, error);
  }
  throw error;
}

/** The same through OpenSSH, which cannot be made to wait between dialling and logging in. */
function trialOf(openssh: OpenSshWay, { judge, facts }: Reached, key: LoginKey): Trial {
  const how = seenOf(facts, key);
  return {
    go: once(() => proofOf(openssh.open(judge, { keys: [key], keyAlone: true }), how)),
    cancel: () => undefined,
  };
}

async function shellOf(session: Session): Promise<string> {
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    session.close();
  }, PATIENCE);
  try {
    const channel = await session.exec(COMMAND);
    let said = '';
    channel.stderr.resume();
    // For a start-up file that reads its standard input, or makes way for another shell, which then reads it.
    channel.stdin.on('error', () => undefined).end(`${COMMAND}\n`);
    for await (const data of channel.stdout) {
      said = `${said}${String(data)}`.slice(-NOISE);
      const [, shell] = /prep-trial:([^\r\n]*)\r?\n/.exec(said) ?? [];
      if (shell !== undefined) return shell;
    }
    if (late) throw new PrepError({ code: 'no-answer-from-shell', seconds: PATIENCE / 1000 });
    const { kind } = await channel.exit;
    if (kind === 'lost') throw new PrepError({ code: 'connection-lost', certain: 0, uncertain: 0 });
    const last = printable(said.trim().split('\n').at(-1) ?? '');
    throw new PrepError({ code: 'no-shell', said: last });
  } finally {
    clearTimeout(timer);
    session.close();
  }
}
