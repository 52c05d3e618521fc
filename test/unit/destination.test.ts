import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { label, parseDestination } from '../../src/core/destination.ts';
import { PrepError } from '../../src/core/problem.ts';

describe('a destination', () => {
  test.each([
    ['web1', { host: 'web1' }],
    ['alice@web1', { user: 'alice', host: 'web1' }],
    ['alice@web1:2222', { user: 'alice', host: 'web1', port: 2222 }],
    ['web1:22', { host: 'web1', port: 22 }],
    ['web1.example.org', { host: 'web1.example.org' }],
    ['my_alias', { host: 'my_alias' }],
    ['192.0.2.1:65535', { host: '192.0.2.1', port: 65535 }],
    ['alice@example.org@web1', { user: 'alice@example.org', host: 'web1' }],
    ['corp\\alice@web1', { user: 'corp\\alice', host: 'web1' }],
    ['[2001:db8::1]:2222', { host: '2001:db8::1', port: 2222 }],
    ['alice@[::1]:22', { user: 'alice', host: '::1', port: 22 }],
    ['[::1]', { host: '::1' }],
    ['::1', { host: '::1' }],
    ['alice@2001:db8::1', { user: 'alice', host: '2001:db8::1' }],
    ['2001:db8::1:22', { host: '2001:db8::1:22' }],
    ['fe80::1%eth0', { host: 'fe80::1%eth0' }],
    ['[fe80::1%eth0]:22', { host: 'fe80::1%eth0', port: 22 }],
    ['[::ffff:192.0.2.1]:22', { host: '::ffff:192.0.2.1', port: 22 }],
    ['ssh://web1', { host: 'web1' }],
    ['ssh://alice@web1:2222/', { user: 'alice', host: 'web1', port: 2222 }],
    ['SSH://web1', { host: 'web1' }],
    ['ssh://al%69ce@web1', { user: 'alice', host: 'web1' }],
    ['ssh://alice%40example.org@web1', { user: 'alice@example.org', host: 'web1' }],
    ['ssh://alice;fingerprint=ssh-dss-c1@web1', { user: 'alice', host: 'web1' }],
    ['ssh://alice@[::1]:2222', { user: 'alice', host: '::1', port: 2222 }],
  ])('%s', (text, destination) => {
    expect(parseDestination(text)).toEqual(destination);
  });

  test.each([
    ['nothing', ''],
    ['only a user', 'alice@'],
    ['an empty user', '@web1'],
    ['only a port', ':22'],
    ['white space', 'web 1'],
    ['white space in the user', 'al ice@web1'],
    ['a line feed', 'alice\n@web1'],
    ['what ssh would take for an option', '-oProxyCommand=touch x'],
    ['an option as the host', 'alice@-oProxyCommand=x'],
    ['an option as the user', '-l@web1'],
    ['a path, as scp has it', 'web1/tmp'],
    ['a URL with a path', 'ssh://web1/tmp'],
    ['a URL without a host', 'ssh://'],
    ['a URL whose user is nonsense', 'ssh://%zz@web1'],
    ['a URL whose user has a line feed', 'ssh://alice%0a@web1'],
    ['a URL whose user is an option', 'ssh://%2dl@web1'],
    ['another protocol', 'https://web1'],
    ['brackets left open', '[::1'],
    ['brackets around a name', '[web1]:22'],
    ['an address that is none', '[::zz]:22'],
    ['text after the brackets', '[::1]22'],
  ])('is not %s', (_, text) => {
    expect(problemOf(() => parseDestination(text))).toMatchObject({ code: 'bad-destination' });
  });

  test.each([
    'web1:0',
    'web1:65536',
    'web1:99999',
    'web1:22x',
    'web1:-1',
    'web1:',
    '[::1]:',
    'web1:٢٢',
  ])('%s has no port that could be', (text) => {
    expect(problemOf(() => parseDestination(text))).toMatchObject({ code: 'bad-port' });
  });
});

test('a label can be read back', () => {
  const destination = fc.record(
    {
      user: fc.stringMatching(/^[a-z][a-z@.\\_-]{0,9}$/),
      host: fc.oneof(
        fc.stringMatching(/^[a-z0-9][a-z0-9._-]{0,20}$/),
        fc.ipV6().filter((address) => address.split(':').length > 2),
      ),
      port: fc.integer({ min: 1, max: 65535 }),
    },
    { requiredKeys: ['host'] },
  );
  fc.assert(
    fc.property(destination, (wanted) => {
      expect(parseDestination(label(wanted))).toEqual(wanted);
    }),
  );
});

function problemOf(action: () => unknown): unknown {
  try {
    return action();
  } catch (error) {
    return error instanceof PrepError ? error.problem : error;
  }
}
