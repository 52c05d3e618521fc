import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmdirSync, rmSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { describeSshd } from '../support/describe-sshd.ts';
import { WAYS } from '../support/hardship.ts';
import { Laptop, runPrep, type PrepRun } from '../support/laptop.ts';
import { freePort } from '../support/sshd.ts';
import { useSshd, type Visit } from '../support/stage.ts';

/** One sentence on standard error, and no stack trace anywhere. */
function oneSentence(run: PrepRun): string {
  expect(run.stderr).toMatch(/^prep: [^\n]+\n$/);
  expect(run.stdout + run.stderr).not.toMatch(/^ +at |\bundefined\b|\[object/m);
  return run.stderr;
}

describe('a mistake on the command line', () => {
  let laptop: Laptop;
  beforeAll(() => {
    laptop = new Laptop();
  });
  afterAll(() => laptop.remove());

  test.each<[string, string[], RegExp]>([
    ['an unknown flag', ['--dryrun', 'web1'], /--dryrun.*did you mean --dry-run/],
    ['an unknown short flag', ['-Z', 'web1'], /no option -Z/],
    ['a flag without its value', ['web1', '-p'], /-p needs a value/],
    ['an unknown step', ['--only', 'dotfile', 'web1'], /no step "dotfile".*dotfiles/],
    ['an unknown step to skip', ['--skip', 'nonsense', 'web1'], /no step "nonsense"/],
    ['no step left', ['--only', 'zlogin', '--skip', 'zlogin', 'web1'], /no step/],
    ['no destination', [], /no destination/],
    ['no destination to undo', ['undo'], /no destination/],
    ['port 0', ['-p', '0', 'web1'], /"0" is not a port/],
    ['port 65536', ['-p', '65536', 'web1'], /"65536" is not a port/],
    ['port 65536 in the destination', ['web1:65536'], /65536/],
    ['a port that is a word', ['-p', 'ssh', 'web1'], /"ssh" is not a port/],
    ['a destination without a host', ['alice@'], /"alice@" is not a destination/],
    ['an empty destination', [''], /is not a destination/],
    [
      'a destination that ssh would take for a flag',
      ['--', '-oProxyCommand=touch X'],
      /is not a destination/,
    ],
    ['an unknown host key policy', ['--host-key', 'never', 'web1'], /ask, accept-new or strict/],
    ['a shell that is no name', ['--shell', 'zsh; rm', 'web1'], /neither the name of a shell/],
  ])('%s: exit status 2 and one sentence', async (_what, args, words) => {
    const run = await runPrep(args, { laptop });
    expect(run).toMatchObject({ status: 2, stdout: '' });
    expect(oneSentence(run)).toMatch(words);
    expect(laptop.read('X')).toBeUndefined();
  });

  test.each<[string, string[]]>([
    ['an unknown flag', ['--nonsense', 'web1', '--json']],
    ['no destination to undo', ['undo', '--json']],
    ['an unknown step', ['--json', '--only', 'nonsense', 'web1']],
  ])('%s: with --json the last line is the summary all the same', async (_what, args) => {
    const run = await runPrep(args, { laptop });
    expect(run.status).toBe(2);
    expect(run.events).toMatchObject([
      { type: 'problem', code: 'usage', exit: 2 },
      { type: 'summary', accounts: [] },
    ]);
    expect(run.stderr).toBe(`prep: ${String(run.events[0]!['text'])}\n`);
  });

  test('a broken configuration file: with --json the last line is the summary all the same', async () => {
    laptop.write('broken.json', '{ "shel": "zsh" }');
    const run = await runPrep(['--json', '--config', laptop.path('broken.json'), 'web1'], {
      laptop,
    });
    expect(run.status).toBe(2);
    expect(run.events).toMatchObject([
      { type: 'problem', code: 'bad-config' },
      { type: 'summary', accounts: [] },
    ]);
  });

  test.each([['steps'], ['run']])(
    'of prep %s: what goes to standard output is no events, even with --json',
    async (command) => {
      const run = await runPrep([command, '--json', '--nonsense'], { laptop });
      expect(run).toMatchObject({ status: 2, stdout: '' });
    },
  );
});

describe('a server that cannot be spoken to', () => {
  let laptop: Laptop;
  const servers: Server[] = [];
  beforeAll(() => {
    laptop = new Laptop();
  });
  afterAll(() => {
    laptop.remove();
    servers.forEach((server) => server.close());
  });
  const listening = async (server: Server): Promise<number> => {
    servers.push(server);
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    return (server.address() as AddressInfo).port;
  };
  const prep = async (destination: string): Promise<string> => {
    const run = await runPrep([destination], { laptop, env: { PREP_PASSWORD: 'not needed' } });
    expect(run).toMatchObject({ status: 1, stdout: '' });
    const sentence = oneSentence(run);
    expect(sentence).toContain(destination);
    return sentence;
  };

  test('does not resolve', async () => {
    expect(await prep('alice@no-such-host.invalid')).toMatch(
      /there is no host named no-such-host\.invalid; check the name/,
    );
  });

  test('refuses the connection', async () => {
    const port = await freePort();
    expect(await prep(`alice@127.0.0.1:${port}`)).toContain(
      `cannot connect to 127.0.0.1 port ${port}`,
    );
  });

  test('says nothing for 10 seconds', async () => {
    const port = await listening(createServer((socket) => socket.on('error', () => undefined)));
    const start = Date.now();
    expect(await prep(`alice@127.0.0.1:${port}`)).toContain('within 10 s');
    expect(Date.now() - start).toBeGreaterThan(9_500);
    expect(Date.now() - start).toBeLessThan(15_000);
  });

  test('speaks HTTP', async () => {
    const port = await listening(createHttpServer((_, response) => response.end('hello')));
    expect(await prep(`alice@127.0.0.1:${port}`)).toMatch(/is not an SSH server.*check the port/);
  });

  test('speaks another protocol first', async () => {
    const port = await listening(
      createServer((socket) => socket.end('220 mail.example ESMTP\r\n')),
    );
    expect(await prep(`alice@127.0.0.1:${port}`)).toMatch(
      /is not an SSH server.*220 mail\.example/,
    );
  });

  test('hangs up at once', async () => {
    const port = await listening(createServer((socket) => socket.destroy()));
    expect(await prep(`alice@127.0.0.1:${port}`)).toMatch(/127\.0\.0\.1/);
  });
});

describeSshd('an account that cannot be prepared', () => {
  const stage = useSshd();
  let visit: Visit;
  beforeEach(() => {
    visit = stage.visit();
  });
  const fails = async (): Promise<string> => {
    const run = await visit.prep([], { password: true });
    expect(run).toMatchObject({ status: 1, stdout: '' });
    return oneSentence(run);
  };

  test('is locked', async () => {
    visit.account.administer('usermod', '-L');
    expect(await fails()).toMatch(/the password was refused.*locked/);
  });

  test('has expired', async () => {
    visit.account.administer('chage', '-E', '0');
    const run = await visit.prep([], { password: true });
    expect(run.status).toBe(1);
    expect(run.stderr).toMatch(/^Your account has expired[^\n]*\nprep: [^\n]+\n$/);
  });

  test('has nologin as its shell', async () => {
    visit.account.administer('usermod', '-s', '/usr/sbin/nologin');
    expect(await fails()).toMatch(
      /logged in, but the account runs no commands \(it said "This account is currently not available\."\)/,
    );
  });

  test('has a shell that is not there', async () => {
    visit.account.administer('usermod', '-s', '/bin/nosuchshell');
    await fails();
  });

  test('has no home directory', async () => {
    rmSync(visit.account.home, { recursive: true });
    expect(await fails()).toContain(`the home directory ${visit.account.home} does not exist`);
  });
});

/** Containers often forbid it, even to root. */
function canMount(): boolean {
  const folder = mkdtempSync(join(tmpdir(), 'prep-mount-'));
  const { status } = spawnSync('mount', ['-t', 'tmpfs', 'none', folder]);
  if (status === 0) execFileSync('umount', [folder]);
  rmdirSync(folder);
  return status === 0;
}

[
  ...WAYS,
  { name: 'over a shell without SFTP', server: { sftp: 'none' } as const },
  {
    name: 'over a shell on the only channel',
    server: { sftp: 'none', config: ['MaxSessions 1'] } as const,
  },
].forEach((way) =>
  describeSshd(`${way.name}, a home that cannot be written`, () => {
    const stage = useSshd(way.server);
    let visit: Visit;
    const OLD = '# key\n'.repeat(600);
    beforeEach(() => {
      visit = stage.visit();
    });
    const mountable = canMount();
    const mount = (...options: string[]): void => {
      const { home, uid, gid } = visit.account;
      execFileSync('mount', ['-t', 'tmpfs', ...options, 'none', home]);
      stage.later(() => execFileSync('umount', ['-l', home]));
      execFileSync('chown', [`${uid}:${gid}`, home]);
      execFileSync('chmod', ['755', home]);
      visit.account.write('.ssh/', { mode: 0o700 });
      visit.account.write('.ssh/authorized_keys', { content: OLD, mode: 0o600 });
    };

    test.skipIf(!mountable)('because the disk is full', async () => {
      mount('-o', 'size=64k');
      const { account, laptop } = visit;
      execFileSync('sh', [
        '-c',
        'dd if=/dev/zero of="$1" bs=4k 2>/dev/null || :',
        'sh',
        join(account.home, 'filler'),
      ]);
      laptop.write('.zshrc', 'x'.repeat(50_000));
      const run = await visit.prep([], { password: true });
      expect(run.status).toBe(1);
      expect(run.stderr).toMatch(/no space left .*free some space/i);
      expect(run.stderr).not.toMatch(/^ +at /m);
      expect(account.read('.ssh/authorized_keys')).toBe(OLD);
      expect(Object.keys(account.tree()).filter((name) => name.includes('.prep-'))).toEqual([]);
      expect(account.passwdShell()).toBe('/bin/bash');
    });

    test.skipIf(!mountable).each([
      ['text', 'x'],
      ['no text', '\0'],
    ])('because the disk fills up while %s is written', async (_, content) => {
      mount('-o', 'size=64k');
      const { account, laptop } = visit;
      laptop.write('.zshrc', content.repeat(70_000));
      const run = await visit.prep([], { password: true });
      expect(run.status).toBe(1);
      expect(run.stderr).toMatch(/\.zshrc could not be written: no space left/i);
      expect(account.read('.ssh/authorized_keys').startsWith(OLD)).toBe(true);
      expect(account.tree()['.zshrc']).toBeUndefined();
      expect(Object.keys(account.tree()).filter((name) => name.includes('.prep-'))).toEqual([]);
    });

    test.skipIf(!mountable)('because it is mounted read-only', async () => {
      mount();
      const { account } = visit;
      execFileSync('mount', ['-o', 'remount,ro', account.home]);
      const before = account.tree();
      const run = await visit.prep([], { password: true });
      expect(run.status).toBe(1);
      expect(run.stderr).toMatch(/read-only|may not be written/i);
      expect(run.stderr).not.toMatch(/^ +at /m);
      expect(account.tree()).toEqual(before);
    });

    test('because it belongs to somebody else', async () => {
      const { account } = visit;
      execFileSync('chown', ['-R', 'root:root', account.home]);
      const before = account.tree();
      const run = await visit.prep([], { password: true });
      expect(run.status).toBe(1);
      expect(run.stderr).toMatch(/blocked/);
      expect(run.stderr).not.toMatch(/^ +at /m);
      expect(account.tree()).toEqual(before);
    });
  }),
);

describeSshd('a server that takes no password', () => {
  const stage = useSshd({ config: ['PasswordAuthentication no'] });

  test('and does not know the key: says which key, and who can help', async () => {
    const visit = stage.visit();
    const run = await visit.prep([], { password: true });
    expect(run.status).toBe(1);
    expect(oneSentence(run)).toMatch(
      /lets nobody in without a key, and does not know SHA256:\S+; ask its administrator to add your public key/,
    );
  });

  test('asks for none where there is no key to try either', async () => {
    const visit = stage.visit();
    rmSync(visit.laptop.path('.ssh/id_ed25519'));
    const run = await visit.typing(['-i', visit.laptop.path('.ssh/id_ed25519.pub')]);
    expect(run).toMatchObject({ status: 1, typed: [] });
    expect(run.screen.replace(/\s+/g, ' ')).toMatch(
      /lets nobody in without a key, and there is none to offer; ask its/,
    );
    expect(run.terminal).toEqual({ echo: true, lines: true, cursor: true });
  });

  test('but knows the key, is prepared all the same', async () => {
    const visit = stage.visit();
    visit.authorize();
    const run = await visit.prep(['--skip', 'login-shell']);
    expect(run.status, run.stderr).toBe(0);
    expect(visit.account.tree()['.zshrc']).toBeDefined();
  });
});
