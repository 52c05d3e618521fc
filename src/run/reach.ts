import { stat } from 'node:fs/promises';
import type { Destination } from '../core/destination.ts';
import type { Facts, Reading } from '../core/facts.ts';
import { explain, PrepError, problemOf } from '../core/problem.ts';
import { ShellAccount, prepareProbe } from '../remote/shell-account.ts';
import type { Access } from '../ssh/authenticate.ts';
import { connect } from '../ssh/connect.ts';
import { HostKeyJudge } from '../ssh/host-key.ts';
import type { LoginKey } from '../ssh/login-key.ts';
import { Password } from '../ssh/password.ts';
import type { Session } from '../ssh/session.ts';
import type { Settings } from '../ssh/settings.ts';
import { wayTo, type Way } from './route.ts';
import type { World } from './world.ts';

/** An account that prep has logged in to, and what it read there. */
export interface Reached {
  readonly settings: Settings;
  readonly judge: HostKeyJudge;
  readonly password: Password;
  readonly session: Session;
  readonly account: ShellAccount;
  readonly facts: Facts;
  readonly way: Way;
  /** What can be undone on this machine is done only now that the run is known to be a real one. */
  readonly remember: () => Promise<void>;
}

/** What to read first. */
export interface Reaching {
  readonly destination: Destination;
  readonly keys: readonly LoginKey[];
  readonly readings: readonly Reading[];
}

/** Logs in and reads the account. @throws PrepError with whatever is in the way */
export async function reach(world: World, reaching: Reaching): Promise<Reached> {
  const { destination, readings } = reaching;
  const settings = await world.settings(destination);
  const judge = await HostKeyJudge.read(settings, world.prompter);
  const password = new Password(`${settings.label}'s password:`, world.prompter, world.password);
  const way = wayTo(world, settings);
  const master = await liveMaster(world, settings);
  const probe = { readings, loginShell: world.wishes.shell };
  const opening = prepareProbe(probe);
  const logIn = (): Promise<Session> => {
    const access = accessFor(world, settings, reaching, password);
    const banner = (text: string): void => world.observe({ type: 'banner', destination, text });
    return connect(settings, access, judge, { first: opening.command, banner, route: way.route });
  };
  const session = await Promise.resolve(master ?? logIn()).catch((error: unknown) => {
    way.close();
    throw error;
  });
  try {
    const { account, facts } = await ShellAccount.open(session, probe, opening);
    const remember = async (): Promise<void> => {
      await way.remember();
      await rememberHostKey(world, destination, judge);
    };
    return { settings, judge, password, session, account, facts, way, remember };
  } catch (error) {
    session.close();
    way.close();
    throw error;
  }
}

/** A control master that is alive already: then nobody logs in again. One named with -S must be alive. */
async function liveMaster(
  { observe }: World,
  { controlPath, destination, ...settings }: Settings,
): Promise<Session | undefined> {
  if (controlPath === undefined) return undefined;
  const { socket, required } = controlPath;
  const isSocket = await stat(socket).then(
    (found) => found.isSocket(),
    () => false,
  );
  if (!isSocket && !required) return undefined;
  try {
    const { attach } = await import('../ssh/control-master.ts');
    const session = await attach(socket, { ...settings, destination });
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

function accessFor(
  world: World,
  settings: Settings,
  { destination, keys }: Reaching,
  password: Password,
): Access {
  const usable = keys.filter((key) => key.usable);
  if (!world.attended && world.password === undefined && usable.length === 0) {
    throw new PrepError({
      code: 'needs-an-answer',
      question: `${settings.label}'s password`,
      flag: 'give it with --password-file or PREP_PASSWORD',
    });
  }
  const note = (text: string): void => world.observe({ type: 'note', destination, text });
  return { user: settings.user, keys: usable, password, prompter: world.prompter, note };
}

async function rememberHostKey(
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
