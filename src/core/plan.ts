import type { AuthorizedKey } from './authorized-key.ts';
import type { Destination } from './destination.ts';
import type { Entry, Facts, Reading } from './facts.ts';
import type { RemotePath } from './remote-path.ts';

/** What stands at a path changes from `before` to `after`. Creating, replacing, linking, chmod and removing are all this. */
export interface EntryChange {
  readonly what: 'entry';
  readonly path: RemotePath;
  readonly before: Entry;
  readonly after: Entry;
  readonly reason: string;
  /** Lines that were added to a file otherwise untouched: undo takes out these alone when the file was edited since. */
  readonly adds?: readonly string[];
}

/** The account's login shell changes. */
export interface LoginShellChange {
  readonly what: 'login-shell';
  readonly before: string;
  readonly after: string;
  /** The program that changes it. */
  readonly by: 'chsh' | 'usermod';
  /** Who runs it: the user (chsh then asks for the account's password), root, or the user through passwordless sudo. */
  readonly as: 'self' | 'root' | 'sudo';
  readonly reason: string;
}

/** One thing that a plan does to an account. */
export type Change = EntryChange | LoginShellChange;

/** What a step has to say: changes, or why there are none. */
export type Verdict =
  | {
      readonly kind: 'changes';
      readonly changes: readonly Change[];
      /** What of the step cannot be done nevertheless, and why. */
      readonly except?: string;
    }
  | { readonly kind: 'settled' | 'blocked'; readonly because: string };

/** A file, directory or link of this machine, as it should stand on the account. */
export interface LocalFile {
  readonly path: RemotePath;
  readonly entry: Entry;
}

/** What the user wants of the account. */
export interface Desired {
  readonly keys: readonly AuthorizedKey[];
  readonly dotfiles: readonly LocalFile[];
  /** The wanted login shell, by name (`zsh`) or by absolute path. */
  readonly loginShell: string;
}

/** One aspect of a prepared account. Both functions are pure and synchronous. */
export interface Step {
  readonly name: string;
  /** One sentence, for `prep steps` and the task list. */
  readonly title: string;
  /** What the probe must read for this step. */
  reads(desired: Desired): readonly Reading[];
  /** What to do, given what the probe (and the steps before) say. */
  plan(facts: Facts, desired: Desired): Verdict;
}

/** A step of a plan, with what it decided. */
export interface PlannedStep {
  readonly name: string;
  readonly title: string;
  readonly verdict: Verdict;
}

/** Everything that will be done to an account, as data: what a dry run prints is what a real run applies. */
export interface Plan {
  readonly destination: Destination;
  readonly facts: Facts;
  /** The facts as they will be when every change was made. */
  readonly predicted: Facts;
  readonly steps: readonly PlannedStep[];
}
