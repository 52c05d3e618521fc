import { describe, expect, test } from 'vitest';
import { explain, PrepError, problemOf, type Problem } from '../../src/core/problem.ts';

/** Text as an enemy would send it. */
const BAD = 'x\u001b[31m\r\n\u009b2J\u202ey';

type Samples = { readonly [Code in Problem['code']]: Problem & { readonly code: Code } };

const hostKey = { host: BAD, keyType: 'ED25519', fingerprint: 'SHA256:abc', file: BAD, line: 14 };
const place = { host: BAD, port: 22 };

/** One of each; the compiler counts. */
const SAMPLES: Samples = {
  usage: { code: 'usage', text: BAD },
  'bad-destination': { code: 'bad-destination', text: BAD },
  'bad-port': { code: 'bad-port', text: BAD },
  'bad-hosts-line': { code: 'bad-hosts-line', cause: BAD, action: BAD },
  'in-hosts-file': {
    code: 'in-hosts-file',
    file: BAD,
    where: 'line 3',
    problem: { code: 'bad-port', text: BAD },
  },
  'bad-config': { code: 'bad-config', file: BAD, where: BAD, cause: BAD },
  'config-exists': { code: 'config-exists', file: BAD },
  'command-failed': { code: 'command-failed', command: BAD, status: 100, said: BAD },
  'cannot-read': { code: 'cannot-read', file: BAD, what: 'password file', cause: BAD },
  'cannot-write': { code: 'cannot-write', file: BAD, what: 'known_hosts file', cause: BAD },
  'not-a-public-key': { code: 'not-a-public-key', file: BAD, found: BAD },
  'no-key': { code: 'no-key' },
  'key-exists': { code: 'key-exists', file: BAD },
  'cannot-make-key': { code: 'cannot-make-key', cause: BAD },
  'not-private': { code: 'not-private', folder: BAD, found: BAD },
  'no-socket-folder': { code: 'no-socket-folder', folder: BAD },
  'name-taken': { code: 'name-taken', name: BAD, file: BAD, line: 3 },
  'needs-an-answer': { code: 'needs-an-answer', question: BAD, flag: 'run it with --yes' },
  'no-answer-given': { code: 'no-answer-given', question: BAD },
  interrupted: { code: 'interrupted' },
  'cannot-resolve': { code: 'cannot-resolve', host: BAD },
  'cannot-connect': { code: 'cannot-connect', ...place, cause: BAD },
  'no-answer': { code: 'no-answer', ...place, seconds: 10 },
  'not-ssh': { code: 'not-ssh', ...place, said: BAD },
  'algorithms-unsupported': {
    code: 'algorithms-unsupported',
    setting: 'Ciphers',
    known: ['aes128-ctr'],
  },
  'no-common-algorithm': {
    code: 'no-common-algorithm',
    what: 'cipher',
    offers: [BAD],
    setting: 'Ciphers',
    limits: false,
  },
  'host-key-unknown': { code: 'host-key-unknown', ...hostKey },
  'host-key-declined': { code: 'host-key-declined', host: BAD },
  'host-key-changed': { code: 'host-key-changed', ...hostKey },
  'host-key-revoked': { code: 'host-key-revoked', ...hostKey },
  'master-dead': { code: 'master-dead', socket: '/tmp/cm', said: 'No such file or directory' },
  'nothing-open': { code: 'nothing-open' },
  'jump-host': {
    code: 'jump-host',
    hop: 'alice@gate',
    problem: { code: 'wrong-password', tries: 3 },
  },
  'login-ruled-out': { code: 'login-ruled-out', methods: ['password'], keyTried: true },
  'password-expired': { code: 'password-expired' },
  'new-password-refused': { code: 'new-password-refused', said: BAD },
  'wrong-password': { code: 'wrong-password', tries: 3 },
  'password-not-offered': {
    code: 'password-not-offered',
    offers: [BAD],
    accepted: [],
    keys: [BAD],
  },
  'answers-refused': { code: 'answers-refused', tries: 3 },
  'login-cut-off': { code: 'login-cut-off', said: BAD },
  'key-not-enough': { code: 'key-not-enough', wants: BAD },
  'hung-up': { code: 'hung-up', during: 'login', said: BAD },
  'no-checksums': { code: 'no-checksums' },
  'no-openssh': { code: 'no-openssh', wanted: BAD },
  'openssh-failed': { code: 'openssh-failed', said: BAD },
  'no-shell': { code: 'no-shell', said: BAD },
  'home-missing': { code: 'home-missing', home: BAD },
  'no-answer-from-shell': { code: 'no-answer-from-shell', seconds: 30 },
  busy: { code: 'busy', since: BAD, process: BAD, host: BAD },
  'connection-lost': { code: 'connection-lost', certain: 3, uncertain: 2 },
  stale: { code: 'stale', path: BAD, found: BAD },
  'disk-full': { code: 'disk-full', path: BAD, said: BAD },
  'not-writable': { code: 'not-writable', path: BAD, said: BAD },
  'write-failed': { code: 'write-failed', path: BAD, said: BAD },
  'shell-does-not-start': { code: 'shell-does-not-start', shell: BAD, said: BAD },
  'chsh-refused': { code: 'chsh-refused', tool: 'chsh', said: BAD },
  'chsh-wrong-password': { code: 'chsh-wrong-password', tool: 'chsh' },
  'not-tried': { code: 'not-tried', because: BAD },
  'not-as-predicted': { code: 'not-as-predicted', paths: [BAD] },
  'key-refused': { code: 'key-refused', because: BAD },
  unexpected: { code: 'unexpected', cause: BAD },
};

