import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { entryAt } from '../../src/core/facts.ts';
import type { Change } from '../../src/core/plan.ts';
import { remotePath } from '../../src/core/remote-path.ts';
import { ShellAccount } from '../../src/remote/shell-account.ts';
import { file } from '../support/facts.ts';
import { localSession } from '../support/local-session.ts';

let [home, tools] = ['', ''];
beforeEach(() => {
  [home, tools] = [mkdtempSync(join(tmpdir(), 'home-')), mkdtempSync(join(tmpdir(), 'tools-'))];
});
afterEach(() => [home, tools].forEach((folder) => rmSync(folder, { recursive: true })));

/** What /bin/sh is there, with something in its environment that a start-up file has exported. */
function shell(setting: string, program: string): string {
  const path = join(tools, 'sh');
  writeFileSync(path, `#!/bin/sh\nexec env '${setting}' ${program} "$@"\n`, { mode: 0o755 });
  return path;
}

const writes = (name: string): Change => ({
  what: 'command',
  argv: ['sh', '-c', `echo >${name}`],
  as: 'self',
  provides: [],
  shells: [],
  reason: 'a test',
});

const CASES = [
  ['SHELLOPTS=noclobber:xtrace:nounset', '/bin/bash'],
  ['BASHOPTS=failglob', '/bin/bash'],
  ['QUOTING_STYLE=shell-always', '/bin/dash'],
  ['TMOUT=1', '/bin/mksh'],
] as const;

describe.each(CASES)('a start-up file that exports %s', (setting, program) => {
  test.skipIf(!existsSync(program))(
    `leads no script of ${program} astray, nor makes it wait`,
    async () => {
      mkdirSync(join(home, 'd'));
      writeFileSync(join(home, 'd/a b'), '');
      writeFileSync(join(home, 'f'), 'old');
      const [f, d] = [remotePath('f'), remotePath('d')];
      const readings = [{ path: d, list: true } as const, { path: f, bytes: 'all' } as const];
      const begun = performance.now();
      const session = localSession({ home, shell: shell(setting, program) });
      const { account, facts } = await ShellAccount.open(session, { readings, loginShell: 'zsh' });
      const before = entryAt(facts, f);
      const after = file(0o600, 'new');
      const { outcomes } = await account.apply(
        [
          { what: 'entry', path: f, before, after, reason: 'a test', starts: '/bin/dash' },
          writes('first'),
          writes('second'),
        ],
        { run: '0001-test', readings, stepOf: () => 'test' },
      );
      account.close();
      expect(outcomes.map(({ result }) => result)).toEqual(['done', 'done', 'done']);
      expect(performance.now() - begun).toBeLessThan(10_000);
      expect(readFileSync(join(home, 'f'), 'utf8')).toBe('new');
      expect(entryAt(facts, d)).toMatchObject({ names: ['a b'] });
    },
    90_000,
  );
});
