import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { Kept } from '../../src/ssh/kept.ts';

const folder = mkdtempSync(join(tmpdir(), 'kept-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const hasFifo = spawnSync('mkfifo', ['--version']).status === 0;

/** Counts how often something was made of the files. */
function counting(): { of: (...files: readonly string[]) => Promise<number> } {
  const kept = new Kept<number>();
  let made = 0;
  return { of: (...files) => kept.of(files, () => Promise.resolve(++made)) };
}

function fileOf(name: string, text: string): string {
  const file = join(folder, name);
  writeFileSync(file, text);
  return file;
}

describe('what was made of files', () => {
  it('is kept while they stay as they are, those that are absent included', async () => {
    const { of } = counting();
    const file = fileOf('same', 'one');
    const absent = join(folder, 'absent');
    expect([await of(file, absent), await of(file, absent)]).toEqual([1, 1]);
    expect(await of(file)).toBe(2);
  });

  it('is made anew once one of them is written, replaced, made or removed', async () => {
    const { of } = counting();
    const [file, other] = [fileOf('one', 'one'), join(folder, 'other')];
    await of(file, other);
    writeFileSync(file, 'one and more');
    expect(await of(file, other)).toBe(2);
    renameSync(fileOf('new', 'one and more'), file);
    expect(await of(file, other)).toBe(3);
    writeFileSync(other, '');
    expect(await of(file, other)).toBe(4);
    rmSync(other);
    expect(await of(file, other)).toBe(5);
  });

  it('is not kept where making it failed', async () => {
    const kept = new Kept<string>();
    const file = fileOf('broken', '');
    const failing = kept.of([file], () => Promise.reject(new Error('no')));
    await expect(failing).rejects.toThrow('no');
    expect(await kept.of([file], () => Promise.resolve('yes'))).toBe('yes');
  });

  it.skipIf(!hasFifo)('is never kept of a pipe', async () => {
    const { of } = counting();
    const pipe = join(folder, 'pipe');
    execFileSync('mkfifo', [pipe]);
    expect([await of(pipe), await of(pipe)]).toEqual([1, 2]);
  });
});
