import { printable } from '../core/printable.ts';
import { PrepError } from '../core/problem.ts';
import type { Secret } from '../core/secret.ts';
import type { Access } from '../ssh/access.ts';
import { passedOver } from '../ssh/beyond-ssh2.ts';
import type { LoginKey } from '../ssh/login-key.ts';
import { Password, type NewPassword } from '../ssh/password.ts';
import type { Settings } from '../ssh/settings.ts';
import { keysToOffer } from './login-keys.ts';
import type { World } from './world.ts';

/** The password of an account, asked for under its name as often as ssh_config says. */
export function passwordFor(
  { prompter }: World,
  { label, passwordPrompts }: Settings,
  given?: Secret,
): Password {
  return new Password(`${label}'s password:`, prompter, given, passwordPrompts);
}

/**
 * What there is to get into an account with: the keys given to try first, or those that usually let the user in,
 * and passwords. Says what of ssh_config is not used. @throws PrepError `needs-an-answer` where nobody can be asked
 */
export async function accessFor(
  world: World,
  settings: Settings,
  first: readonly LoginKey[] | 'usual',
  passwords: { readonly password: Password; readonly newPassword?: NewPassword },
): Promise<Access> {
  const { prompter } = world;
  const { user, methods, destination } = settings;
  const note = (text: string): void => world.observe({ type: 'note', destination, text });
  sayWhatIsIgnored(world, settings);
  passedOver(settings).forEach(note);
  const keys = await keysToOffer(world, settings, first === 'usual' ? [] : first, note);
  const needsPassword = keys.length === 0 && methods.some((method) => method !== 'publickey');
  if (!world.attended && world.password === undefined && needsPassword) {
    throw new PrepError({
      code: 'needs-an-answer',
      question: `${settings.label}'s password`,
      flag: 'give it with --password-file or PREP_PASSWORD',
    });
  }
  return { user, keys, methods, ...passwords, prompter, note };
}

/** What was said, by who watches: the same file is read for every destination. */
const said = new WeakMap<World['observe'], Set<string>>();

function sayWhatIsIgnored(
  { observe, said: shared }: World,
  { destination, ignored }: Settings,
): void {
  if (ignored === undefined) return;
  const what = ignored.what.map(printable).join(', ');
  const text = `there is no ssh on this machine, and prep alone ignores in ${printable(ignored.file)}: ${what}`;
  const before = shared ?? said.get(observe) ?? new Set();
  said.set(observe, before);
  if (!before.has(text)) observe({ type: 'notice', destination, text });
  before.add(text);
}
