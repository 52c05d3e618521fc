import { describe, expect, test } from 'vitest';
import { chooseTransport, dependsOnTicket, type TransportChoice } from '../../src/run/transport.ts';

const PLAIN: TransportChoice = {
  wanted: 'auto',
  opensshOnly: [],
  keyType: 'ssh-ed25519',
  ticket: false,
};

describe('who speaks SSH', () => {
  test.each<readonly [string, Partial<TransportChoice>, 'ssh2' | 'openssh', readonly string[]]>([
    ['nothing special', {}, 'ssh2', []],
    ['no key at all', { keyType: undefined }, 'ssh2', []],
    ['a certificate', { opensshOnly: ['CertificateFile'] }, 'openssh', ['CertificateFile']],
    ['a smart card', { opensshOnly: ['PKCS11Provider'] }, 'openssh', ['PKCS11Provider']],
    [
      'a security key to install',
      { keyType: 'sk-ssh-ed25519@openssh.com' },
      'openssh',
      ['a security key (sk-ssh-ed25519@openssh.com)'],
    ],
    [
      'a security key in ssh_config',
      { opensshOnly: ['IdentityFile /home/me/.ssh/id_sk'] },
      'openssh',
      ['IdentityFile /home/me/.ssh/id_sk'],
    ],
    ['GSSAPI without a ticket', { opensshOnly: ['GSSAPIAuthentication'] }, 'ssh2', []],
    [
      'GSSAPI with a ticket',
      { opensshOnly: ['GSSAPIAuthentication'], ticket: true },
      'openssh',
      ['GSSAPIAuthentication'],
    ],
    [
      'GSSAPI preferred, but no ticket',
      { opensshOnly: ['PreferredAuthentications gssapi-with-mic'] },
      'ssh2',
      [],
    ],
    [
      'GSSAPI without a ticket, and a certificate',
      { opensshOnly: ['CertificateFile', 'GSSAPIAuthentication'] },
      'openssh',
      ['CertificateFile'],
    ],
    [
      'the host vouches for the user',
      { opensshOnly: ['PreferredAuthentications hostbased'] },
      'openssh',
      ['PreferredAuthentications hostbased'],
    ],
    ['the host may vouch for the user', { opensshOnly: ['HostbasedAuthentication'] }, 'ssh2', []],
    [
      'ssh2 insisted on',
      { wanted: 'ssh2', opensshOnly: ['CertificateFile'], ticket: true },
      'ssh2',
      [],
    ],
    ['OpenSSH insisted on', { wanted: 'openssh' }, 'openssh', []],
  ])('%s', (_what, choice, speaker, because) => {
    expect(chooseTransport({ ...PLAIN, ...choice })).toEqual({ speaker, because });
  });

  test('depends on a ticket only where GSSAPI was asked for and nobody insists', () => {
    const opensshOnly = ['GSSAPIAuthentication'];
    expect(dependsOnTicket({ wanted: 'auto', opensshOnly })).toBe(true);
    expect(dependsOnTicket({ wanted: 'ssh2', opensshOnly })).toBe(false);
    expect(dependsOnTicket({ wanted: 'auto', opensshOnly: ['CertificateFile'] })).toBe(false);
  });
});
