import { describe, expect, test } from 'vitest';
import { checked } from '../../src/config/schema.ts';
import { readOptions } from '../../src/cli/options.ts';
import { stepsFor, stepsOf, wishesFor } from '../../src/configured.ts';
import { matchesHost, settingsFor, type Configuration } from '../../src/core/configuration.ts';
import { parseDestination } from '../../src/core/destination.ts';
import { PrepError } from '../../src/core/problem.ts';
import { optionalSteps, steps } from '../../steps/index.ts';

const FILE = '/home/alice/.config/prep/prep.config.ts';

function complaint(attempt: () => unknown): string {
  try {
    attempt();
  } catch (error) {
    if (!(error instanceof PrepError) || error.problem.code !== 'bad-config') throw error;
    const { file, where, cause } = error.problem;
    expect(file).toBe(FILE);
    return `${where} ${cause}`;
  }
  return '';
}

const step = { name: 'own', title: 'own', reads: () => [], plan: () => ({}) };

describe('what a configuration says', () => {
  test.each<[unknown, string]>([
    [5, 'the whole must be an object, not 5'],
    [[], 'the whole must be an object, not an empty list'],
    [undefined, 'the whole must be an object, not undefined'],
    [{ shel: 'zsh' }, 'shel is not a setting, did you mean shell'],
    [{ colour: 1 }, 'colour is not a setting (the settings: keys, shell,'],
    [{ shell: 42 }, 'shell must be the name of a shell or an absolute path, not 42'],
    [{ shell: 'a b' }, 'shell must be the name of a shell or an absolute path, not "a b"'],
    [{ keys: 'id' }, 'keys must be a list of strings, not "id"'],
    [{ keys: [''] }, 'keys[0] must be a string that is not empty, not ""'],
    [{ terminfo: 'yes' }, 'terminfo must be true or false, not "yes"'],
    [{ packages: 'zsh' }, 'packages must be a list of packages, not "zsh"'],
    [{ packages: ['-y'] }, 'packages[0] must be a plain name, not "-y"'],
    [{ packages: [{ name: 'x' }] }, 'packages[0].provides is missing'],
    [{ values: { a: 1 } }, 'values.a must be a string, not 1'],
    [{ dotfiles: 1 }, 'dotfiles must be a directory, or a list of sources, not 1'],
    [
      { dotfiles: [null] },
      'dotfiles[0] must be a string, or an object with path, template or command, not null',
    ],
    [{ dotfiles: [{ to: 'x' }] }, 'dotfiles[0].path is missing'],
    [{ dotfiles: [{ template: 'x' }] }, 'dotfiles[0].to is missing'],
    [{ dotfiles: [{ command: 'tar' }] }, 'dotfiles[0].command must be a list of words'],
    [{ dotfiles: [{ command: [] }] }, 'dotfiles[0].command must be a list of words'],
    [
      { dotfiles: ['a', { path: 'b', exlude: [] }] },
      'dotfiles[1].exlude is not a setting, did you mean exclude',
    ],
    [
      { hosts: { 'web*': { shell: () => 'zsh' } } },
      'hosts["web*"].shell must be the name of a shell or an absolute path, not a function',
    ],
    [{ hosts: { 'web*': { steps: [] } } }, 'hosts["web*"].steps is not a setting'],
    [{ hosts: { 'web*': [] } }, 'hosts["web*"] must be an object, not an empty list'],
    [{ hosts: { '': {} } }, 'hosts[""] must be a pattern such as "web*.example.com", not ""'],
    [{ steps: [5] }, 'steps[0] must be a step, as defineStep makes it, not 5'],
    [{ steps: [{ ...step, name: 'A b' }] }, 'steps[0].name must be a name such as "my-step"'],
    [{ steps: [{ name: 'own' }] }, 'steps[0].title is missing'],
    [{ steps: [{ ...step, plan: 1 }] }, 'steps[0].plan must be a function, not 1'],
  ])('%j', (config, words) => {
    expect(complaint(() => checked(FILE, config))).toContain(words);
  });

  test('may be nothing, and all of it', () => {
    expect(checked(FILE, {})).toEqual({});
    const all = {
      keys: ['~/.ssh/id'],
      shell: '/bin/zsh',
      dotfiles: ['a', { path: 'b', to: 'c', exclude: ['d'] }, { template: 'e', to: 'f' }],
      values: { a: '' },
      only: ['dotfiles'],
      skip: [],
      terminfo: true,
      packages: ['zsh', { name: 'neovim', provides: ['nvim'] }],
      hosts: { 'web*, !web1': { dotfiles: [{ command: ['chezmoi', 'archive'] }] } },
      steps: [step],
    };
    expect(checked(FILE, all)).toEqual(all);
  });
});

