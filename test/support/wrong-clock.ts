import { randomUUID } from 'node:crypto';
import { chmodSync, mkdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { compileLibrary } from './compiled-library.ts';

/** A clock that is wrong, for programs that are started with its environment. */
export class WrongClock {
  readonly #library: string;

  constructor(library: string) {
    this.#library = library;
  }

  /** What makes a program, and what it starts, live so many seconds from now; negative for the past. */
  environment(seconds: number): Record<string, string> {
    return { LD_PRELOAD: this.#library, WRONG_CLOCK: String(seconds) };
  }
}

/** Makes one for the tests of a file. */
export function useWrongClock(): WrongClock {
  const folder = join(tmpdir(), `prep-wrong-clock-${randomUUID()}`);
  const library = join(folder, 'wrong-clock.so');
  beforeAll(() => {
    mkdirSync(folder);
    compileLibrary('wrong-clock', library);
    // Accounts load it, too.
    for (const path of [folder, library]) chmodSync(path, 0o755);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return new WrongClock(library);
}
