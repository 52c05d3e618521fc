import { describe, expect, test } from 'vitest';
import type { Problem } from '../../src/core/problem.ts';
import type { Settings } from '../../src/ssh/settings.ts';
import { isLoggingIn, loggedIn, offers, refusedChannel, whyNot } from '../../src/ssh/ssh-log.ts';

const SETTINGS = {
  address: 'web1.example.org',
  port: 2222,
  connectTimeout: 10_000,
  knownHosts: ['/home/me/.ssh/known_hosts'],
} as unknown as Settings;

const BEGUN = `OpenSSH_9.2p1 Debian-2+deb12u10, OpenSSL 3.0.19 27 Jan 2026\r
debug1: Connecting to web1.example.org [10.0.0.1] port 2222.\r
debug1: Connection established.\r
`;
const KEY = 'debug1: Server host key: ssh-ed25519 SHA256:FEuigcQsBQTHCft\r\n';
const LOGGING_IN = `${BEGUN}${KEY}debug1: SSH2_MSG_SERVICE_ACCEPT received\r\n`;
const place = { host: 'web1.example.org', port: 2222 };
const hostKey = { keyType: 'ED25519', fingerprint: 'SHA256:FEuigcQsBQTHCft' };

describe('why ssh gave up', () => {
  test.each<readonly [log: string, problem: Problem]>([
    [
      'ssh: Could not resolve hostname web1.example.org: Name or service not known\r\n',
      { code: 'cannot-resolve', host: 'web1.example.org' },
    ],
    [
      `${BEGUN}ssh: connect to host web1.example.org port 2222: Connection refused\r\n`,
      { code: 'cannot-connect', ...place, cause: 'connection refused' },
    ],
    [
      `${BEGUN}ssh: connect to host web1.example.org port 2222: Connection timed out\r\n`,
      { code: 'no-answer', ...place, seconds: 10 },
    ],
    [
      `${BEGUN}Connection timed out during banner exchange\r\nConnection to 10.0.0.1 port 2222 timed out\r\n`,
      { code: 'no-answer', ...place, seconds: 10 },
    ],
    [
      `${BEGUN}kex_exchange_identification: banner line contains invalid characters\r\nbanner exchange: Connection to 10.0.0.1 port 2222: invalid format\r\n`,
      { code: 'not-ssh', ...place, said: '' },
    ],
    [
      `${BEGUN}kex_exchange_identification: Connection closed by remote host\r\nConnection closed by 10.0.0.1 port 2222\r\n`,
      { code: 'hung-up', during: 'the greeting', said: '' },
    ],
    [
      `${BEGUN}Unable to negotiate with 10.0.0.1 port 2222: no matching key exchange method found. Their offer: diffie-hellman-group1-sha1\r\n`,
      {
        code: 'no-common-algorithm',
        what: 'key exchange',
        offers: ['diffie-hellman-group1-sha1'],
        setting: 'KexAlgorithms',
        limits: false,
      },
    ],
    [
      `${BEGUN}${KEY}No ED25519 host key is known for [web1.example.org]:2222 and you have requested strict checking.\r\nHost key verification failed.\r\n`,
      {
        code: 'host-key-unknown',
        ...hostKey,
        host: '[web1.example.org]:2222',
        file: '/home/me/.ssh/known_hosts',
      },
    ],
    [
      `${BEGUN}${KEY}@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\r\nOffending ED25519 key in /home/me/.ssh/known_hosts:14\r\nHost key for [web1.example.org]:2222 has changed and you have requested strict checking.\r\nHost key verification failed.\r\n`,
      {
        code: 'host-key-changed',
        ...hostKey,
        host: '[web1.example.org]:2222',
        file: '/home/me/.ssh/known_hosts',
        line: 14,
      },
    ],
    [
      `${LOGGING_IN}Received disconnect from 10.0.0.1 port 2222:2: Too many authentication failures\r\nDisconnected from 10.0.0.1 port 2222\r\n`,
      { code: 'hung-up', during: 'login', said: 'Too many authentication failures' },
    ],
    [
      `${BEGUN}Connection reset by 10.0.0.1 port 2222\r\n`,
      { code: 'hung-up', during: 'the key exchange', said: '' },
    ],
    [
      '/home/me/.ssh/config: line 3: Bad configuration option: \u001b[2Jfoo\r\n',
      {
        code: 'openssh-failed',
        said: '/home/me/.ssh/config: line 3: Bad configuration option: \\x1b[2Jfoo',
      },
    ],
  ])('%j', (log, problem) => {
    expect(whyNot(log, '', SETTINGS)).toEqual(problem);
  });

  test('is for the caller to say where the login was refused', () => {
    const log = `${LOGGING_IN}alice@web1: Permission denied (publickey,password).\r\n`;
    expect(whyNot(log, '', SETTINGS)).toBeUndefined();
    expect(offers(log)).toEqual(['publickey', 'password']);
  });

  test('is what its proxy said where it said nothing itself', () => {
    expect(whyNot(BEGUN, 'nc: no such proxy\n', SETTINGS)).toEqual({
      code: 'openssh-failed',
      said: 'nc: no such proxy',
    });
  });
});

describe('how ssh was let in', () => {
  const accepts = (type: string): string =>
    `debug1: Server accepts key: /home/me/.ssh/id ${type} SHA256:abc explicit agent\r\n`;
  const by = (method: string): string =>
    `${LOGGING_IN}Authenticated to web1 ([10.0.0.1]:2222) using "${method}".\r\n`;

  test.each([
    [by('password'), { method: 'password' }],
    [`${accepts('ED25519')}${by('publickey')}`, { method: 'publickey', key: 'SHA256:abc' }],
    [`${accepts('ED25519-CERT')}${by('publickey')}`, { method: 'publickey' }],
    [LOGGING_IN, { method: 'none' }],
  ])('%j', (log, how) => {
    expect(loggedIn(log)).toEqual(how);
  });

  test('begins where the server lets it ask', () => {
    expect(isLoggingIn(BEGUN)).toBe(false);
    expect(isLoggingIn(LOGGING_IN)).toBe(true);
  });
});

test('a channel that the server refused is told by its last reason', () => {
  const refused = 'channel 2: open failed: administratively prohibited: open failed\r\n';
  expect(refusedChannel(`${LOGGING_IN}${refused}`)).toBe('administratively prohibited');
  expect(refusedChannel('channel 1: open failed: connect failed: Connection refused\r\n')).toBe(
    'connect failed: Connection refused',
  );
  expect(refusedChannel(LOGGING_IN)).toBeUndefined();
});
