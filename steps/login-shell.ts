import { entryAt, type Facts } from '../src/core/facts.ts';
import type { Change, EntryChange, LoginShellChange, Step } from '../src/core/plan.ts';
import { printable } from '../src/core/printable.ts';
import { remotePath } from '../src/core/remote-path.ts';
import { fallback, rcReadings } from './shell-fallback.ts';
import { closed } from './standing.ts';

/** The folder within which each run is written down, so that it can be undone. */
const RECORDS = remotePath('.local');

/** The account's passwd entry names the wanted shell, by the path that /etc/shells has for it. */
export const loginShell: Step = {
  name: 'login-shell',
  title: 'the login shell is the one you want',

  // The probe always reads the passwd entry, /etc/shells and the tools.
  reads: ({ shellFallback = false }) => [{ path: RECORDS }, ...(shellFallback ? rcReadings : [])],

  plan(facts, { loginShell: wanted, shellFallback = false }) {
    if (facts.account.access === 'sftp') {
      const because =
        'the account is for file transfer alone (SFTP), which can neither tell nor change the login shell; ask the administrator';
      return { kind: 'blocked', because };
    }
    const before = facts.account.loginShell;
    if (before === wanted || (isName(wanted) && baseName(before) === wanted)) {
      return { kind: 'settled', because: `already ${printable(before)}` };
    }
    if (entryAt(facts, RECORDS).kind === 'absent' && closed(facts, RECORDS) !== undefined) {
      const because =
        'the home directory may not be written, where prep notes what it changes; ask its owner';
      return { kind: 'blocked', because };
    }
    const listed = facts.system.shells.filter(({ path }) => matches(path, wanted));
    const after = listed.find(({ executable }) => executable)?.path;
    const shell = after ?? (listed.length === 0 ? facts.system.found : '');
    if (shell === '') {
      const why = missing(wanted, listed.length > 0);
      return { kind: 'blocked', because: `${why}; ask the administrator` };
    }
    const way = wayToChange(facts, after);
    if (typeof way === 'string') {
      if (shellFallback) return fallback(facts, shell, way);
      const because = `${way}; ask the administrator, or start it from a start-up file with --shell-fallback`;
      return { kind: 'blocked', because, fallback: true };
    }
    const reason = `it is ${printable(before) || 'not set'}`;
    const change = { what: 'login-shell', before, after: shell, ...way, reason } as const;
    const other = shellFallback ? fallback(facts, shell, '') : undefined;
    if (other?.kind === 'settled') return other;
    const otherwise = other?.kind === 'changes' ? entryChanges(other.changes) : undefined;
    return { kind: 'changes', changes: [{ ...change, ...(otherwise && { otherwise }) }] };
  },
};

function entryChanges(changes: readonly Change[]): readonly EntryChange[] {
  return changes.filter((change) => change.what === 'entry');
}

function isName(wanted: string): boolean {
  return !wanted.includes('/');
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

function matches(path: string, wanted: string): boolean {
  return isName(wanted) ? baseName(path) === wanted : path === wanted;
}

function missing(wanted: string, listed: boolean): string {
  const name = printable(wanted);
  return listed
    ? `${name} is listed in /etc/shells but is not installed`
    : `${name} is not installed`;
}

/** Who can change the login shell and how, or why nobody can. */
function wayToChange(
  { account, system }: Facts,
  listed: string | undefined,
): Pick<LoginShellChange, 'by' | 'as'> | string {
  if (listed === undefined) return `${printable(system.found)} is not listed in /etc/shells`;
  if (account.passwd === 'environment') return "the account's passwd entry cannot be read";
  if (account.passwd === 'elsewhere')
    return "the account's passwd entry is not in /etc/passwd, where chsh could change it";
  const tool = system.tools.has('usermod') ? 'usermod' : 'chsh';
  if (account.uid === 0 && system.tools.has(tool)) return { by: tool, as: 'root' };
  if (system.sudo && system.tools.has(tool)) return { by: tool, as: 'sudo' };
  if (system.tools.has('chsh')) return { by: 'chsh', as: 'self' };
  return 'there is no chsh to change the login shell';
}
