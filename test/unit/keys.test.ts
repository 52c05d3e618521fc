import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { PrepError } from '../../src/core/problem.ts';
import type { Choice, Prompter } from '../../src/core/prompter.ts';
import { Secret } from '../../src/core/secret.ts';
import { makeKeyPair, writeKeyPair } from '../../src/local/key-pair.ts';
import { agentKeys, candidateKeys, chooseKeys, readPublicKey } from '../../src/local/keys.ts';
import { problemIn } from '../support/problem-in.ts';

const stock = mkdtempSync(path.join(tmpdir(), 'prep-stock-'));
for (const type of ['ed25519', 'ecdsa', 'rsa'])
  sshKeygen('-q', '-t', type, '-N', '', '-C', type, '-f', inStock(type));
sshKeygen('-q', '-s', inStock('ed25519'), '-I', 'me', '-n', 'me', inStock('ecdsa.pub'));
const ED25519 = readFileSync(inStock('ed25519.pub'), 'latin1');
const ECDSA = readFileSync(inStock('ecdsa.pub'), 'latin1');

let home = '';

beforeEach(() => {
  home = mkdtempSync(path.join(tmpdir(), 'prep-keys-'));
  mkdirSync(ssh('.'), { mode: 0o700 });
  vi.stubEnv('SSH_AUTH_SOCK', '');
});

afterEach(() => {
  rmSync(home, { recursive: true, force: true });
  vi.unstubAllEnvs();
});

afterAll(() => rmSync(stock, { recursive: true, force: true }));

describe('-i FILE', () => {
  test.each([
    ['FILE.pub', '.ssh/mine.pub', ['mine', 'mine.pub'], 'mine.pub', 'mine'],
    [
      'FILE, a private key with FILE.pub beside it',
      '.ssh/mine',
      ['mine', 'mine.pub'],
      'mine.pub',
      'mine',
    ],
    ['FILE, not there, but FILE.pub', '.ssh/mine', ['mine.pub'], 'mine.pub', undefined],
    ['FILE itself, under another name', '.ssh/mine.key', ['mine.key'], 'mine.key', undefined],
  ])('%s', async (_, named, files, file, privateFile) => {
    for (const name of files) place(name === 'mine' ? 'ed25519' : 'ed25519.pub', name);
    const found = await readPublicKey(path.join(home, named));
    expect(found.key).toMatchObject({ type: 'ssh-ed25519', comment: 'ed25519', options: '' });
    expect(found.file).toBe(ssh(file));
    expect(found.privateFile).toBe(privateFile && ssh(privateFile));
  });

  test('~ is the home directory', async () => {
    place('ed25519.pub', 'mine.pub');
    expect((await readPublicKey('~/.ssh/mine.pub', home)).file).toBe(ssh('mine.pub'));
  });

  test.each([
    ['comments and blank lines around it', `# mine\n\n${ED25519}\n`],
    ['a byte order mark', `\u00ef\u00bb\u00bf${ED25519}`],
    ['CRLF', ED25519.replace('\n', '\r\n')],
    ['options that sshd knows', `restrict,command="x y" ${ED25519}`],
  ])('a public key with %s', async (_, text) => {
    writeFileSync(ssh('x.pub'), text, 'latin1');
    expect((await readPublicKey(ssh('x.pub'))).key.comment).toBe('ed25519');
  });

  test.each([
    ['an empty file', ''],
    ['an empty file', ' \n\n'],
    ['binary data', '\u007fELF\0\0\0'],
    ['text in UTF-16 (save it as plain ASCII)', `\u00ff\u00fes\0s\0h\0`],
    ['a PuTTY key', 'PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\n'],
    ['a PEM certificate', '-----BEGIN CERTIFICATE-----\nMIIB\n'],
    ['a PEM public key (ssh-keygen -i -m PKCS8 converts it)', '-----BEGIN PUBLIC KEY-----\nMCow\n'],
    [
      'a public key in RFC 4716 format (ssh-keygen -i converts it)',
      '---- BEGIN SSH2 PUBLIC KEY ----\nAAAA\n',
    ],
    ['a private key', '-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n'],
    ['a certificate', readFileSync(inStock('ecdsa-cert.pub'), 'latin1')],
    ['the key of a certificate authority', `cert-authority ${ED25519}`],
    ['a list of 2 keys', ED25519 + ECDSA],
    ['a damaged public key', `${ED25519.slice(0, 50)}\n`],
    ['a line that starts with "web1" and not with a key', `web1 ${ED25519}`],
    ['text without a key', 'Dear server,\n'],
    ['text without a key', 'x'.repeat(1 << 20)],
    ['a file of more than 64 KiB', ED25519 + '#'.repeat(1 << 16)],
  ])('no public key but %s', async (found, text) => {
    writeFileSync(ssh('x.pub'), text, 'latin1');
    const problem = await problemIn(readPublicKey(ssh('x.pub')));
    expect(problem).toEqual({ code: 'not-a-public-key', file: ssh('x.pub'), found });
  });

  test('a private key without its public half', async () => {
    place('ed25519', 'mine');
    const found = 'a private key (and there is no mine.pub beside it; ssh-keygen -y makes it)';
    const problem = await problemIn(readPublicKey(ssh('mine')));
    expect(problem).toEqual({ code: 'not-a-public-key', file: ssh('mine'), found });
  });

  test('a directory', async () => {
    const problem = await problemIn(readPublicKey(ssh('.')));
    expect(problem).toMatchObject({ code: 'not-a-public-key', found: 'a directory' });
  });

  test.each([
    ['nowhere.pub', 'no such file or directory'],
    ['nowhere', 'no such file or directory'],
    ['file/below', 'not a directory'],
  ])('what cannot be read: %s', async (name, cause) => {
    writeFileSync(ssh('file'), '');
    const problem = await problemIn(readPublicKey(ssh(name)));
    expect(problem).toEqual({ code: 'cannot-read', file: ssh(name), what: 'key', cause });
  });

  test('of an endless file only the beginning is read', async () => {
    expect(await problemIn(readPublicKey('/dev/zero'))).toMatchObject({ found: 'binary data' });
  });
});

