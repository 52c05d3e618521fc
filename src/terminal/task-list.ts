import { label, type Destination } from '../core/destination.ts';
import type { Event } from '../core/event.ts';
import { changesOf, type Plan } from '../core/plan.ts';
import { AccountList } from './account-list.ts';
import type { Screen } from './drawing.ts';
import type { LiveList } from './live-list.ts';
import { Progress } from './progress.ts';
import { textView } from './text.ts';
import type { Manner, Streams, View } from './view.ts';

/**
 * Shows a run on a terminal: plain lines before and after, a live list while changes are made. Meanwhile
 * nothing else is printed; it is shown when the list has ended. One account's list has its steps (listr2);
 * several accounts share one list, of those that are not done with when the first is changed.
 */
export function taskListView(streams: Streams, manner: Manner): View {
  return new TaskList(streams, manner);
}

class TaskList implements View {
  readonly concurrent = true;
  readonly #screen: Screen;
  readonly #text: View;
  readonly #verbose: boolean;
  /** The accounts of a shared list that are not done with, by label; none where each gets its own. */
  readonly #shared: Map<string, Destination>;
  readonly #running = new Map<string, Progress>();
  #list: LiveList | undefined;
  #accounts: AccountList | undefined;
  #drawn: Promise<void> = Promise.resolve();
  #lists = 0;
  /** What will be printed when no list is alive. */
  #held: Event[] = [];

  constructor(streams: Streams, manner: Manner) {
    const { verbosity, accounts = [] } = manner;
    this.#screen = streams.out;
    this.#text = textView(streams, manner, false);
    this.#verbose = verbosity === 'verbose';
    const shared = accounts.length > 1 ? accounts : [];
    this.#shared = new Map(shared.map((account) => [label(account), account]));
  }

  readonly observe = (event: Event): void => {
    if (event.type === 'plan' && this.#left(event)) return;
    if (event.type === 'applying') this.#begin(event.plan);
    if (event.type === 'summary') this.#endAccounts();
    else this.#follow(event);
    if (event.type === 'progress') return;
    this.#held.push(event);
    this.#release();
  };

  async finish(): Promise<void> {
    for (const progress of this.#running.values()) progress.over([]);
    this.#endAccounts();
    await this.#drawn;
    await this.#text.finish();
  }

  interrupt(): void {
    this.#list?.stop();
    this.#lists = 0;
    this.#endAccounts();
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
    this.#accounts?.observe(event);
    if (event.type === 'report') this.#shared.delete(account);
  }

  #begin(plan: Plan): void {
    const account = label(plan.destination);
    if (this.#shared.has(account)) {
      if (this.#accounts !== undefined) return;
      this.#accounts = new AccountList([...this.#shared.values()], this.#screen);
      return void this.#lists++;
    }
    const progress = new Progress(plan);
    this.#running.set(account, progress);
    this.#draw(progress);
  }

  #endAccounts(): void {
    if (this.#accounts === undefined) return;
    this.#accounts.end();
    this.#accounts = undefined;
    this.#lists--;
    this.#release();
  }

  /** Draws a list, after those before it; a failure to draw must not touch the run. */
  #draw(progress: Progress): void {
    this.#lists++;
    this.#drawn = this.#drawn
      .then(async () => {
        const { listSteps } = await import('./live-list.ts');
        this.#list = listSteps(progress, this.#screen);
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
