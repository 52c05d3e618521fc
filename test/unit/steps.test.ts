import { describe, expect, it } from 'vitest';
import { parseAuthorizedKey } from '../../src/core/authorized-key.ts';
import type { Entry } from '../../src/core/facts.ts';
import type { Change, Desired, LocalFile, Step } from '../../src/core/plan.ts';
import { remotePath } from '../../src/core/remote-path.ts';
import { authorizedKeys } from '../../steps/authorized-keys.ts';
import { dotfiles } from '../../steps/dotfiles.ts';
import { loginShell } from '../../steps/login-shell.ts';
import { permissions } from '../../steps/permissions.ts';
import { sshDir } from '../../steps/ssh-dir.ts';
import { zlogin } from '../../steps/zlogin.ts';
import { directory, factsOf, file, symlink, type FactsOf } from '../support/facts.ts';

const BLOB = 'AAAAC3NzaC1lZDI1NTE5AAAAIIf9NLLuUwOGdigW5IGEk5vU//1uFIG6jHFWYbrj/szO';
const OTHER = 'AAAAC3NzaC1lZDI1NTE5AAAAIAFHJvbVfUxHBSH0Vw3eVHnvvKKRF5DNMFYQzHhhQWs7';
const MINE = `ssh-ed25519 ${BLOB} me@laptop`;
const THEIRS = `ssh-ed25519 ${OTHER} them`;

interface Row {
  readonly name: string;
  readonly facts?: FactsOf;
  readonly desired?: Partial<Desired>;
  /** `path: what it will be`, in order. */
  readonly changes?: readonly (readonly [path: string, after: Entry])[];
  readonly shell?: Partial<Change>;
  readonly settled?: string | RegExp;
  readonly blocked?: string | RegExp;
  readonly except?: RegExp;
}

function table(step: Step, rows: readonly Row[]): void {
  describe(step.name, () => {
    it.each(rows)('$name', (row) => {
      const desired: Desired = {
        keys: [parseAuthorizedKey(MINE)!],
        dotfiles: [],
        loginShell: 'zsh',
        ...row.desired,
      };
      const verdict = step.plan(factsOf(row.facts), desired);
      if (row.settled !== undefined) {
        expect(verdict).toMatchObject({ kind: 'settled' });
        expect((verdict as { because: string }).because).toMatch(row.settled);
        return;
      }
      if (row.blocked !== undefined) {
        expect(verdict).toMatchObject({ kind: 'blocked' });
        expect((verdict as { because: string }).because).toMatch(row.blocked);
        return;
      }
      expect(verdict.kind).toBe('changes');
      if (verdict.kind !== 'changes') return;
      for (const change of verdict.changes) expect(change.reason).not.toBe('');
      if (row.shell !== undefined) expect(verdict.changes).toMatchObject([row.shell]);
      if (row.changes !== undefined) {
        expect(
          verdict.changes.map((change) =>
            change.what === 'entry' ? [change.path, change.after] : [],
          ),
        ).toEqual(row.changes);
      }
      if (row.except !== undefined) expect(verdict.except).toMatch(row.except);
      else expect(verdict.except).toBeUndefined();
    });
  });
}

table(sshDir, [
  { name: 'not there', changes: [['.ssh', directory(0o700)]] },
  {
    name: 'there',
    facts: { entries: { '.ssh': directory(0o700, { owner: 1000 }) } },
    settled: /there already/,
  },
  {
    name: 'open to others',
    facts: { entries: { '.ssh': directory(0o755, { owner: 1000 }) } },
    changes: [['.ssh', directory(0o700)]],
  },
  {
    name: 'a file',
    facts: { entries: { '.ssh': file(0o644, 'x') } },
    blocked: /is a file, not a directory/,
  },
  {
    name: "root's",
    facts: { entries: { '.ssh': directory(0o755, { owner: 0 }) } },
    blocked: /belongs to root/,
  },
  {
    name: 'a link to a directory is followed',
    facts: {
      entries: { '.ssh': symlink('/srv/keys'), '/srv/keys': directory(0o777, { owner: 1000 }) },
      real: { '.ssh': '/srv/keys' },
    },
    changes: [['/srv/keys', directory(0o700)]],
  },
  {
    name: 'a link to nowhere is made good where it leads',
    facts: { entries: { '.ssh': symlink('keys') }, real: { '.ssh': 'keys' } },
    changes: [['keys', directory(0o700)]],
  },
]);

