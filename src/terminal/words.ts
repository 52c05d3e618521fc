import { counted } from '../core/count.ts';
import type { LocalEdit, Report } from '../core/event.ts';
import { sameContent, type Entry } from '../core/facts.ts';
import { commandText, type Change, type EntryChange, type LoginShellChange } from '../core/plan.ts';
import { printable, printablePath } from '../core/printable.ts';

/** What kind of change it is, as the JSON lines say it. */
export type Action = 'create' | 'replace' | 'mode' | 'link' | 'remove' | 'run';

/** What kind of change it is. */
export function actionOf(change: Change): Action {
  if (change.what === 'login-shell') return 'replace';
  if (change.what === 'command') return 'run';
  const { before, after } = change;
  if (after.kind === 'absent') return 'remove';
  if (after.kind === 'symlink') return 'link';
  if (before.kind === 'absent') return 'create';
  return sameBesidesMode(before, after) ? 'mode' : 'replace';
}

/** What an edit of a file on this machine does to it. */
export function editActionOf({ before, after }: LocalEdit): Action {
  if (after.kind === 'absent') return 'remove';
  return before.kind === 'absent' ? 'create' : 'replace';
}

/** The sign of a change: `+` comes, `-` goes, `~` becomes another. */
export function signOf(change: Change): '+' | '~' | '-' {
  if (change.what !== 'entry') return '~';
  if (change.after.kind === 'absent') return '-';
  return change.before.kind === 'absent' ? '+' : '~';
}

/** A change on one line, reason included: `+ .zshrc (0644, 2,064 bytes): not there yet`. */
export function describe(change: Change): string {
  return `${signOf(change)} ${subject(change)}: ${printable(change.reason)}`;
}

/** What a change is about, without its reason: `.zshrc (0644, 2,064 bytes)`. */
export function subject(change: Change): string {
  if (change.what === 'command') return `run ${commandText(change)}`;
  return change.what === 'login-shell' ? shellSubject(change) : entrySubject(change);
}

/** How to log in there by hand: `ssh -p 2222 alice@web1`, or `sftp -P 2222 alice@web1`. */
export function loginCommand({ destination, access = 'shell', ...asked }: Report): string {
  const { user, host } = destination;
  const port = asked.port ?? destination.port;
  const [program, flag] = access === 'shell' ? ['ssh', '-p'] : ['sftp', '-P'];
  const option = port === undefined ? '' : `${flag} ${port} `;
  return `${program} ${option}${user === undefined ? '' : `${user}@`}${host}`;
}

/** The names of the steps with a status, as a list in words. */
export function stepsThatAre(status: 'blocked' | 'failed', { steps }: Report): string {
  const names = steps.filter((step) => step.status === status).map(({ name }) => name);
  return names.length === 0 ? '' : `${names.join(', ')} ${status}`;
}

function shellSubject({ before, after, by, as }: LoginShellChange): string {
  const how = as === 'sudo' ? `sudo ${by}` : as === 'root' ? `${by} as root` : by;
  return `login shell ${printable(before) || 'none'} -> ${printable(after)} by ${how}`;
}

function entrySubject({ path, before, after }: EntryChange): string {
  const name = printablePath(path);
  if (after.kind === 'absent') return name;
  if (after.kind === 'symlink') return `${name} -> ${printablePath(after.target)}`;
  const details =
    before.kind === 'absent' || before.kind === 'symlink'
      ? whole(after)
      : differences(before, after);
  return details === '' ? name : `${name} (${details})`;
}

function whole(entry: Entry): string {
  if (entry.kind === 'directory') return octal(entry.mode);
  if (entry.kind !== 'file') return '';
  return `${octal(entry.mode)}, ${counted(entry.content.size, 'byte')}`;
}

function differences(before: Entry, after: Entry): string {
  if (!('mode' in before) || !('mode' in after)) return whole(after);
  const mode = before.mode === after.mode ? '' : `${octal(before.mode)} -> ${octal(after.mode)}`;
  const sameTime = mode !== '' || !sameBesidesMode(before, after);
  return sameTime ? mode : times(before, after);
}

function times(before: Entry, after: Entry): string {
  if (before.kind !== 'file' || after.kind !== 'file') return '';
  return `modified ${time(before.mtime)} -> ${time(after.mtime)}`;
}

function time(seconds: number | undefined): string {
  if (seconds === undefined) return 'now';
  const date = new Date(seconds * 1000);
  return Number.isNaN(date.getTime())
    ? `${seconds}`
    : date.toISOString().slice(0, 19).replace('T', ' ');
}

function sameBesidesMode(before: Entry, after: Entry): boolean {
  if (before.kind === 'file' && after.kind === 'file') {
    return sameContent(before.content, after.content);
  }
  return before.kind === after.kind && before.kind !== 'symlink';
}

function octal(mode: number): string {
  return mode.toString(8).padStart(4, '0');
}
