import type { Prompter } from '../core/prompter.ts';
import type { LoginKey } from './login-key.ts';
import type { LoginMethod } from './login-settings.ts';
import type { NewPassword, Password } from './password.ts';

/** The methods of RFC 4252 and RFC 4256 that prep has, in the order in which they are tried. */
export const METHODS: readonly Method[] = ['publickey', 'password', 'keyboard-interactive'];
export type Method = LoginMethod;

/** All that a user has to get into one account. */
export interface Access {
  readonly user: string;
  /** Tried in order, each once. */
  readonly keys: readonly LoginKey[];
  /** Absent where no password may be used. */
  readonly password?: Password;
  /** What may be tried, in this order; all of it, where absent. */
  readonly methods?: readonly LoginMethod[];
  /** Whether the password is for a server alone that wants it besides a key (the trial login). */
  readonly keyFirst?: boolean;
  /** Where the server demands a new one. */
  readonly newPassword?: NewPassword;
  readonly prompter: Prompter;
  /** Told what was tried and what came of it. */
  readonly note: (text: string) => void;
}

/** The connection that a login is being made on. */
export interface Line {
  /** An answer that cannot be had ends the login. */
  readonly failed: (error: unknown) => void;
  /** Told when it is no longer the server that is waited for, and when it is again. */
  readonly asking: (open: boolean) => void;
  /** Aborted when the connection breaks. */
  readonly lost: AbortSignal;
}
