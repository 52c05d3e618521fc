import { createRequire } from 'node:module';
import { describe, expect, test } from 'vitest';
import { algorithmsToOffer, beyondReach, noCommonAlgorithm } from '../../src/ssh/algorithms.ts';
import { hostKeyAlgorithms } from '../../src/ssh/known-hosts.ts';

describe('algorithms of ssh_config', () => {
  test('are offered in its order, as far as ssh2 knows them', () => {
    const kexAlgorithms = ['sntrup761x25519-sha512', 'ecdh-sha2-nistp256', 'curve25519-sha256'];
    expect(algorithmsToOffer({ kexAlgorithms, hostKeyAlgorithms: ['ssh-rsa'] })).toEqual({
      kex: ['ecdh-sha2-nistp256', 'curve25519-sha256'],
    });
  });

  test('that nobody set are left to ssh2', () => {
    expect(algorithmsToOffer({})).toEqual({});
  });

  test('that ssh2 does not know at all are a problem that names the setting', () => {
    const settings = { macs: ['umac-64@openssh.com'], ciphers: ['aes128-ctr'] };
    expect(beyondReach(settings)).toEqual(['MACs']);
    expect(() => algorithmsToOffer(settings)).toThrow(
      /^ssh_config's MACs leaves nothing that prep supports; allow one of these for this host: hmac-/,
    );
  });

  test('are all known to ssh2', () => {
    const constants = createRequire(import.meta.url)('ssh2/lib/protocol/constants.js') as Record<
      string,
      readonly string[]
    >;
    for (const [setting, list] of [
      ['kexAlgorithms', 'SUPPORTED_KEX'],
      ['ciphers', 'SUPPORTED_CIPHER'],
      ['macs', 'SUPPORTED_MAC'],
      ['hostKeyAlgorithms', 'SUPPORTED_SERVER_HOST_KEY'],
    ] as const) {
      const others = constants[list]!;
      expect(beyondReach({ [setting]: others })).toEqual([]);
      const { kex, cipher, hmac } = algorithmsToOffer({ [setting]: others });
      const offered = (kex ?? cipher ?? hmac ?? []) as readonly string[];
      expect(others).toEqual(expect.arrayContaining([...offered]));
    }
  });

  test('put the types of known host keys first, and ssh-rsa only where it is asked for', () => {
    expect(hostKeyAlgorithms(['ssh-rsa'])).not.toContain('ssh-rsa');
    const allowed = ['ssh-ed25519', 'sk-ssh-ed25519@openssh.com', 'rsa-sha2-256', 'ssh-rsa'];
    expect(hostKeyAlgorithms(['ssh-rsa'], allowed)).toEqual([
      'rsa-sha2-256',
      'ssh-rsa',
      'ssh-ed25519',
    ]);
  });
});

test.each([
  ['Handshake failed: no matching key exchange algorithm', 'KexAlgorithms'],
  ['Handshake failed: no matching C->S cipher', 'Ciphers'],
  ['Handshake failed: no matching S->C MAC', 'MACs'],
  ['Handshake failed: no matching host key format', 'HostKeyAlgorithms'],
])('"%s" is put down to %s where that was set', (said, setting) => {
  const all = { kexAlgorithms: [], ciphers: [], macs: [], hostKeyAlgorithms: [] };
  const code = 'no-common-algorithm';
  const offered = { ...all, kexAlgorithms: ['old'], ciphers: ['old'], macs: ['old'] };
  expect(noCommonAlgorithm(said, all, offered)).toMatchObject({ code, setting, limits: true });
  expect(noCommonAlgorithm(said, {}, offered)).toMatchObject({
    setting,
    limits: false,
    offers: setting === 'HostKeyAlgorithms' ? [] : ['old'],
  });
});

test('another complaint is not about algorithms', () => {
  expect(noCommonAlgorithm('read ECONNRESET', {}, undefined)).toBeUndefined();
});