describe("the user's own keys", () => {
  test('newest first; certificates, DSA, broken files and other names are passed over', async () => {
    place('rsa.pub', 'id_rsa.pub', 3000);
    place('ed25519.pub', 'id_ed25519.pub', 1000);
    place('ed25519', 'id_ed25519', 1000);
    place('ecdsa.pub', 'id_work.pub', 2000);
    place('ecdsa-cert.pub', 'id_work-cert.pub', 4000);
    place('rsa.pub', 'other.pub', 4000);
    writeFileSync(ssh('id_broken.pub'), 'nothing');
    writeFileSync(ssh('id_dsa.pub'), dsaKey());
    symlinkSync('nowhere', ssh('id_lost.pub'));
    mkdirSync(ssh('id_folder.pub'));
    execFileSync('mkfifo', [ssh('id_pipe.pub')]);
    const found = await candidateKeys(home);
    expect(found.map(({ file }) => path.basename(file))).toEqual([
      'id_rsa.pub',
      'id_work.pub',
      'id_ed25519.pub',
    ]);
    expect(found.map(({ privateFile }) => privateFile)).toEqual([
      undefined,
      undefined,
      ssh('id_ed25519'),
    ]);
  });

  test('the same key under two names counts once', async () => {
    place('ed25519.pub', 'id_a.pub', 2000);
    place('ed25519.pub', 'id_b.pub', 1000);
    expect((await candidateKeys(home)).map(({ file }) => file)).toEqual([ssh('id_a.pub')]);
  });

  test('no ~/.ssh, no keys', async () => {
    rmSync(ssh('.'), { recursive: true });
    expect(await candidateKeys(home)).toEqual([]);
  });
});

describe("the agent's keys", () => {
  test('all of them, without certificates', async () => {
    await withAgent(['ecdsa', 'rsa'], async () => {
      expect((await agentKeys()).map(({ type }) => type)).toEqual([
        'ecdsa-sha2-nistp256',
        'ssh-rsa',
      ]);
    });
  });

  test.each([
    ['no agent', ''],
    ['a socket that is not there', '/nonexistent/agent'],
  ])('none: %s', async (_, socket) => {
    vi.stubEnv('SSH_AUTH_SOCK', socket);
    expect(await agentKeys()).toEqual([]);
  });

  test('none: an empty agent', async () => {
    await withAgent([], async () => expect(await agentKeys()).toEqual([]));
  });
});

