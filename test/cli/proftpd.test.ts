import { existsSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { noProftpd, startProftpd, type Proftpd } from '../support/proftpd.ts';
import { statusesOf, useSshd, type Visit } from '../support/stage.ts';

const why = noProftpd === undefined ? '' : ` (skipped: ${noProftpd})`;

describe.skipIf(noProftpd !== undefined)(`an account that ProFTPD lets in${why}`, () => {
  const stage = useSshd();
  let server: Proftpd;
  beforeAll(async () => {
    server = await startProftpd();
  });
  afterAll(() => server?.stop());

  /** It keeps public keys in a format and a place of its own, so that none is tried. */
  const FLAGS = ['--host-key', 'accept-new', '--no-verify', '--yes', '--json'];
  const visiting = (): Visit => {
    const visit = stage.visit();
    visit.port = server.port;
    return visit;
  };
  const nameless = (visit: Visit): string[] =>
    Object.keys(visit.account.tree()).filter((name) => !/^\.local|^\.ssh/.test(name));
  const lockOf = (visit: Visit): string => join(visit.account.home, '.local/state/prep/lock');

  test('gets its links the right way round, though the server does not call itself OpenSSH', async () => {
    const visit = visiting();
    const found = nameless(visit);
    const run = await visit.prep(FLAGS, { password: true });
    expect(statusesOf(run)).toMatchObject({
      'authorized-keys': 'changed',
      dotfiles: 'changed',
      zlogin: 'changed',
    });
    expect(readlinkSync(join(visit.account.home, '.zlogin'))).toBe('.zshenv');
    expect(visit.authorizedKeys).toBe(visit.keyLine);
    expect(() => readlinkSync(lockOf(visit))).toThrow('ENOENT');
    const again = await visit.prep(FLAGS, { password: true });
    expect(statusesOf(again)).toMatchObject({ dotfiles: 'unchanged', zlogin: 'unchanged' });
    const back = await visit.prep(['undo', '--yes'], { password: true });
    expect(back.status, back.stderr).toBe(0);
    expect(nameless(visit)).toEqual(found);
    expect(() => readlinkSync(lockOf(visit))).toThrow('ENOENT');
  });

  test('loses nothing where a link would replace a file, and its rename moves what the link leads to', async () => {
    const visit = visiting();
    visit.account.write('.zlogin', 'mine\n');
    visit.account.write('.zshenv', 'mine as well\n');
    const run = await visit.prep([...FLAGS, '--only', 'zlogin'], { password: true });
    expect(statusesOf(run)).toEqual({ zlogin: 'failed' });
    expect(run.stderr).toContain('its SFTP server follows links where it replaces files');
    expect(visit.account.read('.zlogin')).toBe('mine\n');
    expect(visit.account.read('.zshenv')).toBe('mine as well\n');
    expect(existsSync(join(visit.account.home, '.local/state/prep/link'))).toBe(false);
  });

  test('keeps the file that a link leads to, where a dotfile would replace the link', async () => {
    const visit = visiting();
    visit.account.write('theirs', 'theirs\n');
    visit.account.write('.zshrc', { link: 'theirs' });
    const run = await visit.prep([...FLAGS, '--only', 'dotfiles'], { password: true });
    expect(run.stderr).toContain('its SFTP server follows links where it replaces files');
    expect(visit.account.read('theirs')).toBe('theirs\n');
    expect(readlinkSync(join(visit.account.home, '.zshrc'))).toBe('theirs');
  });
});
