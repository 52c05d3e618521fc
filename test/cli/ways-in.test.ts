import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { randomPassword } from '../support/account.ts';
import { describeSshd } from '../support/describe-sshd.ts';
import { withMaster, type Mastered } from '../support/master.ts';
import { makeAccount, type TestAccount, type TestSshd } from '../support/sshd.ts';
import { ran, useSshd, type Stage, type Summary, type Visit } from '../support/stage.ts';
import type { Answer } from '../support/typist.ts';

const QUICK = ['--only', 'ssh-dir,authorized-keys'];

describeSshd('a live OpenSSH control master', () => {
  const stage = useSshd();

  test('given with -S is all the login there is; chsh gets the given password', async () => {
    const { visit, socket } = await withMaster(stage);
    const run = await visit.prep(['-S', socket], { password: true });
    expect(run.status, run.stderr).toBe(0);
    expect(visit.account.passwdShell()).toBe('/bin/zsh');
    expect(visit.authorizedKeys).toContain(visit.keyLine);
    expect(stage.server.logins()).toEqual([{ method: 'publickey', user: visit.account.name }]);
    expect(stage.server.connections()).toBe(1);
  });

  test('needs no password where nothing on the server asks for one', async () => {
    const { visit, socket } = await withMaster(stage);
    const run = await visit.prep(['-S', socket, '--no-verify', ...QUICK]);
    expect(run.status, run.stderr).toBe(0);
    expect(visit.authorizedKeys).toContain(visit.keyLine);
    expect(stage.server.connections()).toBe(0);
  });

  test('may have a name in which ssh would expand something', async () => {
    const { visit, socket } = await withMaster(stage, 'a%b%h');
    const run = await visit.prep(['-S', socket, '--no-verify', ...QUICK]);
    expect(run.status, run.stderr).toBe(0);
    expect(visit.authorizedKeys).toContain(visit.keyLine);
    expect(stage.server.connections()).toBe(0);
  });

  test('leaves one question: that of chsh', async () => {
    const { visit, socket } = await withMaster(stage);
    const run = await visit.typing(['-S', socket], visit.typesPassword());
    expect(run.status, run.screen).toBe(0);
    expect(run.typed).toHaveLength(1);
    expect(visit.account.passwdShell()).toBe('/bin/zsh');
  });

  test('is still alive afterwards', async () => {
    const { visit, socket } = await withMaster(stage);
    await visit.prep(['-S', socket, '--no-verify', ...QUICK]);
    const check = await ran('ssh', ['-S', socket, '-O', 'check', 'x'], visit.laptop.env());
    expect(check).toMatchObject({ status: 0 });
  });

  test('that the ControlPath of ssh_config names is found by itself', async () => {
    const { visit, socket } = await withMaster(stage);
    visit.laptop.write('.ssh/config', `Host *\n  ControlPath ${socket}\n`);
    const run = await visit.prep(['-v', '--no-verify', ...QUICK]);
    expect(run.status, run.stderr).toBe(0);
    expect(run.stdout + run.stderr).toContain(`working over the control master at ${socket}`);
    expect(stage.server.connections()).toBe(0);
  });

  test('carries a file that fits into no script', async () => {
    const { visit, socket } = await withMaster(stage);
    const bytes = Buffer.alloc(700_000, 0).map((_, index) => (index * 31) >> 3);
    visit.laptop.write('dots/.big', bytes);
    const dotfiles = ['--only', 'dotfiles', '--dotfiles', visit.laptop.path('dots')];
    const run = await visit.prep(['-S', socket, '--no-verify', ...dotfiles]);
    expect(run.status, run.stderr).toBe(0);
    expect(Buffer.from(visit.account.read('.big'), 'latin1').equals(bytes)).toBe(true);
  });

  test('carries a dry run, which changes nothing, and an undo', async () => {
    const { visit, socket } = await withMaster(stage);
    const before = visit.account.tree();
    const over = ['-S', socket, '--no-verify', '--skip', 'login-shell'];
    const dry = await visit.prep(['-n', ...over]);
    expect(dry.status, dry.stderr).toBe(0);
    expect(visit.account.tree()).toEqual(before);
    const run = await visit.prep(over);
    expect(run.status, run.stderr).toBe(0);
    expect(existsSync(join(visit.account.home, '.zshrc'))).toBe(true);
    const undone = await visit.prep(['undo', '-y', '-S', socket]);
    expect(undone.status, undone.stderr).toBe(0);
    expect(existsSync(join(visit.account.home, '.zshrc'))).toBe(false);
  });

  describe('that is dead', () => {
    test('and was given with -S: one sentence, at once', async () => {
      const { visit, socket, kill } = await withMaster(stage);
      await kill();
      expect(existsSync(socket)).toBe(true);
      const run = await visit.prep(['-S', socket], { password: true, timeout: 20_000 });
      expect(run).toMatchObject({ status: 1, stdout: '' });
      expect(run.stderr).toMatch(
        /^prep: \S+: no control master answers at \S+[^\n]*; start one with: ssh -M -S \S+, or leave -S away\n$/,
      );
      expect(stage.server.connections()).toBe(0);
    });

    test('and whose socket is not even there: the same', async () => {
      const visit = stage.visit();
      const run = await visit.prep(['-S', visit.laptop.path('none')], { password: true });
      expect(run.status).toBe(1);
      expect(run.stderr).toMatch(/^prep: \S+: no control master answers at [^\n]+\n$/);
    });

    test.each([
      ['a socket that nobody listens on', withDeadMaster],
      ['no socket', withoutMaster],
      ['a socket whose listener says nothing', withSilentMaster],
    ])('and stands in ssh_config, %s: logs in anew', async (_what, begin) => {
      const { visit, socket } = await begin(stage);
      visit.laptop.write('.ssh/config', `Host *\n  ControlPath ${socket}\n`);
      const run = await visit.prep(QUICK, { password: true, timeout: 20_000 });
      expect(run.status, run.stderr).toBe(0);
      expect(stage.server.logins()).toContainEqual({
        method: 'password',
        user: visit.account.name,
      });
    });
  });
});

