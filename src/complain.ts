import { inspect } from 'node:util';
import type { Event, Observer, Report } from './core/event.ts';
import { explain, problemOf } from './core/problem.ts';

/** Says on standard error what is in the way, with the stack where `DEBUG` is set, and gives the exit status. */
export function complain(error: unknown): number {
  const { sentence, exit } = explain(problemOf(error));
  process.stderr.write(`prep: ${sentence}\n`);
  if (process.env['DEBUG']) process.stderr.write(`${inspect(error)}\n`);
  return exit;
}

/** Tells what keeps a whole command from being done, then the summary; gives the exit status. */
export function inTheWay(observe: Observer, error: unknown, summary: () => Event): number {
  const problem = problemOf(error);
  if (process.env['DEBUG']) process.stderr.write(`${String((error as Error).stack)}\n`);
  observe({ type: 'problem', problem });
  observe(summary());
  return explain(problem).exit;
}

/** The exit status that one account's report deserves. */
export function exitStatus({ status, steps, problem }: Report): number {
  if (problem !== undefined) return explain(problem).exit;
  return status === 'failed' || steps.some((step) => step.status === 'blocked') ? 1 : 0;
}
