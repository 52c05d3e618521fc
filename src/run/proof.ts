import { keyFingerprint } from '../core/authorized-key.ts';
import type { Facts } from '../core/facts.ts';
import { changesOf, type Plan } from '../core/plan.ts';
import { explain, problemOf, type Problem } from '../core/problem.ts';
import type { LoginKey } from '../ssh/login-key.ts';
import type { Session } from '../ssh/session.ts';
import type { Reached } from './reach.ts';
import { refusal } from './refusal.ts';
import { beginTrial, type Trial } from './verify.ts';
import type { World } from './world.ts';

/** Whether one of the keys to install was the way in: ssh_config may name others. */
export function isProven({ key }: Session, keys: readonly LoginKey[]): boolean {
  return keys.some((one) => keyFingerprint(one.key) === key);
}

/**
 * The key for the trial login, made ready. One is called for whenever something changes; but a session that
 * was let in by the key itself has proven it, as long as the login shell stays what it was.
 */
export async function proofFor(
  world: World,
  plan: Plan,
  reached: Reached,
  keys: readonly LoginKey[],
): Promise<LoginKey | 'not wanted' | 'proven'> {
  const changes = changesOf(plan);
  if (!world.wishes.verify || changes.length === 0) return 'not wanted';
  // Where the key could not be installed, there is nothing to prove.
  const keysStep = plan.steps.find(({ name }) => name === 'authorized-keys');
  if (keysStep?.verdict.kind === 'blocked') return 'not wanted';
  const shellChanges = changes.some(({ what }) => what === 'login-shell');
  if (isProven(reached.session, keys) && !shellChanges) return 'proven';
  const { agent } = reached.settings;
  const openssh = reached.openssh !== undefined;
  const key = keys
    .map((one) => one.through(agent))
    .find(({ usable, file }) => usable || (openssh && file !== undefined));
  if (key === undefined) return 'not wanted';
  // ssh opens it by itself, and asks if it must.
  return openssh || (await key.unlock(world.prompter)) ? key : 'not wanted';
}

/**
 * A key that authorized_keys has already and that did not let in all the same: a password did. Only one that can be
 * tried without asking anybody; undefined where there is none.
 */
export async function passedOver(
  { wishes }: World,
  plan: Plan,
  { session, settings }: Reached,
  keys: readonly LoginKey[],
): Promise<LoginKey | undefined> {
  const typed = session.login === 'password' || session.login === 'keyboard-interactive';
  if (!wishes.verify || !typed) return undefined;
  const keysStep = plan.steps.find(({ name }) => name === 'authorized-keys');
  if (keysStep?.verdict.kind !== 'settled') return undefined;
  const key = keys.map((one) => one.through(settings.agent)).find(({ usable }) => usable);
  return key !== undefined && (await key.isOpen()) ? key : undefined;
}

/** A key and the connection that will try it. */
export interface KeyTrial {
  readonly key: LoginKey;
  readonly trial: Trial;
}

/** Begins one. */
export function keyTrial(world: World, reached: Reached, key: LoginKey): KeyTrial {
  return { key, trial: beginTrial(world, reached, key) };
}

/** What a trial login came to. */
export interface Tried {
  readonly verified: boolean | 'not tried';
  /** The login shell that it was in, where that could be seen. */
  readonly loginShell?: string;
  /** Why the key does not let in. */
  readonly problem?: Problem;
}

/** Logs in with the key alone, and says what came of it; `facts` are the newest there are. */
export async function tryKey(
  { observe }: World,
  { key, trial }: KeyTrial,
  reached: Reached,
  facts: Facts = reached.facts,
): Promise<Tried> {
  const { destination } = reached.settings;
  try {
    const proof = await trial.go();
    observe({ type: 'verified', destination, ...proof });
    const { loginShell } = proof;
    return { verified: true, ...(loginShell !== undefined && { loginShell }) };
  } catch (error) {
    const problem = problemOf(error);
    if (problem.code === 'key-not-enough') {
      observe({ type: 'notice', destination, text: explain(problem).sentence });
      return { verified: 'not tried' };
    }
    return { verified: false, problem: await explained(error, reached, facts, key) };
  }
}

async function explained(
  error: unknown,
  { account }: Reached,
  facts: Facts,
  key: LoginKey,
): Promise<Problem> {
  const problem = problemOf(error);
  if (problem.code !== 'password-not-offered') return problem;
  try {
    return refusal(error, facts, await account.evidence(), key);
  } catch {
    return problem;
  }
}
