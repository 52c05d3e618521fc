import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, symlinkSync } from 'node:fs';
import { resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Laptop } from '../support/laptop.ts';
import { atTerminal } from '../support/typist.ts';

const has = (shell: string): boolean => spawnSync(shell, ['--version']).status === 0;

/** What to complete, and what must be among (or must be all of) what the shell offers. */
const CASES: readonly (readonly [typed: string, offered: readonly string[]])[] = [
  ['prep --on', ['--only']],
  ['prep --save', ['--save-as']],
  ['prep mast', ['mastering']],
  ['prep completion fi', ['fish']],
  ['prep export clo', ['cloud-init']],
  ['prep export ansible incl', ['included-1']],
  ['prep --only log', ['login-shell']],
  ['prep --only ssh-dir,dotf', ['ssh-dir,dotfiles']],
  ['prep --host-key acc', ['accept-new']],
  ['prep configured', ['configured1', 'configured2']],
  ['prep included-', ['included-1']],
  ['prep undo remem', ['remembered.example']],
  ['prep -n open incl', ['included-1']],
  ['prep alice@included', ['alice@included-1']],
  ['prep -J configured1,incl', ['configured1,included-1']],
  ['prep -F ~/other other', ['other-host']],
  ['prep steps configured', []],
  ['prep run configured1 -- incl', []],
  ['prep web', []],
];

let laptop: Laptop;
beforeAll(() => {
  laptop = new Laptop({ knownHosts: 'remembered.example ssh-ed25519 AAAA\n|1|a|b ssh-rsa AAAA\n' });
  const include = `Include ${laptop.path('.ssh/conf.d')}/*\n`;
  laptop.write('.ssh/config', `${include}Host configured1 configured2 web* !web9\nHost *\n`);
  laptop.write('.ssh/conf.d/work', 'Host included-1\n');
  laptop.write('other', 'Host other-host\n');
  mkdirSync(laptop.path('bin'));
  const built = resolve('dist/main.cjs');
  laptop.write('bin/prep', `#!/bin/sh\nexec "${process.execPath}" "${built}" "$@"\n`);
  chmodSync(laptop.path('bin/prep'), 0o755);
  symlinkSync('prep', laptop.path('bin/another'));
});
afterAll(() => laptop.remove());

const env = () => {
  const plain = laptop.env();
  return {
    ...plain,
    PATH: `${laptop.path('bin')}:${plain['PATH']!}`,
    XDG_CONFIG_HOME: laptop.path('xdg'),
  };
};

function ran(shell: string, ...args: readonly string[]): string[] {
  const { status, stdout, stderr } = spawnSync(shell, args, {
    env: env(),
    cwd: laptop.home,
    encoding: 'utf8',
    timeout: 20_000,
  });
  expect(status, stderr).toBe(0);
  return stdout.split('\n').filter((line) => line !== '');
}

describe.skipIf(!has('bash'))('bash completes', () => {
  // As readline cuts the line into words and calls the function.
  const DRIVE = `eval "$(prep completion bash)"
    IFS=' ' read -ra COMP_WORDS <<<"$1"; COMP_CWORD=$(( \${#COMP_WORDS[@]} - 1 ))
    $(complete -p prep | sed 's/.*-F \\([^ ]*\\) .*/\\1/') prep "$2" ""
    printf '%s\\n' "\${COMPREPLY[@]}"`;
  test.each(CASES)('%s', (typed, offered) => {
    // @ is a word of its own, and yet begins what is completed.
    const words = typed.replace('@', ' @ ');
    const current = /(@[^ @]*|[^ @]*)$/.exec(typed)![0];
    const bare = offered.map((word) => word.replace(/.*@/, '@'));
    expect(ran('bash', '--norc', '-c', DRIVE, 'bash', words, current)).toEqual(bare);
  });

  test('at a terminal', async () => {
    const args = ['--norc', '--noprofile', '-i'];
    const line = await lineAfter(['bash', ...args], {
      setUp: `PS1='$ '; eval "$(prep completion bash)"; printf '\\033[H\\033[2J'`,
      prompt: '$ ',
      typed: 'prep alice@incl',
      completed: 'prep alice@included-1 ',
    });
    expect(line).toBe('$ prep alice@included-1 ');
  });
});

describe.skipIf(!has('fish'))('fish completes', () => {
  test.each(CASES)('%s', (typed, offered) => {
    const script = 'prep completion fish | source; complete -C "$argv[1]"';
    const lines = ran('fish', '--no-config', '-c', script, typed);
    expect(lines.map((line) => line.split('\t')[0])).toEqual(offered);
  });
});

describe.skipIf(!has('zsh'))('zsh completes', () => {
  // The real completion system in a terminal of its own; what is inserted is what is read.
  const single = CASES.filter(([, offered]) => offered.length === 1);
  test.each(single.map(([typed, [only]]) => [typed, only!]))('%s', async (typed, only) => {
    const whole = typed.replace(/\S*$/, () => only);
    const line = await lineAfter(['zsh', '-f', '-i'], {
      setUp: `PS1='> '; autoload -Uz compinit; compinit -u -D; eval "$(prep completion zsh)"; clear`,
      prompt: '> ',
      typed,
      completed: whole,
    });
    // What zsh adds by itself goes away where it is not wanted.
    expect(line.replace(/[=, ]*$/, '')).toBe(`> ${whole}`);
  });
});

/** What stands in the line of an interactive shell after some text and a Tab. */
async function lineAfter(
  command: readonly [string, ...string[]],
  how: { setUp: string; prompt: string; typed: string; completed: string },
): Promise<string> {
  const escaped = (text: string): RegExp =>
    new RegExp(`${text.trimEnd().replace(/[$.*+?^()[\]{}|\\]/g, '\\$&')}[=,]? *$`);
  const { done } = atTerminal(command, {
    env: { ...env(), TERM: 'xterm' },
    cwd: laptop.home,
    timeout: 20_000,
    answers: [
      { prompt: /[$#%>] *$/, type: `${how.setUp}\r` },
      { prompt: escaped(`^${how.prompt}`.slice(1)), type: `${how.typed}\t` },
      { prompt: escaped(how.prompt + how.completed), type: '\x15exit\r' },
    ],
  });
  const { typed } = await done;
  return typed[2] ?? '';
}
