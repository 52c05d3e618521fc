import type { Destination } from '../core/destination.ts';
import type { Report } from '../core/event.ts';
import { changesOf, invert, makePlan, readingsOf, type Desired, type Plan } from '../core/plan.ts';
import { explain, problemOf, type Problem } from '../core/problem.ts';
import { readDotfiles } from '../local/dotfiles.ts';
import { writeKeyPair } from '../local/key-pair.ts';
import { chooseKeys, type ChosenKeys } from '../local/keys.ts';
import { LoginKey } from '../ssh/login-key.ts';
import type { Session } from '../ssh/session.ts';
import { agentsFor, loginKey } from './login-keys.ts';
import { carryOut, confirmed, planned, reportOf, type CarriedOut } from './carry-out.ts';
import { consider } from './fallback.ts';
import { reach, type Reached } from './reach.ts';
import { beginTrial, refusal, type Trial } from './verify.ts';
import type { World } from './world.ts';

/** The desired state, put together once for all accounts. */
export interface Preparation {
  readonly desired: Desired;
  readonly keys: readonly LoginKey[];
  /** A key pair that was wished for and is written when the first real run begins. */
  readonly chosen: ChosenKeys;
}

/** Reads this machine's half of the job, for all destinations: keys and dotfiles. @throws PrepError */
export async function gather(
  world: World,
  destinations: readonly Destination[],
): Promise<Preparation> {
  const { wishes, home } = world;
  const names = new Set(world.steps.map(({ name }) => name));
  const chosen: ChosenKeys =
    names.has('authorized-keys') || wishes.identities.length > 0
      ? await chooseKeys({
          identities: wishes.identities,
          home,
          prompter: world.prompter,
          agents: () => agentsFor(world, destinations),
        })
      : { keys: [] };
  const dotfiles = names.has('dotfiles')
    ? await readDotfiles({
        home,
        packageDir: world.packageDotfiles,
        ...(wishes.dotfiles !== undefined && { dir: wishes.dotfiles }),
      })
    : [];
  const desired = {
    keys: chosen.keys.map(({ key }) => key),
    dotfiles,
    loginShell: wishes.shell,
    shellFallback: wishes.shellFallback,
  };
  return { desired, chosen, keys: loginKeys(chosen) };
}

/** The chosen keys as keys to log in with, their private halves wherever they are. */
function loginKeys({ keys, toMake }: ChosenKeys): LoginKey[] {
  return keys.map((key) =>
    toMake === undefined
      ? loginKey(key, {})
      : new LoginKey(key.key, {
          text: toMake.pair.privateText,
          passphrase: toMake.pair.passphrase,
        }),
  );
}

/** Prepares one account, and says what came of it. Never rejects for what goes wrong there. */
export async function prepare(
  world: World,
  destination: Destination,
  preparation: Preparation,
): Promise<Report> {
  const { desired, keys } = preparation;
  // A key that was only just made is known nowhere yet.
  const known = preparation.chosen.toMake === undefined ? keys : [];
  const wanted = readingsOf(world.steps, desired);
  const first = await reach(world, { destination, keys: known, readings: wanted });
  try {
    const straight = makePlan(destination, first.facts, desired, world.steps);
    const { plan, reached, readings } = await consider(
      world,
      { plan: straight, reached: first, readings: wanted },
      { desired, mayAsk: world.attended && !world.wishes.yes && !world.wishes.dryRun },
    );
    if (world.wishes.dryRun) return planned(world, plan);
    await reached.remember();
    if (changesOf(plan).length === 0) return nothingToDo(world, plan, reached, keys);
    const agreed = await confirmed(world, plan, reached);
    await writePair(preparation);
    const trial = await trialFor(world, agreed, reached, keys);
    const done = await carryOut(world, agreed, reached, readings);
    return await proven(world, agreed, reached, done, trial);
  } finally {
    first.account.close();
    first.way.close();
  }
}

async function writePair({ chosen: { toMake } }: Preparation): Promise<void> {
  if (toMake !== undefined) await writeKeyPair(toMake.folder, toMake.pair);
}

