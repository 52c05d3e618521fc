import { grouped } from '../core/count.ts';
import type { Event, Outcome, StepReport } from '../core/event.ts';
import { commandText, type Change, type Plan, type PlannedStep } from '../core/plan.ts';
import { printable, printablePath } from '../core/printable.ts';
import { explain } from '../core/problem.ts';
import { describe } from './words.ts';

/** How a step ended, in one line. */
export interface Ending {
  readonly kind: 'done' | 'skipped' | 'failed';
  readonly text: string;
}

/** One step on its way: `ended` is settled by the events that concern it. Nothing waits for it but the drawing. */
export class StepProgress {
  readonly title: string;
  readonly ended: Promise<Ending>;
  /** Told how far an upload is, a percent at a time. */
  onUpload: ((text: string) => void) | undefined;
  readonly #name: string;
  readonly #changes: ReadonlySet<Change>;
  readonly #aside: string;
  readonly #failures = new Set<string>();
  #left: number;
  #upload = '';
  #hasEnded = false;
  #settle: (ending: Ending) => void = () => undefined;
  #shown = -1;

  constructor({ name, title, verdict }: PlannedStep) {
    this.#name = name;
    this.title = `${name}: ${printable(title)}`;
    this.ended = new Promise((resolve) => (this.#settle = resolve));
    this.#changes = new Set(verdict.kind === 'changes' ? verdict.changes : []);
    this.#aside = verdict.kind === 'changes' ? aside(verdict) : '';
    this.#left = this.#changes.size;
    if (verdict.kind === 'settled') this.#end('skipped', verdict.because);
    if (verdict.kind === 'blocked') this.#end('skipped', `blocked: ${verdict.because}`);
  }

  /** What it is at; undefined once it has ended. */
  get current(): string | undefined {
    if (this.#hasEnded) return undefined;
    return this.#upload === '' ? this.title : `${this.#name}: ${this.#upload}`;
  }

  /** What became of a change, if it is one of this step's. */
  outcome(outcome: Outcome): void {
    if (!this.#changes.has(outcome.change)) return;
    if (outcome.result !== 'done') this.#failures.add(explain(outcome.problem).sentence);
    if (--this.#left === 0) this.#conclude();
  }

  /** How much of a file was sent, if it is one of this step's. */
  upload({ path, sent, total }: Event & { type: 'progress' }): void {
    const percent = total === 0 ? 100 : Math.floor((100 * sent) / total);
    const mine = [...this.#changes].some(
      (change) => change.what === 'entry' && change.path === path,
    );
    if (!mine || percent === this.#shown) return;
    this.#shown = percent;
    this.#upload = `${printablePath(path)}: ${percent}% of ${grouped(total)} bytes`;
    this.onUpload?.(this.#upload);
  }

  /** The step is over, whatever was heard of it. */
  over(report: StepReport | undefined): void {
    if (report?.status === 'failed') this.#end('failed', report.reason);
    else if (report === undefined || this.#failures.size > 0) this.#end('failed', 'not finished');
    else this.#conclude(report.changes);
  }

  #conclude(made: readonly Change[] = [...this.#changes]): void {
    if (this.#failures.size > 0) return this.#end('failed', [...this.#failures].join('; '));
    this.#end('done', `${summed(made)}${this.#aside}`);
  }

  #end(kind: Ending['kind'], text: string): void {
    this.#hasEnded = true;
    this.#settle({ kind, text: `${this.#name}: ${printable(text)}` });
  }
}

/** What a step with changes leaves undone, behind what it does. */
function aside({ except, besides }: { except?: string; besides?: string }): string {
  const words = [
    ...(except === undefined ? [] : [`blocked: ${except}`]),
    ...(besides === undefined ? [] : [besides]),
  ];
  return words.map((one) => `; ${one}`).join('');
}

/** An account on its way through its plan. */
export class Progress {
  readonly steps: readonly StepProgress[];
  readonly #names: readonly string[];

  constructor(plan: Plan) {
    this.steps = plan.steps.map((step) => new StepProgress(step));
    this.#names = plan.steps.map(({ name }) => name);
  }

  /** The first step that has not ended, and what it is at. */
  get current(): string | undefined {
    return this.steps.find(({ current }) => current !== undefined)?.current;
  }

  /** Takes in an event of this account. */
  observe(event: Event): void {
    if (event.type === 'outcome') for (const step of this.steps) step.outcome(event.outcome);
    if (event.type === 'progress') for (const step of this.steps) step.upload(event);
    if (event.type === 'applied') this.over(event.steps);
    if (event.type === 'problem') this.over([]);
    if (event.type === 'report') this.over(event.report.steps);
  }

  /** Ends every step that has not ended. */
  over(reports: readonly StepReport[]): void {
    this.steps.forEach((step, index) =>
      step.over(reports.find(({ name }) => name === this.#names[index])),
    );
  }
}

/** The changes of a step on one line: `.screenrc, .zshenv, .zshrc (not there yet)`. */
function summed(changes: readonly Change[]): string {
  const [first] = changes;
  if (first !== undefined && changes.length === 1) return describe(first).slice(2);
  const names = changes.map((change) => {
    if (change.what === 'command') return commandText(change);
    return change.what === 'entry' ? printablePath(change.path) : 'the login shell';
  });
  const reasons = [...new Set(changes.map(({ reason }) => reason))];
  return `${few(names, 4)} (${few(reasons, 2)})`;
}

function few(words: readonly string[], most: number): string {
  const rest = words.length - most;
  return rest > 0 ? `${words.slice(0, most).join(', ')} and ${rest} more` : words.join(', ');
}
