import { inspect } from 'node:util';
import { explain, problemOf } from './core/problem.ts';

/** Says on standard error what is in the way, with the stack where `DEBUG` is set, and gives the exit status. */
export function complain(error: unknown): number {
  const { sentence, exit } = explain(problemOf(error));
  process.stderr.write(`prep: ${sentence}\n`);
  if (process.env['DEBUG']) process.stderr.write(`${inspect(error)}\n`);
  return exit;
}
