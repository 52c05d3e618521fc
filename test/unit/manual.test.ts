import { spawnSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { files, man, version } from '../../package.json';
import { FLAGS } from '../../src/cli/help.ts';
import { manualPage } from '../../src/cli/manual.ts';
import { steps } from '../../steps/index.ts';

const page = manualPage({ version, steps });
const has = (program: string): boolean => spawnSync(program, ['--version']).error === undefined;

describe('man/prep.1', () => {
  test('is made from what prep --help is made of (npm run man writes it anew)', async () => {
    expect(man).toBe('man/prep.1');
    expect(files).toContain('man');
    await expect(page).toMatchFileSnapshot(`../../${man}`);
  });

  test.skipIf(!has('groff'))('is flawless to groff', () => {
    const args = ['-man', '-ww', '-rCHECKSTYLE=3', '-Tutf8', '-Z'];
    const { status, stderr } = spawnSync('groff', args, { input: page, encoding: 'utf8' });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  });

  test.skipIf(!has('man'))('reads as text, every flag in it', () => {
    const { status, stdout, stderr } = spawnSync('man', ['--warnings', '-l', man], {
      encoding: 'utf8',
      env: { ...process.env, MANPAGER: 'cat', MANWIDTH: '100', LC_ALL: 'C.UTF-8' },
    });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    for (const { name } of FLAGS) expect(stdout).toContain(`--${name}`);
    for (const { name } of steps) expect(stdout).toContain(name);
    expect(stdout).toContain('.ssh/config');
  });
});
