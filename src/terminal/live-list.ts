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
    // Any of them may be where the work is: what is large is sent before the first is changed.
    concurrent: true,
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
  const isOpen = (task: Task): boolean => task.isStarted() && !task.isCompleted();
  const current = tasks.find((task) => isOpen(task) && task.output) ?? tasks.find(isOpen);
  return tasks.flatMap((task) => {
    const line = signed(
      stateOf(task, turn, task === current),
      fitted(`  ${wordsOf(task)}`),
      screen,
    );
    return [line, ...(isOpen(task) && task.output ? [fitted(`    ${task.output}`)] : [])];
  });
}

type State = readonly [style: Parameters<typeof styleText>[0], sign: string];

/** Puts the sign of a task's state in its line. */
function signed([style, sign]: State, line: string, screen: Screen): string {
  return styleText(style, sign, { stream: screen }) + line.slice(1);
}

function stateOf(task: Task, turn: number, isCurrent: boolean): State {
  if (task.isSkipped()) return ['yellow', figures.arrowDown];
  if (task.hasFailed()) return ['red', figures.cross];
  if (task.isCompleted()) return ['green', figures.tick];
  if (isCurrent) return ['yellow', spinner(turn)];
  return ['dim', figures.squareSmallFilled];
}

function wordsOf(task: Task): string {
  const words = task.isSkipped() ? task.message.skip : task.message.error;
  return words ?? task.title ?? '';
}
