import { describe, expect, test } from 'vitest';
import { remotePath } from '../../src/core/remote-path.ts';
import { keysFileOf, keysFileReadings } from '../../src/remote/sshd-config.ts';

const alice = { user: 'alice', home: '/home/alice', uid: 1000 };
const MAIN = '/etc/ssh/sshd_config';

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
    ['is before Match', 'AuthorizedKeysFile a\nMatch all\nAuthorizedKeysFile b', 'a'],
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
    ['within Match', 'Match all\nInclude /etc/ssh/sshd_config.d/*.conf', undefined],
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
