import { label, type Destination } from '../core/destination.ts';
import type { Observer, Report } from '../core/event.ts';
import type { Entry } from '../core/facts.ts';
import type { Change } from '../core/plan.ts';
import { problemOf, type Problem } from '../core/problem.ts';
import type { Prompter } from '../core/prompter.ts';
import { pooled } from '../remote/side-by-side.ts';
import { AccountPrompter } from './account-prompter.ts';
import { InOrder } from './in-order.ts';
import { ended, type Begun } from './phases.ts';
import { SharedAnswers } from './shared-answers.ts';

/** One of many accounts. */
export interface Member {
  readonly destination: Destination;
  /** Logs in, plans, and asks. */
  begin(observe: Observer, prompter: Prompter): Promise<Begun>;
}

/** How many accounts are to be worked on. */
export interface FleetOptions {
  readonly observe: Observer;
  /** Whether the observer can follow several accounts at the same time; else they speak one after another. */
  readonly concurrentView: boolean;
  readonly prompter: Prompter;
  /** Whether somebody is there to answer. */
  readonly attended: boolean;
  /** How many accounts are worked on at the same time. */
  readonly concurrency: number;
  /** Whether the first password typed is for all accounts. */
  readonly samePassword: boolean;
}

/**
 * Works on many accounts at the same time. Where somebody can be asked, every account is logged in to, planned
 * and asked about before the first is changed; else each is done with at once, and no more sessions are open
 * than are worked on. What goes wrong at one account is its own report, and stops no other.
 */
export class Fleet {
  readonly #members: readonly Member[];
  readonly #options: FleetOptions;
  readonly #shared: SharedAnswers;
  readonly #reports = new Map<number, Report>();
  /** Whom a password typed now could spare a question. */
  readonly #asked = new Set<number>();
  #order: InOrder | undefined;

  constructor(members: readonly Member[], options: FleetOptions) {
    this.#members = members;
    this.#options = options;
    this.#shared = new SharedAnswers(options.prompter, options.samePassword);
    if (options.attended || !options.concurrentView) this.#order = new InOrder(options.observe);
  }

  /** Does it all, and gives the reports in the order of the accounts. @throws PrepError `interrupted` */
  async run(): Promise<readonly Report[]> {
    const { attended, concurrency, concurrentView, observe } = this.#options;
    const all = this.#members.map((_, index) => index);
    if (!attended) {
      await pooled(all, (index) => this.#end(index, () => this.#begin(index)), concurrency);
      return this.soFar();
    }
    const ready: [index: number, begun: Begun][] = [];
    const begin = async (index: number): Promise<void> => {
      const begun = await this.#caught(index, () => this.#begin(index));
      if (typeof begun === 'function') ready.push([index, begun]);
      else this.#report(index, begun);
      this.#order?.done(index);
    };
    await pooled(all, begin, concurrency);
    ready.sort(([one], [other]) => one - other);
    this.#order = concurrentView ? undefined : new InOrder(observe);
    if (this.#order !== undefined)
      for (const index of this.#reports.keys()) this.#order.done(index);
    const end = ([index, begun]: (typeof ready)[number]): Promise<void> =>
      this.#end(index, () => Promise.resolve(begun));
    await pooled(ready, end, concurrency);
    return this.soFar();
  }

  /** What is known of each account by now; one that is still worked on counts as interrupted. */
  soFar(): readonly Report[] {
    return this.#members.map(
      ({ destination }, index) =>
        this.#reports.get(index) ?? failure(destination, { code: 'interrupted' }),
    );
  }

  async #begin(index: number): Promise<Begun> {
    const member = this.#members[index]!;
    const prompter = this.#prompterFor(index);
    const begun = await member.begin(this.#observer(index), prompter);
    this.#asked.add(index);
    if (prompter.typed !== undefined) {
      const others = this.#members.filter((_, other) => !this.#asked.has(other));
      const names = others.map(({ destination }) => label(destination));
      await this.#shared.offer(prompter.typed, label(member.destination), names);
    }
    return begun;
  }

  async #end(index: number, begin: () => Promise<Begun>): Promise<void> {
    this.#report(index, await this.#caught(index, async () => ended(await begin())));
    this.#order?.done(index);
  }

  /** What went wrong at an account is its report; a person who has had enough ends it for all. */
  async #caught<T>(index: number, work: () => Promise<T>): Promise<T | Report> {
    try {
      return await work();
    } catch (error) {
      const problem = problemOf(error);
      if (problem.code === 'interrupted') throw error;
      if (process.env['DEBUG']) process.stderr.write(`${String((error as Error).stack)}\n`);
      this.#asked.add(index);
      const { destination } = this.#members[index]!;
      this.#observer(index)({ type: 'problem', destination, problem });
      return failure(destination, problem);
    }
  }

  #report(index: number, whole: Report): void {
    const report = lean(whole);
    this.#reports.set(index, report);
    this.#observer(index)({ type: 'report', report });
  }

  #observer(index: number): Observer {
    return (event) => {
      if (this.#order === undefined) this.#options.observe(event);
      else this.#order.tell(index, event);
    };
  }

  #prompterFor(index: number): AccountPrompter {
    const { prompter, samePassword } = this.#options;
    const { destination } = this.#members[index]!;
    let said = false;
    const say = (text: string): void =>
      this.#observer(index)({ type: 'notice', destination, text });
    return new AccountPrompter(prompter, {
      turn: () => this.#order?.turn(index) ?? Promise.resolve(),
      shared: this.#shared,
      using: (account) => {
        this.#observer(index)({
          type: 'note',
          destination,
          text: `trying the password of ${account}`,
        });
      },
      beforePassword: () => {
        if (!samePassword || said || this.#shared.password !== undefined) return;
        said = true;
        say(`the password is for all ${this.#members.length} accounts (--same-password)`);
      },
    });
  }
}

/** The report of an account that was not worked on to the end. */
export function failure(destination: Destination, problem: Problem): Report {
  return { destination, status: 'failed', steps: [], verified: 'not tried', problem };
}

/** A report without the contents of files: it is kept until the last account is done. */
function lean(report: Report): Report {
  const steps = report.steps.map((step) => ({ ...step, changes: step.changes.map(leanChange) }));
  return { ...report, steps };
}

function leanChange(change: Change): Change {
  if (change.what !== 'entry') return change;
  return { ...change, before: leanEntry(change.before), after: leanEntry(change.after) };
}

function leanEntry(entry: Entry): Entry {
  if (entry.kind !== 'file') return entry;
  const { bytes: _, ...content } = entry.content;
  return { ...entry, content };
}
