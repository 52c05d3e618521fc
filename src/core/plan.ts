import type { Desired } from './desired.ts';
import type { Destination } from './destination.ts';
import { sameContent, type Entry, type Facts, type Reading, type SystemFacts } from './facts.ts';
import { printable } from './printable.ts';
import { noRecords } from './records.ts';
import type { RemotePath } from './remote-path.ts';

export type { Desired, LocalFile, PackageWish, TerminalType } from './desired.ts';

/** What stands at a path changes from `before` to `after`. Creating, replacing, linking, chmod and removing are all this. */
export interface EntryChange {
  readonly what: 'entry';
  readonly path: RemotePath;
  readonly before: Entry;
  readonly after: Entry;
  readonly reason: string;
  /** Lines that were added to a file otherwise untouched: undo takes out these alone when the file was edited since. */
  readonly adds?: readonly string[];
  /** Lines that undo took out: undoing that puts in these alone when the file was edited since. */
  readonly removes?: readonly string[];
  /** A shell, by its path, that must be proven to start before the change is made. */
  readonly starts?: string;
}

/** The account's login shell changes. */
export interface LoginShellChange {
  readonly what: 'login-shell';
  readonly before: string;
  readonly after: string;
  /** The program that changes it. */
  readonly by: 'chsh' | 'usermod';
  /** Who runs it: the user (chsh then asks for the account's password), root, or the user through passwordless sudo. */
  readonly as: 'self' | 'root' | 'sudo';
  readonly reason: string;
  /** What is done instead where that program refuses. */
  readonly otherwise?: readonly EntryChange[];
}

/** A program is run there, for what it brings about. What it does cannot be taken back. */
export interface CommandChange {
  readonly what: 'command';
  /** Its words, the program first; no shell reads them as anything but words. */
  readonly argv: readonly string[];
  /** Who runs it: the user, root, or the user through passwordless sudo. */
  readonly as: 'self' | 'root' | 'sudo';
  /** Programs that are there afterwards. */
  readonly provides: readonly string[];
  /** Lines that /etc/shells has afterwards, each an absolute path. */
  readonly shells: readonly string[];
  readonly reason: string;
}

/** A command as one would type it, for people to read. */
export function commandText({ argv, as }: CommandChange): string {
  const words = argv.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : JSON.stringify(word)));
  return printable([...(as === 'sudo' ? ['sudo'] : []), ...words].join(' '));
}

/** A change that undo can take back. */
export type ReversibleChange = EntryChange | LoginShellChange;

/** One thing that a plan does to an account. */
export type Change = ReversibleChange | CommandChange;

/** What a step has to say: changes, or why there are none. */
export type Verdict =
  | {
      readonly kind: 'changes';
      readonly changes: readonly Change[];
      /** What of the step cannot be done nevertheless, and why. */
      readonly except?: string;
      /** The person must agree first; where they decline, the step is blocked for that reason. */
      readonly asks?: { readonly question: string; readonly declined: string };
      /** What is left as it is, and why; nothing is amiss with that. */
      readonly besides?: string;
    }
  | { readonly kind: 'settled'; readonly because: string }
  | {
      readonly kind: 'blocked';
      readonly because: string;
      /** Whether there would be changes if the user wanted `shellFallback`. */
      readonly fallback?: boolean;
    };

/** One aspect of a prepared account. All its functions are pure and synchronous. */
export interface Step {
  readonly name: string;
  /** One sentence, for `prep steps` and the task list. */
  readonly title: string;
  /** What the probe must read for this step. */
  reads(desired: Desired): readonly Reading[];
  /** Programs whose presence it must know (`facts.system.tools` then says); where one is missing, so is sudo's. */
  programs?(desired: Desired): readonly string[];
  /** What to do, given what the probe (and the steps before) say. */
  plan(facts: Facts, desired: Desired): Verdict;
}

/** A step of a plan, with what it decided. */
export interface PlannedStep {
  readonly name: string;
  readonly title: string;
  readonly verdict: Verdict;
}

/** Everything that will be done to an account, as data: what a dry run prints is what a real run applies. */
export interface Plan {
  readonly destination: Destination;
  readonly facts: Facts;
  /** The facts as they will be when every change was made. */
  readonly predicted: Facts;
  readonly steps: readonly PlannedStep[];
}

/**
 * Plans an account: each step sees the facts as the steps before it will have left them. Where what is replaced
 * cannot be kept, nothing is changed.
 * @throws never; a step that cannot be done is `blocked`
 */
export function makePlan(
  destination: Destination,
  facts: Facts,
  desired: Desired,
  steps: readonly Step[],
): Plan {
  let predicted = facts;
  const planned: PlannedStep[] = [];
  for (const step of steps) {
    const verdict = kept(facts, step.plan(predicted, desired));
    predicted = rehearse(predicted, ...changesOfVerdict(verdict));
    planned.push({ name: step.name, title: step.title, verdict });
  }
  return { destination, facts, predicted, steps: planned };
}

