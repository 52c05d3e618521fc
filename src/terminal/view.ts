import type { Writable } from 'node:stream';
import type { Destination } from '../core/destination.ts';
import type { Observer } from '../core/event.ts';

/** One way of showing a run. */
export interface View {
  readonly observe: Observer;
  /** Whether it can follow several accounts at the same time; else each must be told of after the other. */
  readonly concurrent: boolean;
  /** Resolves when everything was shown. */
  finish(): Promise<void>;
  /** Gives the terminal back at once and says that the run was interrupted; the process ends right after. */
  interrupt(): void;
}

/** Where a view writes to: results on one, problems on the other. */
export interface Streams {
  readonly out: Writable;
  readonly err: Writable;
}

/** How much a view says. */
export interface Manner {
  readonly verbosity: 'quiet' | 'normal' | 'verbose';
  /** Where there are several, what is said of each is kept short, and a table closes the run. */
  readonly accounts?: readonly Destination[];
}