describe('choosing', () => {
  test('those named with -i, each once', async () => {
    place('ecdsa.pub', 'id_ecdsa.pub');
    const identities = [inStock('rsa.pub'), inStock('ed25519'), inStock('rsa')];
    const { keys, toMake } = await chooseKeys({ identities, home, prompter: silent() });
    expect(keys.map(({ file }) => file)).toEqual([inStock('rsa.pub'), inStock('ed25519.pub')]);
    expect(toMake).toBeUndefined();
  });

  test('the only one', async () => {
    place('ecdsa.pub', 'id_ecdsa.pub');
    const { keys } = await chooseKeys({ identities: [], home, prompter: silent() });
    expect(keys.map(({ file }) => file)).toEqual([ssh('id_ecdsa.pub')]);
  });

  test('one of several, the newest being the safe answer', async () => {
    place('ecdsa.pub', 'id_ecdsa.pub', 1000);
    place('rsa.pub', 'id_rsa.pub', 2000);
    const asked: { names: readonly string[]; safe: unknown }[] = [];
    const prompter = silent({
      choose: <T>({ choices }: Choice<T>, safe?: T) => {
        asked.push({ names: choices.map(({ name }) => name), safe });
        return Promise.resolve(choices[1]!.value);
      },
    });
    const { keys } = await chooseKeys({ identities: [], home, prompter });
    expect(asked[0]!.names).toEqual([
      expect.stringMatching(/^id_rsa\.pub SHA256:\S{43} rsa$/),
      expect.stringMatching(/^id_ecdsa\.pub SHA256:\S{43} ecdsa$/),
    ]);
    expect(asked[0]!.safe).toMatchObject({ file: ssh('id_rsa.pub') });
    expect(keys.map(({ file }) => file)).toEqual([ssh('id_ecdsa.pub')]);
  });

  test("the agent's, where the user has no file", async () => {
    await withAgent(['ecdsa'], async () => {
      const { keys } = await chooseKeys({ identities: [], home, prompter: silent() });
      expect(keys).toEqual([{ key: expect.objectContaining({ type: 'ecdsa-sha2-nistp256' }) }]);
    });
  });

  test('a new pair, where there is none at all; nothing is written yet', async () => {
    const passphrase = randomBytes(12).toString('hex');
    const prompter = silent({
      confirm: () => Promise.resolve(true),
      newPassword: () => Promise.resolve(new Secret(passphrase)),
    });
    const { keys, toMake } = await chooseKeys({ identities: [], home, prompter });
    expect(readdirSync(ssh('.'))).toEqual([]);
    expect(keys).toEqual([
      { key: toMake!.pair.publicKey, file: ssh('id_ed25519.pub'), privateFile: ssh('id_ed25519') },
    ]);
    await writeKeyPair(toMake!.folder, toMake!.pair);
    expect(publicHalf(ssh('id_ed25519'), passphrase)).toContain(toMake!.pair.publicKey.blob);
  });

  test.each([
    ['declined', () => Promise.resolve(false)],
    [
      'nobody to ask',
      () => Promise.reject(new PrepError({ code: 'needs-an-answer', question: '', flag: '' })),
    ],
  ])('no key: %s', async (_, confirm) => {
    const problem = await problemIn(
      chooseKeys({ identities: [], home, prompter: silent({ confirm }) }),
    );
    expect(problem).toEqual({ code: 'no-key' });
  });

  test('a private key without its public half is named, and no other made beside it', async () => {
    place('rsa', 'id_rsa');
    const problem = await problemIn(chooseKeys({ identities: [], home, prompter: silent() }));
    expect(problem).toMatchObject({ code: 'not-a-public-key', file: ssh('id_rsa') });
  });

  test('a broken id_ed25519.pub is left alone', async () => {
    writeFileSync(ssh('id_ed25519.pub'), 'broken');
    const problem = await problemIn(chooseKeys({ identities: [], home, prompter: silent() }));
    expect(problem).toEqual({ code: 'key-exists', file: ssh('id_ed25519.pub') });
  });
});

