import { execFileSync, spawnSync, type SpawnSyncReturns } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { version } from '../../package.json';
import { buildExecutable, noExecutable } from '../../tools/executable.ts';
import { describeSshd } from '../support/describe-sshd.ts';
import { useSshd } from '../support/stage.ts';

const title = 'prep as a single executable';

describe.skipIf(noExecutable)(noExecutable ? `${title} (skipped: ${noExecutable})` : title, () => {
  const folder = mkdtempSync(join(tmpdir(), 'prep-executable-'));
  const [executable, bin] = [join(folder, 'prep'), join(folder, 'bin')];

  /** The build writes a hundred megabytes several times. */
  beforeAll(async () => {
    chmodSync(folder, 0o755); // the demonstration's account finds its programs here
    mkdirSync(join(folder, 'home'));
    linkTools(bin);
    await buildExecutable(executable);
  }, 180_000);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  function prep(args: readonly string[], path = '/nonexistent'): SpawnSyncReturns<string> {
    const env = { HOME: join(folder, 'home'), PATH: path, TMPDIR: folder };
    return spawnSync(executable, args, { env, cwd: folder, encoding: 'utf8' });
  }

  test.each(['--help', 'steps'])(
    'says what the built prep says, without any program: %s',
    (word) => {
      const { status, stdout, stderr } = prep([word]);
      expect([status, stderr]).toEqual([0, '']);
      const built = execFileSync(process.execPath, ['dist/main.cjs', word], { encoding: 'utf8' });
      expect(stdout).toBe(built);
    },
  );

  test('knows its version', () => {
    expect(prep(['--version']).stdout).toBe(`prep ${version}\n`);
  });

  test('refuses what the built prep refuses', () => {
    const { status, stdout, stderr } = prep(['--no-such-flag']);
    expect([status, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(/^prep: [^\n]*--no-such-flag[^\n]*\n$/);
  });

  test('takes a configuration in TypeScript with a step of its own, and in JavaScript', () => {
    const config = join(folder, 'prep.config.ts');
    writeFileSync(join(folder, 'title.ts'), "export const title: string = 'greets the account';\n");
    writeFileSync(config, OWN_STEP);
    const typed = prep(['steps', '--config', config]);
    expect([typed.status, typed.stderr]).toEqual([0, '']);
    expect(typed.stdout).toMatch(/^greeting +greets the account$/m);
    const script = join(folder, 'prep.config.js');
    writeFileSync(script, "export default { shell: 'bash', skip: await ['zlogin'], keyz: [] };\n");
    const plain = prep(['steps', '--config', script]);
    expect([plain.status, plain.stdout]).toEqual([2, '']);
    expect(plain.stderr).toMatch(/keyz is not a setting, did you mean keys/);
  });

  test('prepares an account without node, with the dotfiles that it brings along', () => {
    const { status, stdout, stderr } = prep(['demo'], bin);
    expect([status, stderr], stdout).toEqual([0, '']);
    const sandbox = /rm -r (\S+)/.exec(stdout)![1]!;
    for (const file of readdirSync('dotfiles')) {
      const sent = readFileSync(join(sandbox, 'home', 'demo', file), 'utf8');
      expect(sent).toBe(readFileSync(join('dotfiles', file), 'utf8'));
    }
  });

  describeSshd('on a real server', () => {
    const stage = useSshd();

    test.each(['ssh2', 'openssh'])(
      'logs in by %s, and answers what it is asked',
      async (transport) => {
        const visit = stage.visit();
        const [wrapper] = visit.laptop.env()['PATH']!.split(':');
        const run = await visit.prep(['--transport', transport], {
          executable,
          password: true,
          env: { PATH: `${wrapper}:${bin}` },
        });
        expect(run.status, run.stderr).toBe(0);
        expect(visit.authorizedKeys).toBe(visit.keyLine);
        expect(stage.server.logins().map(({ method }) => method)).toEqual([
          'password',
          'publickey',
        ]);
      },
    );
  });
});

const OWN_STEP = `
import { hostname } from 'node:os';
import { defineConfig, defineStep } from 'prep';
import { title } from './title.ts';
const greeting = defineStep({
  name: 'greeting',
  title,
  reads: () => [],
  plan: () => ({ kind: 'settled' as const, because: hostname() satisfies string }),
});
export default defineConfig({ steps: [greeting] });
`;

/** A folder of the system's programs, without node and what comes with it. */
function linkTools(bin: string): void {
  mkdirSync(bin);
  for (const folder of ['/usr/bin', '/bin', '/usr/sbin', '/sbin']) {
    for (const name of readdirSync(folder)) {
      if (/^(node|nodejs|npm|npx|corepack)$/.test(name)) continue;
      if (!existsSync(join(bin, name))) symlinkSync(join(folder, name), join(bin, name));
    }
  }
}
