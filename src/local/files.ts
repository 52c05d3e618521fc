import { stat } from 'node:fs/promises';

/** A file name as the user wrote it, with `~` or `~/` at its start replaced (the shell does not do so after a `=`). */
export function expandTilde(file: string, home: string): string {
  return file.replace(/^~(?=\/|$)/, () => home);
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
