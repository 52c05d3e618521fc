import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { parseHostLine } from '../../src/cli/host-line.ts';
import { readHosts } from '../../src/local/hosts.ts';
import { expandRange } from '../../src/local/inventory.ts';
import { joinWords, splitWords } from '../../src/local/words.ts';

const STEPS = ['ssh-dir', 'dotfiles', 'login-shell'];

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

function write(text: string, name = 'hosts'): string {
  const folder = mkdtempSync(join(tmpdir(), 'prep-hosts-'));
  folders.push(folder);
  writeFileSync(join(folder, name), text);
  return join(folder, name);
}

/** Its lines as one would write them in a plain file. */
async function lines(text: string, name?: string): Promise<string[]> {
  return (await readHosts(write(text, name))).lines.map(({ words }) => joinWords(words));
}

async function complaint(text: string, name?: string): Promise<string> {
  const file = write(text, name);
  const error: unknown = await readHosts(file).catch((raised: unknown) => raised);
  expect(error).toBeInstanceOf(Error);
  return (error as Error).message.replaceAll(file, 'FILE');
}

describe('the words of a line', () => {
  test.each([
    ['', []],
    ['   # nothing', []],
    ['alice@web1 # a comment', ['alice@web1']],
    ['a#b', ['a#b']],
    [`-i 'my key' "b\\"c" d\\ e`, ['-i', 'my key', 'b"c', 'd e']],
    [`it'"'s`, ['it"s']],
    [`it's`, undefined],
    ['a\\', undefined],
    [`'it'\\''s' ''`, ["it's", '']],
    ['a\tb', ['a', 'b']],
  ])('%j', (line, words) => {
    if (words === undefined) expect(() => splitWords(line)).toThrow('left open; close it');
    else expect(splitWords(line)).toEqual(words);
  });

  test.each([[['a b', "it's", '', '#x', '\\', '"', 'alice@[::1]:22', '~/k', '$(touch X)']]])(
    'survive being written down: %j',
    (words) => {
      expect(splitWords(joinWords(words))).toEqual(words);
    },
  );
});

describe('a line of a hosts file', () => {
  test('says in the command line’s own words what is its own', () => {
    const line =
      'alice@web1 -p 2222 -i a -i b -J gate --shell fish --only dotfiles --password-file p';
    expect(parseHostLine(splitWords(line), STEPS)).toEqual({
      destination: { user: 'alice', host: 'web1', port: 2222 },
      options: {
        port: 2222,
        identities: ['a', 'b'],
        jump: [{ host: 'gate' }],
        shell: 'fish',
        only: ['dotfiles'],
        passwordFile: 'p',
      },
    });
  });

  test('says nothing of what it does not name', () => {
    expect(parseHostLine(['web1:22'], STEPS)).toEqual({
      destination: { host: 'web1', port: 22 },
      options: {},
    });
  });

  test.each([
    ['-n web1', '--dry-run goes on the command line'],
    ['-p 22', 'no destination stands there'],
    ['web1 --password-file -', '--password-file - goes on the command line'],
    ['web1 --skip nothing', '--skip: there is no step "nothing"'],
    ['web1 --skip ssh-dir,dotfiles,login-shell', 'leave no step to take'],
  ])('%s: %s', (line, said) => {
    expect(() => parseHostLine(splitWords(line), STEPS)).toThrow(said);
  });
});

describe('a plain hosts file', () => {
  test('has one destination a line; comments, blank lines, CRLF and a byte order mark are no matter', async () => {
    const text = '\uFEFF# ours\r\nalice@web1\r\n\r\n  web2 -p 22 # two\r\nalice@[::1]:2222';
    expect(await lines(text)).toEqual(['alice@web1', 'web2 -p 22', 'alice@[::1]:2222']);
  });

  test.each([
    ['no file', '/nowhere/hosts'],
    ['a directory', tmpdir()],
  ])('%s cannot be read', async (_, file) => {
    await expect(readHosts(file)).rejects.toThrow(`cannot read the hosts file ${file} (`);
  });
});

describe('a range of hosts', () => {
  test.each([
    ['web', ['web']],
    ['web[1:3]', ['web1', 'web2', 'web3']],
    ['web[08:10].x', ['web08.x', 'web09.x', 'web10.x']],
    ['[a:c]', ['a', 'b', 'c']],
    ['n[0:6:3]', ['n0', 'n3', 'n6']],
    ['r[1:2]n[a:b]', ['r1na', 'r1nb', 'r2na', 'r2nb']],
    ['w[3:1]', undefined],
    ['w[a:3]', undefined],
    ['w[1:9:0]', undefined],
    ['w[0:999999999]', undefined],
    ['w[1:9999]x[1:9999]', undefined],
  ])('%s', (pattern, names) => {
    if (names === undefined) expect(() => expandRange(pattern)).toThrow('is not a range of hosts');
    else expect(expandRange(pattern)).toEqual(names);
  });
});

