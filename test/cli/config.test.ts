import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { describeSshd } from '../support/describe-sshd.ts';
import { runPrep } from '../support/laptop.ts';
import { accountOf, ran, statusesOf, useSshd, type Visit } from '../support/stage.ts';

const FILE = '.config/prep/prep.config.json';

describeSshd('a configuration file', () => {
  const stage = useSshd();
  let visit: Visit;
  beforeEach(() => {
    visit = stage.visit();
  });
  const configure = (config: object, file = FILE): void =>
    visit.laptop.write(file, JSON.stringify(config));
  const dotfiles = ['--only', 'dotfiles', '--no-verify', '--yes'];
  const brings = async (sources: unknown, extra: object = {}): Promise<void> => {
    configure({ dotfiles: sources, ...extra });
    const run = await visit.prep(dotfiles, { password: true });
    expect(run.status, run.stderr).toBe(0);
    const again = await visit.prep([...dotfiles, '--json'], { password: true });
    expect(statusesOf(again)).toEqual({ dotfiles: 'unchanged' });
  };

  test('says what keys, shell, steps and dotfiles are; flags beat it', async () => {
    visit.laptop.makeKey('.ssh/id_work');
    visit.laptop.write('set/.vimrc', 'vim\n');
    configure({
      keys: ['~/.ssh/id_work'],
      shell: 'dash',
      dotfiles: '../../set',
      skip: ['zlogin'],
    });
    const run = await visit.prep(['--json'], { password: true });
    expect(run.status, run.stderr).toBe(0);
    expect(Object.keys(statusesOf(run))).not.toContain('zlogin');
    expect(visit.authorizedKeys).toBe(`${visit.laptop.read('.ssh/id_work.pub')!.trim()}\n`);
    expect(visit.account.passwdShell()).toMatch(/\/dash$/);
    expect(visit.account.read('.vimrc')).toBe('vim\n');
    const flags = ['--shell', 'zsh', '-i', visit.laptop.path('.ssh/id_ed25519')];
    const other = await visit.prep([...flags, '--only', 'authorized-keys,login-shell'], {
      password: true,
    });
    expect(other.status, other.stderr).toBe(0);
    expect(visit.account.passwdShell()).toBe('/bin/zsh');
    expect(visit.authorizedKeys).toContain(visit.keyLine);
  });

  test('may be named, and may lie where XDG_CONFIG_HOME says', async () => {
    configure({ shell: 'dash' }, 'xdg/prep/prep.config.json');
    visit.laptop.write('own.mjs', 'export default { shell: "bash" };');
    const [only, login] = [['--only', 'login-shell', '--json', '-n'], { password: true }];
    const shell = async (...args: string[]): Promise<string> => {
      const env = { XDG_CONFIG_HOME: visit.laptop.path('xdg') };
      const run = await visit.prep([...only, ...args], { ...login, env });
      return accountOf(run).steps[0]!.changes[0]?.['path'] ?? 'none';
    };
    expect(await shell()).toMatch(/\/dash$/);
    expect(await shell('--config', 'own.mjs')).toBe('none');
  });

  test('has sections by host; of those that match, the first that says something wins', async () => {
    visit.laptop.write('one/.one', '1\n');
    visit.laptop.write('set/.motto', 'I am {{name}} at {{place}}\n');
    configure({
      shell: 'dash',
      values: { name: 'nobody', place: 'home' },
      dotfiles: '~/one',
      hosts: {
        'other.example.com': { shell: 'fish' },
        [`${visit.account.name}@*`]: { values: { name: 'me' }, shell: 'zsh' },
        '127.0.0.? !10.*': {
          shell: 'bash',
          dotfiles: [{ template: '~/set/.motto', to: '.motto' }],
        },
      },
    });
    const run = await visit.prep(['--only', 'dotfiles,login-shell', '--yes'], { password: true });
    expect(run.status, run.stderr).toBe(0);
    expect(visit.account.passwdShell()).toBe('/bin/zsh');
    expect(visit.account.read('.motto')).toBe('I am me at home\n');
    expect(visit.account.tree()['.one']).toBeUndefined();
  });

  test('means each of several accounts by its own section', async () => {
    const other = stage.visit();
    visit.laptop.write('set/.motto', '{{name}}\n');
    configure({
      dotfiles: [{ template: '~/set/.motto', to: '.motto' }],
      values: { name: 'everybody' },
      hosts: { [`${other.account.name}@*`]: { values: { name: 'other' }, skip: ['zlogin'] } },
    });
    const run = await runPrep(
      ['--only', 'dotfiles', '--yes', '--no-verify', visit.destination, other.destination],
      { laptop: visit.laptop, env: { PREP_PASSWORD: visit.account.password } },
    );
    expect(visit.account.read('.motto'), run.stderr).toBe('everybody\n');
    const second = await runPrep(['--only', 'dotfiles', '--no-verify', other.destination], {
      laptop: visit.laptop,
      env: { PREP_PASSWORD: other.account.password },
    });
    expect(second.status, second.stderr).toBe(0);
    expect(other.account.read('.motto')).toBe('other\n');
  });

  test('goes into what is exported', async () => {
    configure({ packages: ['screen'], terminfo: true, shell: 'fish' });
    const flags = ['-i', visit.laptop.path('.ssh/id_ed25519.pub')];
    const run = (format: string): ReturnType<typeof runPrep> =>
      runPrep(['export', format, ...flags], { laptop: visit.laptop });
    const [ansible, cloud] = [await run('ansible'), await run('cloud-init')];
    expect(ansible.status, ansible.stderr).toBe(0);
    expect(ansible.stdout).toMatch(/ansible\.builtin\.package:\n +name:\n +- screen\n/);
    expect(ansible.stderr).toBe('prep: terminfo: not written down\n');
    expect(cloud.stdout).toMatch(/packages:\n +- fish\n +- screen\n/);
  });

  describe('takes dotfiles from', () => {
    let had: ReadonlySet<string>;
    beforeEach(() => {
      had = new Set(Object.keys(visit.account.tree()));
      for (const name of ['.vimrc', '.config/app/a.conf', '.config/app/b.bak', 'notes.md']) {
        visit.laptop.write(`set/${name}`, `${name}\n`);
      }
    });
    const names = (): string[] =>
      Object.keys(visit.account.tree()).filter(
        (name) => !had.has(name) && !name.startsWith('.local'),
      );

    test('a directory, without what is excluded, to a folder', async () => {
      await brings([{ path: '~/set', exclude: ['**/*.bak', 'notes.md'], to: 'there/it/is' }]);
      expect(names()).toEqual([
        'there',
        'there/it',
        'there/it/is',
        'there/it/is/.config',
        'there/it/is/.config/app',
        'there/it/is/.config/app/a.conf',
        'there/it/is/.vimrc',
      ]);
    });

    test('globs and files, each where it is to go; the later source wins', async () => {
      visit.laptop.write('other', 'other\n', 0o755);
      await brings([
        '~/set/.config/app/*.conf',
        '~/set/.vimrc',
        { path: '~/other', to: 'bin/' },
        { path: '~/other', to: '.vimrc' },
      ]);
      expect(names()).toEqual(['.vimrc', 'a.conf', 'bin', 'bin/other']);
      expect(visit.account.read('.vimrc')).toBe('other\n');
    });

    test('the archive that a command prints', async () => {
      visit.laptop.write(`set/${'deep/'.repeat(30)}file`, 'long name\n');
      symlinkSync('.vimrc', visit.laptop.path('set/.exrc'));
      chmodSync(visit.laptop.path('set/notes.md'), 0o600);
      await brings([{ command: ['tar', '-C', visit.laptop.path('set'), '-cf', '-', '.'] }]);
      expect(names()).toContain(`${'deep/'.repeat(30)}file`);
      expect(visit.account.tree()['.exrc']).toMatchObject({ type: 'symlink' });
      expect(visit.account.tree()['notes.md']).toMatchObject({ mode: '0600' });
    });

    test.each([
      ['fails', ['sh', '-c', 'echo no luck >&2; exit 3'], /output of sh .*no luck/],
      ['is not there', ['no-such-program'], /ENOENT|not found|no such file/],
      ['prints something else', ['echo', 'hello'], /archive printed by echo hello/],
      [
        'leads out of the home directory',
        ['tar', '-cPf', '-', '--transform=s,.*,../evil,', '/etc/hostname'],
        /"\.\.\/evil" is no place within/,
      ],
    ])('no command that %s', async (_why, command, words) => {
      configure({ dotfiles: [{ command }] });
      const run = await visit.prep(dotfiles, { password: true });
      expect(run.status).toBe(1);
      expect(run.stderr).toMatch(/^prep: [^\n]+\n$/);
      expect(run.stderr).toMatch(words);
      expect(stage.server.connections()).toBe(0);
    });

    test('no template that wants an unknown value', async () => {
      visit.laptop.write('git.tmpl', '[user]\n  email = {{emial}}\n');
      configure({
        dotfiles: [{ template: '~/git.tmpl', to: '.gitconfig' }],
        values: { email: 'me@example.com' },
      });
      const run = await visit.prep(dotfiles, { password: true });
      expect(run.status).toBe(2);
      expect(run.stderr).toMatch(/git\.tmpl: line 2 wants \{\{emial\}\}.*did you mean email/);
    });
  });

  test.each([
    ['{"shel": "zsh"}', 'shel is not a setting, did you mean shell'],
    ['{"shell": 42}', 'shell must be the name of a shell or an absolute path, not 42'],
    ['{', 'is not JSON'],
  ])('that is wrong is refused before anybody is called: %s', async (text, words) => {
    visit.laptop.write(FILE, text);
    const run = await visit.prep([], { password: true });
    expect(run.status).toBe(2);
    expect(run.stderr).toMatch(/^prep: [^\n]+prep\.config\.json: [^\n]+\n$/);
    expect(run.stderr).toContain(words);
    expect(stage.server.connections()).toBe(0);
  });

  describe('teaches the server a terminal', () => {
    const TERM = 'prep-terminal';
    beforeEach(() => {
      const folder = visit.laptop.path('.terminfo');
      mkdirSync(folder);
      execFileSync('tic', ['-x', '-o', folder, '-'], {
        input: `${TERM}|for tests,\n\tcols#80, bel=^G,\n`,
      });
      configure({ terminfo: true });
    });
    const args = ['--only', 'terminfo', '--no-verify'];

    test('that it does not know, once; undo takes it back', async () => {
      const env = { TERM };
      const run = await visit.prep(args, { password: true, env });
      expect(run.status, run.stderr).toBe(0);
      const known = await ran(
        'runuser',
        ['-u', visit.account.name, '--', 'env', `HOME=${visit.account.home}`, 'infocmp', TERM],
        { PATH: process.env['PATH']! },
      );
      expect(known.stdout, known.stderr).toContain('for tests');
      const again = await visit.prep([...args, '--json'], { password: true, env });
      expect(statusesOf(again)).toEqual({ terminfo: 'unchanged' });
      const undone = await visit.undo();
      expect(undone.status, undone.stderr).toBe(0);
      expect(visit.account.tree()['.terminfo']).toBeUndefined();
    });

    test('unless the system has it, or nobody does', async () => {
      const usual = await visit.prep([...args, '--json'], {
        password: true,
        env: { TERM: 'xterm' },
      });
      expect(accountOf(usual).steps[0]).toMatchObject({
        status: 'unchanged',
        reason: 'xterm is known there already',
      });
      const none = await visit.prep([...args, '--json'], {
        password: true,
        env: { TERM: 'no-such' },
      });
      expect(accountOf(none).steps[0]).toMatchObject({
        status: 'blocked',
        reason: 'this machine has no description of no-such either',
      });
    });
  });

  describe('installs packages', () => {
    const TOOL = 'prep-tool';
    beforeEach(() => configure({ packages: [TOOL] }));
    const args = ['--only', 'packages', '--no-verify'];

    /** A package manager for this account's sudo alone, which notes how it was called. */
    const withSudo = async (skip: (on: boolean, note: string) => void): Promise<string> => {
      const found = await ran('sudo', ['-n', 'true'], { PATH: process.env['PATH']! });
      skip(found.status !== 0, 'sudo is not installed');
      const folder = `/usr/local/lib/${visit.account.name}`;
      mkdirSync(folder);
      stage.later(() => rmSync(folder, { recursive: true }));
      const script = `#!/bin/sh
echo "$DEBIAN_FRONTEND $*" >>${folder}/calls
[ -e ${folder}/broken ] && { echo "E: Unable to locate package"; exit 100; }
[ -e ${folder}/idle ] && exit 0
[ "$1" = install ] && printf '#!/bin/sh\\n' >/usr/local/bin/${TOOL} && chmod 755 /usr/local/bin/${TOOL}
exit 0
`;
      stage.later(() => rmSync(`/usr/local/bin/${TOOL}`, { force: true }));
      writeFileSync(join(folder, 'apt-get'), script, { mode: 0o755 });
      const rule = `/etc/sudoers.d/${visit.account.name}`;
      writeFileSync(
        rule,
        `Defaults:${visit.account.name} secure_path="${folder}:/usr/bin:/bin"\n${visit.account.name} ALL=(ALL) NOPASSWD: ALL\n`,
        { mode: 0o440 },
      );
      stage.later(() => rmSync(rule));
      return folder;
    };

    test('through sudo, once, with the commands shown before; undo says what it cannot', async (context) => {
      const folder = await withSudo((on, note) => context.skip(on, note));
      const dry = await visit.prep([...args, '-n'], { password: true });
      expect(dry.stdout).toMatch(
        new RegExp(
          `packages +~ run sudo env DEBIAN_FRONTEND=noninteractive apt-get install .*${TOOL}: ${TOOL} not there yet`,
        ),
      );
      const run = await visit.prep([...args, '--json'], { password: true });
      expect(run.status, run.stderr).toBe(0);
      expect(accountOf(run).steps[0]!.changes.map(({ action }) => action)).toEqual(['run', 'run']);
      const calls = execFileSync('cat', [`${folder}/calls`], { encoding: 'utf8' });
      expect(calls).toBe(` update -q\nnoninteractive install -q -y ${TOOL}\n`);
      const again = await visit.prep([...args, '--json'], { password: true });
      expect(statusesOf(again)).toEqual({ packages: 'unchanged' });
      const undone = await visit.undo();
      expect(undone.status, undone.stderr).toBe(0);
      expect(undone.stdout).toMatch(/apt-get install .* is not undone/);
    });

    test('and says what the package manager said, where it fails', async (context) => {
      const folder = await withSudo((on, note) => context.skip(on, note));
      writeFileSync(`${folder}/broken`, '');
      const run = await visit.prep(args, { password: true });
      expect(run.status).toBe(1);
      expect(run.stderr).toMatch(/ended with status 100 \(E: Unable to locate package\)/);
    });

    test('and sees where they did not bring what they should', async (context) => {
      const folder = await withSudo((on, note) => context.skip(on, note));
      writeFileSync(`${folder}/idle`, '');
      const run = await visit.prep(args, { password: true });
      expect(run.status).toBe(1);
      expect(run.stderr).toMatch(/afterwards prep-tool differed from what was planned/);
    });

    test('but not without root', async () => {
      const run = await visit.prep([...args, '--json'], { password: true });
      expect(accountOf(run).steps[0]).toMatchObject({
        status: 'blocked',
        reason: expect.stringMatching(/takes root, and sudo does not work without a password/),
      });
    });
  });
});