table(authorizedKeys, [
  {
    name: 'nothing there',
    facts: { entries: { '.ssh': directory(0o700) } },
    changes: [['.ssh/authorized_keys', file(0o600, `${MINE}\n`)]],
  },
  {
    name: 'makes the folder where ssh-dir was skipped',
    changes: [
      ['.ssh', directory(0o700)],
      ['.ssh/authorized_keys', file(0o600, `${MINE}\n`)],
    ],
  },
  {
    name: 'file ends without a line feed',
    facts: { entries: { '.ssh': directory(0o700), '.ssh/authorized_keys': file(0o600, THEIRS) } },
    changes: [['.ssh/authorized_keys', file(0o600, `${THEIRS}\n${MINE}\n`)]],
  },
  {
    name: 'keeps the mode, which is the business of permissions',
    facts: {
      entries: { '.ssh': directory(0o700), '.ssh/authorized_keys': file(0o644, `${THEIRS}\n`) },
    },
    changes: [['.ssh/authorized_keys', file(0o644, `${THEIRS}\n${MINE}\n`)]],
  },
  {
    name: 'same key with another comment',
    facts: {
      entries: {
        '.ssh': directory(0o700),
        '.ssh/authorized_keys': file(0o600, `ssh-ed25519 ${BLOB} old\n`),
      },
    },
    settled: /^already there$/,
  },
  {
    name: 'same key with options: neither a second line nor stripped',
    facts: {
      entries: {
        '.ssh': directory(0o700),
        '.ssh/authorized_keys': file(0o600, `from="10.0.0.0/8" ssh-ed25519 ${BLOB} x\n`),
      },
    },
    settled: /already there, restricted by from=/,
  },
  {
    name: 'a commented-out line is no key',
    facts: {
      entries: { '.ssh': directory(0o700), '.ssh/authorized_keys': file(0o600, `# ${MINE}\n`) },
    },
    changes: [['.ssh/authorized_keys', file(0o600, `# ${MINE}\n${MINE}\n`)]],
  },
  {
    name: 'a link is written where it leads',
    facts: {
      entries: {
        '.ssh': directory(0o700),
        '.ssh/authorized_keys': symlink('../ak'),
        ak: file(0o600, '', { owner: 1000 }),
      },
      real: { '.ssh/authorized_keys': 'ak' },
    },
    changes: [['ak', file(0o600, `${MINE}\n`)]],
  },
  {
    name: 'a directory',
    facts: { entries: { '.ssh/authorized_keys': directory(0o700) } },
    blocked: /is a directory/,
  },
  {
    name: 'unreadable',
    facts: { entries: { '.ssh/authorized_keys': { kind: 'unreadable', mode: 0o600, owner: 0 } } },
    blocked: /may not be read/,
  },
  {
    name: "root's",
    facts: { entries: { '.ssh/authorized_keys': file(0o644, '', { owner: 0 }) } },
    blocked: /belongs to root/,
  },
  {
    name: 'a folder that may not be written',
    facts: { entries: { '.ssh': directory(0o500) }, unwritable: ['.ssh'] },
    blocked: /\.ssh may not be written/,
  },
]);

