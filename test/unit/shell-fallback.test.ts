import fc from 'fast-check';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { isMarkedBlock, markedBlock, putBlock, takeOutBlock } from '../../src/core/marked-block.ts';
import type { Verdict } from '../../src/core/plan.ts';
import { ShellAccount } from '../../src/remote/shell-account.ts';
import { loginShell } from '../../steps/login-shell.ts';
import { startBlock } from '../../steps/start-block.ts';
import { directory, factsOf, file, symlink, type FactsOf } from '../support/facts.ts';
import { localSession } from '../support/local-session.ts';

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');
const text = (old: Uint8Array): string => Buffer.from(old).toString('latin1');

describe('a marked block', () => {
  const block = markedBlock('a test', ['if true', 'fi']);
  const files = fc
    .array(fc.constantFrom('fi', 'if true', '', '# >>> other', 'x\r', '\xff'))
    .map((lines) => lines.join('\n'));

  test('is known as one', () => {
    expect(isMarkedBlock(block)).toBe(true);
    expect(isMarkedBlock(['ssh-ed25519 AAAA'])).toBe(false);
    expect(isMarkedBlock([])).toBe(false);
  });

  test('stands last, once, and comes out again alone', () => {
    fc.assert(
      fc.property(files, files, (before, since) => {
        const ended = before === '' || before.endsWith('\n') ? before : `${before}\n`;
        const once = putBlock(bytes(before), block);
        expect(text(once)).toBe(`${ended}${block.join('\n')}\n`);
        expect(text(putBlock(once, block))).toBe(text(once));
        const edited = bytes(text(once) + since);
        expect(text(putBlock(edited, block))).toBe(text(edited));
        expect(text(takeOutBlock(edited))).toBe(ended + since);
        expect(takeOutBlock(bytes(before))).toEqual(bytes(before));
      }),
    );
  });

  test('of another version is replaced where it stands', () => {
    const old = `a\n${markedBlock('an older one', ['else']).join('\n')}\nb\n`;
    expect(text(putBlock(bytes(old), block))).toBe(`a\n${block.join('\n')}\nb\n`);
  });

  test('whose end is missing is not taken for one', () => {
    const old = `${block[0]}\nmine\n`;
    expect(text(takeOutBlock(bytes(old)))).toBe(old);
  });
});

describe('the fallback', () => {
  const plan = (row: FactsOf, shellFallback = true): Verdict =>
    loginShell.plan(factsOf({ shells: [], ...row }), {
      keys: [],
      dotfiles: [],
      loginShell: 'zsh',
      shellFallback,
    });

  test.each([
    ['/bin/bash', {}, ['.profile']],
    ['/bin/bash', { '.profile': file(0o644, ''), '.bash_login': file(0o644, '') }, ['.bash_login']],
    [
      '/bin/bash',
      { '.bash_profile': { kind: 'unreadable', mode: 0 }, '.profile': file(0o600, 'x') },
      ['.profile'],
    ],
    ['/bin/bash', { '.bash_profile': symlink('gone') }, ['.profile']],
    ['', {}, ['.profile']],
    ['/usr/bin/ksh', { '.bash_profile': file(0o644, '') }, ['.profile']],
    ['/bin/csh', {}, ['.login']],
    ['/usr/bin/fish', {}, ['.config', '.config/fish', '.config/fish/config.fish']],
    [
      '/usr/bin/fish',
      { '.config': directory(0o700), '.config/fish': directory(0o700) },
      ['.config/fish/config.fish'],
    ],
  ] as const)('of %s with %o writes %j', (shell, entries, paths) => {
    const there = { '.config': { kind: 'absent' }, '.config/fish': { kind: 'absent' } } as const;
    const verdict = plan({ loginShell: shell, entries: { ...there, ...entries } });
    const changes = verdict.kind === 'changes' ? verdict.changes : [];
    expect(changes.map((change) => change.what === 'entry' && change.path)).toEqual(paths);
    expect(changes.at(-1)).toMatchObject({ starts: '/usr/bin/zsh', adds: expect.any(Array) });
  });

  test('is not needed where the block is there', () => {
    const there = startBlock('sh', '/usr/bin/zsh')!.join('\n');
    const entries = { '.profile': file(0o644, `x\n${there}\ny\n`) };
    expect(plan({ entries })).toMatchObject({ kind: 'settled' });
    expect(plan({ entries, shells: ['/usr/bin/zsh'] })).toMatchObject({ kind: 'settled' });
  });

  test('stands by for the case that chsh refuses', () => {
    expect(plan({ shells: ['/bin/zsh'] })).toMatchObject({
      kind: 'changes',
      changes: [{ what: 'login-shell', otherwise: [{ path: '.profile', starts: '/bin/zsh' }] }],
    });
  });

  test.each([
    ['a restricted shell', { loginShell: '/bin/rbash' }, /cannot be started from \/bin\/rbash/],
    ['no zsh at all', { found: '' }, /^zsh is not installed; ask the administrator$/],
    ['a path nobody can quote', { found: "/it's/zsh" }, /too unusual/],
    ['a directory in the way', { entries: { '.profile': directory(0o755) } }, /is a directory/],
    ['a home that is closed', { unwritable: ['.'] }, /home directory may not be written/],
    [
      'a file in the way of the folder',
      { loginShell: '/usr/bin/fish', entries: { '.config': file(0o644, '') } },
      /\.config is not a directory/,
    ],
  ] as const)('is blocked by %s', (_what, row, words) => {
    const verdict = plan(row);
    expect(verdict).toMatchObject({ kind: 'blocked', because: expect.stringMatching(words) });
  });

  test('is offered where it was not asked for', () => {
    const elsewhere = plan({ passwd: 'elsewhere', shells: ['/bin/zsh'] }, false);
    expect(elsewhere).toMatchObject({
      kind: 'blocked',
      fallback: true,
      because: expect.stringMatching(/not in \/etc\/passwd.*--shell-fallback$/),
    });
  });

  test("finds a shell among the account's own programs", async () => {
    const home = mkdtempSync(join(tmpdir(), 'prep-own-'));
    mkdirSync(join(home, '.local/bin'), { recursive: true });
    const own = join(home, '.local/bin/ownsh');
    writeFileSync(own, '#!/bin/sh\n', { mode: 0o755 });
    const probe = { readings: [], loginShell: 'ownsh' };
    const { account, facts } = await ShellAccount.open(localSession({ home }), probe);
    account.close();
    rmSync(home, { recursive: true });
    expect(facts.system.found).toBe(own);
  });
});
