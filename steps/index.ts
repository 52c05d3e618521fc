import type { Step } from '../src/core/plan.ts';
import { authorizedKeys } from './authorized-keys.ts';
import { dotfiles } from './dotfiles.ts';
import { loginShell } from './login-shell.ts';
import { permissions } from './permissions.ts';
import { sshDir } from './ssh-dir.ts';
import { zlogin } from './zlogin.ts';

/** The steps, in the order in which they run. A new step is one file, and one line here. */
export const steps: readonly Step[] = [
  sshDir,
  authorizedKeys,
  permissions,
  dotfiles,
  zlogin,
  loginShell,
];
