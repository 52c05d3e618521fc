import { randomUUID } from 'node:crypto';
import { chmodSync, mkdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { compileLibrary } from './compiled-library.ts';

/**
 * Makes a clock that is wrong, for the tests of a file: the environment in which a program, and what it starts, lives
 * so many seconds from now; negative for the past.
 */
export function useWrongClock(): (seconds: number) => Record<string, string> {
  const folder = join(tmpdir(), `prep-wrong-clock-${randomUUID()}`);
  const library = join(folder, 'wrong-clock.so');
  beforeAll(() => {
    mkdirSync(folder);
    compileLibrary('wrong-clock', library);
    // Accounts load it, too.
    for (const path of [folder, library]) chmodSync(path, 0o755);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return (seconds) => ({ LD_PRELOAD: library, WRONG_CLOCK: String(seconds) });
}
