import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { describeSshd } from '../support/describe-sshd.ts';
import { Laptop, runPrep } from '../support/laptop.ts';
import { noRouter, startRouter } from '../support/router.ts';
import { accountOf, statusesOf, useSshd } from '../support/stage.ts';
import { treeOf } from '../support/tree.ts';

const why = noRouter === undefined ? '' : ` (skipped: ${noRouter})`;

describe.skipIf(noRouter !== undefined)(`a router with OpenWrt${why}`, () => {
  test("has root's key where its dropbear reads it, and the dotfiles at home; undo takes both back", async () => {
    const router = await startRouter();
    const laptop = new Laptop({ files: { 'set/.profile': ':\n', 'set/.ashrc': ':\n' } });
    try {
      const keys = join(router.root, 'etc/dropbear/authorized_keys');
      const old =
        'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA me\n';
      writeFileSync(keys, old, { mode: 0o600 });
      const before = treeOf(router.home);
      const flags = ['--json', '--host-key', 'accept-new', '--dotfiles', laptop.path('set')];
      const prep = (args: readonly string[], env = {}) =>
        runPrep([...args, router.destination], { laptop, accounts: [router], env });
      const own = { PREP_PASSWORD: router.password };
      const run = await prep([...flags, '--skip', 'login-shell'], own);
      expect(accountOf(run), run.stderr).toMatchObject({ status: 'changed', verified: true });
      expect(readFileSync(keys, 'utf8')).toBe(old + laptop.read('.ssh/id_ed25519.pub')!);
      expect(statSync(keys).mode & 0o777).toBe(0o600);
      expect(existsSync(join(router.home, '.ssh/authorized_keys'))).toBe(false);
      expect(readFileSync(join(router.home, '.profile'), 'utf8')).toBe(':\n');
      const again = await prep([...flags, '--skip', 'login-shell']);
      expect(accountOf(again), again.stderr).toMatchObject({ status: 'unchanged', verified: true });
      // There is no zsh, and nothing is lost by wishing for it.
      const wishing = await prep(flags);
      expect(statusesOf(wishing)['login-shell']).toBe('blocked');
      expect(wishing.stderr).toMatch(/zsh is not installed/);
      const undone = await prep(['undo', '--yes'], own);
      expect(undone.status, undone.stderr).toBe(0);
      expect(readFileSync(keys, 'utf8')).toBe(old);
      const left = Object.keys(treeOf(router.home)).filter((name) => !name.startsWith('.local'));
      expect(left).toEqual(Object.keys(before));
    } finally {
      router.stop();
      laptop.remove();
    }
  });
});

describeSshd('Haiku', () => {
  const tools = mkdtempSync(join(tmpdir(), 'prep-haiku-'));
  chmodSync(tools, 0o755);
  writeFileSync(join(tools, 'uname'), '#!/bin/sh\necho Haiku\n', { mode: 0o755 });
  afterAll(() => rmSync(tools, { recursive: true }));
  const stage = useSshd({
    config: [
      'AuthorizedKeysFile config/settings/ssh/authorized_keys',
      `SetEnv PATH=${tools}:/usr/bin:/bin`,
    ],
  });

  test('has the key where its sshd reads it, though no configuration says so', async () => {
    const visit = stage.visit();
    const flags = ['--json', '--only', 'ssh-dir,authorized-keys,permissions'];
    const run = await visit.prep(flags, { password: true });
    expect(accountOf(run), run.stderr).toMatchObject({ status: 'changed', verified: true });
    const keys = 'config/settings/ssh/authorized_keys';
    expect(visit.account.read(keys)).toBe(visit.keyLine);
    expect(visit.account.tree()[keys]).toMatchObject({ mode: '0600' });
    const again = await visit.prep(flags);
    expect(accountOf(again), again.stderr).toMatchObject({ status: 'unchanged', verified: true });
    const undone = await visit.undo();
    expect(undone.status, undone.stderr).toBe(0);
    expect(visit.account.has('config')).toBe(false);
  });
});
