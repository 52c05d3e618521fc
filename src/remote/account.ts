import type { Outcome } from '../core/event.ts';
import type { Facts, Reading } from '../core/facts.ts';
import type { Change } from '../core/plan.ts';
import type { RemotePath } from '../core/remote-path.ts';
import type { Secret } from '../core/secret.ts';
import type { Evidence } from './evidence.ts';

/** How to make some changes. */
export interface Applying {
  /** The run's name; see `nextRun`. */
  readonly run: string;
  /** How many changes were made in this run before; its numbers go on from there. */
  readonly made?: number;
  /** The name of the step that a change belongs to, for the journal. */
  readonly stepOf: (change: Change) => string;
  /** What to read again afterwards, in the same breath. */
  readonly readings: readonly Reading[];
  /** What chsh may be told; absent where nobody typed it and nobody could be asked. */
  readonly password?: Secret;
  /** Told of each outcome as it becomes known. */
  readonly onOutcome?: (outcome: Outcome) => void;
  /** Told how much of a large file has been sent, in bytes. */
  readonly onProgress?: (path: RemotePath, sent: number, total: number) => void;
}

/** What came of some changes: one outcome for each, in order, and the facts afterwards if they could be had. */
export interface Applied {
  readonly outcomes: readonly Outcome[];
  readonly facts?: Facts;
}

/** An account as prep reads and changes it. */
export interface Account {
  /** Reads everything in one round trip. @throws PrepError */
  probe(readings: readonly Reading[]): Promise<Facts>;
  /**
   * Makes changes, and clears away what runs left that broke off. Never rejects for a change that did not come about:
   * its outcome says so. Without changes, nothing but the clearing away is done, and no trace is left of it.
   */
  apply(changes: readonly Change[], applying: Applying): Promise<Applied>;
  /** What can be seen of why sshd refuses a key. @throws PrepError */
  evidence(): Promise<Evidence>;
  /** Hangs up. */
  close(): void;
}
