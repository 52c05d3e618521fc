import type { ReadStream } from 'node:tty';
import type { Options } from './cli/options.ts';
import { explain } from './core/problem.ts';
import type { Prompter } from './core/prompter.ts';
import { answeringSafely, unattended } from './core/unattended.ts';
import type { Target } from './targets.ts';
import type { View } from './terminal/view.ts';

/** What belongs to the terminal while prep runs. */
export interface Terminal {
  readonly view: View;
  readonly prompter: Prompter;
  readonly attended: boolean;
  /** Says what is known, where the run is interrupted. */
  lastWords?: () => void;
  close(): void;
}

/** Where nobody sits at a terminal, nobody is asked; where nobody looks at one, lines are plain. */
export async function openTerminal(
  options: Options,
  targets: readonly Target[] = [],
): Promise<Terminal> {
  const typed = process.stdin.isTTY === true && options.hosts !== '-';
  const attended = typed && process.stderr.isTTY === true;
  if (!attended) {
    const view = await viewFor(options, targets);
    return { view, prompter: unattended(options.yes), attended, close: () => undefined };
  }
  return { view: await viewFor(options, targets), ...(await promptAt(process.stdin, options)) };
}

/** Asks at a terminal. */
export async function promptAt(
  input: ReadStream,
  { yes }: Pick<Options, 'yes'>,
): Promise<Omit<Terminal, 'view'>> {
  const { Keyboard } = await import('./terminal/keyboard.ts');
  const { InquirerPrompter } = await import('./terminal/inquirer.ts');
  const keyboard = new Keyboard(input);
  const asking = new InquirerPrompter(keyboard, process.stderr);
  const prompter = yes ? answeringSafely(asking) : asking;
  return { prompter, attended: true, close: () => keyboard.close() };
}

/** Who shows what happens: events for programs, a live list where somebody looks, else plain lines. */
export async function viewFor(options: Options, targets: readonly Target[] = []): Promise<View> {
  const streams = { out: process.stdout, err: process.stderr };
  const accounts = targets.map(({ destination }) => destination);
  const manner = { verbosity: options.verbosity, accounts };
  if (options.json) return (await import('./terminal/ndjson.ts')).ndjsonView(streams, manner);
  if (process.stdout.isTTY === true && options.verbosity !== 'quiet') {
    return (await import('./terminal/task-list.ts')).taskListView(streams, manner);
  }
  return (await import('./terminal/text.ts')).textView(streams, manner);
}

/** Ctrl-C, being told to end, and the terminal's going away all mean the same. */
export function endOnSignals(terminal: Terminal): void {
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => interrupted(terminal));
  }
}

/** Whatever is under way on the server is finished or undone there by itself: each path is old or new. */
export function interrupted(terminal: Terminal): never {
  terminal.lastWords?.();
  terminal.view.interrupt();
  terminal.close();
  process.exit(explain({ code: 'interrupted' }).exit);
}