table(permissions, [
  {
    name: 'all well',
    facts: { entries: { '.ssh': directory(0o700), '.ssh/authorized_keys': file(0o600, '') } },
    settled: /as sshd wants/,
  },
  {
    name: 'stricter than the owner can use',
    facts: { entries: { '.ssh': directory(0o500), '.ssh/authorized_keys': file(0o400, '') } },
    changes: [
      ['.ssh', directory(0o700)],
      ['.ssh/authorized_keys', file(0o600, '')],
    ],
  },
  {
    name: 'home open to all',
    facts: { entries: { '.': directory(0o777) } },
    changes: [['.', directory(0o755)]],
  },
  {
    name: 'home open to a foreign group',
    facts: { entries: { '.': directory(0o775) } },
    changes: [['.', directory(0o755)]],
  },
  {
    name: "home open to the user's own group",
    facts: { entries: { '.': directory(0o775) }, ownGroup: true },
    settled: /as sshd/,
  },
  {
    name: 'home open to all and the own group',
    facts: { entries: { '.': directory(0o777) }, ownGroup: true },
    changes: [['.', directory(0o775)]],
  },
  {
    name: 'folder, file and private key',
    facts: {
      entries: {
        '.ssh': directory(0o755),
        '.ssh/authorized_keys': file(0o664, 'k'),
        '.ssh/id_rsa': file(0o644, 'p'),
      },
      privateKeys: ['.ssh/id_rsa'],
    },
    changes: [
      ['.ssh', directory(0o700)],
      ['.ssh/authorized_keys', file(0o600, 'k')],
      ['.ssh/id_rsa', file(0o600, 'p')],
    ],
  },
  {
    name: 'what belongs to others is said, the rest is done',
    facts: {
      entries: { '.': directory(0o777, { owner: 0 }), '.ssh': directory(0o777, { owner: 1000 }) },
    },
    changes: [['.ssh', directory(0o700, { owner: 1000 })]],
    except: /belongs to root/,
  },
]);

const local = (path: string, entry: Entry): LocalFile => ({ path: remotePath(path), entry });
const ZSHRC = local('.zshrc', file(0o644, 'mine\n', { mtime: 100 }));

