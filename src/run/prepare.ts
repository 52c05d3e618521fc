import type { Destination } from '../core/destination.ts';
import type { Outcome, Report, StepReport } from '../core/event.ts';
import { changesOf, invert, makePlan, type LoginShellChange, type Plan } from '../core/plan.ts';
import { programsOf, readingsOf } from '../core/readings.ts';
import type { Problem } from '../core/problem.ts';
import { LoginKey } from '../ssh/login-key.ts';
import { carryOut, clearAway, confirmed } from './carry-out.ts';
import { consider } from './fallback.ts';
import type { Preparation } from './gather.ts';
import { reach, type Reached } from './reach.ts';
import { ended, throughout, type Begun } from './phases.ts';
import { isProven, keyTrial, passedOver, proofFor, tryKey, type KeyTrial } from './proof.ts';
import { planned, reportOf, type CarriedOut } from './report.ts';
import type { World } from './world.ts';

/** Prepares one account, and says what came of it. @throws PrepError with whatever is in the way */
export async function prepare(
  world: World,
  destination: Destination,
  preparation: Preparation,
): Promise<Report> {
  return ended(await beginPreparing(world, destination, preparation));
}

/** The half of it that may have questions: logs in, plans, and asks. @throws PrepError with whatever is in the way */
export async function beginPreparing(
  world: World,
  destination: Destination,
  preparation: Preparation,
): Promise<Begun> {
  const { desired, keys, keysAreNew } = preparation;
  const known = keysAreNew ? [] : keys;
  const wanted = readingsOf(world.steps, desired);
  const programs = programsOf(world.steps, desired);
  const first = await reach(world, { destination, keys: known, readings: wanted, programs });
  return throughout(first, async () => {
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
    const proof = await proofFor(world, agreed, reached, keys);
    return async () => {
      await preparation.writePair();
      const attempt = proof instanceof LoginKey ? keyTrial(world, reached, proof) : proof;
      try {
        const done = await carryOut(world, agreed, reached, readings, () => {
          if (typeof attempt === 'object') void attempt.trial.go();
        });
        const report = await proven(world, agreed, reached, done, attempt);
        const { port } = world.wishes;
        return { ...report, ...(port !== undefined && { port }) };
      } catch (error) {
        if (typeof attempt === 'object') attempt.trial.cancel();
        throw error;
      }
    };
  });
}

async function nothingToDo(
  world: World,
  plan: Plan,
  reached: Reached,
  keys: readonly LoginKey[],
): Promise<Report> {
  await clearAway(world, reached);
  const report = planned(world, plan);
  if (isProven(reached.session, keys)) return { ...report, verified: true };
  const key = await passedOver(world, plan, reached, keys);
  if (key === undefined) return report;
  const { verified, problem } = await tryKey(world, keyTrial(world, reached, key), reached);
  if (problem === undefined) return { ...report, verified };
  return { ...report, status: 'failed', verified, problem };
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
  // Where it is not known what came of a change, the line is gone: the next run sees to it, and proves it.
  const results = new Set(done.outcomes.map(({ result }) => result));
  if (!results.has('done') || results.has('unknown')) {
    attempt.trial.cancel();
    return reportOf(plan, done, 'not tried');
  }
  const { verified, loginShell, problem } = await tryKey(world, attempt, reached, done.facts);
  if (problem === undefined) return reportOf(plan, done, verified, otherShell(done, loginShell));
  const back = await putShellBack(world, reached, done);
  const report = reportOf(plan, done, verified, problem);
  return back === undefined ? report : { ...report, steps: report.steps.map(saying(back)) };
}

/** A step as it came to be, where its change was taken back. */
function saying(back: LoginShellChange): (step: StepReport) => StepReport {
  const reason = `put back to ${back.after}: ${back.reason}`;
  return (step) =>
    step.changes.some(({ what }) => what === 'login-shell')
      ? { ...step, status: 'failed', reason }
      : step;
}

/** The change of the login shell, where it was made. */
function changedShell(outcomes: readonly Outcome[]): LoginShellChange | undefined {
  for (const { change, result } of outcomes) {
    if (change.what === 'login-shell' && result === 'done') return change;
  }
  return undefined;
}

/** A directory service may still hand out the old login shell from its cache. */
function otherShell({ outcomes }: CarriedOut, loginShell: string | undefined): Problem | undefined {
  const changed = changedShell(outcomes);
  const unseen = loginShell === undefined;
  if (changed === undefined || unseen || changed.after === loginShell) return undefined;
  return { code: 'not-as-predicted', paths: ['the login shell of the trial login'] };
}

/** Gives the change that puts the login shell back, where it was made. */
async function putShellBack(
  world: World,
  { account, password }: Reached,
  done: CarriedOut,
): Promise<LoginShellChange | undefined> {
  const changed = changedShell(done.outcomes);
  if (changed === undefined) return undefined;
  const back = invert(changed, 'the trial login failed');
  const { outcomes } = await account.apply([back], {
    run: done.run,
    readings: [],
    stepOf: () => 'login-shell',
    ...(password.known !== undefined && { password: password.known }),
  });
  const isBack = outcomes[0]?.result === 'done';
  const text = isBack
    ? `the login shell was put back to ${changed.before}`
    : `the login shell could not be put back; run there: chsh -s ${changed.before}`;
  world.observe({ type: 'notice', destination: done.destination, text });
  return isBack && back.what === 'login-shell' ? back : undefined;
}
