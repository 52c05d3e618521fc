import { rmSync, utimesSync } from 'node:fs';
import { beforeEach, expect, test } from 'vitest';
import { describeSshd } from '../support/describe-sshd.ts';
import { useSshd, type Visit } from '../support/stage.ts';

const QUICK = ['--only', 'ssh-dir,authorized-keys'];

describeSshd('the key to install', () => {
  const stage = useSshd();
  let visit: Visit;
  let key: string;
  beforeEach(() => {
    visit = stage.visit();
    key = visit.laptop.makeKey('work');
  });
  const file = (name: string) => visit.laptop.path(name);
  const prep = (...flags: string[]) => visit.prep([...QUICK, ...flags], { password: true });

  test.each([
    ['-i FILE.pub', () => file('work.pub')],
    ['-i FILE, with FILE.pub beside it', () => file('work')],
  ])('may be named as %s', async (_how, name) => {
    const run = await prep('-i', name());
    expect(run.status, run.stderr).toBe(0);
    expect(visit.authorizedKeys).toBe(`${key}\n`);
    expect(await visit.ssh('true', '-o', 'IdentitiesOnly=yes', '-i', file('work'))).toMatchObject({
      status: 0,
    });
  });

  test('may be several', async () => {
    const run = await prep(
      '-i',
      file('work'),
      '-i',
      file('.ssh/id_ed25519'),
      '-i',
      file('work.pub'),
    );
    expect(run.status, run.stderr).toBe(0);
    expect(visit.authorizedKeys).toBe(`${key}\n${visit.keyLine}`);
  });

  test.each(['ecdsa', 'rsa'] as const)('may be of type %s', async (type) => {
    const other = visit.laptop.makeKey('other', type);
    const run = await prep('-i', file('other'));
    expect(run.status, run.stderr).toBe(0);
    expect(visit.authorizedKeys).toBe(`${other}\n`);
  });

  test.each<[string, () => string, RegExp]>([
    [
      'a private key without its public half',
      () => (rmSync(file('work.pub')), file('work')),
      /is not an SSH public key but a private key/,
    ],
    [
      'garbage',
      () => (visit.laptop.write('junk', '\x00\x01junk'), file('junk')),
      /is not an SSH public key but/,
    ],
    ['an empty file', () => (visit.laptop.write('empty', ''), file('empty')), /an empty file/],
    ['no file', () => file('none'), /cannot read .*none/],
    ['a directory', () => file('.ssh'), /\.ssh/],
  ])('named as %s is one clear sentence, without a connection', async (_what, name, words) => {
    const run = await prep('-i', name());
    expect(run).toMatchObject({ status: 1, stdout: '' });
    expect(run.stderr).toMatch(/^prep: [^\n]+\n$/);
    expect(run.stderr).toMatch(words);
    expect(run.stderr).not.toContain('PRIVATE KEY-');
    expect(stage.server.connections()).toBe(0);
  });

  test('of several candidates is asked for', async () => {
    visit.laptop.makeKey('.ssh/id_rsa', 'rsa');
    const run = await visit.typing(
      QUICK,
      { prompt: /Which key/, anywhere: true, type: '\x1b[B\r' },
      visit.typesPassword(),
    );
    expect(run.status, run.screen).toBe(0);
    expect(visit.authorizedKeys.split('\n')).toHaveLength(2);
  });

  test('of several candidates is the newest under --yes', async () => {
    const rsa = visit.laptop.makeKey('.ssh/id_rsa', 'rsa');
    utimesSync(file('.ssh/id_ed25519.pub'), 1_000_000_000, 1_000_000_000);
    const run = await prep('--yes');
    expect(run.status, run.stderr).toBe(0);
    expect(visit.authorizedKeys).toBe(`${rsa}\n`);
  });

  test('of several candidates must be named where nobody can be asked', async () => {
    visit.laptop.makeKey('.ssh/id_rsa', 'rsa');
    const run = await prep();
    expect(run.status).toBe(1);
    expect(run.stderr).toMatch(/^prep: there is no terminal to ask: Which key [^\n]+--yes\n$/);
  });

  test('is missing: one sentence', async () => {
    const bare = stage.visit({ laptop: { keys: [] } });
    const run = await bare.prep([], { password: true });
    expect(run.status).toBe(1);
    expect(run.stderr).toMatch(/^prep: there is no SSH key on this machine to install; [^\n]+\n$/);
  });

  test('with a passphrase is installed, and proven once the passphrase is given', async () => {
    const locked = visit.laptop.makeKey('locked', 'ed25519', 'open sesame');
    const run = await visit.typing(['-i', file('locked'), ...QUICK], visit.typesPassword(), {
      prompt: /Enter passphrase for key '.*locked':/,
      type: 'open sesame\r',
    });
    expect(run.status, run.screen).toBe(0);
    expect(visit.authorizedKeys).toBe(`${locked}\n`);
    expect(run.screen).toContain('logged in with the key alone');
    expect(run.screen).not.toContain('sesame');
  });
});
