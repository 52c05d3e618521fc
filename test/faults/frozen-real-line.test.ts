import { afterAll, expect, test } from 'vitest';
import { describeSshd } from '../support/describe-sshd.ts';
import { Hardship, undisturbed, WAYS, type Way } from '../support/hardship.ts';
import { startProxy, type Cut } from '../support/proxy.ts';
import { soak } from '../support/soak.ts';
import { useSshd, type Stage } from '../support/stage.ts';

/** How many places there are for each way and direction, all over what passes. */
const PLACES = soak ? 12 : 3;

let tried = 0;
afterAll(() => console.log(`real freezing points tried: ${tried}`));

describeSshd('a real account on a line on which nothing passes any more', () => {
  const stages = WAYS.map((way): [Way, Stage] => [way, useSshd(way.server)]);

  // All at once, for nearly all of the time is spent waiting.
  test('loses nothing; prep gives up with a sentence, the next run does the rest, and undo works', async () => {
    const done = await Promise.allSettled(stages.map((stage) => freezesAllOver(...stage)));
    for (const one of done) if (one.status === 'rejected') throw one.reason;
  }, 400_000);

  async function freezesAllOver(way: Way, stage: Stage): Promise<void> {
    const proxy = await startProxy(stage.server.port);
    const wanted = await undisturbed(stage, way, proxy.port);
    const { bytes } = proxy.traffic;
    await proxy.close();
    const cuts = (['up', 'down'] as const).flatMap((direction) =>
      Array.from({ length: PLACES }, (_, i): Cut => {
        const afterBytes = Math.floor((bytes[direction] * (i + 0.7)) / PLACES);
        return { direction, afterBytes, freezes: true };
      }),
    );
    await Promise.all(
      cuts.map((cut) =>
        survives(way, stage, cut, wanted).catch((cause: unknown) => {
          throw new Error(`${way.name}, ${JSON.stringify(cut)}: ${String(cause)}`, { cause });
        }),
      ),
    );
  }

  async function survives(way: Way, stage: Stage, cut: Cut, wanted: object): Promise<void> {
    const proxy = await startProxy(stage.server.port);
    const hardship = new Hardship(stage, way, proxy.port);
    try {
      proxy.cut = cut;
      const begun = Date.now();
      const frozen = await hardship.visit.prep(hardship.flags, {
        password: true,
        timeout: 150_000,
      });
      expect(Date.now() - begun).toBeLessThan(100_000);
      // Near the end all may be known to be done, and proven.
      if (frozen.status !== 0) expect(frozen.stderr).toMatch(/^prep: \S+: .+; .+$/m);
      else expect(frozen.stderr).toBe('');
      expect(frozen.stderr).not.toMatch(/undefined|unexpected|\[object|^ +at /m);
      hardship.isWhole();
      proxy.cut = undefined;
      proxy.hangUp();
      proxy.thaw();
      await hardship.recovers(wanted);
      tried++;
    } finally {
      await proxy.close();
      hardship.visit.account.remove();
    }
  }
});
