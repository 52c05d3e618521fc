import type { DotfileSource } from '../core/configuration.ts';
import type { Destination } from '../core/destination.ts';
import type { Observer } from '../core/event.ts';
import type { PackageWish, Step } from '../core/plan.ts';
import type { Prompter } from '../core/prompter.ts';
import type { Secret } from '../core/secret.ts';
import type { KeysToInstall } from './gather.ts';
import type { Settings, SettingsFlags } from '../ssh/settings.ts';
import type { SharedHops } from './route.ts';

/** What the user asked for, as far as one account is concerned. */
export interface Wishes extends SettingsFlags {
  readonly identities: readonly string[];
  /** A directory, or sources; without, the default set. */
  readonly dotfiles?: string | readonly DotfileSource[];
  /** What templates among the dotfiles may name. */
  readonly values: Readonly<Record<string, string>>;
  readonly shell: string;
  readonly only?: readonly string[];
  readonly skip: readonly string[];
  readonly shellFallback: boolean;
  /** Whether the server learns this machine's terminal. */
  readonly terminfo: boolean;
  readonly packages: readonly PackageWish[];
  readonly dryRun: boolean;
  /** Who is to speak SSH. */
  readonly transport: 'auto' | 'ssh2' | 'openssh';
  /** No question is asked that has a safe answer. */
  readonly yes: boolean;
  readonly verify: boolean;
}

/** Everything around a run: this machine, its user, and who watches. */
export interface World {
  readonly wishes: Wishes;
  /** In run order, already chosen by --only and --skip. */
  readonly steps: readonly Step[];
  readonly prompter: Prompter;
  /** Whether somebody is there to answer. */
  readonly attended: boolean;
  /** The password given beforehand (file, standard input, environment). */
  readonly password?: Secret;
  /** The new password given beforehand, for where the server demands a change. */
  readonly newPassword?: Secret;
  readonly observe: Observer;
  /** A destination resolved through ssh_config and flags; asking ssh may have begun before anyone wants to know. */
  readonly settings: (destination: Destination) => Promise<Settings>;
  /** A jump host resolved, which itself is reached over the hosts `before` it. */
  readonly hopSettings: (hop: Destination, before: readonly Destination[]) => Promise<Settings>;
  /** What was said for all accounts of a run and need not be said again; without it, whoever watches counts. */
  readonly said?: Set<string>;
  /** Jump hosts that other accounts of the same run use as well. */
  readonly hops?: SharedHops;
  /** The keys chosen so far in this run, by what was wished for: nobody is asked twice. */
  readonly chosen: Map<string, Promise<KeysToInstall>>;
  /** The user's home directory on this machine. */
  readonly home: string;
  /** The bytes of one of the package's own dotfiles. */
  readonly shippedDotfile: (name: string) => Promise<Uint8Array>;
  readonly now: () => Date;
}
