import { describe, expect, test } from 'vitest';
import { remotePath } from '../../src/core/remote-path.ts';
import {
  keysFileOf as keysFileIn,
  keysFileReadings,
  type Visitor,
} from '../../src/remote/sshd-config.ts';

const alice = { user: 'alice', home: '/home/alice', uid: 1000 };
const MAIN = '/etc/ssh/sshd_config';
const visitor: Visitor = {
  user: 'alice',
  groups: ['alice', 'staff'],
  connection: ['192.0.2.7', '50000', '198.51.100.1', '2222'],
};

const keysFileOf = (
  files: ReadonlyMap<string, string>,
  account: typeof alice | Parameters<typeof keysFileIn>[1],
) => keysFileIn({ files, main: MAIN, visitor }, account);

describe('the file that the server looks for keys in', () => {
  test.each<[string, string, string | undefined]>([
    ['is not said', 'Port 22\n', undefined],
    ['is named', 'AuthorizedKeysFile .ssh/keys', '.ssh/keys'],
    ['is the first of several', 'AuthorizedKeysFile .ssh/a .ssh/b', '.ssh/a'],
    ['is named first, and again', 'AuthorizedKeysFile a\nAuthorizedKeysFile b', 'a'],
    ['is in lower case, indented, with an equals sign', '\tauthorizedkeysfile=a', 'a'],
    ['is quoted', 'AuthorizedKeysFile "a b" c', 'a b'],
    ['has a comment behind it', 'AuthorizedKeysFile a # b', 'a'],
    ['is commented out', '#AuthorizedKeysFile a', undefined],
    ['is within Match', 'Match User bob\nAuthorizedKeysFile a', undefined],
    [
      'is before a Match about others',
      'AuthorizedKeysFile a\nMatch User bob\nAuthorizedKeysFile b',
      'a',
    ],
    ['is overridden by a Match', 'AuthorizedKeysFile a\nMatch all\nAuthorizedKeysFile b', 'b'],
    [
      'is in several Matches',
      'Match User al*\nAuthorizedKeysFile a\nMatch all\nAuthorizedKeysFile b',
      'a',
    ],
    ['has tokens', 'AuthorizedKeysFile /k/%u/%U/%%', '/k/alice/1000/%'],
    ['is in the home directory by its name', 'AuthorizedKeysFile %h/.k//keys', '.k/keys'],
    ['has a token of another meaning', 'AuthorizedKeysFile /k/%x', undefined],
    ['is none', 'AuthorizedKeysFile none', undefined],
    ['leads out with a dot', 'AuthorizedKeysFile ./keys', 'keys'],
  ])('where it %s', (_, text, file) => {
    expect(keysFileOf(new Map([[MAIN, text]]), alice)).toBe(file);
  });

  test.each<[string, string, string | undefined]>([
    ['before', 'Include /etc/ssh/sshd_config.d/*.conf\nAuthorizedKeysFile main', 'early'],
    ['behind', 'AuthorizedKeysFile main\nInclude sshd_config.d/*.conf', 'main'],
    ['not at all', '', undefined],
    ['within Match', 'AuthorizedKeysFile main\nMatch all\nInclude sshd_config.d/*.conf', 'early'],
    ['within Match for others', 'Match User bob\nInclude sshd_config.d/*.conf', undefined],
    ['of another folder', 'Include /etc/ssh/other/*.conf', undefined],
  ])('counts included files in their place: %s', (_, text, file) => {
    const files = new Map([
      [MAIN, text],
      ['/etc/ssh/sshd_config.d/20.conf', 'AuthorizedKeysFile late'],
      ['/etc/ssh/sshd_config.d/10.conf', 'AuthorizedKeysFile early'],
      ['/etc/ssh/sshd_config.d/05.conf', 'Match User bob\nAuthorizedKeysFile bobs'],
    ]);
    expect(keysFileOf(files, alice)).toBe(file);
  });

  test.each<[string, boolean]>([
    ['User alice', true],
    ['User bob,al?ce', true],
    ['User a*,!alice', false],
    ['user ALICE', false],
    ['Group staff', true],
    ['Group wheel', false],
    ['User alice Group wheel', false],
    ['Address 192.0.2.0/24', true],
    ['Address *,!192.0.2.0/24', false],
    ['Address 192.0.2.*', true],
    ['Address 2001:db8::/32', false],
    ['Address nonsense/99', false],
    ['Host 192.0.2.7', true],
    ['Host *.example', false],
    ['LocalAddress 198.51.100.1', true],
    ['LocalPort 2222', true],
    ['LocalPort 22,2222', false],
    ['LocalPort 222', false],
    ['RDomain *', false],
    ['User', false],
    ['all', true],
  ])('Match %s is about the visitor: %s', (match, about) => {
    const text = `Match ${match}\nAuthorizedKeysFile keys`;
    expect(keysFileOf(new Map([[MAIN, text]]), alice)).toBe(about ? 'keys' : undefined);
  });

  test('that includes itself ends somewhere', () => {
    expect(keysFileOf(new Map([[MAIN, `Include ${MAIN}`]]), alice)).toBeUndefined();
  });

  test('needs its user number only where it says so', () => {
    const files = new Map([[MAIN, 'AuthorizedKeysFile /k/%U']]);
    expect(keysFileOf(files, { ...alice, uid: undefined })).toBeUndefined();
  });

  test('is read with the folders that lead to it', () => {
    const paths = (file: string): string[] =>
      keysFileReadings(remotePath(file)).map(({ path }) => path);
    expect(paths('.config/ssh/keys')).toEqual(['.config', '.config/ssh', '.config/ssh/keys']);
    expect(paths('/etc/ssh/k')).toEqual(['/etc', '/etc/ssh', '/etc/ssh/k']);
  });
});
