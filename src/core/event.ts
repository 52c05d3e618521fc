import type { Destination } from './destination.ts';
import type { Entry } from './facts.ts';
import type { Change, Plan } from './plan.ts';
import type { Problem } from './problem.ts';
import type { RemotePath } from './remote-path.ts';

/** What became of one change. `unknown`: the connection broke before the server said. */
export type Outcome =
  | { readonly change: Change; readonly result: 'done' }
  | {
      readonly change: Change;
      readonly result: 'stale' | 'failed' | 'unknown';
      readonly problem: Problem;
    };

/** What became of a step. */
export interface StepReport {
  readonly name: string;
  readonly status: 'changed' | 'unchanged' | 'blocked' | 'failed' | 'planned';
  /** Why, in words. */
  readonly reason: string;
  readonly changes: readonly Change[];
}

/** What became of an account. */
export interface Report {
  readonly destination: Destination;
  readonly status: 'changed' | 'unchanged' | 'failed' | 'planned';
  readonly steps: readonly StepReport[];
  /** Whether the trial login with the key worked. */
  readonly verified: boolean | 'not tried';
  /** What the account lets in, once that is known. */
  readonly access?: 'shell' | 'sftp';
  /** The port that was asked for beside the destination (`-p`). */
  readonly port?: number;
  /** The run's folder, where what was replaced is kept. */
  readonly run?: RemotePath;
  readonly problem?: Problem;
}

/** An edit of a file on this machine: the user's ssh_config. */
export interface LocalEdit {
  /** Absolute. */
  readonly file: string;
  readonly before: Entry;
  readonly after: Entry;
  /** What it is for, in words. */
  readonly reason: string;
  /** What else is to be known before it is agreed to. */
  readonly remarks: readonly string[];
}

/** What became of an edit. */
export interface EditReport {
  readonly edit: LocalEdit;
  readonly status: 'changed' | 'unchanged' | 'planned' | 'declined';
  /** How it stands now, in words. */
  readonly because: string;
}

/** Something that happened, for whoever watches: the task list, the plain text, the JSON lines. */
export type Event =
  /** How the session came about, in words; shown with --verbose. */
  | { readonly type: 'note'; readonly destination: Destination; readonly text: string }
  /** Said before the first question; shown unless --quiet. Text from the server is already harmless. */
  | { readonly type: 'notice'; readonly destination: Destination; readonly text: string }
  /** Said by the server before or at login. */
  | { readonly type: 'banner'; readonly destination: Destination; readonly text: string }
  | {
      readonly type: 'plan';
      readonly destination: Destination;
      readonly plan: Plan;
      /** Whether the plan is the whole result, will be asked about, or is applied straight away. */
      readonly next: 'end' | 'ask' | 'apply';
    }
  /** The changes are about to be made; nobody is asked anything from here on. */
  | { readonly type: 'applying'; readonly destination: Destination; readonly plan: Plan }
  | { readonly type: 'outcome'; readonly destination: Destination; readonly outcome: Outcome }
  /** Bytes of one large file sent so far. */
  | {
      readonly type: 'progress';
      readonly destination: Destination;
      readonly path: RemotePath;
      readonly sent: number;
      readonly total: number;
    }
  /** Every change has its outcome; `steps` says what became of each step. */
  | {
      readonly type: 'applied';
      readonly destination: Destination;
      readonly steps: readonly StepReport[];
    }
  /** The trial login: the account lets the key in, and this is the login shell it gets; none where it lets in SFTP alone. */
  | {
      readonly type: 'verified';
      readonly destination: Destination;
      readonly loginShell?: string;
      /** Whether the server wanted the password besides the key, which it was given. */
      readonly withPassword?: boolean;
      /** Whether it is one command alone that the key is for. */
      readonly forced?: boolean;
    }
  /** What an edit of a file on this machine will be; `destination` is the account it is about, if it is about one. */
  | {
      readonly type: 'edit';
      readonly destination?: Destination;
      readonly edit: LocalEdit;
      /** Whether it is only shown, will be asked about, or is made straight away. */
      readonly next: 'end' | 'ask' | 'apply';
    }
  | { readonly type: 'edited'; readonly destination?: Destination; readonly report: EditReport }
  | { readonly type: 'problem'; readonly destination?: Destination; readonly problem: Problem }
  | { readonly type: 'report'; readonly report: Report }
  /** The last event of all. */
  | {
      readonly type: 'summary';
      readonly reports: readonly Report[];
      /** Where the command was about files of this machine and not about accounts. */
      readonly edits?: readonly EditReport[];
    };

/** Watches a run. Only watches: nothing depends on it. */
export type Observer = (event: Event) => void;
