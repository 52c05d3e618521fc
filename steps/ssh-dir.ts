import { entryAt, realPath, type Entry } from '../src/core/facts.ts';
import type { Step } from '../src/core/plan.ts';
import { remotePath } from '../src/core/remote-path.ts';
import { closed, foreign, notADirectory, octal } from './standing.ts';

/** Where OpenSSH keeps a user's keys. */
const SSH_DIR = remotePath('.ssh');

/** `~/.ssh` exists, is a directory, and is the user's alone. */
export const sshDir: Step = {
  name: 'ssh-dir',
  title: 'the folder ~/.ssh is there, for the user alone',

  reads: () => [{ path: SSH_DIR, follow: true }],

  plan(facts) {
    const path = realPath(facts, SSH_DIR);
    const before = entryAt(facts, path);
    const after: Entry = { kind: 'directory', mode: 0o700 };
    if (before.kind === 'absent') {
      const blocked = closed(facts, path);
      if (blocked !== undefined) return { kind: 'blocked', because: blocked };
      const reason = 'not there yet';
      return { kind: 'changes', changes: [{ what: 'entry', path, before, after, reason }] };
    }
    if (before.kind !== 'directory')
      return { kind: 'blocked', because: notADirectory('~/.ssh', before) };
    const owner = foreign(facts, path);
    if (owner !== undefined) return { kind: 'blocked', because: owner };
    if ((before.mode & 0o777) === 0o700) return { kind: 'settled', because: 'there already' };
    const others = (before.mode & 0o077) !== 0;
    const reason = `${others ? 'others may enter it' : 'you may not do all in it'} (${octal(before.mode)})`;
    return { kind: 'changes', changes: [{ what: 'entry', path, before, after, reason }] };
  },
};
