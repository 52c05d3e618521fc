import { contentOf, type Entry, type Facts } from '../../src/core/facts.ts';
import { remotePath, type RemotePath } from '../../src/core/remote-path.ts';

/** A directory with a mode. */
export function directory(mode: number, extra: { owner?: number; names?: string[] } = {}): Entry {
  return { kind: 'directory', mode, ...extra };
}

/** A file with a mode and these contents. */
export function file(
  mode: number,
  text: string | Uint8Array,
  extra: { mtime?: number; owner?: number; inode?: string } = {},
): Entry {
  return { kind: 'file', mode, content: contentOf(Buffer.from(text as string)), ...extra };
}

/** A symbolic link. */
export function symlink(target: string): Entry {
  return { kind: 'symlink', target: remotePath(target) };
}

/** What a table row says about an account. */
export interface FactsOf {
  readonly entries?: Readonly<Record<string, Entry>>;
  readonly real?: Readonly<Record<string, string>>;
  /** Null where it is unknown. */
  readonly uid?: number | null;
  readonly loginShell?: string;
  readonly access?: Facts['account']['access'];
  readonly keysFile?: string;
  readonly passwd?: Facts['account']['passwd'];
  readonly ownGroup?: boolean;
  readonly shells?: readonly string[];
  readonly notInstalled?: readonly string[];
  readonly found?: string;
  readonly tools?: readonly string[];
  readonly sudo?: boolean;
  readonly os?: string;
  readonly unwritable?: readonly string[];
  readonly privateKeys?: readonly string[];
  readonly barred?: Facts['barred'];
}

/** Facts of an ordinary new account, but for what is said otherwise. */
export function factsOf(row: FactsOf = {}): Facts {
  const shells = row.shells ?? [
    '/bin/sh',
    '/bin/bash',
    '/usr/bin/bash',
    '/bin/zsh',
    '/usr/bin/zsh',
  ];
  const missing = new Set(row.notInstalled);
  const paths = (names: readonly string[] = []): RemotePath[] =>
    names.map((name) => remotePath(name));
  return {
    account: {
      user: 'alice',
      uid: row.uid === null ? undefined : (row.uid ?? 1000),
      home: remotePath('/home/alice'),
      loginShell: row.loginShell ?? '/bin/bash',
      passwd: row.passwd ?? 'getent',
      access: row.access ?? 'shell',
      ownGroup: row.ownGroup ?? false,
    },
    system: {
      os: row.os ?? 'Linux',
      shells: shells.map((path) => ({ path, executable: !missing.has(path) })),
      found: row.found ?? '/usr/bin/zsh',
      tools: new Set(row.tools ?? ['chsh', 'usermod', 'getent']),
      sudo: row.sudo ?? false,
    },
    keysFile: remotePath(row.keysFile ?? '.ssh/authorized_keys'),
    entries: new Map(
      Object.entries({ '.': directory(0o755, { owner: 1000 }), ...row.entries }).map(
        ([name, entry]) => [remotePath(name), entry],
      ),
    ),
    real: new Map(Object.entries(row.real ?? {}).map(([a, b]) => [remotePath(a), remotePath(b)])),
    unwritable: new Set(paths(row.unwritable)),
    privateKeys: paths(row.privateKeys),
    runs: [],
    ...(row.barred && { barred: row.barred }),
  };
}
