import { label, type Destination } from '../core/destination.ts';
import type { Event } from '../core/event.ts';
import { changesOf, type Plan } from '../core/plan.ts';
import type { LiveList, Screen } from './live-list.ts';
import { Progress } from './progress.ts';
import { textView } from './text.ts';
import type { Manner, Streams, View } from './view.ts';

/**
 * Shows a run on a terminal: plain lines before and after, a live list of steps (listr2) while changes are
 * made. Meanwhile nothing else is printed; it is shown when the list has ended. Where several `accounts` are
 * prepared at the same time, they share one list.
 */
export function taskListView(
  streams: Streams,
  manner: Manner & { readonly accounts?: readonly Destination[] },
): View {
  return new TaskList(streams, manner);
}

type Lists = typeof import('./live-list.ts');

class TaskList implements View {
  readonly #screen: Screen;
  readonly #text: View;
  readonly #verbose: boolean;
  /** The accounts of a shared list, by label; empty where each account gets its own. */
  readonly #shared: ReadonlyMap<string, Turn>;
  readonly #running = new Map<string, Progress>();
  #list: LiveList | undefined;
  #drawn: Promise<void> = Promise.resolve();
  #lists = 0;
  /** What will be printed when no list is alive. */
  #held: Event[] = [];

  constructor(streams: Streams, manner: Manner & { readonly accounts?: readonly Destination[] }) {
    const { verbosity, accounts = [] } = manner;
    this.#screen = streams.out;
    this.#text = textView(streams, manner);
    this.#verbose = verbosity === 'verbose';
    const shared = accounts.length > 1 ? accounts : [];
    this.#shared = new Map(shared.map((account) => [label(account), new Turn(label(account))]));
  }

  readonly observe = (event: Event): void => {
    if (event.type === 'plan' && this.#left(event)) return;
    if (event.type === 'applying') this.#begin(event.plan);
    if (event.type !== 'summary') this.#follow(event);
    if (event.type === 'progress') return;
    this.#held.push(event);
    this.#release();
  };

  async finish(): Promise<void> {
    for (const progress of this.#running.values()) progress.over([]);
    for (const turn of this.#shared.values()) turn.pass();
    await this.#drawn;
    await this.#text.finish();
  }

  interrupt(): void {
    this.#list?.stop();
    this.#lists = 0;
    this.#release();
    this.#text.interrupt();
  }

  /** Whether the list alone will show this plan. */
  #left({ plan, next }: Event & { type: 'plan' }): boolean {
    return next === 'apply' && !this.#verbose && changesOf(plan).length > 0;
  }

  #follow(event: Exclude<Event, { type: 'summary' }>): void {
    const about = event.type === 'report' ? event.report.destination : event.destination;
    if (about === undefined) return;
    const account = label(about);
    this.#running.get(account)?.observe(event);
    if (event.type === 'report') this.#shared.get(account)?.pass();
  }

  #begin(plan: Plan): void {
    const account = label(plan.destination);
    const progress = new Progress(plan);
    this.#running.set(account, progress);
    const turn = this.#shared.get(account);
    turn?.take(progress);
    if (turn === undefined) this.#draw(({ listSteps }) => listSteps(progress, this.#screen));
    else if (this.#lists === 0) {
      this.#draw(({ listAccounts }) => listAccounts([...this.#shared.values()], this.#screen));
    }
  }

  /** Draws a list, after those before it; a failure to draw must not touch the run. */
  #draw(open: (lists: Lists) => LiveList): void {
    this.#lists++;
    this.#drawn = this.#drawn
      .then(async () => {
        this.#list = open(await import('./live-list.ts'));
        await this.#list.done;
      })
      .catch(() => undefined)
      .then(() => {
        this.#lists--;
        this.#list = undefined;
        this.#release();
      });
  }

  #release(): void {
    if (this.#lists > 0) return;
    for (const event of this.#held.splice(0)) this.#text.observe(event);
  }
}

/** An account of a shared list, which begins when it is its turn or passes. */
class Turn {
  readonly account: string;
  readonly begun: Promise<Progress | undefined>;
  #settle: (progress: Progress | undefined) => void = () => undefined;

  constructor(account: string) {
    this.account = account;
    this.begun = new Promise((resolve) => (this.#settle = resolve));
  }

  take(progress: Progress): void {
    this.#settle(progress);
  }

  pass(): void {
    this.#settle(undefined);
  }
}
