import type { Step } from '../src/core/plan.ts';
import { authorizedKeys } from './authorized-keys.ts';
import { dotfiles } from './dotfiles.ts';
import { loginShell } from './login-shell.ts';
import { packages } from './packages.ts';
import { permissions } from './permissions.ts';
import { sshDir } from './ssh-dir.ts';
import { terminfo } from './terminfo.ts';
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

/** Steps that run only where the configuration turns them on, each with the step that it comes before. */
export const optionalSteps: readonly { readonly step: Step; readonly before: Step }[] = [
  { step: packages, before: dotfiles },
  { step: terminfo, before: dotfiles },
];