function kept(facts: Facts, verdict: Verdict): Verdict {
  const because = noRecords(facts);
  if (because === undefined || verdict.kind !== 'changes') return verdict;
  return { kind: 'blocked', because };
}

/** Why a step changes what it does, or what keeps it from doing all of it; and what it leaves alone. */
export function reasonOf(verdict: Verdict): string {
  if (verdict.kind !== 'changes') return verdict.because;
  const { changes, except, besides } = verdict;
  const reasons = except === undefined ? changes.map(({ reason }) => reason) : [except];
  return [...new Set(reasons), ...(besides === undefined ? [] : [besides])].join('; ');
}

/** The changes of a plan, in the order in which they are made. */
export function changesOf(plan: Plan): readonly Change[] {
  return plan.steps.flatMap(changesOfStep);
}

function changesOfStep({ verdict }: PlannedStep): readonly Change[] {
  return changesOfVerdict(verdict);
}

function changesOfVerdict(verdict: Verdict): readonly Change[] {
  return verdict.kind === 'changes' ? verdict.changes : [];
}

/** What the facts will be after some changes. This is the one meaning of a change; applying it must come to the same. */
export function rehearse(facts: Facts, ...changes: readonly Change[]): Facts {
  if (changes.length === 0) return facts;
  const entries = new Map(facts.entries);
  const unwritable = new Set(facts.unwritable);
  let { loginShell } = facts.account;
  let { system } = facts;
  for (const change of changes) {
    if (change.what === 'login-shell') {
      loginShell = change.after;
      continue;
    }
    if (change.what === 'command') {
      system = provided(system, change);
      continue;
    }
    entries.set(change.path, change.after);
    const [was, is] = [mayWriteIn(change.before), mayWriteIn(change.after)];
    if (is && !was) unwritable.delete(change.path);
    if (was && !is && facts.account.uid !== 0) unwritable.add(change.path);
  }
  return { ...facts, entries, unwritable, system, account: { ...facts.account, loginShell } };
}

/** Whether the mode lets the owner write in it; a directory on a read-only file system is closed whatever it says. */
function mayWriteIn(entry: Entry): boolean {
  return entry.kind !== 'directory' || (entry.mode & 0o200) !== 0;
}

function provided(system: SystemFacts, { provides, shells }: CommandChange): SystemFacts {
  const others = system.shells.filter(({ path }) => !shells.includes(path));
  return {
    ...system,
    tools: new Set([...system.tools, ...provides]),
    shells: [...others, ...shells.map((path) => ({ path, executable: true }))],
  };
}

/** The change that takes a change back. Undo is an ordinary change, and can itself be undone. */
export function invert(change: ReversibleChange, reason: string): ReversibleChange {
  if (change.what === 'login-shell') {
    return { ...change, before: change.after, after: change.before, reason };
  }
  return { what: 'entry', path: change.path, before: change.after, after: change.before, reason };
}

/** The same plan with one change replaced by others. */
export function withInstead(plan: Plan, change: Change, instead: readonly Change[]): Plan {
  const steps = plan.steps.map((step) => {
    const { verdict } = step;
    if (verdict.kind !== 'changes' || !verdict.changes.includes(change)) return step;
    const changes = verdict.changes.flatMap((one) => (one === change ? instead : [one]));
    return { ...step, verdict: { ...verdict, changes } };
  });
  return { ...plan, steps, predicted: rehearse(plan.facts, ...steps.flatMap(changesOfStep)) };
}

/** The same plan with some changes left out (the person said no to them); their steps say so. */
export function withoutChanges(plan: Plan, out: ReadonlySet<Change>, because: string): Plan {
  const steps = plan.steps.map((step) => ({
    ...step,
    verdict: trimmed(step.verdict, out, because),
  }));
  return { ...plan, steps, predicted: rehearse(plan.facts, ...steps.flatMap(changesOfStep)) };
}

function trimmed(verdict: Verdict, out: ReadonlySet<Change>, because: string): Verdict {
  if (verdict.kind !== 'changes') return verdict;
  const changes = verdict.changes.filter((change) => !out.has(change));
  if (changes.length === verdict.changes.length) return verdict;
  if (changes.length === 0) return { kind: 'blocked', because };
  const except = verdict.except === undefined ? because : `${verdict.except}; ${because}`;
  return { ...verdict, changes, except };
}

/** Whether a change replaces or removes something of the user's that the plan cannot put together again from what it adds. */
export function replaces(change: Change): boolean {
  if (change.what !== 'entry' || change.adds !== undefined) return false;
  const { before, after } = change;
  if (before.kind === 'absent') return false;
  if (before.kind === 'directory' && after.kind === 'directory') return false;
  if (before.kind === 'unreadable') return false;
  return !(
    before.kind === 'file' &&
    after.kind === 'file' &&
    sameContent(before.content, after.content)
  );
}
