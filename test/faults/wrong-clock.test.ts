import { describe, expect, test } from 'vitest';
import { noCompiler } from '../support/compiled-library.ts';
import { describeSshd } from '../support/describe-sshd.ts';
import { Hardship, undisturbed, WAYS } from '../support/hardship.ts';
import { accountOf, useSshd } from '../support/stage.ts';
import { useWrongClock } from '../support/wrong-clock.ts';

const why = noCompiler === undefined ? '' : ` (skipped: ${noCompiler})`;

const YEAR = 365 * 24 * 3600;
const SHIFTS = [
  ['-1y', -YEAR],
  ['+1y', YEAR],
] as const;

/** The year it is there. */
function yearIn(seconds: number): number {
  return new Date(Date.now() + seconds * 1000).getUTCFullYear();
}

describe.skipIf(why !== '')(`a clock that is wrong by a year${why}`, () => {
  const clock = useWrongClock();

  WAYS.forEach((way) =>
    describeSshd(`on the laptop, ${way.name},`, () => {
      const stage = useSshd(way.server);

      test.each(SHIFTS)('%s changes nothing of what a run and undo do', async (_, seconds) => {
        const wanted = await undisturbed(stage, way);
        const hardship = new Hardship(stage, way);
        const flags = [...hardship.flags, '--json'];
        const env = clock(seconds);
        const run = await hardship.visit.prep(flags, { env, password: true });
        expect(accountOf(run), run.stderr).toMatchObject({ status: 'changed', verified: true });
        const names = Object.keys(hardship.visit.account.tree());
        const years = names.flatMap((name) => /\/0001-(\d{4})[^/]*$/.exec(name)?.[1] ?? []);
        expect(years).toEqual([String(yearIn(seconds))]);
        await hardship.recovers(wanted);
      });
    }),
  );

  SHIFTS.forEach(([shift, seconds]) => {
    const env = clock(seconds);
    const words = Object.entries(env).map(([name, value]) => `${name}=${value}`);
    const [way] = WAYS;

    describeSshd(`on the server, ${shift},`, () => {
      const stage = useSshd({ ...way!.server, env, config: [`SetEnv ${words.join(' ')}`] });
      const right = useSshd(way!.server);

      test('changes nothing of what a run and undo do', async () => {
        const wanted = await undisturbed(right, way!);
        const hardship = new Hardship(stage, way!);
        const { visit } = hardship;
        const run = await visit.prep([...hardship.flags, '--json'], { password: true });
        expect(accountOf(run), run.stderr).toMatchObject({ status: 'changed', verified: true });
        expect((await visit.ssh('date -u +%Y')).stdout).toBe(`${yearIn(seconds)}\n`);
        const again = await visit.prep([...hardship.flags, '--json']);
        expect(accountOf(again), again.stderr).toMatchObject({ status: 'unchanged' });
        await hardship.recovers(wanted);
      });

      test('keeps no lock of a run that was killed', async () => {
        const wanted = await undisturbed(right, way!);
        const hardship = new Hardship(stage, way!);
        const { visit } = hardship;
        const killed = new AbortController();
        const running = visit.begin(hardship.flags, killed.signal);
        await visit.made('.local/state/prep/lock', running);
        killed.abort();
        await running;
        visit.account.endSessions();
        hardship.isWhole();
        await hardship.recovers(wanted);
      });
    });
  });
});
