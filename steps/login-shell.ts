import type { Facts } from '../src/core/facts.ts';
import type { LoginShellChange, Step } from '../src/core/plan.ts';
import { printable } from '../src/core/printable.ts';

/** The account's passwd entry names the wanted shell, by the path that /etc/shells has for it. */
export const loginShell: Step = {
  name: 'login-shell',
  title: 'the login shell is the one you want',

  // The probe always reads the passwd entry, /etc/shells and the tools.
  reads: () => [],

  plan(facts, { loginShell: wanted }) {
    const before = facts.account.loginShell;
    if (before === wanted || (isName(wanted) && baseName(before) === wanted)) {
      return { kind: 'settled', because: `already ${printable(before)}` };
    }
    const listed = facts.system.shells.filter(({ path }) => matches(path, wanted));
    const after = listed.find(({ executable }) => executable)?.path;
    const ask = 'ask the administrator';
    if (after === undefined)
      return { kind: 'blocked', because: `${missing(facts, wanted, listed.length > 0)}; ${ask}` };
    if (facts.account.passwd === 'environment') {
      return {
        kind: 'blocked',
        because: `the account's passwd entry cannot be read; ${ask} to change the login shell`,
      };
    }
    const way = wayToChange(facts);
    if (way === undefined)
      return { kind: 'blocked', because: `there is no chsh to change the login shell; ${ask}` };
    const reason = `it is ${printable(before) || 'not set'}`;
    return { kind: 'changes', changes: [{ what: 'login-shell', before, after, ...way, reason }] };
  },
};

function isName(wanted: string): boolean {
  return !wanted.includes('/');
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

function matches(path: string, wanted: string): boolean {
  return isName(wanted) ? baseName(path) === wanted : path === wanted;
}

function missing({ system }: Facts, wanted: string, listed: boolean): string {
  const name = printable(wanted);
  if (listed) return `${name} is listed in /etc/shells but is not installed`;
  if (system.found !== '') return `${printable(system.found)} is not listed in /etc/shells`;
  return `${name} is not installed`;
}

function wayToChange({ account, system }: Facts): Pick<LoginShellChange, 'by' | 'as'> | undefined {
  const tool = system.tools.has('usermod') ? 'usermod' : 'chsh';
  if (account.uid === 0 && system.tools.has(tool)) return { by: tool, as: 'root' };
  if (system.sudo && system.tools.has(tool)) return { by: tool, as: 'sudo' };
  return system.tools.has('chsh') ? { by: 'chsh', as: 'self' } : undefined;
}
