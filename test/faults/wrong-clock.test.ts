import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { describeSshd } from '../support/describe-sshd.ts';
import { Hardship, undisturbed, WAYS } from '../support/hardship.ts';
import { sharedLibrary } from '../support/shared-library.ts';
import { accountOf, useSshd } from '../support/stage.ts';

const FAKETIME = sharedLibrary('faketime/libfaketime.so.1') ?? '';
const why = FAKETIME === '' ? ' (skipped: libfaketime is not installed)' : '';

const SHIFTS = ['-1y', '+1y'] as const;
type Shift = (typeof SHIFTS)[number];

/** What makes a program live in another year. Its timers run as ever, and files keep the times that they have. */
function clock(shift: Shift): Record<string, string> {
  return {
    LD_PRELOAD: FAKETIME,
    FAKETIME: shift,
    FAKETIME_DONT_FAKE_MONOTONIC: '1',
    NO_FAKE_STAT: '1',
  };
}

/** The year it is there; faketime's years have 365 days. */
function yearIn(shift: Shift): number {
  const days = shift === '+1y' ? 365 : -365;
  return new Date(Date.now() + days * 24 * 3600 * 1000).getUTCFullYear();
}

describe.skipIf(why !== '')(`a clock that is wrong by a year${why}`, () => {
  WAYS.forEach((way) =>
    describeSshd(`on the laptop, ${way.name},`, () => {
      const stage = useSshd(way.server);

      test.each(SHIFTS)('%s changes nothing of what a run and undo do', async (shift) => {
        const wanted = await undisturbed(stage, way);
        const hardship = new Hardship(stage, way);
        const flags = [...hardship.flags, '--json'];
        const env = clock(shift);
        const run = await hardship.visit.prep(flags, { env, password: true });
        expect(accountOf(run), run.stderr).toMatchObject({ status: 'changed', verified: true });
        const names = Object.keys(hardship.visit.account.tree());
        const years = names.flatMap((name) => /\/0001-(\d{4})[^/]*$/.exec(name)?.[1] ?? []);
        expect(years).toEqual([String(yearIn(shift))]);
        await hardship.recovers(wanted);
      });
    }),
  );

  SHIFTS.forEach((shift) => {
    const env = clock(shift);
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
        expect((await visit.ssh('date -u +%Y')).stdout).toBe(`${yearIn(shift)}\n`);
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
        while (!visit.account.has('.local/state/prep/lock')) await turn();
        killed.abort();
        await running;
        visit.account.endSessions();
        hardship.isWhole();
        await hardship.recovers(wanted);
      });
    });
  });
});
