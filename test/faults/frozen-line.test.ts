import { afterAll, expect, test } from 'vitest';
import type { Cut } from '../support/proxy.ts';
import { inside, sentenceOf } from '../support/inside.ts';
import { soak } from '../support/soak.ts';

const POINTS: readonly Cut[] = [
  { direction: 'up', beforePiece: 0 },
  { direction: 'down', beforePiece: 0 },
  ...(soak ? [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12] : [2, 5, 8]).flatMap((piece): Cut[] => [
    { direction: 'up', beforePiece: piece },
    { direction: 'down', beforePiece: 2 * piece },
  ]),
];
let tried = 0;
afterAll(() => console.log(`freezing points tried: ${tried}`));

test('a line on which nothing passes any more is given up with a sentence; the next run does the rest', async () => {
  const freezes = POINTS.map(async (cut) => {
    const scene = await inside({ dotfiles: { '.zshrc': 'yours\n', bin: Buffer.from('\0') } });
    try {
      scene.proxy.cut = { ...cut, freezes: true };
      const begun = Date.now();
      const frozen = await scene.prepare();
      expect(sentenceOf(frozen), JSON.stringify(cut)).not.toBe('');
      expect(sentenceOf(frozen)).not.toMatch(/undefined|unexpected|\[object/);
      expect(Date.now() - begun).toBeLessThan(100_000);
      scene.proxy.cut = undefined;
      scene.proxy.hangUp();
      scene.proxy.thaw();
      await scene.quiet();
      const again = await scene.prepare();
      expect(again.problem, sentenceOf(again)).toBeUndefined();
      expect(scene.read('.zshrc')).toBe('yours\n');
      expect(scene.leftovers()).toEqual([]);
      tried++;
    } finally {
      await scene.remove();
    }
  });
  await Promise.all(freezes);
}, 150_000);
