import type { Destination } from '../core/destination.ts';
import type { Report } from '../core/event.ts';
import { entryAt, type Reading } from '../core/facts.ts';
import { changesOf, type EntryChange } from '../core/plan.ts';
import { printablePath } from '../core/printable.ts';
import { PrepError } from '../core/problem.ts';
import type { RemotePath } from '../core/remote-path.ts';
import type { LoginKey } from '../ssh/login-key.ts';
import { journalOf, readJournal, type JournalLine } from '../remote/journal.ts';
import { carryOut, confirmed } from './carry-out.ts';
import { throughout, type Begun } from './phases.ts';
import { reach, type Reached } from './reach.ts';
import { planned, reportOf } from './report.ts';
import { undoPlan } from './undo-plan.ts';
import type { World } from './world.ts';

/**
 * Puts back what the last run that changed something replaced: the half of it that may have questions, which
 * logs in, plans, and asks. @throws PrepError with whatever `reach` raises, `cannot-read`
 */
export async function beginUndo(
  world: World,
  destination: Destination,
  keys: readonly LoginKey[] | 'usual',
): Promise<Begun> {
  const reached = await reach(goingBack(world), { destination, keys, readings: [] });
  return throughout(reached, async () => {
    const lines = await lastRun(reached, world.wishes);
    if (lines === undefined) return untouched(world, destination);
    const readings = readingsFor(lines);
    const facts = await reached.account.probe(readings);
    const plan = undoPlan(destination, facts, lines);
    if (world.wishes.dryRun) return planned(world, plan);
    await reached.remember();
    if (changesOf(plan).length === 0) return planned(world, plan);
    const agreed = await confirmed(world, plan, reached, 'whole');
    return async () => {
      const done = await carryOut(world, agreed, { ...reached, facts }, readings);
      return reportOf(agreed, done, 'not tried');
    };
  });
}

function untouched({ observe }: World, destination: Destination): Report {
  const text = 'prep has changed nothing there that could be put back';
  observe({ type: 'notice', destination, text });
  return { destination, status: 'unchanged', steps: [], verified: 'not tried' };
}

/** No login shell is wanted but the one before, so that the probe asks sudo whatever it is now. */
function goingBack(world: World): World {
  return { ...world, wishes: { ...world.wishes, shell: '' } };
}

/** What the last run did, as far as this one is about it; undefined where there was none. @throws PrepError `cannot-read` */
async function lastRun(
  { account, facts }: Reached,
  { only, skip }: World['wishes'],
): Promise<readonly JournalLine[] | undefined> {
  const run = facts.runs.at(-1);
  if (run === undefined) return undefined;
  const journal = journalOf(run);
  const entry = entryAt(await account.probe([{ path: journal, bytes: 'all' }]), journal);
  const bytes = entry.kind === 'file' ? entry.content.bytes : undefined;
  if (bytes === undefined) {
    const cause = entry.kind === 'unreadable' ? 'permission denied' : 'it is no file any more';
    const file = `~/${printablePath(journal)}`;
    throw new PrepError({ code: 'cannot-read', what: 'record of the last run', file, cause });
  }
  const lines = readJournal(Buffer.from(bytes).toString('latin1'), run);
  // Steps that this run knows nothing of (the user's own, by now out of the configuration) are undone as well.
  return lines.filter(({ step }) => (only?.includes(step) ?? true) && !skip.includes(step));
}

/** What undoing must know: what stands there now, and the kept copies to show. */
function readingsFor(lines: readonly JournalLine[]): readonly Reading[] {
  const readings = new Map<RemotePath, Reading>();
  for (const { change } of lines) {
    if (change.what !== 'entry') continue;
    const bytes = change.adds === undefined && change.removes === undefined ? 'some' : 'all';
    readings.set(change.path, { path: change.path, bytes, list: true });
    const kept = keptContent(change);
    if (kept !== undefined) readings.set(kept, { path: kept, bytes: 'some' });
  }
  return [...readings.values()];
}

function keptContent({ before }: EntryChange): RemotePath | undefined {
  return before.kind === 'file' ? before.content.keptAt : undefined;
}
