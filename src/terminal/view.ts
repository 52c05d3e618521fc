import type { Writable } from 'node:stream';
import type { Observer } from '../core/event.ts';

/** One way of showing a run. */
export interface View {
  readonly observe: Observer;
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
}
