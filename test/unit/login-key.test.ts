import { execFileSync, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { utils, type ParsedKey, type SigningRequestOptions } from 'ssh2';
import { afterAll, describe, expect, test } from 'vitest';
import { parseAuthorizedKey } from '../../src/core/authorized-key.ts';
import { Secret } from '../../src/core/secret.ts';
import { nobody } from '../../src/core/unattended.ts';
import { LoginKey } from '../../src/ssh/login-key.ts';

const noKeygen = spawnSync('ssh-keygen', ['-?']).error !== undefined;
const folder = mkdtempSync(join(tmpdir(), 'login-key-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Kind {
  readonly name: string;
  readonly make: string;
  readonly request?: SigningRequestOptions;
}

const KINDS: readonly Kind[] = [
  { name: 'ed25519', make: '-t ed25519' },
  { name: 'ECDSA with nistp256', make: '-t ecdsa -b 256' },
  { name: 'ECDSA with nistp384', make: '-t ecdsa -b 384' },
  { name: 'ECDSA with nistp521', make: '-t ecdsa -b 521' },
  { name: 'RSA as rsa-sha2-256', make: '-t rsa -b 2048', request: { hash: 'sha256' } },
  {
    name: 'RSA as rsa-sha2-512, in PEM',
    make: '-t rsa -b 2048 -m PEM',
    request: { hash: 'sha512' },
  },
  { name: 'RSA for a server of old', make: '-t rsa -b 2048' },
];

describe.skipIf(noKeygen)('a login is signed so that the public half verifies it', () => {
  test.each(KINDS)('$name', async ({ make, request }) => {
    const { key, file, publicHalf } = pair(make, '');
    await verifies(new LoginKey(key, { file }), publicHalf, request);
  });

  test.each(['-t ed25519', '-t rsa -b 2048 -m PEM'])('with a passphrase, %s', async (make) => {
    const { key, file, publicHalf } = pair(make, 'a passphrase');
    const passphrase = new Secret('a passphrase');
    await verifies(new LoginKey(key, { file, passphrase }), publicHalf, { hash: 'sha256' });
  });
});

async function verifies(
  key: LoginKey,
  publicHalf: ParsedKey,
  options: SigningRequestOptions = {},
): Promise<void> {
  // ssh2 names a hash for RSA alone.
  const request = publicHalf.type === 'ssh-rsa' ? options : {};
  for (const data of [randomBytes(300), randomBytes(300)]) {
    const signature = await key.sign(data, request, nobody);
    expect(publicHalf.verify(data, signature, request.hash)).toBe(true);
    expect(publicHalf.verify(randomBytes(300), signature, request.hash)).toBe(false);
  }
}

let pairs = 0;
function pair(make: string, passphrase: string) {
  const file = join(folder, `key-${++pairs}`);
  execFileSync('ssh-keygen', ['-q', ...make.split(' '), '-N', passphrase, '-f', file]);
  const text = readFileSync(`${file}.pub`, 'latin1');
  const publicHalf = utils.parseKey(text);
  if (publicHalf instanceof Error) throw publicHalf;
  return { key: parseAuthorizedKey(text)!, file, publicHalf };
}
