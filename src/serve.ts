import { label, type Destination } from './core/destination.ts';
import type { Report } from './core/event.ts';
import { PrepError } from './core/problem.ts';
import { RetryFile } from './local/retry-file.ts';
import { Fleet, type Member } from './run/fleet.ts';
import type { Preparation } from './run/gather.ts';
import type { Begun } from './run/phases.ts';
import type { beginPreparing } from './run/prepare.ts';
import { SharedHops } from './run/route.ts';
import type { World } from './run/world.ts';
import type { Options } from './cli/options.ts';
import type { Target } from './targets.ts';
import type { View } from './terminal/view.ts';

/** What is to be done, and where. */
export interface Job {
  readonly command: 'prepare' | 'undo';
  readonly options: Options;
  readonly targets: readonly Target[];
  readonly worldFor: (target: Target) => World;
  /** Whether a report counts as a failure. */
  readonly isFailure: (report: Report) => boolean;
  readonly view: View;
  /** Told how to say what is known, where the run ends before its time. */
  readonly onInterrupt: (lastWords: () => void) => void;
  /** Told that the summary, after which nothing more is said, was given. */
  readonly onSummary: () => void;
}

/**
 * Does what was asked on every account, and gives their reports in the order given; one account's problem
 * stops no other. @throws PrepError where nothing could begin, `interrupted`
 */
export async function serve(job: Job): Promise<readonly Report[]> {
  const { options, targets, view } = job;
  const retry = options.retry === undefined ? undefined : await RetryFile.at(options.retry);
  const [world] = targets.map(job.worldFor);
  const hops = new SharedHops(world!);
  const begin = job.command === 'undo' ? await undoing(job) : await preparing(job);
  const members = membersOf(job, begin, hops);
  const { prompter, attended, observe } = world!;
  const { concurrency, samePassword } = options;
  const fleet = new Fleet(members, {
    observe,
    prompter,
    attended,
    concurrency,
    samePassword,
    concurrentView: view.concurrent,
  });
  const sumUp = (reports: readonly Report[]): void => {
    observe({ type: 'summary', reports });
    job.onSummary();
    if (retry !== undefined && !options.dryRun) writeRetry(retry, job, reports);
  };
  job.onInterrupt(() => sumUp(fleet.soFar()));
  try {
    const reports = await fleet.run();
    job.onInterrupt(() => undefined);
    sumUp(reports);
    return reports;
  } finally {
    hops.close();
    await view.finish();
  }
}

function membersOf({ targets, worldFor }: Job, begin: Begin, hops: SharedHops): readonly Member[] {
  const said = new Set<string>();
  const taken: Taken = new Map();
  return targets.map((target): Member => {
    const { destination } = target;
    return {
      destination,
      begin: async (observe, prompter) => {
        const own = { ...worldFor(target), observe, prompter, hops, said };
        const other = await takenBy(taken, target, own);
        if (other === undefined) return begin(own, destination);
        const text = `this is the account of ${label(other.destination)}, which is worked on already`;
        observe({ type: 'notice', destination, text });
        return { destination, status: 'unchanged', steps: [], verified: 'not tried' };
      },
    };
  });
}

/** The accounts that are worked on, by where they are. */
type Taken = Map<string, { readonly target: Target; readonly world: World }>;

/** Which destination has led to the same account before: two runs at once would be in each other's way. @throws PrepError `usage` */
async function takenBy(taken: Taken, target: Target, world: World): Promise<Target | undefined> {
  const { settings, wishes } = world;
  const found = await settings(target.destination);
  const { user, address, port, jump, proxyCommand, controlPath } = found;
  const name = JSON.stringify([user, address, port, jump, proxyCommand, controlPath]);
  const other = taken.get(name);
  if (other === undefined) taken.set(name, { target, world });
  const alike = other?.world.wishes.shell === wishes.shell;
  if (other === undefined) return undefined;
  if (alike && wishOf(other.world) === wishOf(world)) return other.target;
  const text = `this is the account of ${label(other.target.destination)}, which has other options; keep one of the two`;
  throw new PrepError({ code: 'usage', text });
}

type Begin = (world: World, destination: Destination) => Promise<Begun>;

/** What is common to accounts is read once: the keys (and their passphrases), the dotfiles. */
async function preparing({ options, targets, worldFor }: Job): Promise<Begin> {
  const { gather } = await import('./run/gather.ts');
  const begin = await beginning(options);
  const gathered = new Map<string, Preparation>();
  const wishes = targets.map((target) => wishOf(worldFor(target)));
  for (const [index, target] of targets.entries()) {
    const name = wishes[index]!;
    if (gathered.has(name)) continue;
    const alike = targets.filter((_, other) => wishes[other] === name);
    const destinations = alike.map(({ destination }) => destination);
    gathered.set(name, await gather(worldFor(target), destinations));
  }
  return (world, destination) => {
    const preparation = gathered.get(wishOf(world))!;
    const desired = { ...preparation.desired, loginShell: world.wishes.shell };
    return begin(world, destination, { ...preparation, desired });
  };
}

type Beginning = typeof beginPreparing;

async function beginning({ saveAs }: Options): Promise<Beginning> {
  if (saveAs === undefined) return (await import('./run/prepare.ts')).beginPreparing;
  const { beginAndSave } = await import('./run/save-as.ts');
  return (...account) => beginAndSave(...account, saveAs);
}

async function undoing({ targets, worldFor }: Job): Promise<Begin> {
  const { beginUndo } = await import('./run/undo.ts');
  const { chosenKeys } = await import('./run/login-keys.ts');
  const gathered = new Map<string, Awaited<ReturnType<typeof chosenKeys>>>();
  for (const target of targets) {
    const world = worldFor(target);
    const name = wishOf(world);
    if (!gathered.has(name)) gathered.set(name, await chosenKeys(world));
  }
  return (world, destination) => beginUndo(world, destination, gathered.get(wishOf(world))!);
}

/** Accounts for which this is the same share one preparation. */
function wishOf({ wishes }: World): string {
  const { identities, only, skip, dotfiles, values, terminfo, packages } = wishes;
  return JSON.stringify([identities, only, skip, dotfiles, values, terminfo, packages]);
}

function writeRetry(file: RetryFile, job: Job, reports: readonly Report[]): void {
  const failed = job.targets.filter((_, index) => job.isFailure(reports[index]!));
  const done = file.write(failed.map(({ words }) => words));
  if (done === 'nothing' || job.options.verbosity === 'quiet') return;
  const said =
    done === 'removed'
      ? `nothing failed; ${file.name} was removed`
      : `the failed destinations are in ${file.name}; try them again with --hosts ${file.name}`;
  process.stderr.write(`prep: ${said}\n`);
}
