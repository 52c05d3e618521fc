import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { describeSshd } from '../support/describe-sshd.ts';
import { accountOf, statusesOf, useSshd } from '../support/stage.ts';

/** Waits until the account runs nothing any more: what the server was told, it does to the end. */
async function quiet(uid: number): Promise<void> {
  while (spawnSync('pgrep', ['-u', String(uid)]).status === 0) await sleep(50);
}

describeSshd('Ctrl-C while changes are made', () => {
  const stage = useSshd();
  const NAMES = Array.from({ length: 60 }, (_, index) => `.many/file-${index}`);
  const NEW = 'new content\n'.repeat(200);

  test.each([0, 50, 150, 400])(
    'after %i ms leaves each path old or new; the next run does the rest',
    async (delay) => {
      const visit = stage.visit();
      for (const name of NAMES) visit.laptop.write(`set/${name}`, NEW);
      for (const name of NAMES.slice(0, 20)) visit.account.write(name, 'old');
      // As long as it is there zsh does not start, which prep tries before it is done.
      visit.account.write('.hold', '');
      visit.laptop.write('set/.zshenv', 'while [ -e ~/.hold ]; do sleep 0.1; done\n');
      visit.account.write('.ssh/', { mode: 0o700 });
      visit.account.write('.ssh/authorized_keys', { content: '# mine\n', mode: 0o600 });
      const flags = ['--dotfiles', visit.laptop.path('set'), '--yes'];
      const run = await visit.prep(flags, {
        pty: true,
        answers: [
          {
            ...visit.typesPassword(),
            type: `${visit.account.password}\r`,
          },
          { prompt: /dotfiles/, type: '\x03', before: () => sleep(delay).then(() => undefined) },
        ],
      });
      expect(run.status, run.screen).toBe(130);
      expect(run.terminal).toEqual({ echo: true, lines: true, cursor: true });
      expect(run.screen).not.toMatch(/^ +at /m);

      rmSync(join(visit.account.home, '.hold'));
      await quiet(visit.account.uid);
      const tree = visit.account.tree();
      for (const name of NAMES) {
        if (tree[name] !== undefined) expect(['old', NEW]).toContain(visit.account.read(name));
      }
      expect(['# mine\n', `# mine\n${visit.keyLine}`]).toContain(visit.authorizedKeys);
      expect(visit.account.passwdShell()).toMatch(/^\/bin\/(bash|zsh)$/);

      const rest = await visit.prep(flags, { password: true });
      expect(rest.status, rest.stderr).toBe(0);
      const done = await visit.prep([...flags, '--json'], { password: true });
      expect(new Set(Object.values(statusesOf(done)))).toEqual(new Set(['unchanged']));
      expect(Object.keys(visit.account.tree()).filter((name) => /\.prep-/.test(name))).toEqual([]);
    },
  );

  test.each(['SIGTERM', 'SIGHUP'] as const)('as %s: the same', async (send) => {
    const visit = stage.visit();
    const retry = visit.laptop.path('retry');
    const run = await visit.prep(['-v', '--json', '--retry', retry], {
      password: true,
      signal: { when: /logged in with password/, send },
    });
    expect(run.status).toBe(130);
    expect(run.stderr).toContain('interrupted; run prep again');
    expect(accountOf(run)).toMatchObject({ status: 'failed', problem: { code: 'interrupted' } });
    expect(visit.laptop.read('retry')).toContain(visit.destination);
    const rest = await visit.prep([], { password: true });
    expect(rest.status, rest.stderr).toBe(0);
  });
});

describeSshd('Ctrl-C at a question', () => {
  const stage = useSshd();
  const PASSPHRASE = /Enter passphrase for key '.*locked':/;

  test('about the host key: nothing is remembered, nobody logged in', async () => {
    const visit = stage.visit({ laptop: { knownHosts: '' } });
    const before = visit.laptop.tree();
    const run = await visit.typing([], { prompt: /Trust this host/, type: '\x03' });
    expect(run).toMatchObject({ status: 130, terminal: { echo: true, lines: true, cursor: true } });
    expect(visit.laptop.tree()).toEqual(before);
    expect(stage.server.logins()).toEqual([]);
  });

  test.each([
    ['Ctrl-C', '\x03', 130, 'interrupted; run prep again'],
    ['Ctrl-D', '\x04', 1, 'no answer was given to: Enter passphrase'],
  ])('%s at a passphrase, on the way in: nobody is logged in', async (_, type, status, words) => {
    const visit = stage.visit();
    visit.authorize(`${visit.laptop.makeKey('locked', 'ed25519', 'open sesame')}\n`);
    const before = visit.account.tree();
    const flags = ['-i', visit.laptop.path('locked'), '--only', 'ssh-dir,authorized-keys'];
    const run = await visit.typing(flags, { prompt: PASSPHRASE, type });
    expect(run).toMatchObject({ status, terminal: { echo: true, lines: true, cursor: true } });
    expect(run.screen).toContain(words);
    expect(visit.account.tree()).toEqual(before);
    expect(stage.server.logins()).toEqual([]);
  });

  test.each([
    ['Ctrl-C', '\x03', 130, 'interrupted; run prep again'],
    ['Ctrl-D', '\x04', 1, 'no answer was given to: Enter passphrase'],
  ])('%s at a passphrase, for the trial login: nothing is changed', async (...row) => {
    const [, type, status, words] = row;
    const visit = stage.visit();
    visit.laptop.makeKey('locked', 'ed25519', 'open sesame');
    const before = visit.account.tree();
    const flags = ['-i', visit.laptop.path('locked'), '--only', 'ssh-dir,authorized-keys'];
    const passphrase = { prompt: PASSPHRASE, type };
    const run = await visit.typing(flags, visit.typesPassword(), passphrase);
    expect(run).toMatchObject({ status, terminal: { echo: true, lines: true, cursor: true } });
    expect(run.screen).toContain(words);
    expect(visit.account.tree()).toEqual(before);
  });

  test('about what is to be replaced: nothing is changed', async () => {
    const visit = stage.visit();
    visit.account.write('.zshrc', 'theirs\n');
    const before = visit.account.tree();
    const run = await visit.typing([], visit.typesPassword(), {
      prompt: /Replace .*\(y\/N\)/,
      type: '\x03',
    });
    expect(run).toMatchObject({ status: 130, terminal: { echo: true, lines: true, cursor: true } });
    expect(run.screen).toContain('interrupted; run prep again');
    expect(visit.account.tree()).toEqual(before);
    expect(visit.account.passwdShell()).toBe('/bin/bash');
  });
});
