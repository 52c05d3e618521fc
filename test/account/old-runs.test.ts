import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { contentOf } from '../../src/core/facts.ts';
import { sentTo } from '../../src/remote/journal.ts';
import { sendingScript } from '../../src/remote/lock.ts';
import { preamble } from '../../src/remote/shell-text.ts';

const RUN = '9999-test';
const OLD_RUNS = 1500;
const CONTENTS = 500;

let home: string;
const runs = (name: string): string => join(home, '.local/state/prep', name);
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'prep-home-'));
  for (let i = 0; i < OLD_RUNS; i++) {
    mkdirSync(runs(String(i)), { recursive: true });
    writeFileSync(runs(`${i}/journal`), 'x\n');
  }
});
afterEach(() => rmSync(home, { recursive: true }));

test('hundreds of contents are looked for in the folders of old runs once, and found where a dead run left them', () => {
  const contents = Array.from({ length: CONTENTS }, (_, i) => contentOf(Buffer.from(`${i}\0`)));
  const left = runs('7-dead');
  mkdirSync(left);
  symlinkSync('1 1 - another-boot here/1 20200101T000000Z', join(left, 'owner'));
  execFileSync('touch', ['-h', '-d', '2020-01-01', join(left, 'owner')]);
  const { checksum, size } = contents[3]!;
  writeFileSync(join(left, `sent-9-${checksum}-${size}`), '3\0');
  const wanted = contents.map((content, index) => ({
    number: index + 1,
    content,
    to: sentTo(RUN, index + 1, content),
  }));
  const script = `${preamble('M')}prep_said() {\n${sendingScript(RUN, wanted)}\n}\nprep_said`;
  const begun = performance.now();
  const said = execFileSync('/bin/sh', ['-c', script], { cwd: home, encoding: 'utf8' });
  // Looking through all of them for each content takes some fifteen times as long.
  expect(performance.now() - begun).toBeLessThan(2_000);
  expect(said.trim()).toBe(`M have 4 ${checksum} ${size}`);
  expect(readdirSync(runs(RUN)).sort()).toEqual(['owner', `sent-4-${checksum}-${size}`]);
});
