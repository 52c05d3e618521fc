import { figures, Listr, type ListrTask, type ListrTaskObject } from 'listr2';
import type { Writable } from 'node:stream';
import { styleText } from 'node:util';
import type { Progress, StepProgress } from './progress.ts';

/** A list on the screen. */
export interface LiveList {
  readonly done: Promise<unknown>;
  /** Leaves the list as it is, and gives the terminal back at once. */
  stop(): void;
}

/** An account of a shared list; it gets no progress where nothing is changed there. */
export interface Member {
  readonly account: string;
  readonly begun: Promise<Progress | undefined>;
}

/** Draws the steps of one account until all have ended. */
export function listSteps(progress: Progress, screen: Screen): LiveList {
  return open(progress.steps.map(stepTask), screen, false);
}

/** Draws several accounts at the same time, each with its steps. */
export function listAccounts(members: readonly Member[], screen: Screen): LiveList {
  return open(members.map(accountTask), screen, true);
}

function open(tasks: ListrTask[], screen: Screen, concurrent: boolean): LiveList {
  const list = new Listr(tasks, {
    concurrent,
    exitOnError: false,
    registerSignalListeners: false,
    renderer: 'silent',
  });
  const drawing = new Drawing(list.tasks, screen);
  return { done: list.run().finally(() => drawing.end()), stop: () => drawing.end() };
}

function stepTask(step: StepProgress): ListrTask {
  return {
    title: step.title,
    task: async (_, task) => {
      step.onUpload = (text) => (task.output = text);
      const { kind, text } = await step.ended;
      if (kind === 'failed') throw new Error(text);
      if (kind === 'skipped') task.skip(text);
      else task.title = text;
    },
  };
}

function accountTask({ account, begun }: Member): ListrTask {
  return {
    title: account,
    task: async (_, task) => {
      const progress = await begun;
      if (progress === undefined) return task.skip(`${account}: no change was made`);
      return task.newListr(progress.steps.map(stepTask), { concurrent: false, exitOnError: false });
    },
  };
}

/** The part of a terminal that drawing needs. */
export type Screen = Writable & { readonly columns?: number; readonly rows?: number };

type Task = ListrTaskObject<any, any, any>;

/** Milliseconds between two drawings. */
const INTERVAL = 100;

const SPINNER = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];

/**
 * Draws listr2's tasks. Its own renderer costs some 100 ms of computing in a run, for it loads tables to measure
 * and wrap text; this one cuts lines short, and draws ten times a second, whatever happens.
 */
class Drawing {
  readonly #tasks: readonly Task[];
  readonly #screen: Screen;
  readonly #timer: NodeJS.Timeout;
  /** How many lines the last drawing has. */
  #height = 0;
  #turns = 0;
  #ended = false;

  constructor(tasks: readonly Task[], screen: Screen) {
    this.#tasks = tasks;
    this.#screen = screen;
    this.#timer = setInterval(() => this.#draw(), INTERVAL);
  }

  /** The last drawing, lines whole. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    clearInterval(this.#timer);
    this.#replace(this.#lines(this.#tasks));
  }

  /** No line wraps and no more lines than the screen has, so that the cursor finds its way back. */
  #draw(): void {
    this.#turns++;
    const { columns = 80, rows = 24 } = this.#screen;
    const lines = this.#lines(this.#tasks, (text) => cut(text, columns - 1));
    this.#replace(lines.slice(1 - rows));
  }

  #replace(lines: readonly string[]): void {
    const up = this.#height === 0 ? '' : `\u001b[${this.#height}A`;
    this.#screen.write(`${up}\r\u001b[J${lines.map((line) => `${line}\n`).join('')}`);
    this.#height = lines.length;
  }

  #lines(tasks: readonly Task[], fitted = (text: string) => text, indent = ''): string[] {
    return tasks.flatMap((task) => {
      const line = this.#sign(task, fitted(`${indent}  ${wordsOf(task)}`), indent.length);
      const output = task.isStarted() && task.output ? [fitted(`${indent}    ${task.output}`)] : [];
      const below = task.hasSubtasks() && !isQuiet(task) ? task.subtasks : [];
      return [line, ...output, ...this.#lines(below, fitted, `${indent}  `)];
    });
  }

  /** Puts the sign of a task's state in its line. */
  #sign(task: Task, line: string, at: number): string {
    const [style, sign] = this.#state(task);
    const styled = styleText(style, sign, { stream: this.#screen });
    return line.slice(0, at) + styled + line.slice(at + 1);
  }

  #state(task: Task): [Parameters<typeof styleText>[0], string] {
    if (task.isSkipped()) return ['yellow', figures.arrowDown];
    if (hasFailures(task)) return ['red', figures.cross];
    if (task.isCompleted()) return ['green', figures.tick];
    if (task.isStarted()) return ['yellow', SPINNER[this.#turns % SPINNER.length]!];
    return ['dim', figures.squareSmallFilled];
  }
}

function wordsOf(task: Task): string {
  const words = task.isSkipped() ? task.message.skip : task.message.error;
  return words ?? task.title ?? '';
}

function hasFailures(task: Task): boolean {
  if (task.hasFailed()) return true;
  return !task.isStarted() && task.hasSubtasks() && task.subtasks.some((step) => step.hasFailed());
}

/** An account all of whose steps went well needs no more than its own line. */
function isQuiet(task: Task): boolean {
  return !task.isStarted() && !hasFailures(task);
}

/** As much of a line as fits; everything beyond Latin, Greek and Cyrillic counts double. */
function cut(text: string, columns: number): string {
  let width = 0;
  let fits = '';
  for (const character of text) {
    width += character >= '\u1100' ? 2 : 1;
    if (width > columns) return `${fits.slice(0, -1)}\u2026`;
    fits += character;
  }
  return text;
}
