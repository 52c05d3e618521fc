import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { entryAt } from '../../src/core/facts.ts';
import { remotePath } from '../../src/core/remote-path.ts';
import { ShellAccount } from '../../src/remote/shell-account.ts';
import { file } from '../support/facts.ts';
import { localSession } from '../support/local-session.ts';

let [home, tools] = ['', ''];
beforeEach(() => {
  [home, tools] = [mkdtempSync(join(tmpdir(), 'home-')), mkdtempSync(join(tmpdir(), 'tools-'))];
});
afterEach(() => [home, tools].forEach((folder) => rmSync(folder, { recursive: true })));

test("a cksum that has tabs between its words, as Solaris', is understood", async () => {
  const cksum = '#!/bin/sh\n/usr/bin/cksum "$@" | sed "s/ /\t/; s/ /\t/"\n';
  writeFileSync(join(tools, 'cksum'), cksum, { mode: 0o755 });
  const names = ['f', 'two  words', 'a\ttab ', 'a line\nand another'];
  for (const name of names) writeFileSync(join(home, name), 'old');
  const paths = names.map((name) => remotePath(name));
  const readings = paths.map((path) => ({ path, bytes: 'all' as const }));
  const path = `${tools}:${process.env['PATH']}`;
  const session = localSession({ home, path });
  const { account, facts } = await ShellAccount.open(session, { readings, loginShell: 'zsh' });
  const { content } = file(0o600, 'old') as { content: { checksum: number } };
  const whole = { kind: 'file', content };
  const summed = { kind: 'file', content: { size: 3, checksum: content.checksum } };
  expect(paths.map((one) => entryAt(facts, one))).toMatchObject([whole, whole, whole, summed]);
  chmodSync(join(home, 'f'), 0o644);
  const [outcome] = (
    await account.apply(
      [
        {
          what: 'entry',
          path: paths[0]!,
          before: file(0o644, 'old'),
          after: file(0o600, 'new'),
          reason: 'a test',
        },
      ],
      { run: '0001-test', readings, stepOf: () => 'test' },
    )
  ).outcomes;
  account.close();
  expect(outcome?.result).toBe('done');
  expect(readFileSync(join(home, 'f'), 'utf8')).toBe('new');
});

test('a large file without lines in ~/.ssh is not read for the first of them', async () => {
  mkdirSync(join(home, '.ssh'));
  writeFileSync(join(home, '.ssh/blob'), '');
  truncateSync(join(home, '.ssh/blob'), 50_000_000);
  writeFileSync(join(home, '.ssh/id x'), '-----BEGIN OPENSSH PRIVATE KEY-----\n');
  const begun = performance.now();
  const { account, facts } = await ShellAccount.open(localSession({ home }), {
    readings: [],
    loginShell: 'zsh',
  });
  account.close();
  expect(facts.privateKeys).toEqual(['.ssh/id x']);
  // A shell reads byte by byte: that takes half a minute.
  expect(performance.now() - begun).toBeLessThan(5_000);
}, 90_000);
