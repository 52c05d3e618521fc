import { styleText } from 'node:util';
import { counted } from '../core/count.ts';
import { label, type Destination } from '../core/destination.ts';
import { unifiedDiff } from '../core/diff.ts';
import type { EditReport, Event, LocalEdit, Outcome, Report } from '../core/event.ts';
import {
  changesOf,
  replaces,
  type Change,
  type LoginShellChange,
  type Plan,
  type PlannedStep,
} from '../core/plan.ts';
import { printable, printableLines } from '../core/printable.ts';
import { remotePath } from '../core/remote-path.ts';
import { Complaints } from './complaints.ts';
import { countsOf, summaryRows } from './summary-table.ts';
import type { Manner, Streams, View } from './view.ts';
import { describe, loginCommand, signOf, stepsThatAre } from './words.ts';

type Style = Parameters<typeof styleText>[0];

const STYLE_OF_SIGN = { '+': 'green', '~': 'yellow', '-': 'red', '=': 'dim', '!': 'red' } as const;

const STYLE_OF_STATUS = {
  changed: 'green',
  planned: 'yellow',
  unchanged: 'dim',
  failed: 'red',
} as const;

/** The column in which what a step does begins. */
const COLUMN = 18;

/**
 * Shows a run as plain lines: results on standard output, problems on standard error. Without `closing`, the
 * lines that tell how an account ended are left out, where there are several and the table has it.
 */
export function textView(streams: Streams, manner: Manner, closing = true): View {
  const text = new Text(streams, manner, closing);
  return {
    observe: (event) => text.observe(event),
    concurrent: false,
    finish: async () => undefined,
    interrupt: () => text.complaints.tell({ code: 'interrupted' }),
  };
}

class Text {
  readonly complaints: Complaints;
  readonly #streams: Streams;
  readonly #quiet: boolean;
  readonly #verbose: boolean;
  readonly #many: boolean;
  readonly #closing: boolean;
  /** How many changes were made, by account. */
  readonly #made = new Map<string, number>();

  constructor(streams: Streams, { verbosity, accounts = [] }: Manner, closing: boolean) {
    this.complaints = new Complaints(streams.err);
    this.#streams = streams;
    this.#quiet = verbosity === 'quiet';
    this.#verbose = verbosity === 'verbose';
    this.#many = accounts.length > 1;
    this.#closing = closing || !this.#many || this.#verbose;
  }

  observe(event: Event): void {
    this.complaints.observe(event);
    switch (event.type) {
      case 'note':
        return this.#verbose ? this.#aside(event.destination, event.text) : undefined;
      case 'notice':
        return this.#aside(event.destination, event.text);
      case 'banner':
        return this.#quiet ? undefined : this.#error(printableLines(event.text.trimEnd()));
      case 'plan':
        return this.#plan(event.plan, this.#diffsFor(event.next));
      case 'outcome':
        return this.#outcome(event.destination, event.outcome);
      case 'verified':
        return this.#verified(event);
      case 'edit':
        return this.#edit(event.edit);
      case 'edited':
        return this.#edited(event.report);
      case 'report':
        return this.#report(event.report);
      case 'summary':
        return this.#summary(event.reports);
      default:
        return undefined;
    }
  }

  /** A preview shows every difference; a question only what it is about. */
  #diffsFor(next: 'end' | 'ask' | 'apply'): (change: Change) => boolean {
    if (next === 'end' || this.#verbose) return () => true;
    return next === 'ask' ? replaces : () => false;
  }

  #plan(plan: Plan, withDiff: (change: Change) => boolean): void {
    const count = changesOf(plan).length;
    if (this.#many && !this.#verbose && count === 0 && !isBlocked(plan)) return;
    const heading = count === 0 ? 'nothing to change' : counted(count, 'change');
    this.#line(`${label(plan.destination)}: ${heading}`);
    for (const step of plan.steps) this.#step(step, isAskedAbout(step) ? () => true : withDiff);
  }