describeSshd('jump hosts', () => {
  const stage = useSshd();
  const first = useSshd();
  const second = useSshd();
  const closed = useSshd({ config: ['AllowTcpForwarding no'] });

  /** A user whose account can be reached, and accounts on the hosts between. */
  function journey(...hops: Stage[]): { visit: Visit; hops: Hop[] } {
    const knownHosts = [stage, ...hops].map(({ server }) => server.knownHosts()).join('');
    const visit = stage.visit({ laptop: { knownHosts } });
    return { visit, hops: hops.map((hop) => hopOn(hop, stage)) };
  }

  test('each asks for its own password, under its own name, in their order', async () => {
    const { visit, hops } = journey(first, second);
    const [one, two] = hops as [Hop, Hop];
    const run = await visit.prep(['-J', `${one.name},${two.name}`, ...QUICK], {
      pty: true,
      accounts: [visit.account, one.account, two.account],
      answers: [typesAs(one.account), typesAs(two.account), typesAs(visit.account)],
    });
    expect(run.status, run.screen).toBe(0);
    expect(run.typed).toHaveLength(3);
    expect(visit.authorizedKeys).toBe(visit.keyLine);
    expect(one.server.logins()).toEqual([{ method: 'password', user: one.account.name }]);
    expect(two.server.logins()).toEqual([{ method: 'password', user: two.account.name }]);
    expect(stage.server.connections()).toBe(2);
    expect(existsSync(join(one.account.home, '.ssh'))).toBe(false);
  });

  test('let the key in without a question, and the given password is for the destination', async () => {
    const { visit, hops } = journey(first);
    hops[0]!.authorize(visit);
    const run = await visit.prep(['-J', hops[0]!.name], { password: true });
    expect(run.status, run.stderr).toBe(0);
    expect(visit.account.passwdShell()).toBe('/bin/zsh');
    expect(first.server.logins()).toEqual([{ method: 'publickey', user: hops[0]!.account.name }]);
    expect(first.server.refusals()).toBe(0);
  });

  test('ask in turn with the destination where no key can let anybody in', async () => {
    const { visit, hops } = journey(first);
    const { account, name } = hops[0]!;
    rmSync(visit.laptop.path('.ssh/id_ed25519'));
    const either: Answer = {
      prompt: /'s password: *$/,
      type: (screen) =>
        `${(screen.trimEnd().split('\n').at(-1)!.startsWith(account.name) ? account : visit.account).password}\r`,
    };
    const run = await visit.prep(['-J', name, '--no-verify', ...QUICK], {
      pty: true,
      accounts: [visit.account, account],
      answers: [either, either],
      timeout: 25_000,
    });
    expect(run.status, run.screen).toBe(0);
    expect(first.server.refusals() + stage.server.refusals()).toBe(0);
    expect(visit.authorizedKeys).toBe(visit.keyLine);
  });

  test('are never tried with the password that was given for the destination', async () => {
    const { visit, hops } = journey(first);
    const file = visit.laptop.passwordFile(visit.account.password);
    const run = await visit.prep(['-J', hops[0]!.name, '--password-file', file]);
    expect(run).toMatchObject({ status: 1, stdout: '' });
    expect(run.stderr).toMatch(/^prep: [^\n]+\n$/);
    expect(run.stderr).toContain(`${hops[0]!.account.name}@127.0.0.1's password`);
    expect(first.server.refusals()).toBe(0);
    expect(stage.server.connections()).toBe(0);
  });

  test('that stand as ProxyJump in the file of -F are gone through', async () => {
    const { visit, hops } = journey(first, second);
    hops.forEach((hop) => hop.authorize(visit));
    const config = visit.laptop.path('their_config');
    const jump = hops.map(({ name }) => name).join(',');
    const known = visit.laptop.path('.ssh/known_hosts');
    const target = `Host inner\n  HostName 127.0.0.1\n  Port ${stage.server.port}\n  ProxyJump ${jump}\n`;
    writeFileSync(config, `${target}Host *\n  UserKnownHostsFile ${known}\n`);
    const file = visit.laptop.passwordFile(visit.account.password);
    const inner = `${visit.account.name}@inner`;
    const run = await ranPrep(visit, ['-F', config, '--password-file', file, ...QUICK, inner]);
    expect(run.status, run.stderr).toBe(0);
    expect(first.server.logins()).toHaveLength(1);
    expect(second.server.logins()).toHaveLength(1);
    expect(visit.authorizedKeys).toBe(visit.keyLine);
  });

  test('have their own host keys judged, and remembered', async () => {
    const { visit, hops } = journey(first);
    hops[0]!.authorize(visit);
    visit.laptop.write('.ssh/known_hosts', stage.server.knownHosts());
    const strict = await visit.prep(['-J', hops[0]!.name, ...QUICK], { password: true });
    expect(strict.status).toBe(1);
    expect(strict.stderr).toMatch(/^prep: [^\n]+\n$/);
    expect(strict.stderr).toContain(`[127.0.0.1]:${first.server.port}`);
    expect(stage.server.connections()).toBe(0);
    const accepting = ['--host-key', 'accept-new', '-J', hops[0]!.name, ...QUICK];
    const run = await visit.prep(accepting, { password: true });
    expect(run.status, run.stderr).toBe(0);
    const known = ['-f', visit.laptop.path('.ssh/known_hosts')];
    const found = ['-F', `[127.0.0.1]:${first.server.port}`, ...known];
    expect(await ran('ssh-keygen', found, visit.laptop.env())).toMatchObject({ status: 0 });
  });

  test('let others pass where the first account cannot be reached', async () => {
    const { visit, hops } = journey(first);
    hops[0]!.authorize(visit);
    visit.authorize();
    const down = `${visit.account.name}@127.0.0.1:1`;
    const run = await visit.prep(['-J', hops[0]!.name, '--json', ...QUICK, down]);
    expect(run.status).toBe(1);
    const { accounts } = run.events.at(-1) as unknown as Summary;
    expect(accounts.map(({ status }) => status)).toEqual(['failed', 'unchanged']);
    expect(accounts[0]!.problem).toMatchObject({ code: 'cannot-connect' });
    expect(first.server.logins()).toHaveLength(1);
  });

  test('are given no longer than ConnectTimeout to reach the destination', async () => {
    const { visit, hops } = journey(first);
    hops[0]!.authorize(visit);
    const port = await silentPort(stage);
    const config = visit.laptop.path('their_config');
    const known = visit.laptop.path('.ssh/known_hosts');
    writeFileSync(config, `Host *\n  ConnectTimeout 2\n  UserKnownHostsFile ${known}\n`);
    const silent = `${visit.account.name}@127.0.0.1:${port}`;
    const run = await ranPrep(visit, ['-F', config, '-J', hops[0]!.name, '-y', ...QUICK, silent]);
    const { name } = hops[0]!.account;
    expect(run).toMatchObject({ status: 1, stdout: '' });
    expect(run.stderr).toBe(
      `prep: ${silent}: no answer from 127.0.0.1 port ${port} within 2 s (from ${name}@127.0.0.1); check the host, the port and any firewall between\n`,
    );
  });

  test('are hung up on where the retry file cannot be written in the end', async () => {
    const { visit, hops } = journey(first);
    hops[0]!.authorize(visit);
    const retry = ['--retry', '/proc/prep-retry'];
    const args = ['-J', hops[0]!.name, '-y', ...retry, ...QUICK];
    const run = await visit.prep(args, { timeout: 20_000 });
    expect(run.status).toBe(1);
    expect(run.stderr).toMatch(/^prep: cannot write the retry file [^\n]+\n$/m);
  });

  test('that forward nothing are named', async () => {
    const { visit, hops } = journey(closed);
    hops[0]!.authorize(visit);
    const run = await visit.prep(['-J', hops[0]!.name, ...QUICK], { password: true });
    expect(run.status).toBe(1);
    expect(run.stderr).toMatch(/^prep: [^\n]+\n$/);
    expect(run.stderr).toContain(
      `cannot connect to 127.0.0.1 port ${stage.server.port} (from ${hops[0]!.account.name}@127.0.0.1: `,
    );
  });

  test('whose password has expired get a new one, and the run goes on', async () => {
    const { visit, hops } = journey(first);
    const { account, name } = hops[0]!;
    account.administer('chage', '-d', '0');
    const fresh = randomPassword();
    const run = await visit.prep(['-J', name, '--no-verify', ...QUICK], {
      pty: true,
      timeout: 25_000,
      accounts: [visit.account, account, { password: fresh, home: account.home }],
      answers: [typesAs(account), ...typesTwice(fresh), typesAs(visit.account)],
    });
    expect(run.status, run.screen).toBe(0);
    expect(run.typed[1]).toContain(`New password for ${account.name}@127.0.0.1:`);
    expect(run.typed).toHaveLength(4);
    expect(hasPassword(account, fresh)).toBe(true);
    expect(visit.authorizedKeys).toBe(visit.keyLine);
  });

  test('whose password has expired keep it in a dry run, and are named', async () => {
    const { visit, hops } = journey(first);
    const { account, name } = hops[0]!;
    account.administer('chage', '-d', '0');
    const shadow = shadowOf(account);
    const run = await visit.typing(['-n', '-J', name, ...QUICK], typesAs(account));
    expect(run.status).toBe(1);
    expect(run.screen.replace(/\s+/g, ' ')).toMatch(
      /at the jump host \S+: its password must be changed .* run prep without --dry-run/,
    );
    expect(shadowOf(account)).toBe(shadow);
  });

  test('whose password is wrong are named, not the destination', async () => {
    const { visit, hops } = journey(first);
    const wrong = { ...typesAs(hops[0]!.account), type: 'wrong\r' };
    const run = await visit.typing(['-J', hops[0]!.name, ...QUICK], wrong, wrong, wrong);
    expect(run.status).toBe(1);
    const line = run.screen
      .split(/\n(?=prep: )/)
      .at(-1)!
      .replace(/\s+/g, ' ');
    expect(line).toMatch(/the password was refused 3 times/);
    expect(line).toContain(`${hops[0]!.account.name}@127.0.0.1`);
    expect(stage.server.connections()).toBe(0);
  });
});

