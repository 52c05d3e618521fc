import { setTimeout as sleep } from 'node:timers/promises';
import { explain, problemOf } from '../core/problem.ts';
import type { Settings } from './settings.ts';

/** As ssh(1) has it, in milliseconds. */
const BETWEEN = 1000;

/** Dials as often as ConnectionAttempts has it; as with ssh(1) only a TCP connection that does not come about counts. */
export async function attempted<T>(
  { connectionAttempts }: Pick<Settings, 'connectionAttempts'>,
  dial: () => Promise<T>,
  note: (text: string) => void,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await dial();
    } catch (error) {
      const problem = problemOf(error);
      if (attempt >= connectionAttempts || problem.code !== 'cannot-connect') throw error;
      note(`${explain(problem).sentence}; trying again`);
      await sleep(BETWEEN);
    }
  }
}