  #step({ name, verdict }: PlannedStep, withDiff: (change: Change) => boolean): void {
    if (verdict.kind !== 'changes') {
      return this.#item(name, verdict.kind === 'settled' ? '=' : '!', verdict.because);
    }
    for (const change of verdict.changes) {
      this.#item(name, signOf(change), describe(change).slice(2));
      if (withDiff(change)) this.#diff(change);
      if (change.what === 'login-shell') this.#otherwise(name, change, withDiff);
    }
    if (verdict.except !== undefined) this.#item(name, '!', verdict.except);
    if (verdict.besides !== undefined) this.#item(name, '=', verdict.besides);
  }

  /** What is done instead, should the login shell not be changed after all. */
  #otherwise(
    step: string,
    { by, otherwise = [] }: LoginShellChange,
    withDiff: (change: Change) => boolean,
  ): void {
    for (const change of otherwise) {
      this.#item(step, signOf(change), `should ${by} refuse, ${describe(change).slice(2)}`);
      if (withDiff(change)) this.#diff(change);
    }
  }

  #item(name: string, sign: keyof typeof STYLE_OF_SIGN, words: string): void {
    const line = `${sign} ${printable(words)}`;
    this.#line(`  ${name.padEnd(COLUMN - 2)}${this.#styled(STYLE_OF_SIGN[sign], line)}`);
  }

  #diff(change: Change): void {
    if (change.what !== 'entry') return;
    for (const line of unifiedDiff(change.path, change.before, change.after)) {
      this.#line(this.#styled(styleOfDiff(line), line));
    }
  }

  #edit({ file, before, after, reason, remarks }: LocalEdit): void {
    this.#line(`${printable(file)}: ${printable(reason)}`);
    for (const line of unifiedDiff(remotePath(file), before, after)) {
      this.#line(this.#styled(styleOfDiff(line), line));
    }
    for (const remark of remarks) this.#line(`  ${printable(remark)}`);
  }

  #edited({ edit, status, because }: EditReport): void {
    const style = status === 'declined' ? 'red' : 'green';
    this.#line(this.#styled(style, `${printable(edit.file)}: ${printable(because)}`));
  }

  #verified(event: Event & { type: 'verified' }): void {
    const { destination, loginShell, withPassword, forced } = event;
    if (!this.#closing) return;
    const by = withPassword === true ? 'and the password' : 'alone';
    const narrower = forced === true ? 'for its one command' : 'for file transfer';
    const where = loginShell === undefined ? narrower : `into ${printable(loginShell)}`;
    this.#line(`${label(destination)}: logged in with the key ${by}, ${where}`);
  }

  #outcome(destination: Destination, outcome: Outcome): void {
    if (outcome.result !== 'done') return;
    const account = label(destination);
    this.#made.set(account, (this.#made.get(account) ?? 0) + 1);
    if (this.#verbose) this.#line(`${account}: done: ${describe(outcome.change)}`);
  }

  #report(report: Report): void {
    const closing = closingLine(report, this.#made.get(label(report.destination)) ?? 0);
    if (closing === undefined || !this.#closing) return;
    const style = report.status === 'failed' ? 'red' : 'green';
    this.#line(this.#styled(style, closing));
  }

  #summary(reports: readonly Report[]): void {
    if (reports.length < 2) return;
    for (const { status, text } of summaryRows(reports)) {
      this.#line(this.#styled(STYLE_OF_STATUS[status], text));
    }
    this.#line(countsOf(reports));
  }

  #aside(destination: Destination, text: string): void {
    if (!this.#quiet) this.#error(`prep: ${label(destination)}: ${printable(text)}`);
  }

  #line(text: string): void {
    if (!this.#quiet) this.#streams.out.write(`${text}\n`);
  }

  #error(text: string): void {
    this.#streams.err.write(`${text}\n`);
  }

  #styled(style: Style | undefined, text: string): string {
    return style === undefined ? text : styleText(style, text, { stream: this.#streams.out });
  }
}

/** Whether the person is about to be asked for the step as such. */
function isAskedAbout({ verdict }: PlannedStep): boolean {
  return verdict.kind === 'changes' && verdict.asks !== undefined;
}

function isBlocked({ steps }: Plan): boolean {
  return steps.some(({ verdict }) => verdict.kind === 'blocked');
}

function styleOfDiff(line: string): Style | undefined {
  if (line.startsWith('--- ') || line.startsWith('+++ ')) return 'bold';
  if (line.startsWith('@@')) return 'cyan';
  if (line.startsWith('+')) return 'green';
  return line.startsWith('-') ? 'red' : undefined;
}

/** How it ended, in one line; nothing where a problem has said it all. */
function closingLine(report: Report, made: number): string | undefined {
  const { destination, status, steps, verified } = report;
  const account = label(destination);
  const planned = steps.reduce((sum, step) => sum + step.changes.length, 0);
  const trouble = [stepsThatAre('failed', report), stepsThatAre('blocked', report)].filter(Boolean);
  if (status === 'unchanged' && trouble.length === 0) {
    return `${account}: nothing to do${steps.length === 0 ? '' : '; everything is as wanted'}`;
  }
  if (status === 'planned') {
    return [`${account}: ${counted(planned, 'change')} planned, none made`, ...trouble].join('; ');
  }
  if (steps.length === 0) return undefined;
  const login = verified === true && made > 0 ? [`log in with: ${loginCommand(report)}`] : [];
  const done = made === 0 ? 'nothing changed' : `${counted(made, 'change')} made`;
  const ready = status === 'changed' && verified === true ? ' is ready' : '';
  return `${account}${ready}: ${[done, ...trouble, ...login].join('; ')}`;
}
