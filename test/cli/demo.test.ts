import { lstatSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Laptop, runPrep } from '../support/laptop.ts';

describe('prep demo', () => {
  let laptop: Laptop;
  let folder: string | undefined;
  beforeEach(() => {
    laptop = new Laptop();
  });
  afterEach(() => {
    laptop.remove();
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  });

  it.each([
    ['at a terminal', true],
    ['without one', false],
  ])(
    'prepares a throw-away account %s, asks nothing, and says what it left',
    async (_where, pty) => {
      const before = laptop.tree();
      const run = await runPrep(['demo'], { laptop, pty });
      const text = run.screen + run.stdout;
      expect(run.status, text + run.stderr).toBe(0);
      folder = /rm -r (\S+)/.exec(text)![1]!;
      const home = join(folder, 'home', 'demo');
      expect(readlinkSync(join(home, '.zlogin'))).toBe('.zshenv');
      expect(lstatSync(join(home, '.ssh', 'authorized_keys')).mode & 0o777).toBe(0o600);
      expect(readFileSync(join(folder, 'etc', 'passwd'), 'utf8')).toMatch(/\/zsh$/m);
      expect(text).toMatch(/logged in with the key alone, into \S*\/zsh/);
      expect(text).toContain('Emulated');
      expect(run.typed).toEqual([]);
      expect(laptop.tree()).toEqual(before);
    },
  );
});
