import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { ABSENT } from '../../src/core/facts.ts';
import type { EntryChange } from '../../src/core/plan.ts';
import { remotePath } from '../../src/core/remote-path.ts';
import { inOrder } from '../../src/remote/side-by-side.ts';

function at(path: string): EntryChange {
  return { what: 'entry', path: remotePath(path), before: ABSENT, after: ABSENT, reason: '' };
}

/** Makes changes, each taking a turn, and gives what began and ended, in order. */
async function made(...paths: readonly string[]): Promise<string[]> {
  const told: string[] = [];
  await inOrder(paths.map(at), async (_, index) => {
    told.push(`+${index}`);
    await turn();
    told.push(`-${index}`);
  });
  return told;
}

test.each([
  ['of the same path', 'a', 'a'],
  ['of a folder and of what is in it', 'a', 'a/b/c'],
  ['of what is in a folder and of the folder', 'a/b/c', 'a'],
  ['of absolute paths', '/a/b', '/a'],
])('changes %s are made one after the other', async (_, ...paths) => {
  expect(await made(...paths)).toEqual(['+0', '-0', '+1', '-1']);
});

test('others are made side by side', async () => {
  expect(await made('a', 'ab', 'b/a', 'b/c')).toEqual(
    ['+0', '+1', '+2', '+3'].concat(['-0', '-1', '-2', '-3']),
  );
});

test('a folder waits for all that came in it since it was made', async () => {
  const told = await made('a', 'a/b', 'a/c', 'a', 'a/d');
  expect(told.indexOf('+3')).toBeGreaterThan(told.indexOf('-2'));
  expect(told.indexOf('+4')).toBeGreaterThan(told.indexOf('-3'));
});

test('one that throws is told of, and nothing else is', async () => {
  const failing = inOrder([at('a'), at('b'), at('a/c')], async (change) => {
    await turn();
    if (change.what === 'entry' && change.path === 'a') throw new Error('a failed');
  });
  await expect(failing).rejects.toThrow('a failed');
  await turn();
});

test('twenty thousand cost little', { timeout: 10_000 }, async () => {
  const changes = Array.from({ length: 20_000 }, (_, index) => at(`a/${index % 100}/${index}`));
  let count = 0;
  await inOrder(changes, () => Promise.resolve(void count++));
  expect(count).toBe(20_000);
});
