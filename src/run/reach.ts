import { stat } from 'node:fs/promises';
import type { Destination } from '../core/destination.ts';
import type { Facts, Reading } from '../core/facts.ts';
import { printable } from '../core/printable.ts';
import { explain, problemOf, type Problem } from '../core/problem.ts';
import { pastExpiry } from '../ssh/expired-password.ts';
import type { Account } from '../remote/account.ts';
import type { Holder } from '../remote/lock.ts';
import { openAccount } from '../remote/open-account.ts';
import { prepareProbe } from '../remote/shell-account.ts';
import { HostKeyJudge } from '../ssh/host-key.ts';
import type { LoginKey } from '../ssh/login-key.ts';
import { NewPassword, type Password } from '../ssh/password.ts';
import type { Session } from '../ssh/session.ts';
import type { Settings } from '../ssh/settings.ts';
import { passwordFor } from './access.ts';
import type { OpenSshWay } from './openssh-way.ts';
import type { Way } from './route.ts';
import { Ways } from './ways.ts';
import type { World } from './world.ts';

/** An account that prep has logged in to, and what it read there. */
export interface Reached {
  readonly settings: Settings;
  readonly judge: HostKeyJudge;
  readonly password: Password;
  readonly session: Session;
  readonly account: Account;
  readonly facts: Facts;
  readonly way: Way;
  /** How OpenSSH goes there, where it is who speaks SSH. */
  readonly openssh?: OpenSshWay;
  /** What can be undone on this machine is done only now that the run is known to be a real one. */
  readonly remember: () => Promise<void>;
}

/** What to read first. */
export interface Reaching {
  readonly destination: Destination;
  /** The keys to try first, or those that usually let the user in. */
  readonly keys: readonly LoginKey[] | 'usual';
  readonly readings: readonly Reading[];
  /** Programs that steps ask for. */
  readonly programs?: readonly string[];
}

/** Logs in and reads the account. @throws PrepError with whatever is in the way */
export async function reach(world: World, reaching: Reaching): Promise<Reached> {
  const { destination, readings, programs = [] } = reaching;
  const settings = await world.settings(destination);
  const judge = await HostKeyJudge.read(settings, world.prompter);
  const password = passwordFor(world, settings, world.password);
  const master = await liveMaster(world, settings);
  const probe = { readings, loginShell: world.wishes.shell, programs, user: settings.user };
  const opening = prepareProbe(probe);
  const mayChange = !world.wishes.dryRun;
  const newPassword = new NewPassword(settings.label, world.prompter, world.newPassword);
  const secrets = { password, ...(mayChange && { newPassword }) };
  const ways = new Ways(world, reaching, settings, judge, secrets);
  let login: Session['login'] = 'none';
  const logIn = async (): Promise<Session> => {
    const session = await ways.logIn(opening.command);
    login = session.login;
    return session;
  };
  const waiting = ({ since }: Holder): void => {
    const long = since === '' ? '' : ` since ${printable(since)}`;
    const text = `another run of prep has been at work there${long}; waiting for it to end`;
    world.observe({ type: 'notice', destination, text });
  };
  const open = (session: Session) => openAccount(session, probe, opening, waiting);
  try {
    const opened = async (by: Session) => pastExpiry(by, open, { ...secrets, logIn });
    const { session, result } = await opened(master ?? (await logIn())).catch(async (error) => {
      if (login !== 'key' || !mayBeForced(problemOf(error)) || !ways.giveUpKeys()) throw error;
      return opened(await logIn());
    });
    const remember = async (): Promise<void> => {
      await ways.way.remember();
      await rememberHostKey(world, destination, judge);
    };
    return { settings, judge, password, session, ...result, ...ways.taken, remember };
  } catch (error) {
    ways.way.close();
    throw error;
  }
}

/** Whether another command than prep's may have run, as authorized_keys has it for the key; nologin(8) says who it is. */
function mayBeForced(problem: Problem): boolean {
  return problem.code === 'no-shell' && !/account is .*not available/i.test(problem.said);
}

/** A control master that is alive already: then nobody logs in again. One named with -S must be alive. */
export async function liveMaster(
  { observe }: World,
  settings: Settings,
): Promise<Session | undefined> {
  const { controlPath, destination } = settings;
  if (controlPath === undefined) return undefined;
  const { socket, required } = controlPath;
  const isSocket = await stat(socket).then(
    (found) => found.isSocket(),
    () => false,
  );
  if (!isSocket && !required) return undefined;
  try {
    const { attach } = await import('../ssh/control-master.ts');
    const session = await attach(socket, settings);
    observe({ type: 'note', destination, text: `working over the control master at ${socket}` });
    return session;
  } catch (error) {
    if (required) throw error;
    observe({
      type: 'note',
      destination,
      text: `${explain(problemOf(error)).sentence}; logging in anew`,
    });
    return undefined;
  }
}

/** Writes down a host key that was accepted for the first time. */
export async function rememberHostKey(
  world: World,
  destination: Destination,
  judge: HostKeyJudge,
): Promise<void> {
  const remembered = await judge.remember();
  if (remembered === undefined) return;
  world.observe({
    type: 'note',
    destination,
    text: `remembered its host key in ${remembered.file}`,
  });
}
