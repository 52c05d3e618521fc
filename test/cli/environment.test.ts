import { describe, afterEach, beforeEach, expect, test } from 'vitest';
import { Laptop, runPrep } from '../support/laptop.ts';

/** As each kind of child sees it: the variables of prep's environment, written down. */
describe('PREP_PASSWORD is not there', () => {
  let laptop: Laptop;
  beforeEach(() => {
    laptop = new Laptop();
  });
  afterEach(() => laptop.remove());
  const seen = (): string => laptop.path('seen');
  const prep = async (...args: readonly string[]): Promise<string> => {
    const env = { PREP_PASSWORD: 'hunter2-hunter2', WITNESS: 'here' };
    const run = await runPrep(args, { laptop, env });
    expect(run.stdout + run.stderr).not.toContain('hunter2');
    const variables = laptop.read('seen') ?? '';
    expect(variables).toContain('WITNESS=here');
    return variables;
  };

  test('for what a configuration file runs', async () => {
    const program = `import { execSync } from 'node:child_process';
execSync('env >>"$HOME/seen"');
export default {};`;
    laptop.write('.config/prep/prep.config.mjs', program);
    expect(await prep('steps')).not.toContain('hunter2');
    expect(await prep('-n', 'nobody@127.0.0.1:1')).not.toContain('hunter2');
  });

  test('for a command that prints dotfiles', async () => {
    const command = ['sh', '-c', 'env >>"$HOME/seen"; env >&2; exit 1'];
    laptop.write('.config/prep/prep.config.json', JSON.stringify({ dotfiles: [{ command }] }));
    expect(await prep('export', 'ansible', 'web1')).not.toContain('hunter2');
  });

  test.each([
    ['mastering', ['mastering', '--yes']],
    ['open --list', ['open', '--list']],
    ['run', ['run', 'nobody@127.0.0.1', '--', 'true']],
    ['a dry run', ['-n', 'nobody@127.0.0.1']],
  ])('for ssh, and what it runs in turn: %s', async (_what, args) => {
    laptop.write('.ssh/config', `Match exec "env >>${seen()}"\n  Port 1\n`);
    expect(await prep(...args)).not.toContain('hunter2');
  });
});
