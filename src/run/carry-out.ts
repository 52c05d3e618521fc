import {
  changesOf,
  replaces,
  withInstead,
  withoutChanges,
  type Change,
  type LoginShellChange,
  type Plan,
  type PlannedStep,
} from '../core/plan.ts';
import { printablePath } from '../core/printable.ts';
import { problemOf } from '../core/problem.ts';
import type { Applied, Applying } from '../remote/account.ts';
import { nextRun } from '../remote/journal.ts';
import type { Reading } from '../core/facts.ts';
import { insteadOf, refused } from './fallback.ts';
import { stepReport, surprise, type CarriedOut } from './report.ts';
import type { Reached } from './reach.ts';
import type { World } from './world.ts';

/**
 * Asks what must be asked before a plan may be applied, and gives the plan that the answers leave. Without the password
 * that chsh wants, the rest of it is done; but a `whole` one, which could not be taken up again later, is not begun.
 */
export async function confirmed(
  world: World,
  plan: Plan,
  reached: Reached,
  extent: 'whole' | 'parts' = 'parts',
): Promise<Plan> {
  const replacing = changesOf(plan).filter(replaces);
  const asks = plan.steps.some(({ verdict }) => verdict.kind === 'changes' && verdict.asks);
  const next = replacing.length > 0 || asks ? 'ask' : 'apply';
  world.observe({ type: 'plan', destination: plan.destination, plan, next });
  const agreed = (await mayReplace(world, replacing, reached.settings.label))
    ? plan
    : withoutChanges(plan, new Set(replacing), SAID_NO[extent]);
  return withPassword(await agreedSteps(world, agreed), reached, extent);
}

/** Asks about the steps that must be agreed to one by one. */
async function agreedSteps(world: World, plan: Plan): Promise<Plan> {
  let agreed = plan;
  for (const { verdict } of plan.steps) {
    if (verdict.kind !== 'changes' || verdict.asks === undefined) continue;
    const { question, declined } = verdict.asks;
    if (await world.prompter.confirm(question, { preset: true, safe: false })) continue;
    agreed = withoutChanges(agreed, new Set(verdict.changes), declined);
  }
  return agreed;
}

/** A second undo would undo the first, rather than ask again. */
const SAID_NO = {
  parts: 'you said no; run prep again to be asked once more',
  whole: 'you said no; put it back by hand later, from what is kept in ~/.local/state/prep',
} as const;

async function mayReplace(
  world: World,
  replacing: readonly Change[],
  account: string,
): Promise<boolean> {
  if (replacing.length === 0) return true;
  const paths = replacing.flatMap((change) =>
    change.what === 'entry' ? [printablePath(change.path)] : [],
  );
  const named = paths.length > 3 ? `these ${paths.length} files` : paths.join(', ');
  const removes = replacing.some(
    (change) => change.what === 'entry' && change.after.kind === 'absent',
  );
  const verb = removes ? 'Replace or remove' : 'Replace';
  const question = `${verb} ${named} on ${account}? What is there now is kept.`;
  return world.prompter.confirm(question, { preset: false, safe: true });
}

/** chsh will want the account's password; where nobody typed it yet, it is asked for now. */
async function withPassword(
  plan: Plan,
  { password, settings }: Reached,
  extent: 'whole' | 'parts',
): Promise<Plan> {
  const change = changesOf(plan).find(asksPassword);
  if (change === undefined || password.known !== undefined) return plan;
  try {
    await password.obtain(`chsh on ${settings.address} wants ${settings.label}'s password:`);
    return plan;
  } catch (error) {
    const problem = problemOf(error);
    const hasNone = problem.code === 'needs-an-answer' || problem.code === 'wrong-password';
    if (!hasNone || extent === 'whole') throw error;
    if (change.otherwise !== undefined) return withInstead(plan, change, change.otherwise);
    const because =
      'chsh asks for the password of the account; give it with --password-file or PREP_PASSWORD';
    return withoutChanges(plan, new Set([change]), because);
  }
}

function asksPassword(change: Change): change is LoginShellChange {
  return change.what === 'login-shell' && change.as === 'self';
}

/**
 * Makes the changes of a plan, and compares what stands there afterwards with the prediction. `onMade` is called as soon
 * as every change is known to be made, before anything is read again.
 */
export async function carryOut(
  world: World,
  plan: Plan,
  { account, password, facts }: Reached,
  readings: readonly Reading[],
  onMade?: () => void,
): Promise<CarriedOut> {
  const { destination } = plan;
  world.observe({ type: 'applying', destination, plan });
  let left = changesOf(plan).length;
  const run = nextRun(facts.runs, world.now());
  const applying: Applying = {
    run,
    readings,
    stepOf: (change) => plan.steps.find((step) => changesIn(step).includes(change))?.name ?? '',
    ...(password.known !== undefined && { password: password.known }),
    onOutcome: (outcome) => {
      if (!refused(outcome)) world.observe({ type: 'outcome', destination, outcome });
      if (outcome.result === 'done' && --left === 0) onMade?.();
    },
    onProgress: (path, sent, total) =>
      world.observe({ type: 'progress', destination, path, sent, total }),
  };
  const first = await account.apply(changesOf(plan), applying);
  const [made, applied] = await otherwise(world, plan, first, (changes) =>
    account.apply(changes, { ...applying, made: first.outcomes.length }),
  );
  const steps = made.steps.map((step) => stepReport(step, applied.outcomes));
  world.observe({ type: 'applied', destination, steps });
  const problem = applied.facts && surprise(made, applied.outcomes, applied.facts);
  return { ...applied, destination, steps, run, ...(problem && { problem }) };
}

/** Where nothing is to be changed: removes what a run left that broke off. */
export async function clearAway(world: World, { account, facts }: Reached): Promise<void> {
  if (facts.brokenOff === undefined) return;
  const run = nextRun(facts.runs, world.now());
  await account.apply([], { run, readings: [], stepOf: () => '' });
}

/** Where the login shell could not be changed after all and the user wants another way, goes that. */
async function otherwise(
  { observe }: World,
  plan: Plan,
  applied: Applied,
  apply: (changes: readonly Change[]) => Promise<Applied>,
): Promise<[Plan, Applied]> {
  const refusal = applied.outcomes.map(refused).find((one) => one !== undefined);
  if (refusal === undefined) return [plan, applied];
  const [made, text] = insteadOf(plan, refusal);
  observe({ type: 'notice', destination: plan.destination, text });
  const second = await apply(refusal.instead);
  const others = applied.outcomes.filter(({ change }) => change !== refusal.change);
  return [made, { ...second, outcomes: [...others, ...second.outcomes] }];
}

/** The changes of a step, those included that it makes only where another is refused. */
function changesIn({ verdict }: PlannedStep): readonly Change[] {
  if (verdict.kind !== 'changes') return [];
  return verdict.changes.flatMap((change): readonly Change[] =>
    change.what === 'login-shell' ? [change, ...(change.otherwise ?? [])] : [change],
  );
}
