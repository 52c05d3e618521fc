import { PrepError, type Problem } from '../../src/core/problem.ts';

/** The problem that something ends in. @throws Error where it ends well, or in what is no problem */
export async function problemIn(promise: Promise<unknown>): Promise<Problem> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof PrepError) return error.problem;
  throw new Error(`not a problem: ${String(error)}`, { cause: error });
}
