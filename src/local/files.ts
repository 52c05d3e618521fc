import { stat } from 'node:fs/promises';
import { getSystemErrorMap } from 'node:util';
import { PrepError } from '../core/problem.ts';

/** A file name as the user wrote it, with `~` or `~/` at its start replaced (the shell does not do so after a `=`). */
export function expandTilde(file: string, home: string): string {
  return file.replace(/^~(?=\/|$)/, () => home);
}

/** What the system said, in its own words (`no such file or directory`), without code, call and path. */
export function systemCause(error: unknown): string {
  const errno = (error as NodeJS.ErrnoException).errno;
  const known = errno === undefined ? undefined : getSystemErrorMap().get(errno)?.[1];
  return known ?? (error instanceof Error ? error.message : String(error));
}

/** The problem `cannot-read`; `what` is its kind as people call it (`key`, `dotfile`), `next` what to do about it, where that is known. */
export function cannotRead(file: string, what: string, error: unknown, next?: string): PrepError {
  const cause = typeof error === 'string' ? error : systemCause(error);
  const problem = { code: 'cannot-read', file, what, cause } as const;
  return new PrepError(next === undefined ? problem : { ...problem, next }, error);
}

/** Whether something has the system error code given, such as `ENOENT`. */
export function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}

/** Its modification time in milliseconds; undefined for what is no file. */
export async function fileTime(file: string): Promise<number | undefined> {
  const found = await stat(file).catch(() => undefined);
  return found?.isFile() === true ? found.mtimeMs : undefined;
}

/** Whether a file stands there (or a link to one). */
export async function isFile(file: string): Promise<boolean> {
  return (await fileTime(file)) !== undefined;
}