describeSshd('ProxyCommand', () => {
  const stage = useSshd();
  const THROUGH = `bash -c 'exec 3<>/dev/tcp/%h/%p; cat <&3 & cat >&3; kill $!'`;

  /** ssh_config with a command to go through. */
  function through(command: string): { visit: Visit; args: string[] } {
    const visit = stage.visit();
    const known = visit.laptop.path('.ssh/known_hosts');
    const config = visit.laptop.path('their_config');
    writeFileSync(config, `Host *\n  ProxyCommand ${command}\n  UserKnownHostsFile ${known}\n`);
    return { visit, args: ['-F', config] };
  }

  test('is gone through, and has ended when prep has', async () => {
    const { visit, args } = through(THROUGH);
    const run = await visit.prep(args, { password: true });
    expect(run.status, run.stderr).toBe(0);
    expect(visit.account.passwdShell()).toBe('/bin/zsh');
    expect(stage.server.connections()).toBe(2);
    for (let waited = 0; running(stage.server.port) > 0 && waited < 2000; waited += 50) {
      await sleep(50);
    }
    expect(running(stage.server.port)).toBe(0);
  });

  test('that says nothing is given no longer than ConnectTimeout', async () => {
    const { visit, args } = through('sleep 1234');
    writeFileSync(args[1]!, `${readFileSync(args[1]!, 'utf8')}  ConnectTimeout 2\n`);
    const run = await visit.prep([...args, ...QUICK], { password: true, timeout: 20_000 });
    expect(run).toMatchObject({ status: 1, stdout: '' });
    expect(run.stderr).toMatch(/: no answer from 127\.0\.0\.1 port \d+ within 2 s; /);
    expect(spawnSync('pgrep', ['-f', 'sleep 1234']).status).toBe(1);
  });

  test.each([
    ['ends at once', 'false'],
    ['is not there', '/no/such/program'],
  ])('that %s: one sentence', async (_what, command) => {
    const { visit, args } = through(command);
    const run = await visit.prep([...args, ...QUICK], { password: true, timeout: 20_000 });
    expect(run).toMatchObject({ status: 1, stdout: '' });
    expect(run.stderr).toMatch(/^prep: [^\n]+; [^\n]+$/m);
    expect(run.stderr).not.toMatch(/something unexpected|^ +at /m);
  });
});

