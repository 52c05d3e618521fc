import type { Duplex } from 'node:stream';
import { PrepError } from '../core/problem.ts';
import type { Access } from './access.ts';
import { algorithmsToOffer } from './algorithms.ts';
import { attempted } from './attempts.ts';
import { FreshConnection, Login } from './authenticate.ts';
import { Connection, WrongGuess, type ConnectOptions } from './connection.ts';
import type { HostKeyJudge } from './host-key.ts';
import { directly } from './route.ts';
import type { Settings } from './settings.ts';
import type { Ssh2Session } from './ssh2-session.ts';

/** Servers that have no use for the key exchange that is guessed. */
const guessedWrong = new WeakSet<Settings>();

/** How many connections one login may take: each must have got further than the one before. */
const CONNECTIONS = 6;

/**
 * Opens one authenticated connection. A server that hangs up between two tries (MaxAuthTries,
 * LoginGraceTime) is dialled again; what was tried is not tried twice.
 * @throws PrepError with what went wrong on the way, or what the person answered
 */
export async function connect(
  settings: Settings,
  access: Access,
  judge: HostKeyJudge,
  options: ConnectOptions = {},
): Promise<Ssh2Session> {
  const algorithms = algorithmsToOffer(settings.algorithms);
  let connection: Connection | undefined;
  const login = new Login(access, () => connection?.sendFirst());
  const open = async (now: ConnectOptions): Promise<Ssh2Session> => {
    const wire = await unlessAborted((now.route ?? directly)(settings), now.signal);
    const wired = { ...now, wire, algorithms, guess: !guessedWrong.has(settings) };
    connection = new Connection(settings, access, judge, login, wired);
    try {
      return await connection.open();
    } catch (error) {
      if (!(error instanceof WrongGuess)) throw error;
      access.note('the server wants another key exchange; connecting again');
      guessedWrong.add(settings);
      return open(now);
    }
  };
  const persistent = (now: ConnectOptions): Promise<Ssh2Session> =>
    attempted(settings, () => open(now), access.note);
  // Hosts on the way ask first.
  const straight = options.route === undefined || options.route === directly;
  if (straight && judge.expectsNoQuestion) login.askMeanwhile();
  try {
    return await openAtLast(login, access, options, persistent);
  } catch (error) {
    access.password?.withdraw(error);
    throw error;
  }
}

/** What is on the way may take long, as a host that is logged in to does. @throws PrepError `interrupted` */
async function unlessAborted(
  route: Duplex | Promise<Duplex>,
  signal: AbortSignal | undefined,
): Promise<Duplex> {
  if (signal === undefined) return route;
  const wire = Promise.resolve(route);
  const aborted = new Promise<never>((_, reject) => {
    const giveUp = (): void => {
      wire.then((late) => late.destroy()).catch(() => undefined);
      reject(new PrepError({ code: 'interrupted' }));
    };
    if (signal.aborted) giveUp();
    else signal.addEventListener('abort', giveUp, { once: true });
  });
  return Promise.race([aborted, wire]);
}

async function openAtLast(
  login: Login,
  { note }: Access,
  options: ConnectOptions,
  open: (options: ConnectOptions) => Promise<Ssh2Session>,
): Promise<Ssh2Session> {
  for (let count = 1; ; count++) {
    const progress = login.progress;
    try {
      return await open(count === 1 ? options : rest(options));
    } catch (error) {
      if (!(error instanceof PrepError) || error.problem.code !== 'hung-up') throw error;
      if (login.progress === progress || count === CONNECTIONS) throw error;
      const { said } = error.problem;
      if (!login.mayGoOn(said)) throw new PrepError({ code: 'login-cut-off', said }, error);
      const fresh = error instanceof FreshConnection;
      note(
        `${fresh ? 'the next method wants a fresh connection' : 'the server hung up'}; connecting again`,
      );
    }
  }
}

function rest(options: ConnectOptions): ConnectOptions {
  const { first: _, ...others } = options;
  return others;
}
