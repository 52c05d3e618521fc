import { existsSync, lstatSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { describeSshd } from '../support/describe-sshd.ts';
import { accountOf, useSshd, type Visit } from '../support/stage.ts';

const STEPS = ['ssh-dir', 'authorized-keys', 'permissions', 'dotfiles', 'zlogin', 'login-shell'];

const DOTFILES = { '.zshenv': 'export EDITOR=vi\n', '.zshrc': 'PS1="%~ %# "\n', '.screenrc': '' };

describeSshd('prep on a fresh account', () => {
  const stage = useSshd();
  let visit: Visit;
  beforeEach(() => {
    visit = stage.visit({ laptop: { files: DOTFILES } });
  });

  test('ends with a key-only login into zsh, after one host key question and one password', async () => {
    const { account, laptop } = visit;
    laptop.write('.ssh/known_hosts', '');
    const run = await visit.typing(
      [],
      { prompt: /Trust this host/, type: 'y\r' },
      visit.typesPassword(),
    );
    expect(run.status, run.screen).toBe(0);
    expect(run.typed).toHaveLength(2);
    expect(run.screen).toMatch(/ED25519 SHA256:/);
    expect(run.screen).toContain('logged in with the key alone, into /bin/zsh');
    expect(run.terminal).toEqual({ echo: true, lines: true, cursor: true });
    expect(laptop.read('.ssh/known_hosts')).toContain(stage.server.hostKey('ed25519'));

    expect(account.passwdShell()).toBe('/bin/zsh');
    expect(visit.authorizedKeys).toBe(visit.keyLine);
    expect(account.tree()).toMatchObject({
      '.ssh': { mode: '0700', owner: account.uid },
      '.ssh/authorized_keys': { mode: '0600', owner: account.uid },
      '.zlogin': { type: 'symlink', target: '.zshenv' },
    });
    for (const [name, text] of Object.entries(DOTFILES)) {
      expect(account.read(name)).toBe(text);
      const [here, there] = [laptop.path(name), join(account.home, name)].map((path) =>
        lstatSync(path),
      );
      expect(there!.mode).toBe(here!.mode);
      expect(Math.floor(there!.mtimeMs / 1000)).toBe(Math.floor(here!.mtimeMs / 1000));
    }
    const login = await visit.ssh('echo "$ZSH_VERSION|$SHELL|$EDITOR"');
    expect(login.stdout).toMatch(/^\d[\d.]*\|\/bin\/zsh\|vi\n$/);
  });

  test('is done over two connections: one that changes, one that proves', async () => {
    const run = await visit.prep([], { password: true });
    expect(run.status, run.stderr).toBe(0);
    expect(stage.server.connections()).toBe(2);
    expect(stage.server.logins().map(({ method }) => method)).toEqual(['password', 'publickey']);
  });

  test('is finished: a second run asks nothing, says so and touches nothing', async () => {
    const { account, laptop } = visit;
    await visit.prep([], { password: true });
    const before = [account.tree(), laptop.tree()];
    stage.server.forget();
    const again = await visit.typing([]);
    expect(again.status, again.screen).toBe(0);
    expect(again.typed).toEqual([]);
    expect(again.screen).toContain('nothing to do');
    expect([account.tree(), laptop.tree()]).toEqual(before);
    expect(stage.server.connections()).toBe(1);
    const json = await visit.prep(['--json']);
    expect(accountOf(json)).toMatchObject({ status: 'unchanged', verified: true });
    expect(accountOf(json).steps.map(({ status }) => status)).toEqual(STEPS.map(() => 'unchanged'));
    expect([account.tree(), laptop.tree()]).toEqual(before);
  });
});

describeSshd('prep --dry-run', () => {
  const stage = useSshd();
  let visit: Visit;
  beforeEach(() => {
    visit = stage.visit({ laptop: { files: DOTFILES } });
  });

  test('changes nothing on either side, not even known_hosts', async () => {
    const { account, laptop } = visit;
    laptop.write('.ssh/known_hosts', '');
    const before = [account.tree(), laptop.tree()];
    const run = await visit.typing(
      ['--dry-run'],
      { prompt: /Trust this host/, type: 'y\r' },
      visit.typesPassword(),
    );
    expect(run.status, run.screen).toBe(0);
    expect([account.tree(), laptop.tree()]).toEqual(before);
    expect(account.passwdShell()).toBe('/bin/bash');
    expect(existsSync(join(account.home, '.local'))).toBe(false);
  });

  test('does not even make a known_hosts file', async () => {
    const { laptop } = visit;
    const args = ['-n', '--host-key', 'accept-new', '--known-hosts', laptop.path('known')];
    expect(await visit.prep(args, { password: true })).toMatchObject({ status: 0, stderr: '' });
    expect(laptop.read('known')).toBeUndefined();
  });

  test('shows unified diffs, modes, the link and the login shell', async () => {
    const { stdout } = await visit.prep(['-n'], { password: true });
    expect(stdout).toContain('+export EDITOR=vi');
    expect(stdout).toContain(`+${visit.keyLine}`);
    expect(stdout).toMatch(/\+ \.ssh \(0700\)/);
    expect(stdout).toMatch(/\+ \.zlogin -> \.zshenv/);
    expect(stdout).toMatch(/~ login shell \/bin\/bash -> \/bin\/zsh by chsh/);
    expect(stdout).toMatch(/changes planned, none made/);
  });

  test('tells exactly what the real run then does', async () => {
    visit.account.write('.zshrc', 'old\n');
    const dry = await visit.prep(['-n', '--json'], { password: true });
    const real = await visit.prep(['--yes', '--json'], { password: true });
    expect(accountOf(dry)).toMatchObject({ status: 'planned', verified: false });
    expect(accountOf(real)).toMatchObject({ status: 'changed', verified: true });
    const told = accountOf(dry).steps.map(({ status, ...step }) => ({
      ...step,
      status: status === 'planned' ? 'changed' : status,
    }));
    expect(accountOf(real).steps).toEqual(told);
    expect(told.map(({ name }) => name)).toEqual(STEPS);
  });

  test('on a finished account says that there is nothing to do', async () => {
    await visit.prep([], { password: true });
    const before = [visit.account.tree(), visit.laptop.tree()];
    const run = await visit.prep(['-n']);
    expect(run).toMatchObject({ status: 0, stderr: '' });
    expect(run.stdout).toContain('nothing to do');
    expect([visit.account.tree(), visit.laptop.tree()]).toEqual(before);
  });

  test('makes no key pair on a laptop without keys', async () => {
    const bare = stage.visit({ laptop: { keys: [] } });
    const before = bare.laptop.tree();
    const run = await bare.typing(
      ['-n'],
      { prompt: /Make one/, type: 'y\r' },
      { prompt: /Passphrase.*: *$/, type: '\r' },
      { prompt: /once more: *$/, type: '\r' },
      bare.typesPassword(),
    );
    expect(run.status, run.screen).toBe(0);
    expect(bare.laptop.tree()).toEqual(before);
  });
});

describeSshd('the package and the user', () => {
  const stage = useSshd();

  test('whose laptop has no dotfiles gets the ones of the package, and zsh starts with them', async () => {
    const visit = stage.visit();
    const run = await visit.prep([], { password: true });
    expect(run.status, run.stderr).toBe(0);
    for (const name of ['.zshenv', '.zshrc', '.screenrc']) {
      expect(existsSync(join(visit.account.home, name))).toBe(true);
    }
    expect(readlinkSync(join(visit.account.home, '.zlogin'))).toBe('.zshenv');
    const login = await visit.ssh('zsh -lic "echo fine"', '-tt');
    expect(login.stdout).toContain('fine');
  });

  test('without a key on the laptop makes one when asked to, and installs it', async () => {
    const visit = stage.visit({ laptop: { keys: [] } });
    const { laptop } = visit;
    const run = await visit.typing(
      [],
      { prompt: /Make one/, type: 'y\r' },
      { prompt: /Passphrase.*: *$/, type: '\r' },
      { prompt: /once more: *$/, type: '\r' },
      visit.typesPassword(),
    );
    expect(run.status, run.screen).toBe(0);
    expect(laptop.tree()).toMatchObject({
      '.ssh/id_ed25519': { mode: '0600' },
      '.ssh/id_ed25519.pub': { mode: '0644' },
    });
    expect(visit.authorizedKeys).toBe(visit.keyLine);
    expect((await visit.ssh('id -un')).stdout.trim()).toBe(visit.account.name);
  });
});
