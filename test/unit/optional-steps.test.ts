import { describe, expect, test } from 'vitest';
import { contentOf } from '../../src/core/facts.ts';
import { changesOf, makePlan, type Desired, type Verdict } from '../../src/core/plan.ts';
import { loginShell } from '../../steps/login-shell.ts';
import { packages } from '../../steps/packages.ts';
import { terminfo } from '../../steps/terminfo.ts';
import { directory, factsOf, file, symlink, type FactsOf } from '../support/facts.ts';

const NOTHING: Desired = { keys: [], dotfiles: [], loginShell: 'zsh' };
const description = contentOf(Buffer.from([0x1a, 1, 0, 0]));
const kitty = { ...NOTHING, terminal: { name: 'xterm-kitty', description } };

function paths(verdict: Verdict): string[] {
  if (verdict.kind !== 'changes') return [verdict.because];
  return verdict.changes.map((change) => (change.what === 'entry' ? change.path : change.what));
}

describe('terminfo', () => {
  test.each<[string, FactsOf, string[]]>([
    ['nothing there', {}, ['.terminfo', '.terminfo/x', '.terminfo/x/xterm-kitty']],
    [
      'a Mac, where names may not differ by case alone',
      { os: 'Darwin' },
      ['.terminfo', '.terminfo/78', '.terminfo/78/xterm-kitty'],
    ],
    [
      'folders there',
      { entries: { '.terminfo': directory(0o700), '.terminfo/x': directory(0o755) } },
      ['.terminfo/x/xterm-kitty'],
    ],
    [
      'a link to a folder',
      { entries: { '.terminfo': symlink('t'), t: directory(0o755) }, real: { '.terminfo': 't' } },
      ['.terminfo/x', '.terminfo/x/xterm-kitty'],
    ],
    [
      'known to the system',
      { entries: { '/usr/share/terminfo/x/xterm-kitty': file(0o644, 'x') } },
      ['xterm-kitty is known there already'],
    ],
    [
      'known to the account, another way',
      { entries: { '.terminfo/78/xterm-kitty': file(0o644, 'x') } },
      ['xterm-kitty is known there already'],
    ],
    [
      'a file in the way',
      { entries: { '.terminfo': file(0o644, 'x') } },
      ['~/.terminfo is a file, not a directory; move it away'],
    ],
    [
      'a link to nowhere',
      { entries: { '.terminfo': symlink('gone') } },
      ['~/.terminfo is a link to nowhere, not a directory; move it away'],
    ],
    ['closed', { unwritable: ['.'] }, ['the home directory may not be written; ask its owner']],
  ])('%s', (_why, facts, expected) => {
    expect(paths(terminfo.plan(factsOf(facts), kitty))).toEqual(expected);
  });

  test('reads nothing, and is settled, where there is no terminal', () => {
    expect(terminfo.reads(NOTHING)).toEqual([]);
    expect(terminfo.plan(factsOf(), NOTHING).kind).toBe('settled');
  });
});

describe('packages', () => {
  const wanted: Desired = {
    ...NOTHING,
    packages: [
      { name: 'zsh', provides: ['zsh'] },
      { name: 'neovim', provides: ['nvim'] },
    ],
  };
  const commands = (tools: readonly string[], facts: FactsOf = {}): string[] => {
    const verdict = packages.plan(factsOf({ sudo: true, ...facts, tools }), wanted);
    if (verdict.kind !== 'changes') return [`${verdict.kind}: ${verdict.because}`];
    return verdict.changes.map((change) =>
      change.what === 'command' ? [change.as, ...change.argv].join(' ') : '',
    );
  };

  test.each<[string, readonly string[], FactsOf, string[]]>([
    [
      'apt-get',
      ['apt-get', 'zsh'],
      {},
      [
        'sudo apt-get update -q',
        'sudo env DEBIAN_FRONTEND=noninteractive apt-get install -q -y neovim',
      ],
    ],
    ['dnf, as root', ['dnf'], { uid: 0 }, ['root dnf install -q -y zsh neovim']],
    ['apk', ['apk'], {}, ['sudo apk update -q', 'sudo apk add -q zsh neovim']],
    ['pacman', ['pacman'], {}, ['sudo pacman -S -y --noconfirm --needed zsh neovim']],
    ['zypper', ['zypper'], {}, ['sudo zypper --non-interactive install zsh neovim']],
    ['all there', ['zsh', 'nvim'], { sudo: false }, ['settled: all 2 already there']],
    [
      'no sudo',
      ['apt-get'],
      { sudo: false },
      [
        'blocked: installing zsh, neovim takes root, and sudo does not work without a password; ask the administrator',
      ],
    ],
    [
      'no package manager',
      ['zsh'],
      {},
      [
        'blocked: there is no package manager that prep knows (apt-get, dnf, apk, pacman, zypper) to install neovim; ask the administrator',
      ],
    ],
  ])('%s', (_how, tools, facts, expected) => {
    expect(commands(tools, facts)).toEqual(expected);
  });

  test('bring the login shell that the step after them sets', () => {
    const facts = factsOf({
      shells: ['/bin/sh'],
      found: '',
      sudo: true,
      tools: ['apt-get', 'usermod'],
    });
    const destination = { host: 'web1' };
    const plan = makePlan(destination, facts, wanted, [packages, loginShell]);
    expect(changesOf(plan).at(-1)).toMatchObject({ what: 'login-shell', after: '/bin/zsh' });
    expect(makePlan(destination, facts, wanted, [loginShell]).steps[0]!.verdict.kind).toBe(
      'blocked',
    );
  });
});