const INI = `# a comment
gate ansible_host=10.0.0.1

[web]
web[01:02].example.com:2201
"odd name" ansible_host=192.0.2.9 ansible_user='carol'  # hers

[db]
db1 ansible_host=fe80::1 ansible_ssh_private_key_file='~/my keys/db' ansible_port=5022
local ansible_connection=local

[site:children]
web
db

[site:vars]
ansible_user = deploy
ansible_ssh_common_args='-o ProxyCommand=no -o ProxyJump=jim@gate:22'

[db:vars]
ansible_user=dba
[all:vars]
ansible_user=everyone
http_port=80
`;

const YAML = `---
all:
  vars: { ansible_user: everyone, http_port: 80 }
  hosts:
    gate: { ansible_host: 10.0.0.1 }
  children:
    site:
      vars:
        ansible_user: deploy
        ansible_ssh_common_args: -J jim@gate:22
      children:
        web:
          hosts:
            web[01:02].example.com: { ansible_port: 2201 }
            odd name: { ansible_host: 192.0.2.9, ansible_user: carol }
        db:
          vars: { ansible_user: dba, ansible_password: !vault "secret" }
          hosts:
            db1:
              ansible_host: fe80::1
              ansible_ssh_private_key_file: ~/my keys/db
              ansible_port: 5022
            local: { ansible_connection: local }
`;

const SAME = [
  'everyone@10.0.0.1',
  'deploy@web01.example.com --port 2201 --jump jim@gate:22',
  'deploy@web02.example.com --port 2201 --jump jim@gate:22',
  'carol@192.0.2.9 --jump jim@gate:22',
  `dba@fe80::1 --port 5022 --identity '~/my keys/db' --jump jim@gate:22`,
];

describe('an Ansible inventory', () => {
  test('in INI', async () => expect(await lines(INI)).toEqual(SAME));
  test('in YAML', async () => expect(await lines(YAML)).toEqual(SAME));
  test('in YAML by its name alone', async () => {
    expect(await lines('# x\nweb: {hosts: {web1: }}', 'a.yml')).toEqual(['web1']);
  });
  test('in INI by a variable, or by a range, alone', async () => {
    expect(await lines('web1 ansible_user=alice\nweb2')).toEqual(['alice@web1', 'web2']);
    expect(await lines('web[1:2]')).toEqual(['web1', 'web2']);
  });

  test('every line of it can be read as one', async () => {
    for (const { words } of (await readHosts(write(INI))).lines) {
      expect(parseHostLine(words, STEPS).destination.host).not.toBe('');
    }
  });

  test.each([INI, YAML])('names what is not reached by SSH', async (text) => {
    const { leftOut } = await readHosts(write(text));
    expect(leftOut).toEqual(['local (ansible_connection=local)']);
  });

  test('a host in several groups is one, in the deepest one’s words', async () => {
    const text =
      '[b]\nweb1\n[a]\nweb1\n[a:vars]\nansible_user=a\n[b:vars]\nansible_user=b\n[a:children]\nc\n[c]\nweb1 x=1\n[c:vars]\nansible_user=c\n';
    expect(await lines(text)).toEqual(['c@web1']);
  });

  test.each([
    ['[web:kids]\n', 'FILE line 1: there is no section of kind ":kids"; write :children or :vars'],
    [
      '[web]\nweb1 ansible_user\n',
      'FILE line 2: "ansible_user" is not a variable; write it as name=value',
    ],
    [
      '[web]\nweb[3:1]\n',
      'FILE line 2: "web[3:1]" is not a range of hosts; write it as web[01:10]',
    ],
    [`[web]\nweb1 a='x\n`, 'FILE line 2: a quote or a backslash is left open; close it'],
    [
      '[a]\nx\n[a:children]\nb\n[b:children]\na\n',
      'FILE group a: it is its own descendant; take it out',
    ],
    ['web1 ansible_user={{me}}\n', 'FILE line 1: ansible_user is a template; prep computes none'],
    ['all:\n  hosts: [a, b]\n', 'FILE group all, hosts: there is no mapping'],
    [
      'all:\n  host:\n    a:\n',
      'FILE group all: it has "host"; a group has hosts, children and vars',
    ],
    ['all:\n  hosts: {a: \n', 'FILE line 2: this is not YAML ('],
    ['all:\n  hosts:\n    web[3:1]:\n', 'FILE host web[3:1]: "web[3:1]" is not a range'],
    [
      'all:\n  hosts:\n    web1:\n      ansible_host: "{{ x }}"\n',
      'FILE host web1: ansible_host is a template; prep computes none: write its value',
    ],
  ])('%j: %s', async (text, said) => {
    expect(await complaint(text)).toContain(said);
  });
});
