import { styleText } from 'node:util';
import { label, type Destination } from '../core/destination.ts';
import type { Event } from '../core/event.ts';
import { printable } from '../core/printable.ts';
import { Drawing, spinner, type Frame, type Screen } from './drawing.ts';
import { Progress } from './progress.ts';
import { reasonOf } from './summary-table.ts';

type Style = Parameters<typeof styleText>[0];

/** How far an account is: waiting, at something, or at its end. */
type State =
  | { readonly kind: 'waiting' }
  | { readonly kind: 'working'; readonly at: () => string }
  | { readonly kind: 'done' | 'failed'; readonly words: string };

/** Several accounts on the screen, one line each, with the step that each is at. */
export class AccountList {
  readonly #states = new Map<string, State>();
  readonly #running = new Map<string, Progress>();
  readonly #screen: Screen;
  readonly #drawing: Drawing;

  constructor(accounts: readonly Destination[], screen: Screen) {
    this.#screen = screen;
    for (const account of accounts) this.#states.set(label(account), { kind: 'waiting' });
    this.#drawing = new Drawing(screen, (frame) => this.#lines(frame));
  }

  /** Takes in what happened. */
  observe(event: Event): void {
    if (event.type === 'summary') return;
    const about = event.type === 'report' ? event.report.destination : event.destination;
    const account = about && label(about);
    if (account === undefined || !this.#states.has(account)) return;
    this.#running.get(account)?.observe(event);
    const state = this.#stateAfter(event, account);
    if (state !== undefined) this.#states.set(account, state);
  }

  /** Takes the list off the screen: the table says it all. */
  end(): void {
    this.#drawing.end('goes');
  }

  #stateAfter(event: Event, account: string): State | undefined {
    if (event.type === 'applying') {
      const progress = new Progress(event.plan);
      this.#running.set(account, progress);
      return { kind: 'working', at: () => progress.current ?? 'looking at it once more' };
    }
    if (event.type === 'applied') return { kind: 'working', at: () => 'logging in with the key' };
    if (event.type !== 'report') return undefined;
    this.#running.delete(account);
    const { report } = event;
    const words = [report.status, reasonOf(report)].filter((part) => part !== '').join(': ');
    return { kind: report.status === 'failed' ? 'failed' : 'done', words };
  }

  /** Where not all fit: those that failed, then those under way, and how many others there are. */
  #lines({ turn, rows, fitted }: Frame): string[] {
    const all = [...this.#states];
    const line = ([account, state]: [string, State]): string => {
      const [style, sign] = look(state, turn);
      const text = fitted(
        `  ${[account, wordsOf(state)].filter((part) => part !== '').join(': ')}`,
      );
      return styleText(style, sign, { stream: this.#screen }) + text.slice(1);
    };
    if (all.length <= rows) return all.map(line);
    const of = (kind: State['kind']): [string, State][] =>
      all.filter(([, state]) => state.kind === kind);
    const shown = [...of('failed').slice(-Math.floor(rows / 2)), ...of('working')].slice(1 - rows);
    const counts = (['done', 'failed', 'working', 'waiting'] as const).flatMap((kind) => {
      const count = of(kind).length;
      return count === 0 ? [] : [`${count} ${kind}`];
    });
    return [...shown.map(line), fitted(`  ${all.length} accounts: ${counts.join(', ')}`)];
  }
}

function look(state: State, turn: number): [Style, string] {
  if (state.kind === 'failed') return ['red', '✖'];
  if (state.kind === 'done') return ['green', '✔'];
  return state.kind === 'working' ? ['yellow', spinner(turn)] : ['dim', '▪'];
}

function wordsOf(state: State): string {
  if (state.kind === 'waiting') return '';
  return state.kind === 'working' ? state.at() : printable(state.words);
}
