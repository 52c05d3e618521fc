import { entryAt, type Entry, type Facts } from '../src/core/facts.ts';
import type { Step } from '../src/core/plan.ts';
import { printable } from '../src/core/printable.ts';
import { remotePath } from '../src/core/remote-path.ts';
import { closed, kindOf } from './standing.ts';

const ZLOGIN = remotePath('.zlogin');
const ZSHENV = remotePath('.zshenv');

/** `~/.zlogin` is a symbolic link to `.zshenv`; the 2007 script's hard link to it is as good. */
export const zlogin: Step = {
  name: 'zlogin',
  title: '~/.zlogin leads to .zshenv',

  reads: () => [{ path: ZLOGIN, bytes: 'some' }, { path: ZSHENV }],

  plan(facts) {
    const before = entryAt(facts, ZLOGIN);
    if (leadsToZshenv(facts, before))
      return { kind: 'settled', because: 'already a link to .zshenv' };
    if (isHardLink(facts, before))
      return { kind: 'settled', because: 'already a hard link to .zshenv' };
    const blocked = unreplaceable(before) ?? closed(facts, ZLOGIN);
    if (blocked !== undefined) return { kind: 'blocked', because: blocked };
    const after: Entry = { kind: 'symlink', target: ZSHENV };
    const reason = words(before);
    return { kind: 'changes', changes: [{ what: 'entry', path: ZLOGIN, before, after, reason }] };
  },
};

function leadsToZshenv({ account }: Facts, entry: Entry): boolean {
  if (entry.kind !== 'symlink') return false;
  return [ZSHENV, `./${ZSHENV}`, `${account.home}/${ZSHENV}`].includes(entry.target);
}

function isHardLink(facts: Facts, entry: Entry): boolean {
  const zshenv = entryAt(facts, ZSHENV);
  if (entry.kind !== 'file' || zshenv.kind !== 'file') return false;
  return entry.inode !== undefined && entry.inode === zshenv.inode;
}

function unreplaceable(entry: Entry): string | undefined {
  if (entry.kind === 'directory') return '~/.zlogin is a directory; move it away';
  if (entry.kind === 'special') return `~/.zlogin is a ${kindOf(entry)}; move it away`;
  if (entry.kind === 'unreadable')
    return '~/.zlogin may not be read, so no copy of it could be kept; ask its owner';
  return undefined;
}

function words(before: Entry): string {
  if (before.kind === 'absent') return 'not there yet';
  if (before.kind === 'symlink') return `it leads to ${printable(before.target)}`;
  return 'a file is there instead';
}
