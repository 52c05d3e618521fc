import { mkdirSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Laptop, runPrep, type PrepOptions, type PrepRun } from '../support/laptop.ts';

describe('prep init', () => {
  let laptop: Laptop;
  beforeEach(() => {
    laptop = new Laptop({ keys: ['ed25519', 'rsa'] });
  });
  afterEach(() => laptop.remove());
  const FILE = '.config/prep/prep.config.ts';
  const init = (args: string[] = [], options: Partial<PrepOptions> = {}): Promise<PrepRun> =>
    runPrep(['init', ...args], { laptop, ...options });

  test('asks, and writes what was answered', async () => {
    mkdirSync(laptop.path('.dotfiles'));
    const run = await init([], {
      pty: true,
      // A list of choices keeps the cursor at its foot.
      answers: [/Which key/, /Which login shell/, /Which dotfiles/].map((prompt) => ({
        prompt,
        anywhere: true,
        type: '\u001b[B\r',
      })),
    });
    expect(run.status, run.screen).toBe(0);
    const text = laptop.read(FILE)!;
    expect(text).toMatch(/^ {2}keys: \['~\/\.ssh\/id_(rsa|ed25519)\.pub'\],$/m);
    expect(text).toMatch(/^ {2}shell: 'bash',$/m);
    expect(text).toMatch(/^ {2}dotfiles: '~\/\.dotfiles',$/m);
  });

  test('takes what is usual with --yes, and the file holds', async () => {
    const run = await init(['--yes']);
    expect(run).toMatchObject({ status: 0, stderr: '' });
    expect(run.stdout).toContain(laptop.path(FILE));
    expect(laptop.read(FILE)).toMatch(/^ {2}shell: 'zsh',$/m);
    expect(laptop.read(FILE)).toMatch(/^ {2}\/\/ terminfo: true,$/m);
    const steps = await runPrep(['steps'], { laptop });
    expect(steps).toMatchObject({ status: 0, stderr: '' });
    expect(steps.stdout.split('\n')).toHaveLength(7);
  });

  test('turns on what an unusual terminal needs', async () => {
    const run = await init(['--yes'], { env: { TERM: 'xterm-kitty' } });
    expect(run).toMatchObject({ status: 0, stderr: '' });
    const steps = await runPrep(['steps'], { laptop });
    expect(steps.stdout).toMatch(/^terminfo /m);
  });

  test('says what to do where nobody can be asked, and writes nothing', async () => {
    const run = await init();
    expect(run.status).toBe(1);
    expect(run.stderr).toMatch(/^prep: there is no terminal to ask: Which key [^\n]*--yes\n$/);
    expect(laptop.tree()['.config']).toBeUndefined();
  });

  test.each([
    ['one there', FILE, []],
    ['one of another kind', '.config/prep/prep.config.json', []],
    ['the one named', 'mine.mjs', ['--config', 'mine.mjs']],
  ])('never replaces %s', async (_which, file, args) => {
    laptop.write(file, '{}');
    const run = await init(['--yes', ...args]);
    expect(run.status).toBe(1);
    expect(run.stderr).toMatch(/^prep: \S+ exists already and is left alone; [^\n]+\n$/);
    expect(laptop.read(file)).toBe('{}');
  });

  test('writes where it is told to', async () => {
    expect(await init(['--yes', '--config', 'my/own.mjs'])).toMatchObject({ status: 0 });
    const steps = await runPrep(['steps', '--config', 'my/own.mjs'], { laptop });
    expect(steps).toMatchObject({ status: 0, stderr: '' });
    expect(await init(['--yes', '--config', 'own.json'])).toMatchObject({ status: 2 });
  });
});
