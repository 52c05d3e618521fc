import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readConfigFile, writeConfigFile } from '../../src/local/ssh-config-file.ts';
import { hostsToOffer, namedHosts } from '../../src/ssh/ssh-hosts.ts';

let home: string;
beforeEach(() => {
  home = mkdtempSync(path.join(tmpdir(), 'prep-config-test-'));
  mkdirSync(path.join(home, '.ssh'));
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

const at = (name: string): string => path.join(home, name);
const write = (name: string, text: string): void => {
  mkdirSync(path.dirname(at(name)), { recursive: true });
  writeFileSync(at(name), text);
};

describe('an ssh_config file', () => {
  test('that changed after it was read is not written, nor is anything left beside it', async () => {
    write('.ssh/config', 'Host a\n');
    const file = await readConfigFile(home);
    write('.ssh/config', 'Host b\n');
    await expect(writeConfigFile(file, 'Host a\nHost c\n', home)).rejects.toMatchObject({
      problem: { code: 'stale' },
    });
    await expect(writeConfigFile(file, undefined, home)).rejects.toMatchObject({
      problem: { code: 'stale' },
    });
    expect(readFileSync(at('.ssh/config'), 'utf8')).toBe('Host b\n');
    expect(readdirSync(at('.ssh'))).toEqual(['config']);
  });

  test('that came into being meanwhile is not overwritten', async () => {
    const file = await readConfigFile(home);
    write('.ssh/config', 'Host b\n');
    await expect(writeConfigFile(file, 'Host a\n', home)).rejects.toMatchObject({
      problem: { code: 'stale' },
    });
  });

  test('with a name as long as names may be is written all the same', async () => {
    const name = 'c'.repeat(255);
    write(name, '');
    await writeConfigFile(await readConfigFile(home, at(name)), 'Host a\n', home);
    expect(readFileSync(at(name), 'utf8')).toBe('Host a\n');
  });

  test('is found through links, also through one in a linked directory', async () => {
    write('real/deep/config', 'Host a\n');
    write('real/other', 'Host b\n');
    symlinkSync('real/deep', at('linked'));
    symlinkSync('../other', at('real/deep/up'));
    const file = await readConfigFile(home, at('linked/up'));
    expect(file).toMatchObject({ name: at('linked/up'), path: at('real/other'), text: 'Host b\n' });
    symlinkSync('loop', at('loop'));
    await expect(readConfigFile(home, at('loop'))).rejects.toMatchObject({
      problem: { code: 'cannot-read' },
    });
  });

  test('in a folder that is not there is not made', async () => {
    const file = await readConfigFile(home, '~/nowhere/config');
    expect(file).toMatchObject({ name: at('nowhere/config'), text: undefined });
    await expect(writeConfigFile(file, 'Host a\n', home)).rejects.toMatchObject({
      problem: { code: 'cannot-write', cause: 'no such file or directory' },
    });
  });

  test('that is a directory, or none, is refused', async () => {
    await expect(readConfigFile(home, home)).rejects.toMatchObject({
      problem: { code: 'cannot-read' },
    });
    await expect(readConfigFile(home, 'none')).rejects.toMatchObject({
      problem: { code: 'usage' },
    });
  });
});

describe('the hosts that have names', () => {
  test('are those of the file and of what it includes, in order, without patterns', async () => {
    write(
      '.ssh/config',
      'Include conf.d/*.conf absent\nHost web1 web? !no "web 2"\nMatch host x\n',
    );
    write('.ssh/conf.d/b.conf', 'Host b\n  Include ~/deep/[xy]\n');
    write('.ssh/conf.d/a.conf', 'Host a1 a2\n');
    write('.ssh/conf.d/.hidden.conf', 'Host hidden\n');
    write('.ssh/conf.d/c.txt', 'Host c\n');
    write('deep/x', 'HOST büro\n');
    const found = await namedHosts(at('.ssh/config'), home);
    expect(found.map(({ name }) => name)).toEqual(['a1', 'a2', 'b', 'büro', 'web1', 'web 2']);
    expect(found[3]).toEqual({ name: 'büro', file: at('deep/x'), line: 1 });
  });

  test('that include each other come to an end', async () => {
    write('.ssh/config', 'Host a\nInclude config\n');
    expect((await namedHosts(at('.ssh/config'), home)).length).toBeGreaterThan(1);
  });

  test('are offered together with those of known_hosts that are readable', async () => {
    write('other', 'Host fromconfig\n');
    write(
      '.ssh/known_hosts',
      [
        'plain,10.0.0.7 ssh-ed25519 AAAA',
        '[ported]:2222 ssh-ed25519 AAAA',
        '|1|c2FsdA==|aGFzaA== ssh-ed25519 AAAA',
        '@cert-authority *.example.com ssh-ed25519 AAAA',
        '@revoked bad ssh-ed25519 AAAA',
        '# commented ssh-ed25519 AAAA',
        '$(touch${IFS}x) ssh-ed25519 AAAA',
        'plain ssh-rsa AAAA',
        '',
      ].join('\n'),
    );
    const offered = await hostsToOffer(home, '~/other');
    expect(offered).toEqual(
      expect.arrayContaining(['10.0.0.7', 'fromconfig', 'plain', 'ported:2222']),
    );
    for (const bad of ['bad', 'commented', '*.example.com', '#'])
      expect(offered).not.toContain(bad);
    expect(offered.join('')).not.toMatch(/[$|()]/);
    expect(offered.filter((name) => name === 'plain')).toHaveLength(1);
  });
});
