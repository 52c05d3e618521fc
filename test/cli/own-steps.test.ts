import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { codeIn } from '../support/documentation.ts';
import { describeSshd } from '../support/describe-sshd.ts';
import { runPrep } from '../support/laptop.ts';
import { accountOf, statusesOf, useSshd, type Summary, type Visit } from '../support/stage.ts';

/** A project of the user's own, in which the built package is installed as `prep`. */
class Project {
  readonly folder = mkdtempSync(join(tmpdir(), 'prep-project-'));

  constructor(files: Readonly<Record<string, string>>) {
    mkdirSync(join(this.folder, 'node_modules'));
    symlinkSync(resolve('.'), join(this.folder, 'node_modules', 'prep'));
    this.write({
      'package.json': '{ "type": "module" }',
      'tsconfig.json': JSON.stringify({
        compilerOptions: {
          strict: true,
          exactOptionalPropertyTypes: true,
          noEmit: true,
          allowImportingTsExtensions: true,
          skipLibCheck: true,
          module: 'nodenext',
          target: 'es2023',
          types: [],
        },
        include: ['*.ts'],
      }),
      ...files,
    });
  }

  write(files: Readonly<Record<string, string>>): void {
    for (const [name, text] of Object.entries(files)) writeFileSync(this.path(name), text);
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  /** What the compiler has to say. */
  typeErrors(): string {
    try {
      const args = [resolve('node_modules/typescript/bin/tsc'), '-p', this.folder];
      execFileSync(process.execPath, args, { encoding: 'utf8', stdio: 'pipe' });
      return '';
    } catch (error) {
      return String((error as { stdout: unknown }).stdout);
    }
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

const STEP = codeIn('docs/writing-a-step.md', 'hushlogin.ts');
const CONFIG = codeIn('docs/writing-a-step.md', 'prep.config.ts');

describe('a step file', () => {
  let project: Project;
  beforeEach(() => {
    project = new Project({ 'hushlogin.ts': STEP, 'prep.config.ts': CONFIG });
  });
  afterEach(() => project.remove());

  test('is checked by TypeScript against the package', () => {
    expect(project.typeErrors()).toBe('');
    project.write({ 'hushlogin.ts': STEP.replace("kind: 'file'", "kind: 'fil'") });
    expect(project.typeErrors()).toMatch(/hushlogin\.ts.*"?fil"?/s);
  });
});

describeSshd("a step of one's own", () => {
  const stage = useSshd();
  let visit: Visit;
  let project: Project;
  beforeEach(() => {
    visit = stage.visit();
    visit.account.write('.hushlogin', { content: 'mine\n', mode: 0o600 });
    project = new Project({ 'hushlogin.ts': STEP, 'prep.config.ts': CONFIG });
  });
  afterEach(() => project.remove());
  const config = (): string[] => ['--config', project.path('prep.config.ts')];

  test('is previewed, asked about, kept, settled and undone like any other', async () => {
    const before = visit.account.tree();
    const only = ['--only', 'hushlogin', '--no-verify'];
    const dry = await visit.prep([...config(), ...only, '-n'], { password: true });
    expect(dry.status, dry.stderr).toBe(0);
    expect(dry.stdout).toMatch(/hushlogin +~ \.hushlogin .*: .+\n/);
    expect(dry.stdout).toContain('-mine');
    expect(visit.account.tree()).toEqual(before);
    const refused = await visit.prep([...config(), ...only], { password: true });
    expect(refused.stderr).toMatch(/there is no terminal to ask: Replace \.hushlogin/);
    const run = await visit.prep([...config(), ...only, '--yes'], { password: true });
    expect(run.status, run.stderr).toBe(0);
    expect(visit.account.read('.hushlogin')).toBe('');
    const again = await visit.prep([...config(), ...only, '--json'], { password: true });
    expect(statusesOf(again)).toEqual({ hushlogin: 'unchanged' });
    // Undo needs no configuration to know what was done.
    const undone = await visit.undo();
    expect(undone.status, undone.stderr).toBe(0);
    expect(visit.account.read('.hushlogin')).toBe('mine\n');
  });

  test('runs where it says, among the others, and is listed with them', async () => {
    const steps = await runPrep([...config(), 'steps'], { laptop: visit.laptop });
    expect(steps.stdout).toMatch(/dotfiles .*\nhushlogin +logins are quiet\nzlogin /);
    const run = await visit.prep([...config(), '--yes', '--json'], { password: true });
    expect(run.status, run.stderr).toBe(0);
    expect(Object.keys(statusesOf(run))).toEqual([
      'ssh-dir',
      'authorized-keys',
      'permissions',
      'dotfiles',
      'hushlogin',
      'zlogin',
      'login-shell',
    ]);
    expect(accountOf(run)).toMatchObject({ status: 'changed', verified: true });
  });

  test.each([
    ['throws', "plan() { throw new Error('boom'); }", /its own function plan\(\) failed \(boom\)/],
    ['is async', 'async plan() {}', /it must not be async/],
    ['gives nonsense', 'plan: () => 5', /it gives no verdict/],
    [
      'gives changes that are none',
      `plan: () => ({ kind: 'changes', changes: [{}] })`,
      /its own function plan\(\) failed \(changes\[0\]\S* [^\n]+\); mend the step/,
    ],
    [
      'gives a change without `before`',
      `plan: () => ({ kind: 'changes', changes: [{ what: 'entry', path: 'x', after: { kind: 'absent' }, reason: '' }] })`,
      /\(changes\[0\]\.before is missing\)/,
    ],
    [
      'gives an entry of no kind',
      `plan: () => ({ kind: 'changes', changes: [{ what: 'entry', path: 'x', before: { kind: 'absent' }, after: { kind: 'socket' }, reason: '' }] })`,
      /\(changes\[0\]\.after\S* must be an entry of a kind that prep knows, not /,
    ],
    [
      'reads nonsense',
      `reads: () => [{}], plan: () => 5`,
      /reads\(\) failed \(\[0\]\.path is missing\)/,
    ],
    ['reads no list', `reads: () => 5, plan: () => 5`, /must be a list of readings, not 5/],
  ])('that %s is blocked; the others are done', async (_why, plan, words) => {
    const step = `{ name: 'broken', title: 'broken', reads: () => [], ${plan} }`;
    project.write({ 'own.mjs': `export default { steps: [${step}] };` });
    const args = ['--config', project.path('own.mjs'), '--only', 'ssh-dir,broken', '--json'];
    const run = await visit.prep([...args, '--no-verify'], { password: true });
    expect(run.status).toBe(1);
    expect(run.stderr).toMatch(words);
    expect(statusesOf(run)).toEqual({ 'ssh-dir': 'changed', broken: 'blocked' });
  });

  test('that fails for one account is blocked there alone', async () => {
    const reads = `() => { if (count++ === 0) throw new Error('first'); return []; }`;
    const plan = `() => ({ kind: 'settled', because: 'fine' })`;
    const step = `{ name: 'moody', title: 'moody', reads: ${reads}, plan: ${plan} }`;
    project.write({ 'own.mjs': `let count = 0;\nexport default { steps: [${step}] };` });
    const other = stage.visit();
    const args = ['--config', project.path('own.mjs'), '--only', 'moody', '--json'];
    other.authorize(visit.laptop.read('.ssh/id_ed25519.pub'));
    visit.authorize();
    const run = await visit.prep([...args, '--concurrency', '1', other.destination]);
    expect(run.status).toBe(1);
    const { accounts } = run.events.at(-1) as unknown as Summary;
    expect(accounts.map(({ steps }) => steps[0]?.status)).toEqual(['blocked', 'unchanged']);
  });

  test('is at hand for a program, too', async () => {
    project.write({
      'program.mjs': `import { prepare } from 'prep';
import { hushlogin } from './own.mjs';
const seen = new Set();
const report = await prepare(process.argv[2], {
  password: process.env.SECRET,
  only: ['ssh-dir', 'authorized-keys', 'hushlogin'],
  steps: [hushlogin],
  observe: (event) => seen.add(event.type),
});
console.log(JSON.stringify({ status: report.status, verified: report.verified, steps: report.steps.map((s) => s.name), seen: [...seen] }));
`,
      'own.mjs': STEP.replace(', type Entry', '').replace(': Entry', ''),
    });
    const run = execFileSync(process.execPath, [project.path('program.mjs'), visit.destination], {
      encoding: 'utf8',
      env: { ...visit.laptop.env(), SECRET: visit.account.password },
      timeout: 40_000,
    });
    expect(JSON.parse(run)).toEqual({
      status: 'changed',
      verified: true,
      steps: ['ssh-dir', 'authorized-keys', 'hushlogin'],
      seen: expect.arrayContaining(['plan', 'outcome', 'applied', 'verified']),
    });
    expect(visit.account.read('.hushlogin')).toBe('');
  });

  test('may have the questions asked by the program', async () => {
    project.write({
      'program.mjs': `import { prepare } from 'prep';
import { inspect } from 'node:util';
const { Secret } = await import(process.argv[3]);
const asked = [];
const prompter = {
  password: async (message) => (asked.push(message), new Secret(process.env.SECRET)),
  confirm: async (message) => (asked.push(message), false),
};
const report = await prepare(process.argv[2], { only: ['dotfiles'], prompter, verify: false });
console.log(JSON.stringify({ status: report.status, asked }));
`,
    });
    rmSync(visit.laptop.path('.ssh/id_ed25519'));
    visit.account.write('.zshrc', 'theirs\n');
    visit.laptop.write('.zshrc', 'mine\n');
    const program = [project.path('program.mjs'), visit.destination, project.path('secret.mjs')];
    project.write({
      'secret.mjs': `export class Secret {
  #text; constructor(text) { this.#text = text; }
  get empty() { return this.#text === ''; }
  reveal() { return this.#text; }
}`,
    });
    const run = execFileSync(process.execPath, program, {
      encoding: 'utf8',
      env: { ...visit.laptop.env(), SECRET: visit.account.password },
      timeout: 40_000,
    });
    expect(JSON.parse(run)).toEqual({
      status: 'failed',
      asked: [
        `${visit.account.name}@127.0.0.1's password:`,
        expect.stringMatching(/^Replace \.zshrc on /),
      ],
    });
    expect(visit.account.read('.zshrc')).toBe('theirs\n');
  });
});
