import { figures, Listr, type ListrTask, type ListrTaskObject } from 'listr2';
import { styleText } from 'node:util';
import { Drawing, spinner, type Frame, type Screen } from './drawing.ts';
import type { Progress, StepProgress } from './progress.ts';

/** A list on the screen. */
export interface LiveList {
  readonly done: Promise<unknown>;
  /** Leaves the list as it is, and gives the terminal back at once. */
  stop(): void;
}

/** Draws the steps of one account until all have ended. */
export function listSteps(progress: Progress, screen: Screen): LiveList {
  const list = new Listr(progress.steps.map(stepTask), {
    concurrent: false,
    exitOnError: false,
    registerSignalListeners: false,
    renderer: 'silent',
  });
  const drawing = new Drawing(screen, (frame) => linesOf(list.tasks, frame, screen));
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

type Task = ListrTaskObject<any, any, any>;

function linesOf(tasks: readonly Task[], { turn, fitted }: Frame, screen: Screen): string[] {
  return tasks.flatMap((task) => {
    const line = signed(task, fitted(`  ${wordsOf(task)}`), turn, screen);
    return [line, ...(task.isStarted() && task.output ? [fitted(`    ${task.output}`)] : [])];
  });
}

/** Puts the sign of a task's state in its line. */
function signed(task: Task, line: string, turn: number, screen: Screen): string {
  const [style, sign] = stateOf(task, turn);
  return styleText(style, sign, { stream: screen }) + line.slice(1);
}

function stateOf(task: Task, turn: number): [Parameters<typeof styleText>[0], string] {
  if (task.isSkipped()) return ['yellow', figures.arrowDown];
  if (task.hasFailed()) return ['red', figures.cross];
  if (task.isCompleted()) return ['green', figures.tick];
  if (task.isStarted()) return ['yellow', spinner(turn)];
  return ['dim', figures.squareSmallFilled];
}

function wordsOf(task: Task): string {
  const words = task.isSkipped() ? task.message.skip : task.message.error;
  return words ?? task.title ?? '';
}
