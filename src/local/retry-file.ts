import { constants, existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { access } from 'node:fs/promises';
import path from 'node:path';
import { PrepError } from '../core/problem.ts';
import { cannotWrite } from '../core/system-error.ts';
import { joinWords } from './words.ts';

/** The first line of what prep writes: no other file is ever replaced or removed. */
const MARK = '# written by prep --retry: the destinations that failed, for prep --hosts';

/** Where the destinations that failed are written. */
export class RetryFile {
  readonly name: string;

  private constructor(name: string) {
    this.name = name;
  }

  /** Makes sure that it can be written before anything begins. @throws PrepError `usage`, `cannot-write` */
  static async at(name: string): Promise<RetryFile> {
    const file = new RetryFile(name);
    await file.#attempt(() => access(path.dirname(name), constants.W_OK | constants.X_OK));
    const there = await file.#attempt(() => (existsSync(name) ? readFileSync(name, 'utf8') : MARK));
    if (there.startsWith(MARK) || there.trim() === '') return file;
    throw new PrepError({
      code: 'usage',
      text: `${name} was not written by --retry and is left alone; name another file`,
    });
  }

  /**
   * Writes the lines in place of what was there; without any, takes the file away. At once, for the process
   * may be about to end. Says what it did. @throws PrepError `cannot-write`
   */
  write(lines: readonly (readonly string[])[]): 'written' | 'removed' | 'nothing' {
    try {
      if (lines.length === 0) {
        const there = existsSync(this.name);
        rmSync(this.name, { force: true });
        return there ? 'removed' : 'nothing';
      }
      const text = [MARK, ...lines.map(joinWords)].map((line) => `${line}\n`).join('');
      const beside = `${this.name}.prep-${process.pid}`;
      writeFileSync(beside, text, { mode: 0o600, flush: true });
      renameSync(beside, this.name);
      return 'written';
    } catch (error) {
      throw cannotWrite(this.name, 'retry file', error);
    }
  }

  async #attempt<T>(work: () => T | Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw cannotWrite(this.name, 'retry file', error);
    }
  }
}
