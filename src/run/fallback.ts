import type { Outcome } from '../core/event.ts';
import type { Reading } from '../core/facts.ts';
import {
  makePlan,
  withInstead,
  type Desired,
  type EntryChange,
  type LoginShellChange,
  type Plan,
  type PlannedStep,
} from '../core/plan.ts';
import { readingsOf } from '../core/readings.ts';
import { printablePath } from '../core/printable.ts';
import type { Problem } from '../core/problem.ts';
import type { Reached } from './reach.ts';
import type { World } from './world.ts';

/** A plan, and what it was made from. */
export interface Considered {
  readonly plan: Plan;
  readonly reached: Reached;
  readonly readings: readonly Reading[];
}

/**
 * Where the login shell cannot be changed, looks at its rc file, at the cost of one round trip: whether the wanted
 * shell is started from there already, or could be, which a person who is there is asked about. @throws PrepError
 */
export async function consider(
  world: World,
  { plan, reached, readings: read }: Considered,
  { desired, mayAsk }: { readonly desired: Desired; readonly mayAsk: boolean },
): Promise<Considered> {
  const wish = { ...desired, shellFallback: true };
  const asIs = { plan, reached, readings: read };
  const step = plan.steps.find(({ verdict }) => verdict.kind === 'blocked' && verdict.fallback);
  if (step?.verdict.kind !== 'blocked') return asIs;
  const readings = readingsOf(world.steps, wish);
  const facts = await reached.account.probe(readings);
  const other = makePlan(plan.destination, facts, wish, world.steps);
  const found = { plan: other, reached: { ...reached, facts }, readings };
  const { verdict } = other.steps.find(({ name }) => name === step.name)!;
  if (verdict.kind !== 'changes') return found;
  if (!mayAsk) return asIs;
  const change = verdict.changes.at(-1);
  if (change?.what !== 'entry') return asIs;
  const how = `Start ${change.starts ?? desired.loginShell} from ${printablePath(change.path)}`;
  const question = `${how} at interactive logins to ${reached.settings.label}, as the login shell cannot be changed?`;
  const asks = { question, declined: step.verdict.because };
  const steps = other.steps.map((one): PlannedStep =>
    one.verdict === verdict ? { ...one, verdict: { ...verdict, asks } } : one,
  );
  return { ...found, plan: { ...other, steps } };
}

/** A change of the login shell that was refused, and what the user wants done instead. */
export interface Refused {
  readonly change: LoginShellChange;
  readonly instead: readonly EntryChange[];
  readonly problem: Problem;
}

/** Whether a change of the login shell was refused that has another way. */
export function refused(outcome: Outcome): Refused | undefined {
  const { change } = outcome;
  if (change.what !== 'login-shell' || change.otherwise === undefined) return undefined;
  if (outcome.result === 'done') return undefined;
  const { problem } = outcome;
  const byChsh = problem.code === 'chsh-refused' || problem.code === 'chsh-wrong-password';
  return byChsh ? { change, instead: change.otherwise, problem } : undefined;
}

/** The plan that goes the other way, and why in words. */
export function insteadOf(plan: Plan, { change, instead, problem }: Refused): [Plan, string] {
  const said = problem.code === 'chsh-refused' && problem.said !== '' ? ` (${problem.said})` : '';
  const text = `${change.by} refused to change the login shell${said}; ${change.after} is started from ${printablePath(instead.at(-1)!.path)} instead`;
  return [withInstead(plan, change, instead), text];
}
