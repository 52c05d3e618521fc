import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, expect, test } from 'vitest';
import { describeSshd } from '../support/describe-sshd.ts';
import { inside, sentenceOf, type Inside } from '../support/inside.ts';
import { Hardship, undisturbed, WAYS } from '../support/hardship.ts';
import { seeded } from '../support/seeded.ts';
import { patience, tries } from '../support/soak.ts';
import { useSshd } from '../support/stage.ts';

const KILLS = 5;
const PATIENCE = patience(KILLS * 20_000);
const KEYS = '# mine\n';
const NAMES = Array.from({ length: 12 }, (_, index) => `.many/file-${index}`);
const NEW = 'new content\n'.repeat(100);

const random = seeded();
let tried = 0;
afterAll(() =>
  console.log(`kills tried: ${tried} (PREP_SEED=${random.seed} tries the same again)`),
);

function keptWhole(read: (name: string) => string | undefined): void {
  for (const name of NAMES) expect(['old', NEW, undefined], name).toContain(read(name));
}

test(
  'a server that loses power at any moment keeps each path whole; the next run does the rest at once',
  async () => {
    for (const _ of tries(KILLS)) {
      const scene = await inside({
        theirs: {
          '.ssh/authorized_keys': { content: KEYS, mode: 0o600 },
          ...Object.fromEntries(NAMES.slice(0, 7).map((name) => [name, 'old'])),
        },
        dotfiles: Object.fromEntries(NAMES.map((name) => [name, NEW])),
      });
      try {
        await losesPower(scene, random.below(900));
        tried++;
      } finally {
        await scene.remove();
      }
    }
  },
  PATIENCE,
);

async function losesPower(scene: Inside, delay: number): Promise<void> {
  let struck = false;
  const strike = async (): Promise<void> => {
    await sleep(delay);
    scene.server.hangUp();
    scene.killAll();
    struck = true;
  };
  let striking: Promise<void> | undefined;
  await scene.prepare({
    onEvent: ({ type }) => void (type === 'applying' && (striking = strike())),
  });
  await striking;
  expect(struck).toBe(true);
  keptWhole((name) => scene.read(name));
  expect(scene.read('.ssh/authorized_keys')?.startsWith(KEYS)).toBe(true);
  const begun = Date.now();
  const again = await scene.prepare();
  expect(again.problem, sentenceOf(again)).toBeUndefined();
  // Nobody waits for a dead run.
  expect(again.events.filter(({ type }) => type === 'notice')).toEqual([]);
  expect(Date.now() - begun).toBeLessThan(20_000);
  for (const name of NAMES) expect(scene.read(name)).toBe(NEW);
  await scene.quiet();
  expect(scene.leftovers()).toEqual([]);
  const undone = await scene.undo();
  expect(undone.problem, sentenceOf(undone)).toBeUndefined();
  expect(scene.read('.ssh/authorized_keys')?.startsWith(KEYS)).toBe(true);
}

WAYS.forEach((way) =>
  describeSshd(`prep killed at any moment, ${way.name},`, () => {
    const stage = useSshd(way.server);

    test(
      'leaves each path whole; the next run does the rest, and undo still works',
      async () => {
        const wanted = await undisturbed(stage, way);
        for (const _ of tries(KILLS)) {
          const hardship = new Hardship(stage, way);
          await hardship.visit.begin(hardship.flags, AbortSignal.timeout(300 + random.below(1500)));
          tried++;
          hardship.isWhole();
          await hardship.recovers(wanted);
          hardship.visit.account.remove();
        }
      },
      PATIENCE,
    );
  }),
);
