import type { AuthorizedKey } from './authorized-key.ts';
import type { Content, Entry } from './facts.ts';
import type { RemotePath } from './remote-path.ts';

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
  /** Where the login shell cannot be changed: start the wanted one from the present one's rc file. */
  readonly shellFallback?: boolean;
  /** This machine's terminal, for the step `terminfo`. */
  readonly terminal?: TerminalType;
  /** Packages for the step `packages`. */
  readonly packages?: readonly PackageWish[];
}

/** A type of terminal, as TERM names it, and the compiled description of it. */
export interface TerminalType {
  readonly name: string;
  /** Absent where this machine has none either. */
  readonly description?: Content;
}

/** A package, by the name that the server's package manager has for it. */
export interface PackageWish {
  readonly name: string;
  /** Programs that are there when it is. */
  readonly provides: readonly string[];
}