describe('a pattern', () => {
  test.each<[string, string, boolean]>([
    ['web1', 'alice@web1', true],
    ['WEB1', 'web1', true],
    ['web*', 'web1.example.com', true],
    ['web?', 'web12', false],
    ['alice@*', 'alice@web1', true],
    ['alice@*', 'bob@web1', false],
    ['*:2222', 'web1:2222', true],
    ['web1', 'web1:2222', true],
    ['a.b', 'axb', false],
    ['web* !web1', 'web1', false],
    ['web*,!alice@*', 'alice@web2', false],
    ['!web1', 'web2', false],
    ['db* web*', 'web2', true],
    ['::1', '[::1]:22', true],
  ])('%s matches %s: %j', (pattern, destination, matches) => {
    expect(matchesHost(pattern, parseDestination(destination))).toBe(matches);
  });
});

const configuration: Configuration = {
  file: FILE,
  all: { shell: 'dash', keys: ['/k'], values: { a: 'all', b: 'all' }, skip: ['zlogin'] },
  hosts: [
    ['web*', { shell: 'bash', values: { a: 'web' }, terminfo: true }],
    ['*1', { shell: 'fish', values: { a: 'one', c: 'one' }, packages: [] }],
  ],
  steps: [],
};
const options = (...flags: readonly (readonly [string, string])[]) =>
  readOptions(new Map(flags.map(([name, value]) => [name, [value]])), []);
const web1 = parseDestination('web1');

describe('what holds for an account', () => {
  test('is what the first section says, then what is said for all', () => {
    expect(settingsFor(configuration, web1)).toMatchObject({
      shell: 'bash',
      keys: ['/k'],
      terminfo: true,
      values: { a: 'web', b: 'all', c: 'one' },
    });
    expect(settingsFor(configuration, parseDestination('db1')).shell).toBe('fish');
    expect(settingsFor(configuration, parseDestination('db2')).shell).toBe('dash');
    expect(settingsFor(configuration).shell).toBe('dash');
  });

  test('gives way to flags, and goes before the defaults', () => {
    expect(wishesFor(options(), undefined)).toMatchObject({ shell: 'zsh', skip: [] });
    expect(wishesFor(options(), configuration)).toMatchObject({
      shell: 'dash',
      identities: ['/k'],
      skip: ['zlogin'],
    });
    const flags = options(['shell', 'zsh'], ['identity', '/i'], ['dotfiles', 'd']);
    expect(wishesFor({ ...flags, skip: ['x'] }, configuration, web1)).toMatchObject({
      shell: 'zsh',
      identities: ['/i'],
      skip: ['x'],
      dotfiles: 'd',
    });
    expect(wishesFor({ ...options(), only: ['zlogin'] }, configuration)).toMatchObject({
      only: ['zlogin'],
      skip: [],
    });
  });
});

describe('the steps', () => {
  const names = (of: readonly { readonly name: string }[]) => of.map(({ name }) => name);
  const own = { ...step, reads: () => [], plan: () => ({ kind: 'settled', because: '' }) as const };

  test('have those of the configuration among them, where they belong', () => {
    const all = stepsOf(steps, optionalSteps, {
      ...configuration,
      steps: [
        own,
        { ...own, name: 'first', before: 'ssh-dir' },
        { ...own, name: 'c', before: 'own' },
      ],
    });
    expect(names(all)).toEqual([
      'first',
      'ssh-dir',
      'authorized-keys',
      'permissions',
      'terminfo',
      'dotfiles',
      'zlogin',
      'login-shell',
      'c',
      'own',
    ]);
    expect(names(stepsFor(all, wishesFor(options(), configuration)))).not.toContain('terminfo');
    expect(names(stepsFor(all, wishesFor(options(), configuration, web1)))).toContain('terminfo');
  });

  test.each<[Partial<Configuration>, string]>([
    [{ steps: [{ ...own, name: 'zlogin' }] }, 'steps[0].name "zlogin" is taken by another step'],
    [{ steps: [{ ...own, name: 'packages' }] }, 'steps[0].name "packages" is taken'],
    [{ steps: [own, own] }, 'steps[1].name "own" is taken by another step'],
    [
      { steps: [{ ...own, before: 'zlogn' }] },
      'steps[0].before names "zlogn", and there is no such step, did you mean zlogin',
    ],
    [{ all: { only: ['x'] } }, 'only names "x", and there is no such step (the steps: ssh-dir,'],
    [{ hosts: [['web*', { skip: ['ssh'] }]] }, 'hosts["web*"].skip names "ssh"'],
  ])('%#', (own, words) => {
    const config = { file: FILE, all: {}, hosts: [], steps: [], ...own };
    expect(complaint(() => stepsOf(steps, optionalSteps, config))).toContain(words);
  });
});
