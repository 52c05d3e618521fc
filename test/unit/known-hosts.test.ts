import { execFileSync, spawnSync } from 'node:child_process';
import { createHmac, generateKeyPairSync, randomBytes } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { fingerprint } from '../../src/core/key-blob.ts';
import {
  hostKeyAlgorithms,
  hostName,
  judgeHostKey,
  keyTypeName,
  knownKeyTypes,
  readKnownHosts,
  rememberHostKey,
} from '../../src/ssh/known-hosts.ts';
import type { KnownHostsLine } from '../../src/ssh/known-hosts.ts';

const hasKeygen = spawnSync('ssh-keygen', ['-?']).error === undefined;
const isRoot = process.getuid?.() === 0;

const folder = mkdtempSync(join(tmpdir(), 'known-hosts-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let files = 0;
function fileOf(text: string): string {
  const file = join(folder, `file-${++files}`);
  writeFileSync(file, text);
  return file;
}

function linesOf(text: string): Promise<readonly KnownHostsLine[]> {
  return readKnownHosts([fileOf(text)]);
}

function blob(...fields: readonly (string | Buffer)[]): Buffer {
  return Buffer.concat(
    fields.flatMap((field) => {
      const bytes = Buffer.from(field as string);
      const length = Buffer.alloc(4);
      length.writeUInt32BE(bytes.length);
      return [length, bytes];
    }),
  );
}

function ed25519(): Buffer {
  return blob('ssh-ed25519', randomBytes(32));
}

function number(base64url: string | undefined): Buffer {
  return Buffer.from(base64url ?? '', 'base64url');
}

function ecdsa(): Buffer {
  const { x, y } = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({
    format: 'jwk',
  });
  const point = Buffer.concat([Buffer.of(4), number(x), number(y)]);
  return blob('ecdsa-sha2-nistp256', 'nistp256', point);
}

function rsa(): Buffer {
  const { n, e } = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({
    format: 'jwk',
  });
  return blob('ssh-rsa', number(e), Buffer.concat([Buffer.of(0), number(n)]));
}

const ED = ed25519();
const OTHER = ed25519();
const EC = ecdsa();
const RSA = rsa();

/** `ssh-ed25519 AAAA...`, as it stands in the file. */
function text(key: Buffer): string {
  return `${key.toString('latin1', 4, 4 + key.readUInt32BE(0))} ${key.toString('base64')}`;
}

function hashed(name: string, salt = randomBytes(20)): string {
  const hash = createHmac('sha1', salt).update(name).digest('base64');
  return `|1|${salt.toString('base64')}|${hash}`;
}

describe('hostName', () => {
  it.each([
    ['web1', 22, 'web1'],
    ['web1', 0, 'web1'],
    ['Web1.Example.ORG', 22, 'web1.example.org'],
    ['WEB1', 2222, '[web1]:2222'],
    ['192.0.2.7', 22, '192.0.2.7'],
    ['::1', 22, '::1'],
    ['2001:DB8:0::1', 2222, '[2001:db8::1]:2222'],
    ['fe80::1%eth0', 22, 'fe80::1%eth0'],
    ['\u212Aey', 22, '\u212Aey'],
  ])('%s port %i is %s', (host, port, name) => {
    expect(hostName(host, port)).toBe(name);
  });
});

describe('which lines are about a host', () => {
  const about: readonly (readonly [hostnames: string, host: string, port: number, is: boolean])[] =
    [
      ['web1', 'web1', 22, true],
      ['WEB1', 'web1', 22, true],
      ['web1', 'WeB1', 22, true],
      ['web1', 'web10', 22, false],
      ['web1', 'web', 22, false],
      ['web1,192.0.2.7', '192.0.2.7', 22, true],
      ['db,web1', 'web1', 22, true],
      ['web?', 'web1', 22, true],
      ['web?', 'web', 22, false],
      ['web?', 'web12', 22, false],
      ['web*', 'web', 22, true],
      ['*', 'anything', 22, true],
      ['*', 'web1', 2222, true],
      ['*.example.org', 'web1.example.org', 22, true],
      ['*.example.org', 'example.org', 22, false],
      ['*.example.org', 'a.b.example.org', 22, true],
      ['*.*', 'web1', 22, false],
      ['w*b*1', 'web-b-1', 22, true],
      ['w*b*1', 'web-b-2', 22, false],
      ['web.', 'webx', 22, false],
      ['*.example.org,!web1.example.org', 'web1.example.org', 22, false],
      ['!web1.example.org,*.example.org', 'web1.example.org', 22, false],
      ['!WEB1*,*', 'web1', 22, false],
      ['!web1,*', 'web2', 22, true],
      ['!web1', 'web2', 22, false],
      ['[web1]:2222', 'web1', 2222, true],
      ['[web1]:2222', 'web1', 22, false],
      ['[web1]:2222', 'web1', 222, false],
      ['web1', 'web1', 2222, false],
      ['[*]:2222', 'web1', 2222, true],
      ['[web?]:*', 'web1', 2222, true],
      ['web*', 'web1', 2222, false],
      ['[2001:db8::1]:2222', '2001:DB8:0:0::1', 2222, true],
      [hashed('web1'), 'web1', 22, true],
      [hashed('web1'), 'WEB1', 22, true],
      [hashed('web1'), 'web2', 22, false],
      [hashed('[web1]:2222'), 'web1', 2222, true],
      [hashed('[web1]:2222'), 'web1', 22, false],
      [hashed('web*'), 'web1', 22, false],
      [hashed('web1', randomBytes(16)), 'web1', 22, false],
      ['|1|notbase64', 'web1', 22, false],
      ['|2|AAAA|BBBB', 'web1', 22, false],
    ];

  it.each(about)('%s: %s port %i: %s', async (hostnames, host, port, is) => {
    const lines = await linesOf(`${hostnames} ${text(ED)}\n`);
    expect(judgeHostKey(lines, host, port, ED).verdict).toBe(is ? 'known' : 'unknown');
  });

  it.skipIf(!hasKeygen).each(about)(
    'ssh-keygen -F agrees on %s: %s port %i: %s',
    (hostnames, host, port, is) => {
      const file = fileOf(`${hostnames} ${text(ED)}\n`);
      const { stdout } = spawnSync('ssh-keygen', ['-F', hostName(host, port), '-f', file]);
      expect(stdout.includes(text(ED))).toBe(is);
    },
  );

  it('takes no exponential time over many asterisks', async () => {
    const lines = await linesOf(`${'a*'.repeat(200)}b ${text(ED)}\n`);
    expect(judgeHostKey(lines, 'a'.repeat(5000), 22, ED).verdict).toBe('unknown');
  });
});

describe('judgeHostKey', () => {
  const judged: readonly (readonly [
    what: string,
    file: string,
    key: Buffer,
    verdict: string,
    line?: number,
  ])[] = [
    ['an empty file', '', ED, 'unknown'],
    ['the same key', `web1 ${text(ED)}`, ED, 'known', 1],
    ['one of several keys', `web1 ${text(RSA)}\nweb1 ${text(ED)}`, ED, 'known', 2],
    ['another key of the type', `web1 ${text(OTHER)}`, ED, 'changed', 1],
    ['another type only', `web1 ${text(RSA)}`, ED, 'changed', 1],
    ['another type, then the type', `web1 ${text(RSA)}\nweb1 ${text(OTHER)}`, ED, 'changed', 2],
    [
      'two wrong keys of the type',
      `web1 ${text(OTHER)}\nweb1 ${text(ed25519())}`,
      ED,
      'changed',
      1,
    ],
    ['an old and the new key', `web1 ${text(OTHER)}\nweb1 ${text(ED)}`, ED, 'known', 2],
    ['the key of another host', `web2 ${text(ED)}`, ED, 'unknown'],
    ['revoked', `@revoked web1 ${text(ED)}`, ED, 'revoked', 1],
    ['revoked everywhere', `@revoked * ${text(ED)}`, ED, 'revoked', 1],
    ['known, then revoked', `web1 ${text(ED)}\n@revoked * ${text(ED)}`, ED, 'revoked', 2],
    ['changed and revoked', `web1 ${text(OTHER)}\n@revoked * ${text(ED)}`, ED, 'revoked', 2],
    ['revoked for another host', `@revoked web2 ${text(ED)}\nweb1 ${text(ED)}`, ED, 'known', 2],
    ['another key revoked', `@revoked web1 ${text(OTHER)}`, ED, 'unknown'],
    ['revoked, hashed', `@revoked ${hashed('web1')} ${text(ED)}`, ED, 'revoked', 1],
    ['a CA with that very key', `@cert-authority web1 ${text(ED)}`, ED, 'unknown'],
    ['a CA with another key', `@cert-authority * ${text(OTHER)}`, ED, 'unknown'],
    [
      'a CA and a changed key',
      `@cert-authority * ${text(ED)}\nweb1 ${text(RSA)}`,
      ED,
      'changed',
      2,
    ],
    ['comments and empty lines', `# web1 x\n\n  \t\nweb1 ${text(ED)} x y`, ED, 'known', 4],
    ['tabs and leading blanks', ` \t web1\t ${text(ED).replace(' ', '\t')}\tnote`, ED, 'known', 1],
    ['CRLF', `web1 ${text(ED)}\r\nweb1 ${text(RSA)}\r\n`, RSA, 'known', 2],
    ['a comment in Latin-1 and a key', `web1 ${text(ED)} caf\u00e9`, ED, 'known', 1],
    ['an ECDSA key', `web1 ${text(EC)}`, EC, 'known', 1],
    ['an RSA key', `web1 ${text(RSA)}`, RSA, 'known', 1],
  ];

  for (const [what, file, key, verdict, line] of judged) {
    it(`${what}: ${verdict}`, async () => {
      const judgement = judgeHostKey(await linesOf(file), 'web1', 22, key);
      expect([judgement.verdict, judgement.line]).toEqual([verdict, line]);
    });
  }

  it('names the file', async () => {
    const [user, system] = [fileOf('# nothing\n'), fileOf(`\nweb1 ${text(OTHER)}\n`)];
    const lines = await readKnownHosts([user, system]);
    expect(judgeHostKey(lines, 'web1', 22, ED)).toEqual({
      verdict: 'changed',
      file: system,
      line: 2,
    });
  });

  it('looks a HostKeyAlias up without the port', async () => {
    const lines = await linesOf(`cluster ${text(ED)}\n`);
    expect(judgeHostKey(lines, 'Cluster', 0, ED).verdict).toBe('known');
    expect(judgeHostKey(lines, 'cluster', 2222, ED).verdict).toBe('unknown');
  });
});

describe('malformed lines say nothing', () => {
  it.each([
    ['only a name', 'web1'],
    ['no key', 'web1 ssh-ed25519'],
    ['a comment for a key', 'web1 ssh-ed25519 # gone'],
    ['not base64', `web1 ssh-ed25519 ${ED.toString('base64').replace('A', '!')}`],
    ['underscores for base64', `web1 ssh-ed25519 ${ED.toString('base64').replace('A', '_')}`],
    ['the wrong type', `web1 ssh-rsa ${ED.toString('base64')}`],
    ['cut within the key', `web1 ${text(ED).slice(0, -8)}`],
    ['cut within the type', `web1 ${text(ED).slice(0, 20)}`],
    ['only the type', `web1 ssh-ed25519 ${blob('ssh-ed25519').toString('base64')}`],
    ['bytes after the key', `web1 ssh-ed25519 ${Buffer.concat([ED, ED]).toString('base64')}x===`],
    ['an unknown marker', `@trusted web1 ${text(OTHER)}`],
    ['two markers', `@revoked @cert-authority web1 ${text(ED)}`],
    ['a marker alone', '@revoked'],
    ['SSH 1', 'web1 1024 35 1234567890123456'],
  ])('%s', async (_what, line) => {
    const lines = await linesOf(`${line}\nweb1 ${text(RSA)}\n`);
    expect(knownKeyTypes(lines, 'web1', 22)).toEqual(['ssh-rsa']);
    expect(judgeHostKey(lines, 'web1', 22, RSA)).toMatchObject({ verdict: 'known', line: 2 });
    expect(judgeHostKey(await linesOf(line), 'web1', 22, ED)).toEqual({ verdict: 'unknown' });
  });
});

describe('readKnownHosts', () => {
  it('counts a missing file as empty', async () => {
    expect(await readKnownHosts([join(folder, 'none'), join(folder, 'no/such')])).toEqual([]);
  });

  it('keeps the order of the files, whatever their size', async () => {
    const files = [fileOf(`#\n`.repeat(5000) + `web1 ${text(RSA)}`), fileOf(`web1 ${text(ED)}`)];
    const lines = await readKnownHosts(files);
    expect(lines.map((line) => [line.file, line.line, line.keyType])).toEqual([
      [files[0], 5001, 'ssh-rsa'],
      [files[1], 1, 'ssh-ed25519'],
    ]);
    expect(lines.map((line) => line.key)).toEqual([RSA, ED]);
  });

  it('says why a folder cannot be read', async () => {
    await expect(readKnownHosts([folder])).rejects.toMatchObject({
      problem: { code: 'cannot-read', file: folder, cause: 'illegal operation on a directory' },
    });
  });

  it.skipIf(isRoot)('says why a file may not be read', async () => {
    const file = fileOf('');
    chmodSync(file, 0);
    await expect(readKnownHosts([file])).rejects.toMatchObject({
      problem: { code: 'cannot-read', file, cause: 'permission denied' },
    });
  });

  it('finds the last of 10,000 hosts, plain or hashed', async () => {
    const names = Array.from({ length: 5000 }, (_, i) => `host${i}`);
    const all = [...names, ...names.map((name) => hashed(`${name}.hashed`))];
    const lines = await linesOf(all.map((name) => `${name} ${text(ED)}`).join('\n'));
    expect(lines).toHaveLength(10_000);
    expect(judgeHostKey(lines, 'host4999', 22, ED).line).toBe(5000);
    expect(judgeHostKey(lines, 'host4999.hashed', 22, ED).line).toBe(10_000);
    expect(judgeHostKey(lines, 'host5000', 22, ED).verdict).toBe('unknown');
  });
});

describe('knownKeyTypes', () => {
  it('lists types in file order, once each, without revoked keys and authorities', async () => {
    const lines = await linesOf(
      [
        `@cert-authority * ${text(ecdsa())}`,
        `web1 ${text(RSA)}`,
        `${hashed('web1')} ${text(ED)}`,
        `web1 ${text(OTHER)}`,
        `@revoked web1 ${text(EC)}`,
        `web2 ${text(EC)}`,
      ].join('\n'),
    );
    expect(knownKeyTypes(lines, 'web1', 22)).toEqual(['ssh-rsa', 'ssh-ed25519']);
    expect(knownKeyTypes(lines, 'web1', 2222)).toEqual([]);
  });
});

describe('hostKeyAlgorithms', () => {
  const E = 'ssh-ed25519';
  const [P256, P384, P521] = ['256', '384', '521'].map((n) => `ecdsa-sha2-nistp${n}`);
  const [R5, R2] = ['rsa-sha2-512', 'rsa-sha2-256'];
  it.each([
    ['nothing known', [], [E, P256, P384, P521, R5, R2]],
    ['RSA', ['ssh-rsa'], [R5, R2, E, P256, P384, P521]],
    ['ECDSA', [P384], [P384, E, P256, P521, R5, R2]],
    ['RSA and ED25519', ['ssh-rsa', E], [E, R5, R2, P256, P384, P521]],
    [
      'types ssh2 lacks',
      ['ssh-dss', 'sk-ssh-ed25519@openssh.com', P521],
      [P521, E, P256, P384, R5, R2],
    ],
  ])('%s', (_what, types, algorithms) => {
    expect(hostKeyAlgorithms(types as string[])).toEqual(algorithms);
  });
});

describe('rememberHostKey', () => {
  const plain = { hash: false };

  it('makes the folder and the file, for their owner alone', async () => {
    const file = join(folder, 'fresh/.ssh/known_hosts');
    await rememberHostKey(file, 'Web1', 22, ED, plain);
    expect(readFileSync(file, 'utf8')).toBe(`web1 ${text(ED)}\n`);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(statSync(join(folder, 'fresh/.ssh')).mode & 0o777).toBe(0o700);
  });

  it.each([
    ['after a newline', '# mine\r\n', '# mine\r\n'],
    ['after a missing newline', `db ${text(RSA)}`, `db ${text(RSA)}\n`],
    ['to an empty file', '', ''],
  ])('appends %s, and moves no other byte', async (_where, before, kept) => {
    const file = fileOf(before);
    chmodSync(file, 0o644);
    await rememberHostKey(file, 'web1', 2222, ED, plain);
    expect(readFileSync(file, 'utf8')).toBe(`${kept}[web1]:2222 ${text(ED)}\n`);
    expect(statSync(file).mode & 0o777).toBe(0o644);
  });

  it('hashes the name when asked to', async () => {
    const file = fileOf('');
    await rememberHostKey(file, 'web1', 2222, ED, { hash: true });
    expect(readFileSync(file, 'utf8')).toMatch(/^\|1\|[\w+/]{27}=\|[\w+/]{27}= ssh-ed25519 \S+\n$/);
    const lines = await readKnownHosts([file]);
    expect(judgeHostKey(lines, 'web1', 2222, ED).verdict).toBe('known');
    expect(judgeHostKey(lines, 'web1', 22, ED).verdict).toBe('unknown');
  });

  it.each(['*', 'web?', '!web1', 'a,b', '#web1', '@revoked', '|1|x', 'a b', 'a\nb'])(
    'never writes %j as a pattern',
    async (alias) => {
      const file = fileOf('');
      await rememberHostKey(file, alias, 0, ED, plain);
      const lines = await readKnownHosts([file]);
      expect(lines).toHaveLength(1);
      expect(judgeHostKey(lines, alias, 0, ED).verdict).toBe('known');
      expect(judgeHostKey(lines, 'web1', 22, ED).verdict).toBe('unknown');
    },
  );

  it('writes where a symbolic link leads', async () => {
    const file = fileOf(`db ${text(RSA)}\n`);
    const link = `${file}-link`;
    symlinkSync(file, link);
    await rememberHostKey(link, 'web1', 22, ED, plain);
    expect(readFileSync(file, 'utf8')).toBe(`db ${text(RSA)}\nweb1 ${text(ED)}\n`);
  });

  it('keeps every line of concurrent writers', async () => {
    const file = join(folder, 'many/known_hosts');
    const hosts = Array.from({ length: 50 }, (_, i) => `host${i}`);
    await Promise.all(hosts.map((host) => rememberHostKey(file, host, 22, ED, plain)));
    const lines = await readKnownHosts([file]);
    expect(lines.map((line) => line.hostnames).toSorted()).toEqual(hosts.toSorted());
  });

  it.each(['junk', 'ssh-ed25519'])('refuses %j for a key', async (type) => {
    const file = join(folder, 'refused/known_hosts');
    const key = type === 'junk' ? Buffer.from('junk\n* ssh-rsa') : blob(type);
    await expect(rememberHostKey(file, 'web1', 22, key, plain)).rejects.toMatchObject({
      problem: { code: 'cannot-write', cause: 'not a host key' },
    });
    expect(existsSync(file)).toBe(false);
  });

  it.each([
    ['a folder in its place', () => folder, 'illegal operation on a directory'],
    ['a file for a folder', () => join(fileOf(''), 'known_hosts'), /exists|not a directory/],
  ])('says what is wrong: %s', async (_what, path, cause) => {
    const file = path();
    await expect(rememberHostKey(file, 'web1', 22, ED, plain)).rejects.toMatchObject({
      problem: { code: 'cannot-write', file, cause: expect.stringMatching(cause) },
    });
  });

  it.skipIf(!existsSync('/dev/full'))('says what is wrong: a full disk', async () => {
    await expect(rememberHostKey('/dev/full', 'web1', 22, ED, plain)).rejects.toMatchObject({
      problem: { code: 'cannot-write', cause: 'no space left on device' },
    });
  });
});

describe('fingerprint and keyTypeName', () => {
  it('know a key that everybody knows: GitHub published this fingerprint', () => {
    const key = Buffer.from(
      'AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl',
      'base64',
    );
    expect(fingerprint(key)).toBe('SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU');
    expect(keyTypeName(key)).toBe('ED25519');
  });

  it.each([
    [blob('ssh-dss', 'x'), 'DSA'],
    [blob('ecdsa-sha2-nistp521', 'x'), 'ECDSA'],
    [blob('sk-ssh-ed25519@openssh.com', 'x'), 'ED25519-SK'],
    [blob('sk-ecdsa-sha2-nistp256@openssh.com', 'x'), 'ECDSA-SK'],
    [blob('\u001b[31m', 'x'), 'unknown'],
    [Buffer.of(255, 255, 255, 255, 1), 'unknown'],
    [Buffer.alloc(0), 'unknown'],
  ])('%#: %s is %s', (key, name) => {
    expect(keyTypeName(key)).toBe(name);
  });
});

describe.skipIf(!hasKeygen)('beside the real ssh-keygen', () => {
  const keygen = (...args: string[]): string =>
    execFileSync('ssh-keygen', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });

  it.each([
    ['ED25519', ED],
    ['ECDSA', EC],
    ['RSA', RSA],
  ])('-lf prints the same fingerprint and type for %s', (name, key) => {
    const [, print, , type] = keygen('-lf', fileOf(`${text(key)} note\n`)).split(/\s+/);
    expect([print, type]).toEqual([fingerprint(key), `(${name})`]);
    expect(keyTypeName(key)).toBe(name);
  });

  it('-H hashes a file that is read here', async () => {
    const file = fileOf(`web1,192.0.2.7 ${text(ED)}\n[web1]:2222 ${text(EC)}\n`);
    keygen('-H', '-f', file);
    expect(readFileSync(file, 'utf8')).not.toContain('web1');
    const lines = await readKnownHosts([file]);
    expect(judgeHostKey(lines, 'web1', 22, ED).verdict).toBe('known');
    expect(judgeHostKey(lines, '192.0.2.7', 22, ED).verdict).toBe('known');
    expect(judgeHostKey(lines, 'web1', 2222, EC).verdict).toBe('known');
    expect(judgeHostKey(lines, 'web1', 2222, ED).verdict).toBe('changed');
  });

  it.each([true, false])(
    '-F finds and -R clears what was written here (hash: %s)',
    async (hash) => {
      const file = fileOf('');
      await rememberHostKey(file, 'Web1', 22, ED, { hash });
      await rememberHostKey(file, 'web1', 2222, EC, { hash });
      await rememberHostKey(file, '2001:DB8:0::1', 22, RSA, { hash });
      expect(keygen('-F', 'web1', '-f', file)).toContain(text(ED));
      expect(keygen('-F', '[web1]:2222', '-f', file)).toContain(text(EC));
      expect(keygen('-F', '2001:db8::1', '-f', file)).toContain(text(RSA));
      keygen('-R', 'web1', '-f', file);
      expect((await readKnownHosts([file])).map((line) => line.key)).toEqual([EC, RSA]);
    },
  );
});
