import { execFileSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { helpOrVersion, parseArguments } from '../../src/cli/arguments.ts';
import { completionScript } from '../../src/cli/completion.ts';
import { FLAGS, helpText } from '../../src/cli/help.ts';
import { explain, problemOf, type Explanation, type Problem } from '../../src/core/problem.ts';

const STEPS = ['ssh-dir', 'authorized-keys', 'permissions', 'dotfiles', 'zlogin', 'login-shell'];

const parse = (...argv: string[]) => parseArguments(argv, STEPS);

function refusal(...argv: string[]): Explanation & { code: Problem['code'] } {
  try {
    parse(...argv);
  } catch (error) {
    const problem = problemOf(error);
    return { ...explain(problem), code: problem.code };
  }
  throw new Error(`not refused: ${argv.join(' ')}`);
}

describe('commands', () => {
  test.each([
    [['alice@web1'], { command: 'prepare', destinations: [{ user: 'alice', host: 'web1' }] }],
    [['a', 'b:22'], { command: 'prepare', destinations: [{ host: 'a' }, { host: 'b', port: 22 }] }],
    [['undo', 'web1'], { command: 'undo', destinations: [{ host: 'web1' }] }],
    [['-n', 'undo', 'web1'], { command: 'undo', destinations: [{ host: 'web1' }] }],
    [['--hosts', 'f'], { command: 'prepare', destinations: [] }],
    [['ssh://undo'], { command: 'prepare', destinations: [{ host: 'undo' }] }],
    [['me@help'], { command: 'prepare', destinations: [{ user: 'me', host: 'help' }] }],
    [['--', 'help'], { command: 'prepare', destinations: [{ host: 'help' }] }],
    [['web1', 'help'], { command: 'prepare', destinations: [{ host: 'web1' }, { host: 'help' }] }],
    [['helm', 'web1'], { command: 'prepare', destinations: [{ host: 'helm' }, { host: 'web1' }] }],
    [['me@undo'], { command: 'prepare', destinations: [{ user: 'me', host: 'undo' }] }],
    [['--', 'undo'], { command: 'prepare', destinations: [{ host: 'undo' }] }],
    [['open', 'web1'], { command: 'open', destination: { host: 'web1' }, remoteCommand: [] }],
    [
      ['run', 'web1', '-q', '--', 'ls', '-l', '--help', '--', 'x'],
      {
        command: 'run',
        destination: { host: 'web1' },
        remoteCommand: ['ls', '-l', '--help', '--', 'x'],
      },
    ],
    [['mastering', '--remove', '-F', 'c'], { command: 'mastering', remove: true }],
    [['mastering'], { command: 'mastering', remove: false }],
    [['open', '--list'], { command: 'masters' }],
    [['open', '--exit', 'all'], { command: 'masters', exit: 'all' }],
    [['open', 'a@web1', '--exit'], { command: 'masters', exit: { user: 'a', host: 'web1' } }],
    [['steps'], { command: 'steps' }],
    [['demo'], { command: 'demo' }],
    [['completion', 'fish'], { command: 'completion', shell: 'fish' }],
    [['export', 'ansible'], { command: 'export', format: 'ansible', destinations: [] }],
    [
      ['demo1', 'undone'],
      { command: 'prepare', destinations: [{ host: 'demo1' }, { host: 'undone' }] },
    ],
    [['sun', 'moon'], { command: 'prepare', destinations: [{ host: 'sun' }, { host: 'moon' }] }],
  ])('%j', (argv, expected) => {
    expect(parse(...argv)).toMatchObject(expected);
  });

  test.each([
    [['-h']],
    [['undo', '--help']],
    [['--nonsense', '-h']],
    [['-ynh']],
    [['--only', 'nonsense', 'x', '--help', '-V']],
    [['help']],
    [['-q', 'help', 'run']],
    [['help', 'help']],
  ])('help wins: %j', (argv) => {
    expect(parse(...argv).command).toBe('help');
    expect(helpOrVersion(argv)).toBe('help');
  });

  test('-V prints the version, unless it belongs to the remote command', () => {
    expect(parse('-V').command).toBe('version');
    expect(parse('run', 'web1', '--', 'x', '-V').command).toBe('run');
  });
});

describe('options', () => {
  const options = (...argv: string[]) => parse(...argv, 'web1').options;

  test('what holds where nothing is said', () => {
    expect(options()).toStrictEqual({
      identities: [],
      dryRun: false,
      yes: false,
      skip: [],
      hostKey: 'ask',
      jump: [],
      concurrency: 10,
      samePassword: false,
      verify: true,
      transport: 'auto',
      shellFallback: false,
      json: false,
      verbosity: 'normal',
    });
  });

  test.each([
    [['-p', '2222'], { port: 2222 }],
    [['-p2222'], { port: 2222 }],
    [['--port=2222'], { port: 2222 }],
    [['-p', '1', '-p', '2'], { port: 2 }],
    [['-yn'], { yes: true, dryRun: true }],
    [['-ynp', '22'], { yes: true, dryRun: true, port: 22 }],
    [['-i', 'a', '--identity=b', '-ic'], { identities: ['a', 'b', 'c'] }],
    [['--identity=-odd'], { identities: ['-odd'] }],
    [['--only', 'dotfiles,ssh-dir', '--only=zlogin'], { only: ['dotfiles', 'ssh-dir', 'zlogin'] }],
    [['--skip', 'login-shell'], { skip: ['login-shell'] }],
    [['-J', 'a,me@[::1]:2'], { jump: [{ host: 'a' }, { user: 'me', host: '::1', port: 2 }] }],
    [['--password-file', '-'], { passwordFile: '-' }],
    [['--shell', '/usr/bin/fish'], { shell: '/usr/bin/fish' }],
    [
      ['--host-key', 'accept-new', '--transport=openssh'],
      { hostKey: 'accept-new', transport: 'openssh' },
    ],
    [['--no-verify', '--json', '-v', '-v'], { verify: false, json: true, verbosity: 'verbose' }],
    [['--concurrency', '3', '--same-password'], { concurrency: 3, samePassword: true }],
    [
      [
        '-F',
        'f',
        '-S',
        's',
        '--known-hosts',
        'k',
        '--dotfiles',
        'd',
        '--save-as',
        'n',
        '--retry',
        'r',
      ],
      { sshConfig: 'f', controlPath: 's', knownHosts: 'k', dotfiles: 'd', saveAs: 'n', retry: 'r' },
    ],
    [
      ['--hosts', 'h', '--new-password-file', 'p', '--config', 'c', '--shell-fallback', '-q'],
      { hosts: 'h', newPasswordFile: 'p', config: 'c', shellFallback: true, verbosity: 'quiet' },
    ],
  ])('%j', (argv, expected) => {
    expect(options(...argv)).toMatchObject(expected);
    expect(parse('web1', ...argv).options, 'after the destination').toMatchObject(expected);
  });
});

describe('refusals', () => {
  test.each([
    [[], 'no destination was given; see prep --help'],
    [['undo'], 'no destination was given; see prep --help'],
    [['run', 'web1'], 'prep run needs a command after --; see prep --help'],
    [['run', 'web1', '--'], 'prep run needs a command after --; see prep --help'],
    [
      ['run', 'web1', 'ls'],
      '"ls" is one word too many: the command goes after --; see prep --help',
    ],
    [['steps', 'x'], 'prep steps takes no "x"; see prep --help'],
    [['help', 'web1'], 'prep help takes no "web1"; see prep --help'],
    [
      ['completion', 'tcsh'],
      'prep completion takes bash, zsh or fish, not "tcsh"; see prep --help',
    ],
    [['export', 'chef'], 'prep export takes ansible or cloud-init, not "chef"; see prep --help'],
    [['completion'], 'prep completion takes bash, zsh or fish; see prep --help'],
    [['web1', '--remove'], '--remove goes with prep mastering; see prep --help'],
    [['web1', '--list'], '--list goes with prep open; see prep --help'],
    [['run', '--exit', 'web1', '--', 'ls'], '--exit goes with prep open; see prep --help'],
    [['open', '--exit'], '--exit needs a destination, or all; see prep --help'],
    [['open', '--list', 'web1'], 'prep open takes no "web1"; see prep --help'],
    [['open', '--list', '--exit', 'all'], '--list and --exit exclude each other; see prep --help'],
    [
      ['--dri-run', 'web1'],
      'there is no option --dri-run, did you mean --dry-run; see prep --help',
    ],
    [['--ident=x', 'web1'], 'there is no option --ident, did you mean --identity; see prep --help'],
    [['--zzz', 'web1'], 'there is no option --zzz; see prep --help'],
    [['-x', 'web1'], 'there is no option -x; see prep --help'],
    [['--yes=1', 'web1'], '--yes takes no value; see prep --help'],
    [['web1', '--port'], '--port needs a value; see prep --help'],
    [['web1', '-i', '--yes'], '-i needs a value; see prep --help'],
    [['web1', '--shell='], '--shell needs a value; see prep --help'],
    [
      ['web1', '--shell', 'bin/zsh'],
      '"bin/zsh" is neither the name of a shell nor an absolute path; see prep --help',
    ],
    [['web1', '-q', '-v'], '--quiet and --verbose exclude each other; see prep --help'],
    [
      ['web1', '--concurrency', '0'],
      '--concurrency takes a number from 1 up, not "0"; see prep --help',
    ],
    [
      ['web1', '--concurrency', '1.5'],
      '--concurrency takes a number from 1 up, not "1.5"; see prep --help',
    ],
    [
      ['web1', '--host-key', 'no'],
      '--host-key takes ask, accept-new or strict, not "no"; see prep --help',
    ],
    [
      ['web1', '--transport', 'x'],
      '--transport takes auto, ssh2 or openssh, not "x"; see prep --help',
    ],
    [
      ['web1', '--only', 'dotfile'],
      '--only: there is no step "dotfile", did you mean dotfiles; see prep --help',
    ],
    [
      ['web1', '--skip', 'x'],
      `--skip: there is no step "x" (the steps: ${STEPS.join(', ')}); see prep --help`,
    ],
    [['web1', '--only', 'zlogin,'], '--only has an empty place in "zlogin,"; see prep --help'],
    [
      ['web1', '--only', 'zlogin', '--skip', 'zlogin'],
      '--only and --skip leave no step to take; see prep --help',
    ],
    [['web1', '--skip', STEPS.join()], '--only and --skip leave no step to take; see prep --help'],
    [
      ['udno', 'web1'],
      '"udno" is not a command, did you mean undo (a host of that name: ssh://udno); see prep --help',
    ],
    [
      ['step'],
      '"step" is not a command, did you mean steps (a host of that name: ssh://step); see prep --help',
    ],
    [
      ['web1', '--password-file', '-', '--new-password-file=-'],
      'only one password can come from standard input; see prep --help',
    ],
  ])('%j', (argv, sentence) => {
    expect(refusal(...argv)).toStrictEqual({ code: 'usage', sentence, exit: 2 });
  });

  test.each([
    ['bad-port', ['-p', '0', 'web1']],
    ['bad-port', ['-p', '65536', 'web1']],
    ['bad-port', ['-p=22', 'web1']],
    ['bad-port', ['web1:x']],
    ['bad-destination', ['@web1']],
    ['bad-destination', ['--', '-oProxyCommand=x']],
    ['bad-destination', ['-J', 'a b', 'web1']],
  ] as const)('%s: %j', (code, argv) => {
    expect(refusal(...argv)).toMatchObject({ code, exit: 2 });
  });

  test('control characters of a bad argument are spelled out', () => {
    expect(refusal('--\u001b[2J').sentence).toContain('--\\x1b[2J');
  });
});

describe('help', () => {
  test('fits 80 columns, tells every flag, ends in one line feed', () => {
    const text = helpText();
    expect(text.split('\n').filter((line) => line.length > 80)).toEqual([]);
    for (const { name, short } of FLAGS)
      expect(text).toContain(`${short ? `-${short}, ` : '    '}--${name} `.trimEnd());
    expect(text).toMatch(/[^\n]\n$/);
  });
});

describe('completion', () => {
  test.each(['bash', 'zsh', 'fish'] as const)(
    '%s: every flag and step is in the script',
    (shell) => {
      const script = completionScript(shell, STEPS);
      for (const { name } of FLAGS) expect(script).toContain(name);
      for (const name of STEPS) expect(script).toContain(name);
    },
  );

  test('bash completes flags, steps after a comma, and commands', () => {
    const script = completionScript('bash', STEPS);
    const complete = (...words: string[]) => {
      const ask = `COMP_WORDS=(${words.map((w) => `'${w}'`).join(' ')}); COMP_CWORD=$((\${#COMP_WORDS[@]}-1)); _prep; echo "\${COMPREPLY[@]}"`;
      return execFileSync('bash', ['--norc', '-c', `${script}\n${ask}`], {
        encoding: 'utf8',
      }).trim();
    };
    expect(complete('prep', '--dr')).toBe('--dry-run');
    expect(complete('prep', '--only', 'zlogin,do')).toBe('zlogin,dotfiles');
    expect(complete('prep', 'un')).toBe('undo');
    expect(complete('prep', '--host-key', 's')).toBe('strict');
    expect(complete('prep', 'completion', '')).toBe('bash zsh fish');
  });
});