const EXIT: Partial<Record<Problem['code'], 2 | 130>> = {
  usage: 2,
  'bad-destination': 2,
  'bad-port': 2,
  'bad-hosts-line': 2,
  'in-hosts-file': 2,
  'bad-config': 2,
  interrupted: 130,
};

describe('explain', () => {
  test.each(Object.values(SAMPLES).map((problem) => [problem.code, problem] as const))(
    '%s',
    (code, problem) => {
      const { sentence, exit } = explain(problem);
      expect(sentence).not.toMatch(/[\p{Cc}\p{Cf}\u2028\u2029]/u);
      expect(sentence, 'no full stop: the account stands before it').toMatch(/[^.;,: ]$/);
      expect(sentence, 'what to do next').toContain('; ');
      expect(sentence.length).toBeLessThan(400);
      expect(exit).toBe(EXIT[code] ?? 1);
    },
  );

  test.each([
    [{ code: 'wrong-password', tries: 1 }, 'the password was refused once'],
    [
      { code: 'no-shell', said: '' },
      'logged in, but the account runs no commands; ask its administrator',
    ],
    [
      { code: 'not-ssh', host: 'web1', port: 80, said: '' },
      'on web1 port 80 is not an SSH server;',
    ],
    [
      { code: 'host-key-changed', ...hostKey, host: '[web1]:2222', file: '/k' },
      "-f /k -R '[web1]:2222'",
    ],
    [{ code: 'password-not-offered', offers: [], accepted: [], keys: [] }, '(it offers nothing);'],
  ] as const)('%j', (problem, part) => {
    expect(explain(problem as Problem).sentence).toContain(part);
  });
});

describe('problemOf', () => {
  test('keeps ours, wraps the rest', () => {
    const ours = new PrepError({ code: 'no-key' }, new Error('cause'));
    expect(problemOf(ours)).toEqual({ code: 'no-key' });
    expect(ours.cause).toBeInstanceOf(Error);
    expect(problemOf(new TypeError('oops'))).toEqual({ code: 'unexpected', cause: 'oops' });
    expect(problemOf('text')).toEqual({ code: 'unexpected', cause: 'text' });
  });
});
