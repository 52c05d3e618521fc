import { label, type Destination } from './destination.ts';
import { matchesPatterns } from './patterns.ts';
import type { PackageWish, Step } from './plan.ts';

/** Where dotfiles come from: a directory, a file or a glob; a template; or a command that prints a tar archive. */
export type DotfileSource =
  | {
      /** A directory (everything in it), a file, or a glob. `~` is the home directory. */
      readonly path: string;
      /** Where it goes, relative to the account's home directory: a folder for a directory or a glob, a name for a file. */
      readonly to?: string;
      /** Globs of what to leave out, relative to the directory (of a glob, to the part before its first wildcard). */
      readonly exclude?: readonly string[];
    }
  | {
      /** A text file in which `{{name}}` stands for a value. */
      readonly template: string;
      /** The file that it becomes on the account. */
      readonly to: string;
    }
  | {
      /** The words of a command that prints a tar archive, such as `['chezmoi', 'archive']`; no shell reads them. */
      readonly command: readonly string[];
    };

/** What may be said for all accounts, and for some of them. */
export interface AccountConfig {
  /** Public keys to install: FILE, or FILE.pub beside it. */
  readonly keys?: readonly string[];
  /** The login shell, by name or absolute path. */
  readonly shell?: string;
  /** A directory, or several sources of which a later one wins. */
  readonly dotfiles?: string | readonly (string | DotfileSource)[];
  /** What templates put in the place of `{{name}}`. */
  readonly values?: Readonly<Record<string, string>>;
  /** Take only these steps. */
  readonly only?: readonly string[];
  /** Leave these steps out. */
  readonly skip?: readonly string[];
  /** Whether the server learns this machine's terminal. */
  readonly terminfo?: boolean;
  /** Packages to install: a name, or a name and the programs that it brings where they are called otherwise. */
  readonly packages?: readonly (string | PackageWish)[];
}

/** A step of the user's own. */
export interface CustomStep extends Step {
  /** The step that it comes before; without, it comes last. */
  readonly before?: string;
}

/** A configuration file as it is written. */
export interface Config extends AccountConfig {
  /** What differs by host: patterns as in ssh_config, matched against the destination as typed and its host. */
  readonly hosts?: Readonly<Record<string, AccountConfig>>;
  /** Steps of your own. */
  readonly steps?: readonly CustomStep[];
}

/** `AccountConfig`, checked: files have absolute names, and every short form is written out. */
export interface AccountSettings {
  readonly keys?: readonly string[];
  readonly shell?: string;
  readonly dotfiles?: string | readonly DotfileSource[];
  readonly values?: Readonly<Record<string, string>>;
  readonly only?: readonly string[];
  readonly skip?: readonly string[];
  readonly terminfo?: boolean;
  readonly packages?: readonly PackageWish[];
}

/** `Config`, checked. */
export interface Configuration {
  /** Where it was read from. */
  readonly file: string;
  readonly all: AccountSettings;
  readonly hosts: readonly (readonly [pattern: string, settings: AccountSettings])[];
  readonly steps: readonly CustomStep[];
}

/** What holds for an account: of all sections that match, the first that says something wins, as in ssh_config; what is said for all comes last. */
export function settingsFor(
  { all, hosts }: Configuration,
  destination?: Destination,
): AccountSettings {
  const own = hosts.flatMap(([pattern, settings]) =>
    destination !== undefined && matchesHost(pattern, destination) ? [settings] : [],
  );
  const sections = [all, ...own.toReversed()];
  const values = Object.assign(
    {},
    ...sections.map((one) => one.values),
  ) as AccountSettings['values'];
  return { ...(Object.assign({}, ...sections) as AccountSettings), ...(values && { values }) };
}

/**
 * Whether a destination is meant by a pattern list as in ssh_config(5): patterns with `*` and `?`, separated by
 * blanks or commas, one after `!` excluding what it matches. The destination as typed (`alice@web1:2222`) counts, and its host.
 */
export function matchesHost(patterns: string, destination: Destination): boolean {
  const names = [label(destination), destination.host].map((name) => name.toLowerCase());
  return matchesPatterns(patterns.toLowerCase().split(/[\s,]+/), names);
}
