import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';

const ROOT = path.resolve(import.meta.dirname, '../..');

/** What each room may import, beside itself and node's own modules. `main` is all that lies directly in src/. */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  core: [],
  steps: ['core'],
  local: ['core'],
  config: ['core', 'local'],
  terminal: ['core'],
  cli: ['core'],
  ssh: ['core'],
  remote: ['core', 'ssh/session'],
  run: ['core', 'local', 'ssh', 'remote'],
  demo: ['core', 'local/key-pair', 'remote/shell-text'],
  export: ['core'],
  main: ['core', 'steps', 'export', 'local', 'config', 'ssh', 'run', 'terminal', 'cli', 'demo'],
};

/** Who may load each package. Types alone may be imported throughout the room. */
const LOADED_BY: Readonly<Record<string, readonly string[]>> = {
  diff: ['core/diff'],
  inquirer: ['terminal/inquirer'],
  listr2: ['terminal/live-list'],
  jiti: ['config/load'],
  valibot: ['config/schema', 'config/verdict-schema', 'config/complaint'],
  tinyglobby: ['local/dotfile-sources'],
  'tar-stream': ['local/archive'],
  yaml: ['export/ansible', 'export/cloud-init', 'local/inventory-yaml'],
  ssh2: [
    'ssh/connection',
    'ssh/identity-file',
    'ssh/login-key',
    'local/key-pair',
    'demo/embedded-server',
  ],
  'ssh-config': ['ssh/without-openssh'],
  'ssh2-sftp-client': ['ssh/sftp'],
  'ssh2/lib/protocol/SFTP.js': ['ssh/sftp-stream'],
};

/** Where a secret becomes text, and how often. */
const REVEALS: Readonly<Record<string, number>> = {
  'ssh/askpass': 1, // into the socket of the program that asks for ssh
  'ssh/authenticate': 1, // to the server, as password
  'ssh/keyboard-interactive': 1, // to the server, as an answer
  'ssh/ssh2-login': 2, // to the server: the expired password and the new one
  'ssh/login-key': 3, // a passphrase and a key that is not written yet, to the parser
  'ssh/expired-password': 1, // the old and the new one, to passwd
  'remote/login-shell': 1, // to chsh
  'remote/change-progress': 1, // to chsh, ahead of its question
  'local/key-pair': 2, // a new key's passphrase, and its file
  'demo/embedded-server': 1, // the demonstration's host key
  'demo/sandbox': 1, // the demonstration's password, hashed
};

interface Source {
  /** `ssh/connect`, `steps/zlogin`, `main`. */
  readonly name: string;
  readonly room: string;
  readonly text: string;
}

const sources: readonly Source[] = ['src', 'steps'].flatMap((top) =>
  readdirSync(path.join(ROOT, top), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => {
      const name = nameOf(path.join(ROOT, top, file));
      return { name, room: roomOf(name), text: readFileSync(path.join(ROOT, top, file), 'utf8') };
    }),
);

const STATIC = /^(?:import|export) (type )?(?:[\w\s*{},$]+ from )?'([^']+)';/gm;
const DYNAMIC = /(typeof )?import\('([^']+)'\)/g;

const imports = sources.flatMap(({ name, room, text }) =>
  [...text.matchAll(STATIC), ...text.matchAll(DYNAMIC)].map(([, typeOnly, what]) => ({
    name,
    room,
    typeOnly: typeOnly !== undefined,
    what: what!,
  })),
);

describe('the rooms', () => {
  test('are all in the table', () => {
    expect([...new Set(sources.map(({ room }) => room))].sort()).toEqual(
      Object.keys(ALLOWED).sort(),
    );
  });

  test('import only what the table allows', () => {
    const forbidden = imports
      .filter(({ what }) => what.startsWith('.') && what.endsWith('.ts'))
      .map(({ name, room, what }) => ({ name, room, target: target(name, what) }))
      .filter(({ room, target }) => room !== roomOf(target) && !allowed(room, target));
    expect(forbidden.map(({ name, target }) => `${name} -> ${target}`)).toEqual([]);
  });

  test('leave each package to the file that is named for it', () => {
    const forbidden = imports
      .filter(({ what }) => !what.startsWith('.') && !what.startsWith('node:'))
      .filter(({ name, room, typeOnly, what }) => {
        const files = LOADED_BY[what] ?? [];
        return !files.includes(name) && !(typeOnly && files.map(roomOf).includes(room));
      });
    expect(forbidden).toEqual([]);
  });
});

test('a dry run is known to the command line and to the use cases, and to nothing below them', () => {
  const knowing = sources.filter(({ text }) => text.includes('dryRun')).map(({ name }) => name);
  expect(knowing.sort()).toEqual([
    'cli/options',
    'prepare-account',
    'run/mastering',
    'run/openssh-way',
    'run/prepare',
    'run/reach',
    'run/route',
    'run/save-as',
    'run/undo',
    'run/world',
    'serve',
  ]);
});

test('a secret becomes text in a few places, each of them known', () => {
  const counted = sources.flatMap(({ name, text }): [string, number][] => {
    const count = text.match(/\breveal\(\)(?!:)/g)?.length ?? 0;
    return count === 0 ? [] : [[name, count]];
  });
  expect(Object.fromEntries(counted)).toEqual(REVEALS);
});

test('steps are pure: none waits, reads a clock, throws dice or knows the machine it runs on', () => {
  const impure = sources
    .filter(({ room }) => room === 'steps')
    .filter(({ text }) => /\b(async|await|Promise|Date|Math\.random|process|node:)\b/.test(text));
  expect(impure.map(({ name }) => name)).toEqual([]);
});

function nameOf(file: string): string {
  return path
    .relative(ROOT, file)
    .replace(/^src\//, '')
    .replace(/\.ts$/, '');
}

function roomOf(name: string): string {
  return name.includes('/') ? name.split('/')[0]! : 'main';
}

function target(from: string, what: string): string {
  const folder = from.startsWith('steps/') ? ROOT : path.join(ROOT, 'src');
  return nameOf(path.resolve(path.dirname(path.join(folder, from)), what));
}

function allowed(room: string, target: string): boolean {
  return ALLOWED[room]!.some((one) => one === target || one === roomOf(target));
}