table(dotfiles, [
  { name: 'none wanted', settled: /none to copy/ },
  { name: 'not there', desired: { dotfiles: [ZSHRC] }, changes: [['.zshrc', ZSHRC.entry]] },
  {
    name: 'there',
    desired: { dotfiles: [ZSHRC] },
    facts: { entries: { '.zshrc': file(0o644, 'mine\n', { mtime: 100 }) } },
    settled: /already there/,
  },
  {
    name: 'another content',
    desired: { dotfiles: [ZSHRC] },
    facts: { entries: { '.zshrc': file(0o644, 'theirs\n', { mtime: 100 }) } },
    changes: [['.zshrc', ZSHRC.entry]],
  },
  {
    name: 'another mode',
    desired: { dotfiles: [ZSHRC] },
    facts: { entries: { '.zshrc': file(0o600, 'mine\n', { mtime: 100 }) } },
    changes: [['.zshrc', ZSHRC.entry]],
  },
  {
    name: 'another time',
    desired: { dotfiles: [ZSHRC] },
    facts: { entries: { '.zshrc': file(0o644, 'mine\n', { mtime: 99 }) } },
    changes: [['.zshrc', ZSHRC.entry]],
  },
  {
    name: 'a time that the server cannot tell',
    desired: { dotfiles: [ZSHRC] },
    facts: { entries: { '.zshrc': file(0o644, 'mine\n') } },
    settled: /already there/,
  },
  {
    name: "a link to the same content is the user's own way",
    desired: { dotfiles: [ZSHRC] },
    facts: {
      entries: { '.zshrc': symlink('d/zshrc'), 'd/zshrc': file(0o600, 'mine\n') },
      real: { '.zshrc': 'd/zshrc' },
    },
    settled: /already there/,
  },
  {
    name: 'a link to another content is replaced, not written through',
    desired: { dotfiles: [ZSHRC] },
    facts: {
      entries: { '.zshrc': symlink('d/zshrc'), 'd/zshrc': file(0o600, 'x') },
      real: { '.zshrc': 'd/zshrc' },
    },
    changes: [['.zshrc', ZSHRC.entry]],
  },
  {
    name: 'a directory in the way',
    desired: { dotfiles: [ZSHRC] },
    facts: { entries: { '.zshrc': directory(0o755) } },
    blocked: /\.zshrc is a directory/,
  },
  {
    name: 'a socket in the way',
    desired: { dotfiles: [ZSHRC] },
    facts: { entries: { '.zshrc': { kind: 'special' } } },
    blocked: /socket, pipe or device/,
  },
  {
    name: 'an unreadable file in the way',
    desired: { dotfiles: [ZSHRC] },
    facts: { entries: { '.zshrc': { kind: 'unreadable', mode: 0 } } },
    blocked: /no copy of it could be kept/,
  },
  {
    name: 'a file where a folder must be blocks what is in it, and nothing else',
    desired: {
      dotfiles: [local('.config', directory(0o755)), local('.config/a', file(0o644, '')), ZSHRC],
    },
    facts: { entries: { '.config': file(0o644, '') } },
    changes: [['.zshrc', ZSHRC.entry]],
    except: /^\.config is not a directory; move it away$/,
  },
  {
    name: 'a folder that is there keeps its mode',
    desired: { dotfiles: [local('.config', directory(0o755))] },
    facts: { entries: { '.config': directory(0o700) } },
    settled: /there/,
  },
  {
    name: 'a link within the set',
    desired: { dotfiles: [local('.vimrc', symlink('.vim/vimrc'))] },
    changes: [['.vimrc', symlink('.vim/vimrc')]],
  },
  {
    name: 'a home that may not be written',
    desired: { dotfiles: [ZSHRC] },
    facts: { unwritable: ['.'] },
    blocked: /home directory may not be written/,
  },
]);

const SFTP = { access: 'sftp', passwd: 'unknown', loginShell: '' } as const;
const ELSEWHERE = { keysFile: '.config/ssh/keys' };

table(authorizedKeys, [
  {
    name: 'a file elsewhere, and the folders to it',
    facts: { ...ELSEWHERE, entries: { '.config': directory(0o755) } },
    changes: [
      ['.config/ssh', directory(0o700)],
      ['.config/ssh/keys', file(0o600, `${MINE}\n`)],
    ],
  },
  {
    name: 'a file of the system, in a folder that is not there',
    facts: { keysFile: '/etc/ssh/keys/alice', entries: { '/etc/ssh': directory(0o755) } },
    blocked: /looks for keys in \/etc\/ssh\/keys\/alice: \/etc.* does not exist; ask its admin/,
  },
  {
    name: 'a file of the system that may be read, with the key in it',
    facts: {
      keysFile: '/k/alice',
      entries: { '/k': directory(0o755, { owner: 0 }), '/k/alice': file(0o644, `${MINE}\n`) },
    },
    settled: /already there/,
  },
  {
    name: 'a file of root’s in an account whose number is unknown',
    facts: {
      ...SFTP,
      uid: null,
      entries: {
        '.ssh': directory(0o755),
        '.ssh/authorized_keys': file(0o644, '', { owner: 0 }),
      },
    },
    blocked: /belongs to root/,
  },
]);

table(permissions, [
  {
    name: 'the folders to a file of keys elsewhere',
    facts: {
      ...ELSEWHERE,
      entries: {
        '.config': directory(0o775),
        '.config/ssh': directory(0o755),
        '.config/ssh/keys': file(0o664, ''),
      },
    },
    changes: [
      ['.config', directory(0o755)],
      ['.config/ssh/keys', file(0o600, '')],
    ],
  },
  {
    name: 'a file of keys that is the system’s',
    facts: { keysFile: '/k/alice', entries: { '/k/alice': file(0o644, '', { owner: 0 }) } },
    settled: /^as sshd wants them$/,
  },
  { name: 'no more than SFTP shows', facts: SFTP, settled: /, as far as SFTP shows$/ },
]);