describe('making a pair', () => {
  test.each([
    ['without a passphrase', ''],
    ['with one', 'correct horse'],
    ['with one that is not ASCII', 'p\u00e4ss \u2713'],
  ])('%s: ssh-keygen reads it', async (_, passphrase) => {
    const pair = await makeKeyPair(new Secret(passphrase), 'jos\u00e9@laptop');
    const folder = path.join(home, 'new', '.ssh');
    const files = await writeKeyPair(folder, pair);
    expect(publicHalf(files.privateFile, passphrase)).toBe(readFileSync(files.publicFile, 'utf8'));
    expect(readFileSync(files.publicFile, 'utf8')).toMatch(/^ssh-ed25519 \S+ jos\u00e9@laptop\n$/);
    expect(modes(folder, files.privateFile, files.publicFile)).toEqual([0o700, 0o600, 0o644]);
  });

  test('a passphrase locks it', async () => {
    const pair = await makeKeyPair(new Secret('correct horse'), 'a');
    const { privateFile } = await writeKeyPair(home, pair);
    expect(() => publicHalf(privateFile, 'wrong')).toThrow('incorrect passphrase');
  });

  test('modes do not depend on the umask', async () => {
    const pair = await makeKeyPair(new Secret(''), 'a');
    const before = process.umask(0o077);
    const files = await writeKeyPair(home, pair).finally(() => process.umask(before));
    expect(modes(files.privateFile, files.publicFile)).toEqual([0o600, 0o644]);
  });

  test('every pair is sound, though ssh2 makes 1 of 256 wrongly', async () => {
    for (let i = 0; i < 1000; i++) {
      const { publicKey } = await makeKeyPair(new Secret(''), 'a');
      expect(Buffer.from(publicKey.blob, 'base64')).toHaveLength(51);
    }
  });

  test('nothing of it prints', async () => {
    const pair = await makeKeyPair(new Secret(''), 'a');
    expect(JSON.stringify(pair)).not.toContain('PRIVATE KEY');
  });

  test.each(['id_ed25519', 'id_ed25519.pub'])('%s is never overwritten', async (name) => {
    const pair = await makeKeyPair(new Secret(''), 'a');
    symlinkSync('nowhere', ssh(name));
    const problem = await problemIn(writeKeyPair(ssh('.'), pair));
    expect(problem).toEqual({ code: 'key-exists', file: path.join(home, '.ssh', name) });
    expect(readdirSync(ssh('.'))).toEqual([name]);
    expect(existsSync(ssh('nowhere'))).toBe(false);
  });

  test('a folder that cannot be', async () => {
    const pair = await makeKeyPair(new Secret(''), 'a');
    writeFileSync(ssh('file'), '');
    const problem = await problemIn(writeKeyPair(ssh('file/.ssh'), pair));
    expect(problem).toMatchObject({ code: 'cannot-write', what: 'key', cause: 'not a directory' });
  });
});

function ssh(name: string): string {
  return path.join(home, '.ssh', name);
}

function inStock(name: string): string {
  return path.join(stock, name);
}

function sshKeygen(...args: string[]): string {
  return execFileSync('ssh-keygen', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

/** What ssh-keygen makes of a private key. */
function publicHalf(file: string, passphrase: string): string {
  return sshKeygen('-y', '-P', passphrase, '-f', file);
}

/** Copies a key of the stock into ~/.ssh, last changed the given seconds after 1970. */
function place(from: string, to: string, seconds = 1000): void {
  writeFileSync(ssh(to), readFileSync(inStock(from)));
  chmodSync(ssh(to), 0o600);
  utimesSync(ssh(to), seconds, seconds);
}

function dsaKey(): string {
  const parts = [Buffer.from('ssh-dss'), ...[129, 21, 129, 129].map((size) => randomBytes(size))];
  const blob = Buffer.concat(
    parts.map((part) => Buffer.concat([Buffer.from([0, 0, 0, part.length]), part])),
  );
  return `ssh-dss ${blob.toString('base64')} old\n`;
}

function modes(...files: string[]): number[] {
  return files.map((file) => statSync(file).mode & 0o7777);
}

/** A prompter that fails on every question but those answered here. */
function silent(answers: Partial<Prompter> = {}): Prompter {
  const unexpected = () => Promise.reject(new Error('an unexpected question'));
  return {
    password: unexpected,
    newPassword: unexpected,
    confirm: unexpected,
    hostKey: unexpected,
    answer: unexpected,
    choose: unexpected,
    ...answers,
  };
}

/** Runs something while an agent holds keys of the stock. */
async function withAgent(names: readonly string[], body: () => Promise<void>): Promise<void> {
  const socket = path.join(home, 'agent');
  const said = execFileSync('ssh-agent', ['-s', '-a', socket], { encoding: 'utf8' });
  const pid = Number(/SSH_AGENT_PID=(\d+)/.exec(said)?.[1]);
  try {
    vi.stubEnv('SSH_AUTH_SOCK', socket);
    for (const name of names) execFileSync('ssh-add', ['-q', inStock(name)], { stdio: 'ignore' });
    await body();
  } finally {
    process.kill(pid);
  }
}
