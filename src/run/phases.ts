import type { Report } from '../core/event.ts';
import type { Reached } from './reach.ts';

/**
 * How far an account has come once it was logged in to, planned, and the person asked: its report, where
 * that was all; else what is still to be done there, which asks nobody and hangs up at its end.
 */
export type Begun = Report | (() => Promise<Report>);

/** Does what is left. */
export async function ended(begun: Begun): Promise<Report> {
  return typeof begun === 'function' ? begun() : begun;
}

/** Keeps an account's session open just as long as `begin`, and what it leaves to be done, need it. */
export async function throughout(reached: Reached, begin: () => Promise<Begun>): Promise<Begun> {
  const hangUp = (): void => {
    reached.account.close();
    reached.way.close();
  };
  try {
    const begun = await begin();
    if (typeof begun === 'function') return () => begun().finally(hangUp);
    hangUp();
    return begun;
  } catch (error) {
    hangUp();
    throw error;
  }
}