table(loginShell, [
  {
    name: 'over SFTP alone, even where it is unknown',
    facts: SFTP,
    blocked: /file transfer alone \(SFTP\), which can neither tell nor change the login shell/,
  },
]);

table(zlogin, [
  { name: 'not there', changes: [['.zlogin', symlink('.zshenv')]] },
  {
    name: 'there',
    facts: { entries: { '.zlogin': symlink('.zshenv') } },
    settled: /already a link/,
  },
  {
    name: 'there, absolute',
    facts: { entries: { '.zlogin': symlink('/home/alice/.zshenv') } },
    settled: /already a link/,
  },
  {
    name: "the 2007 script's hard link",
    facts: {
      entries: {
        '.zlogin': file(0o644, 'e', { inode: '1:2' }),
        '.zshenv': file(0o644, 'e', { inode: '1:2' }),
      },
    },
    settled: /hard link/,
  },
  {
    name: 'a file of its own',
    facts: {
      entries: {
        '.zlogin': file(0o644, 'e', { inode: '1:3' }),
        '.zshenv': file(0o644, 'e', { inode: '1:2' }),
      },
    },
    changes: [['.zlogin', symlink('.zshenv')]],
  },
  {
    name: 'a link elsewhere',
    facts: { entries: { '.zlogin': symlink('.zprofile') } },
    changes: [['.zlogin', symlink('.zshenv')]],
  },
  {
    name: 'a directory',
    facts: { entries: { '.zlogin': directory(0o755) } },
    blocked: /is a directory/,
  },
]);

table(loginShell, [
  {
    name: 'already zsh, by whatever path',
    facts: { loginShell: '/usr/local/bin/zsh' },
    settled: /already/,
  },
  {
    name: 'bash: the path that /etc/shells has',
    shell: { what: 'login-shell', before: '/bin/bash', after: '/bin/zsh', by: 'chsh', as: 'self' },
  },
  {
    name: 'listed first but not installed',
    facts: { notInstalled: ['/bin/zsh'] },
    shell: { after: '/usr/bin/zsh' },
  },
  {
    name: 'listed, not installed',
    facts: { notInstalled: ['/bin/zsh', '/usr/bin/zsh'], found: '' },
    blocked: /listed in \/etc\/shells but is not installed/,
  },
  {
    name: 'installed, not listed',
    facts: { shells: ['/bin/sh'] },
    blocked: /\/usr\/bin\/zsh is not listed in \/etc\/shells/,
  },
  { name: 'neither', facts: { shells: ['/bin/sh'], found: '' }, blocked: /zsh is not installed/ },
  { name: 'no chsh', facts: { tools: ['getent'] }, blocked: /no chsh/ },
  { name: 'a closed home', facts: { unwritable: ['.'] }, blocked: /prep notes what it changes/ },
  { name: 'root', facts: { uid: 0 }, shell: { by: 'usermod', as: 'root' } },
  {
    name: 'root without usermod',
    facts: { uid: 0, tools: ['chsh'] },
    shell: { by: 'chsh', as: 'root' },
  },
  { name: 'passwordless sudo', facts: { sudo: true }, shell: { by: 'usermod', as: 'sudo' } },
  {
    name: 'another shell by path',
    desired: { loginShell: '/usr/bin/bash' },
    shell: { after: '/usr/bin/bash' },
  },
  {
    name: 'the same shell by path',
    desired: { loginShell: '/bin/bash' },
    settled: /already \/bin\/bash/,
  },
  {
    name: 'no passwd entry to be read',
    facts: { passwd: 'environment' },
    blocked: /passwd entry cannot be read/,
  },
]);
