import { problemOf } from '../core/problem.ts';
import type { HostKeyJudge } from './host-key.ts';
import { Opening, type MasterOptions } from './master-opening.ts';
import type { OpenSshMaster } from './openssh-master.ts';
import type { Settings } from './settings.ts';
import { Questions } from './ssh-questions.ts';

/** How many connections one login may take: each must have got further than the one before. */
const CONNECTIONS = 6;

/**
 * Opens a control master of our own with the user's `ssh`, which asks through prep. A server that hangs
 * up between two tries is dialled again.
 * @throws PrepError with what went wrong on the way, or what the person answered
 */
export async function openMaster(
  settings: Settings,
  judge: HostKeyJudge,
  options: MasterOptions,
): Promise<OpenSshMaster> {
  const questions = new Questions(settings, options);
  let keys = true;
  for (let count = 1; ; count++) {
    const { answered } = questions;
    questions.begin();
    const opening = new Opening(settings, judge, questions, { ...options, withoutKeys: !keys });
    try {
      return await opening.run();
    } catch (error) {
      const said = hungUp(error);
      const tooMany = said !== undefined && /too many/i.test(said);
      // Keys that were refused used up the server's patience (MaxAuthTries).
      const keysDid: boolean = tooMany && keys && options.keyAlone !== true;
      const further = keysDid || questions.answered > answered;
      if (said === undefined || !further || count === CONNECTIONS) throw error;
      if (questions.unjudged && !tooMany) throw error;
      keys &&= !keysDid;
      questions.refused();
      options.note('the server hung up; connecting again');
    }
  }
}

/** What a server said that hung up; undefined where something else went wrong. */
function hungUp(error: unknown): string | undefined {
  const problem = problemOf(error);
  return problem.code === 'hung-up' ? problem.said : undefined;
}