describeSshd('an expired password', () => {
  const stage = useSshd();
  const keyboard = useSshd({
    config: ['PasswordAuthentication no', 'KbdInteractiveAuthentication yes'],
  });
  const both = [
    ['in the session', () => stage],
    ['within the login', () => keyboard],
  ] as const;

  describe.each(both)('that the server has changed %s', (_where, place) => {
    function expired(): Visit {
      const visit = place().visit();
      visit.account.administer('chage', '-d', '0');
      return visit;
    }

    test('becomes that of --new-password-file, which chsh gets too', async () => {
      const visit = expired();
      const fresh = randomPassword();
      const file = visit.laptop.passwordFile(fresh);
      const run = await visit.prep(['--new-password-file', file], {
        password: true,
        accounts: [visit.account, renewed(visit, fresh)],
      });
      expect(run.status, run.stderr).toBe(0);
      expect(hasPassword(visit.account, fresh)).toBe(true);
      expect(visit.account.passwdShell()).toBe('/bin/zsh');
      expect(visit.authorizedKeys).toBe(visit.keyLine);
      expect(place().server.logins().at(-1)?.method).toBe('publickey');
    });

    test('becomes what is typed twice', async () => {
      const visit = expired();
      const fresh = randomPassword();
      const run = await visit.prep([], {
        pty: true,
        timeout: 25_000,
        accounts: [visit.account, renewed(visit, fresh)],
        answers: [visit.typesPassword(), ...typesTwice(fresh)],
      });
      expect(run.status, run.screen).toBe(0);
      expect(run.typed).toHaveLength(3);
      expect(run.typed[1]).toContain(`New password for ${visit.account.name}@127.0.0.1:`);
      expect(hasPassword(visit.account, fresh)).toBe(true);
      expect(visit.account.passwdShell()).toBe('/bin/zsh');
    });

    test("is asked for again, with the server's reason, when the new one is refused", async () => {
      const visit = expired();
      const fresh = randomPassword();
      const run = await visit.prep(QUICK, {
        pty: true,
        timeout: 25_000,
        accounts: [visit.account, renewed(visit, fresh)],
        answers: [visit.typesPassword(), ...typesTwice('short'), ...typesTwice(fresh)],
      });
      expect(run.status, run.screen).toBe(0);
      expect(run.screen).toMatch(/choose a longer password/i);
      expect(run.typed).toHaveLength(5);
      expect(hasPassword(visit.account, fresh)).toBe(true);
    });

    test("is left alone where the one given beforehand is refused, with the server's reason", async () => {
      const visit = expired();
      const file = visit.laptop.passwordFile('short');
      const run = await visit.prep(['--new-password-file', file], {
        password: true,
        timeout: 25_000,
      });
      expect(run).toMatchObject({ status: 1, stdout: '' });
      expect(run.stderr).toMatch(
        /^prep: \S+: the server demands a new password and did not take the one given \([^\n]*longer password[^\n]*\); choose another and run prep again\n$/im,
      );
      expect(hasPassword(visit.account, visit.account.password)).toBe(true);
      expect(existsSync(join(visit.account.home, '.ssh'))).toBe(false);
    });

    test('needs a new one: without a terminal, the flag for it is named', async () => {
      const visit = expired();
      const run = await visit.prep([], { password: true, timeout: 25_000 });
      expect(run).toMatchObject({ status: 1, stdout: '' });
      expect(run.stderr).toMatch(/^prep: [^\n]+--new-password-file[^\n]*\n$/m);
      expect(hasPassword(visit.account, visit.account.password)).toBe(true);
    });

    test.each([
      ['with a new one at hand', true],
      ['without', false],
    ])('is nothing that a dry run changes, %s', async (_what, given) => {
      const visit = expired();
      const [tree, shadow] = [visit.account.tree(), shadowOf(visit.account)];
      const file = visit.laptop.passwordFile(randomPassword());
      const args = given ? ['-n', '--new-password-file', file] : ['-n'];
      const run = await visit.prep(args, { password: true, timeout: 25_000 });
      expect(run).toMatchObject({ status: 1, stdout: '' });
      expect(run.stderr).toMatch(
        /^prep: \S+: its password must be changed before anything else, which a dry run does not do; run prep without --dry-run\n$/m,
      );
      expect(shadowOf(visit.account)).toBe(shadow);
      expect(visit.account.tree()).toEqual(tree);
    });
  });

  test('is asked for where the key alone let the user in', async () => {
    const visit = stage.visit();
    visit.authorize();
    visit.account.administer('chage', '-d', '0');
    const fresh = randomPassword();
    const run = await visit.prep([], {
      pty: true,
      timeout: 25_000,
      accounts: [visit.account, renewed(visit, fresh)],
      answers: [
        { prompt: /'s current password: *$/, type: `${visit.account.password}\r` },
        ...typesTwice(fresh),
      ],
    });
    expect(run.status, run.screen).toBe(0);
    expect(run.typed).toHaveLength(3);
    expect(visit.account.passwdShell()).toBe('/bin/zsh');
  });
});

describeSshd(`keyboard-interactive with a one-time code${noCodes()}`, () => {
  const codes = join(tmpdir(), `prep-test-codes-${process.pid}`);
  const stage = useSshd({
    config: ['PasswordAuthentication no', 'KbdInteractiveAuthentication yes'],
    ...(noCodes() === '' && {
      pam: [
        '@include common-auth',
        `auth required pam_oath.so usersfile=${codes} window=20 digits=6`,
        '@include common-account',
        '@include common-session',
      ],
    }),
  });
  const SEED = '3132333435363738393031323334353637383930';

  function enrolled(): Visit {
    const visit = stage.visit();
    stage.later(() => rmSync(codes, { force: true }));
    writeFileSync(codes, `HOTP ${visit.account.name} - ${SEED}\n`, { mode: 0o600 });
    return visit;
  }

  const code = (counter: number): string =>
    execFileSync('oathtool', ['-c', String(counter), SEED], { encoding: 'utf8' }).trim();
  const typesCode = (text: string): Answer => ({
    prompt: /One-time password.*: *$/,
    type: `${text}\r`,
  });

  test.skipIf(noCodes() !== '')('asks for the code once, and gives chsh the password', async () => {
    const visit = enrolled();
    const run = await visit.typing([], visit.typesPassword(), typesCode(code(0)));
    expect(run.status, run.screen).toBe(0);
    expect(run.typed).toHaveLength(2);
    expect(visit.account.passwdShell()).toBe('/bin/zsh');
  });

  test.skipIf(noCodes() !== '')(
    'fits with a password from a file: only the code is asked for',
    async () => {
      const visit = enrolled();
      const run = await visit.prep(QUICK, {
        pty: true,
        password: true,
        answers: [typesCode(code(0))],
      });
      expect(run.status, run.screen).toBe(0);
      expect(run.typed).toHaveLength(1);
    },
  );
});

/** Why no server here asks for one-time codes, for the title of what is skipped; empty where one can. */
function noCodes(): string {
  const script =
    'command -v oathtool && ls /lib/*/security/pam_oath.so && unshare --mount mount --bind /etc/pam.d/sshd /etc/pam.d/sshd';
  const { status } = spawnSync('sh', ['-c', script]);
  return status === 0 ? '' : ' (skipped: no pam_oath, or no mount namespaces)';
}

interface Hop {
  readonly server: TestSshd;
  readonly account: TestAccount;
  /** As it stands in -J. */
  readonly name: string;
  /** Lets the laptop's key in. */
  authorize(visit: Visit): void;
}

/** An account on a host on the way, gone when the test of `owner` is over. */
function hopOn({ server }: Stage, owner: Stage): Hop {
  const account = makeAccount();
  owner.later(() => account.remove());
  server.forget();
  return {
    server,
    account,
    name: `${account.name}@${server.host}:${server.port}`,
    authorize: ({ laptop }) => {
      const content = laptop.read('.ssh/id_ed25519.pub')!;
      account.write('.ssh/', { mode: 0o700 });
      account.write('.ssh/authorized_keys', { content, mode: 0o600 });
    },
  };
}

function typesAs({ name, password }: TestAccount): Answer {
  return { prompt: new RegExp(`${name}@127\\.0\\.0\\.1's password: *$`), type: `${password}\r` };
}

function typesTwice(password: string): Answer[] {
  return [
    { prompt: /New password for [^,]*: *$/, type: `${password}\r` },
    { prompt: /New password for .*, once more: *$/, type: `${password}\r` },
  ];
}

/** The account under its new password, which must leak as little as the old one. */
function renewed({ account }: Visit, password: string): Pick<TestAccount, 'password' | 'home'> {
  return { password, home: account.home };
}

async function withDeadMaster(stage: Stage): Promise<Pick<Mastered, 'visit' | 'socket'>> {
  const master = await withMaster(stage);
  await master.kill();
  return master;
}

function withoutMaster(stage: Stage): Pick<Mastered, 'visit' | 'socket'> {
  const visit = stage.visit();
  return { visit, socket: visit.laptop.path('none') };
}

async function withSilentMaster(stage: Stage): Promise<Pick<Mastered, 'visit' | 'socket'>> {
  const silent = withoutMaster(stage);
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(silent.socket, resolve));
  stage.later(() => server.close());
  return silent;
}

