import type { Destination } from '../core/destination.ts';
import type { Outcome, Report, StepReport } from '../core/event.ts';
import { entryAt, same, type Facts } from '../core/facts.ts';
import { changesOf, reasonOf, rehearse, type Plan, type PlannedStep } from '../core/plan.ts';
import { printablePath } from '../core/printable.ts';
import { explain, type Problem } from '../core/problem.ts';
import { runFolder } from '../remote/journal.ts';
import type { World } from './world.ts';

/** What came of a plan. */
export interface CarriedOut {
  readonly destination: Destination;
  readonly steps: readonly StepReport[];
  readonly outcomes: readonly Outcome[];
  readonly facts?: Facts;
  readonly run: string;
  /** What stands there now and was not predicted. */
  readonly problem?: Problem;
}

/** The report of an account whose plan was shown and nothing more. */
export function planned(world: World, plan: Plan): Report {
  world.observe({ type: 'plan', destination: plan.destination, plan, next: 'end' });
  const steps = plan.steps.map((step) => stepReport(step, undefined));
  const status = changesOf(plan).length > 0 ? 'planned' : 'unchanged';
  return { destination: plan.destination, status, steps, verified: 'not tried' };
}

/** The report of an account whose plan was carried out. */
export function reportOf(
  plan: Plan,
  { steps, outcomes, run, problem }: CarriedOut,
  verified: boolean | 'not tried',
  trouble?: Problem,
): Report {
  const failed = steps.some(({ status }) => status === 'failed' || status === 'blocked');
  const changed = outcomes.some(({ result }) => result === 'done');
  const worst = trouble ?? problem;
  const status = failed || worst !== undefined ? 'failed' : changed ? 'changed' : 'unchanged';
  return {
    destination: plan.destination,
    status,
    steps,
    verified,
    access: plan.facts.account.access,
    ...(changed && { run: runFolder(run) }),
    ...(worst !== undefined && { problem: worst }),
  };
}

/** What became of one step; without outcomes, what would. */
export function stepReport(
  step: PlannedStep,
  outcomes: readonly Outcome[] | undefined,
): StepReport {
  const { name, verdict } = step;
  if (verdict.kind !== 'changes') {
    const status = verdict.kind === 'settled' ? 'unchanged' : 'blocked';
    return { name, status, reason: reasonOf(verdict), changes: [] };
  }
  const { changes, except } = verdict;
  const reason = reasonOf(verdict);
  if (outcomes === undefined) {
    return { name, status: except === undefined ? 'planned' : 'blocked', reason, changes };
  }
  const mine = new Set(changes);
  const failed = outcomes.filter(
    (outcome) => outcome.result !== 'done' && mine.has(outcome.change),
  );
  const sentences = failed.flatMap((outcome) =>
    outcome.result === 'done' ? [] : [explain(outcome.problem).sentence],
  );
  if (failed.length > 0)
    return { name, status: 'failed', reason: [...new Set(sentences)].join('; '), changes };
  return { name, status: except === undefined ? 'changed' : 'blocked', reason, changes };
}

/** Compares what stands there with what was predicted, as far as the changes were made. */
export function surprise(
  plan: Plan,
  outcomes: readonly Outcome[],
  facts: Facts,
): Problem | undefined {
  const done = outcomes.filter(({ result }) => result === 'done').map(({ change }) => change);
  const expected = rehearse(plan.facts, ...done);
  const paths = new Set<string>();
  for (const change of done) {
    if (change.what === 'login-shell') {
      if (facts.account.loginShell !== expected.account.loginShell) paths.add('the login shell');
    } else if (change.what === 'command') {
      change.provides
        .filter((name) => !facts.system.tools.has(name))
        .forEach((name) => paths.add(name));
    } else if (!same(entryAt(facts, change.path), entryAt(expected, change.path))) {
      paths.add(printablePath(change.path));
    }
  }
  return paths.size === 0 ? undefined : { code: 'not-as-predicted', paths: [...paths] };
}
