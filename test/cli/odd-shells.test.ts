import { existsSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';
import { describeSshd } from '../support/describe-sshd.ts';
import type { HomeFile } from '../support/account.ts';
import { accountOf, statusesOf, useSshd, type Visit } from '../support/stage.ts';

const DOTFILES = { '.zshenv': 'export EDITOR=vi\n', '.zshrc': 'PS1="%~ %# "\n', '.screenrc': '' };

type Files = Readonly<Record<string, HomeFile>>;

/** Every kind of login shell that can be prepared. */
const SHELLS = [
  '/bin/bash',
  '/bin/dash',
  '/bin/sh',
  '/bin/rbash',
  '/bin/mksh',
  '/bin/ksh93',
  '/bin/tcsh',
  '/usr/bin/fish',
  '/bin/zsh',
];

/** What stands in the file that a shell reads even where only a command is run; Debian's bash does so under sshd. */
const BASH: Readonly<Record<string, string>> = {
  prints: 'echo hello; echo oops >&2',
  'prints no whole line': 'printf "not a line"',
  'prints a megabyte': 'head -c 1000000 /dev/zero | tr "\\0" x',
  'prints 200 megabytes': 'head -c 200000000 /dev/zero',
  'prints what looks like an answer': 'printf "\\nend\\n"; echo ready; echo "M ready"',
  'reads a line of standard input': 'read -r line',
  'is another shell from then on': 'exec zsh',
  'changes directory': 'cd /tmp',
  'sets umask 000': 'umask 000',
  'sets umask 777': 'umask 777',
  'sets noclobber': 'set -o noclobber',
  'sets -e': 'set -e',
  'sets -u': 'set -u',
  'sets -f': 'set -f',
  'exports these options': 'set -o noclobber -o nounset -o noglob; export SHELLOPTS',
  'makes aliases': 'shopt -s expand_aliases; alias cd=false cat=false printf=false exec=false',
  'exports functions': [
    ...['cat', 'printf', 'cksum', 'mv', 'stat', 'command'].map((name) => `${name}() { echo no; }`),
    'export -f cat printf cksum mv stat command',
  ].join('\n'),
  'sets another locale': 'export LC_ALL=de_DE.UTF-8 LANG=ja_JP.eucJP',
  'leaves no PATH': 'export PATH=',
  'leaves a PATH without /bin': 'export PATH=/nonexistent',
  'has a trap': 'trap "echo bye" EXIT DEBUG ERR',
  'sets IFS': 'export IFS=/a0',
  'sets CDPATH': 'export CDPATH=/tmp:/usr',
  'sets POSIXLY_CORRECT': 'export POSIXLY_CORRECT=1',
  'sets ENV and BASH_ENV': 'export ENV=/etc/passwd BASH_ENV=/etc/passwd',
  'sets GREP_OPTIONS and the like':
    'export GREP_OPTIONS=-v CLICOLOR_FORCE=1 LS_COLORS=x TZ=Asia/Tokyo',
  'has a syntax error': 'if then',
  'limits itself': 'ulimit -c 0 -n 64',
};

const CSH: Readonly<Record<string, string>> = {
  prints: 'echo hello',
  'sets noclobber': 'set noclobber',
  'makes aliases': "alias exec false\nalias cd 'echo no'",
  'changes directory': 'cd /tmp',
  'sets umask 000': 'umask 000',
  'is another shell from then on': 'exec zsh',
};

const FISH: Readonly<Record<string, string>> = {
  prints: 'echo hello',
  'changes directory': 'cd /tmp',
  'makes aliases': 'alias exec=false; alias cd=false',
};

const ZSH: Readonly<Record<string, string>> = {
  prints: 'echo hello',
  'sets noclobber': 'setopt noclobber sh_word_split ksh_arrays',
  'changes directory': 'cd /tmp',
  'makes aliases': 'alias exec=false; alias -g done=no',
};

let [shells, startUps] = [0, 0];
afterAll(() => console.log(`login shells tried: ${shells}; start-up files tried: ${startUps}`));

describeSshd('a run from end to end', () => {
  const stage = useSshd();

  /** The home without prep's own records. */
  const home = (visit: Visit): object =>
    Object.fromEntries(
      Object.entries(visit.account.tree())
        .filter(([name]) => !/^\.(local|config|cache|sh_history)(\/|$)/.test(name))
        .map(([name, entry]) => [name, { ...entry, mtime: 0 }]),
    );

  function visitTo(shell: string, files: Files = {}): Visit {
    return stage.visit({ account: { shell, files }, laptop: { files: DOTFILES } });
  }

  test.each(SHELLS.filter((shell) => existsSync(shell)))(
    'on an account with %s: preview, run, run again, undo',
    async (shell) => {
      const visit = visitTo(shell);
      const before = home(visit);
      const preview = await visit.prep(['--dry-run'], { password: true });
      expect(preview.status, preview.stderr).toBe(0);
      expect(home(visit)).toEqual(before);
      const run = await visit.prep(['--json'], { password: true });
      expect(run.status, run.stderr).toBe(0);
      expect(accountOf(run)).toMatchObject({ status: 'changed', verified: true });
      expect((await visit.ssh('echo $SHELL,$EDITOR')).stdout).toMatch(/\/zsh,vi\n$/);
      const again = await visit.prep(['--json']);
      expect(accountOf(again)).toMatchObject({ status: 'unchanged', verified: true });
      const undone = await visit.prep(['undo', '--yes'], { password: true });
      expect(undone.status, undone.stderr).toBe(0);
      expect(home(visit)).toEqual(before);
      expect(visit.account.passwdShell()).toBe(shell);
      shells++;
    },
  );

  describe.each([
    ['/bin/bash', '.bashrc', BASH],
    ['/bin/tcsh', '.cshrc', CSH],
    ['/usr/bin/fish', '.config/fish/config.fish', FISH],
    ['/bin/zsh', '.zshenv', ZSH],
  ] as const)('on an account with %s whose %s', (shell, file, table) => {
    test.skipIf(!existsSync(shell)).each(Object.entries(table))('%s', async (_what, text) => {
      const visit = visitTo(shell, { [file]: `${text}\n` });
      const flags = [
        '--json',
        '--skip',
        'login-shell',
        ...(shell === '/bin/zsh' ? ['--only', 'authorized-keys'] : []),
      ];
      const run = await visit.prep(flags, { password: true });
      expect(run.status, run.stderr).toBe(0);
      expect(accountOf(run)).toMatchObject({ status: 'changed', verified: true });
      expect(statusesOf(run)['authorized-keys']).toBe('changed');
      expect(visit.authorizedKeys).toBe(visit.keyLine);
      startUps++;
    });
  });

  describe('on an account that runs no commands says so in one sentence,', () => {
    test.each([
      [
        '/usr/sbin/nologin',
        {},
        /runs no commands \(it said "This account is currently not available\."\)/,
      ],
      ['/bin/false', {}, /runs no commands/],
      ['/no/such/shell', {}, /./],
      ['/bin/bash', { '.bashrc': 'exit\n' }, /runs no commands/],
      [
        '/bin/bash',
        { '.bashrc': 'echo Go away. >&2; exit 3\n' },
        /runs no commands \(it said "Go away\."\)/,
      ],
      ['/bin/bash', { '.bashrc': 'exec false\n' }, /runs no commands/],
    ])('with %s and %j', async (shell, files, words) => {
      const visit = visitTo(shell, files);
      const before = visit.account.tree();
      const run = await visit.prep([], { password: true });
      expect(run.status).toBe(1);
      expect(run.stderr).toMatch(words);
      expect(run.stderr).toMatch(/^prep: [^\n]+; [^\n]+\n$/);
      expect(visit.account.tree()).toEqual(before);
    });
  });
});