/** A port whose listener takes no connection, and has no place left for one to wait in. */
async function silentPort(stage: Stage): Promise<number> {
  const script = `use IO::Socket::INET; $| = 1;
my $s = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1', LocalPort => 0);
print $s->sockport, "\\n"; sleep 600`;
  const child = spawn('perl', ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  stage.later(() => child.kill('SIGKILL'));
  const port = await new Promise<number>((done) =>
    child.stdout.once('data', (text: Buffer) => done(Number(text.toString()))),
  );
  for (let connected = true; connected;) {
    const socket = connect(port, '127.0.0.1');
    stage.later(() => socket.destroy());
    connected = await Promise.race([
      new Promise<true>((done) => socket.once('connect', () => done(true))),
      sleep(500).then(() => false),
    ]);
  }
  return port;
}

/** Runs prep for a destination that is named otherwise than the visit's own. */
function ranPrep({ laptop }: Visit, args: readonly string[]): ReturnType<typeof ran> {
  return ran(process.execPath, [join(process.cwd(), 'dist/main.cjs'), ...args], laptop.env());
}

/** How many processes have `/dev/tcp/127.0.0.1/PORT` on their command line. */
function running(port: number): number {
  const lines = execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' });
  return lines.split(`/dev/tcp/127.0.0.1/${port}`).length - 1;
}

function shadowOf({ name }: TestAccount): string {
  const lines = readFileSync('/etc/shadow', 'utf8').split('\n');
  return lines.find((line) => line.startsWith(`${name}:`)) ?? '';
}

/** Whether a password is the account's, by its hash. */
function hasPassword(account: TestAccount, password: string): boolean {
  const hash = shadowOf(account).split(':')[1]!;
  const made = execFileSync(
    'perl',
    ['-e', 'chomp($p = <STDIN>); print crypt($p, $ARGV[0])', hash],
    {
      input: `${password}\n`,
      encoding: 'utf8',
    },
  );
  return made === hash;
}
