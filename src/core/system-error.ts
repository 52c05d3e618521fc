import { getSystemErrorMap } from 'node:util';
import { PrepError } from './problem.ts';

/** What the system said, in its own words (`no such file or directory`), without code, call and path. */
export function systemCause(error: unknown): string {
  const errno = (error as NodeJS.ErrnoException).errno;
  const known = errno === undefined ? undefined : getSystemErrorMap().get(errno)?.[1];
  return known ?? (error instanceof Error ? error.message : String(error));
}

/** Whether something has the system error code given, such as `ENOENT`. */
export function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}

/** The problem `cannot-read`; `what` is its kind as people call it (`key`, `dotfile`), `next` what to do about it, where that is known. */
export function cannotRead(file: string, what: string, error: unknown, next?: string): PrepError {
  const cause = typeof error === 'string' ? error : systemCause(error);
  const problem = { code: 'cannot-read', file, what, cause } as const;
  return new PrepError(next === undefined ? problem : { ...problem, next }, error);
}

/** The problem `cannot-write`, likewise. */
export function cannotWrite(file: string, what: string, error: unknown): PrepError {
  const cause = typeof error === 'string' ? error : systemCause(error);
  return new PrepError({ code: 'cannot-write', file, what, cause }, error);
}