function nothingToDo(
  world: World,
  plan: Plan,
  { session }: Reached,
  keys: readonly LoginKey[],
): Report {
  const { steps, ...report } = planned(world, plan);
  return { ...report, steps, verified: isProven(session, keys) ? true : 'not tried' };
}

/** Whether one of the keys to install was the way in: ssh_config may name others. */
function isProven({ key }: Session, keys: readonly LoginKey[]): boolean {
  return keys.some((one) => one.key.blob === key);
}

/** A key and the connection that will try it. */
interface KeyTrial {
  readonly key: LoginKey;
  readonly trial: Trial;
}

/**
 * A trial login is called for whenever something changed; but a session that was let in by the key
 * itself has proven it, as long as the login shell stays what it was.
 */
async function trialFor(
  world: World,
  plan: Plan,
  reached: Reached,
  keys: readonly LoginKey[],
): Promise<KeyTrial | 'not wanted' | 'proven'> {
  const changes = changesOf(plan);
  if (!world.wishes.verify || changes.length === 0) return 'not wanted';
  const shellChanges = changes.some(({ what }) => what === 'login-shell');
  if (isProven(reached.session, keys) && !shellChanges) return 'proven';
  const { agent } = reached.settings;
  const key = keys.map((one) => one.through(agent)).find(({ usable }) => usable);
  if (key === undefined || !(await key.unlock(world.prompter))) return 'not wanted';
  return { key, trial: beginTrial(world, reached, key) };
}

/** Logs in with the key alone; puts the login shell back where that fails. */
async function proven(
  world: World,
  plan: Plan,
  reached: Reached,
  done: CarriedOut,
  attempt: KeyTrial | 'not wanted' | 'proven',
): Promise<Report> {
  if (attempt === 'not wanted') return reportOf(plan, done, 'not tried');
  if (attempt === 'proven') return reportOf(plan, done, true);
  if (!done.outcomes.some(({ result }) => result === 'done')) {
    attempt.trial.cancel();
    return reportOf(plan, done, 'not tried');
  }
  try {
    const proof = await attempt.trial.go();
    world.observe({ type: 'verified', destination: plan.destination, ...proof });
    return reportOf(plan, done, true, otherShell(done, proof.loginShell));
  } catch (error) {
    const problem = problemOf(error);
    if (problem.code === 'key-not-enough') {
      const text = explain(problem).sentence;
      world.observe({ type: 'notice', destination: plan.destination, text });
      return reportOf(plan, done, 'not tried');
    }
    const trouble = await explainRefusal(error, reached, done, attempt.key);
    await putShellBack(world, reached, done);
    return reportOf(plan, done, false, trouble);
  }
}

/** A directory service may still hand out the old login shell from its cache. */
function otherShell({ outcomes }: CarriedOut, loginShell: string | undefined): Problem | undefined {
  const changed = outcomes.find(
    ({ change, result }) => change.what === 'login-shell' && result === 'done',
  );
  if (changed === undefined || changed.change.after === loginShell) return undefined;
  return { code: 'not-as-predicted', paths: ['the login shell of the trial login'] };
}

async function explainRefusal(
  error: unknown,
  { account, facts }: Reached,
  done: CarriedOut,
  key: LoginKey,
): Promise<Problem> {
  try {
    return refusal(error, done.facts ?? facts, await account.evidence(), key);
  } catch {
    return problemOf(error);
  }
}

async function putShellBack(
  world: World,
  { account, password }: Reached,
  done: CarriedOut,
): Promise<void> {
  const changed = done.outcomes.find(
    ({ change, result }) => change.what === 'login-shell' && result === 'done',
  );
  if (changed === undefined) return;
  const back = invert(changed.change, 'the trial login failed');
  const { outcomes } = await account.apply([back], {
    run: done.run,
    readings: [],
    stepOf: () => 'login-shell',
    ...(password.known !== undefined && { password: password.known }),
  });
  const text =
    outcomes[0]?.result === 'done'
      ? `the login shell was put back to ${changed.change.before as string}`
      : `the login shell could not be put back; run there: chsh -s ${changed.change.before as string}`;
  world.observe({ type: 'notice', destination: done.destination, text });
}
