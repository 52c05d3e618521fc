import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { startAgent } from '../support/agent.ts';
import { describeSshd } from '../support/describe-sshd.ts';
import { runPrep, type Answer, type PrepOptions, type PrepRun } from '../support/laptop.ts';
import { startProxy } from '../support/proxy.ts';
import { makeAccount, type TestAccount } from '../support/sshd.ts';
import { useSshd, type Stage, type Summary, type Visit } from '../support/stage.ts';

/** One user with several accounts. */
class Tour {
  readonly visit: Visit;
  readonly accounts: readonly TestAccount[];

  /** The accounts share a password if `samePassword`. */
  constructor(stage: Stage, count: number, samePassword = false) {
    this.visit = stage.visit();
    const options = samePassword ? { password: this.password } : {};
    const others = Array.from({ length: count - 1 }, () => makeAccount(options));
    for (const account of others) stage.later(() => account.remove());
    this.accounts = [this.visit.account, ...others];
  }

  get password(): string {
    return this.visit.account.password;
  }

  /** The destination of an account, as typed. */
  at(index: number, port = this.visit.server.port): string {
    return `${this.accounts[index]!.name}@127.0.0.1:${port}`;
  }

  get all(): string[] {
    return this.accounts.map((_, index) => this.at(index));
  }

  /** Lets the laptop's key in everywhere. */
  authorize(...indices: readonly number[]): void {
    const key = this.visit.laptop.read('.ssh/id_ed25519.pub')!;
    for (const index of indices) {
      this.accounts[index]!.write('.ssh/', { mode: 0o700 });
      this.accounts[index]!.write('.ssh/authorized_keys', { content: key, mode: 0o600 });
    }
  }

  prep(args: readonly string[], options: Partial<PrepOptions> = {}): Promise<PrepRun> {
    return runPrep(args, { laptop: this.visit.laptop, accounts: this.accounts, ...options });
  }

  typing(args: readonly string[], ...answers: readonly Answer[]): Promise<PrepRun> {
    return this.prep(args, { pty: true, answers, timeout: 40_000 });
  }

  types(index: number, password = this.accounts[index]!.password): Answer {
    return { prompt: asks(this.accounts[index]!), type: `${password}\r` };
  }

  file(name: string, ...lines: readonly string[]): string {
    const file = `${this.visit.laptop.home}/../${name}`;
    writeFileSync(file, lines.map((line) => `${line}\n`).join(''));
    return file;
  }
}

function asks(account: TestAccount): RegExp {
  return new RegExp(`${account.name}@127\\.0\\.0\\.1's password: *$`);
}

function summaryOf(run: PrepRun): Summary['accounts'] {
  return (run.events.at(-1) as unknown as Summary).accounts;
}

/** Waits until the account runs nothing any more: what the server was told, it does to the end. */
async function quiet(uid: number): Promise<void> {
  while (spawnSync('pgrep', ['-u', String(uid)]).status === 0) await sleep(50);
}

const READY = /^(changed|unchanged)$/;

describeSshd('many accounts', () => {
  const stage = useSshd();

  test('one failure stops no other; the table tells of each, the exit status is the worst', async () => {
    const tour = new Tour(stage, 3);
    tour.authorize(0, 2);
    const skip = ['--skip', 'login-shell'];
    await tour.prep([tour.at(2), '--no-verify', ...skip], {
      env: { PREP_PASSWORD: tour.accounts[2]!.password },
    });
    const closed = `nobody@127.0.0.1:1`;
    const run = await tour.prep([tour.at(0), tour.at(1), closed, tour.at(2), ...skip], {
      env: { PREP_PASSWORD: 'not this one' },
    });
    expect(run.status).toBe(1);
    const table = run.stdout
      .split('\n')
      .slice(-6, -1)
      .map((line) => line.replace(/ +/g, ' '));
    expect(table[0]).toMatch(
      new RegExp(`^ ${tour.at(0)} changed \\d+ changes, logged in with the key$`),
    );
    expect(table[1]).toMatch(new RegExp(`^ ${tour.at(1)} failed the password was refused once; `));
    expect(table[2]).toMatch(
      /^ nobody@127\.0\.0\.1:1 failed cannot connect to 127\.0\.0\.1 port 1 /,
    );
    expect(table[3]).toMatch(new RegExp(`^ ${tour.at(2)} unchanged$`));
    expect(table[4]).toBe('4 accounts: 1 changed, 1 unchanged, 2 failed');
    expect(run.stderr).toContain(`prep: ${tour.at(1)}: the password was refused`);
    expect(run.stderr).toContain('prep: nobody@127.0.0.1:1: cannot connect');
  });

  test('--json carries the destination in every event, and all accounts in the order given', async () => {
    const tour = new Tour(stage, 3, true);
    const args = ['--json', '--hosts', '-', 'nobody@127.0.0.1:1', tour.at(2)];
    const stdin = `# mine\n\n${tour.at(1)} --only ssh-dir,authorized-keys\n${tour.at(2)}\n${tour.at(0)} --shell bash\n`;
    const run = await tour.prep(args, { stdin, env: { PREP_PASSWORD: tour.password } });
    expect(run.status, run.stderr).toBe(1);
    const summary = summaryOf(run);
    expect(summary.map(({ destination }) => destination)).toEqual([
      'nobody@127.0.0.1:1',
      ...[2, 1, 0].map((index) => tour.at(index)),
    ]);
    expect(summary[0]).toMatchObject({ status: 'failed', problem: { code: 'cannot-connect' } });
    expect(summary[1]!.steps.map(({ name }) => name)).toContain('login-shell');
    expect(summary[2]!.steps.map(({ name }) => name)).toEqual(['ssh-dir', 'authorized-keys']);
    expect(tour.accounts.map((account) => account.passwdShell().split('/').at(-1))).toEqual([
      'bash',
      'bash',
      'zsh',
    ]);
    for (const event of run.events.slice(0, -1)) expect(event).toHaveProperty('destination');
    expect(run.events.filter(({ type }) => type === 'verified')).toHaveLength(3);
  });

  test('a dry run shows one plan after the other, in order, and changes nothing', async () => {
    const tour = new Tour(stage, 3, true);
    const before = tour.accounts.map((account) => account.tree());
    const run = await tour.prep(['-n', ...tour.all, '--retry', tour.file('none')], {
      env: { PREP_PASSWORD: tour.password },
    });
    expect(run.status, run.stderr).toBe(0);
    const plans = run.stdout.match(/^prep_\w+@127\.0\.0\.1:\d+: \d+ changes$/gm);
    expect(plans?.map((line) => line.split(': ')[0])).toEqual(tour.all);
    expect(run.stdout).toContain('3 accounts: 3 planned\n');
    expect(tour.accounts.map((account) => account.tree())).toEqual(before);
  });

  test('a line of a hosts file counts with its own options, where only the agent has keys', async () => {
    const tour = new Tour(stage, 2);
    tour.authorize(0, 1);
    const { laptop } = tour.visit;
    const socket = await startAgent(stage, laptop, ['.ssh/id_ed25519']);
    for (const name of ['id_ed25519', 'id_ed25519.pub']) rmSync(laptop.path(`.ssh/${name}`));
    const hosts = tour.file('hosts', `${tour.at(0)} --jump nobody@127.0.0.1:1`, tour.at(1));
    const run = await tour.prep(['--hosts', hosts, '--json', '--only', 'ssh-dir,authorized-keys'], {
      env: { SSH_AUTH_SOCK: socket },
    });
    expect(run.status).toBe(1);
    expect(summaryOf(run).map(({ status }) => status)).toEqual(['failed', 'unchanged']);
    expect(summaryOf(run)[0]!.problem).toMatchObject({ code: 'jump-host' });
  });

  test('--retry: what failed goes into the next --hosts, and the file goes when all is well', async () => {
    const tour = new Tour(stage, 3, true);
    const other = 'not this one';
    const list = tour.file(
      'hosts',
      tour.at(0),
      `${tour.at(1)} --password-file '${tour.file('it is wrong', other)}' --skip dotfiles # why`,
      `${tour.accounts[2]!.name}@127.0.0.1 --port ${tour.visit.server.port}`,
    );
    const retry = `${list}.retry`;
    const env = { PREP_PASSWORD: tour.password };
    const first = await tour.prep(['--hosts', list, '--retry', retry], { env });
    expect(first.status).toBe(1);
    expect(first.stderr).toContain(`the failed destinations are in ${retry}; try them again`);
    const [mark, ...lines] = readFileSync(retry, 'utf8').trimEnd().split('\n');
    expect(mark).toMatch(/^# written by prep --retry/);
    expect(lines).toEqual([
      `${tour.at(1)} --password-file '${tour.visit.laptop.home}/../it is wrong' --skip dotfiles`,
    ]);
    tour.file('it is wrong', tour.password);
    const second = await tour.prep(['--hosts', retry, '--retry', retry, '--json'], { env });
    expect(second.status, second.stderr).toBe(0);
    expect(second.stderr).toContain(`nothing failed; ${retry} was removed`);
    expect(existsSync(retry)).toBe(false);
    expect(summaryOf(second)).toMatchObject([{ destination: tour.at(1), status: 'changed' }]);
    expect(summaryOf(second)[0]!.steps.map(({ name }) => name)).not.toContain('dotfiles');
  });

  test.each([1, 3])(
    '--concurrency %i: no more connections at the same time',
    async (concurrency) => {
      const tour = new Tour(stage, 5);
      tour.authorize(0, 1, 2, 3, 4);
      const proxy = await startProxy(tour.visit.server.port, { rtt: 40 });
      try {
        tour.visit.laptop.write('.ssh/known_hosts', tour.visit.server.knownHosts(proxy.port));
        const all = tour.accounts.map((_, index) => tour.at(index, proxy.port));
        const flags = ['--skip', 'login-shell', '--concurrency', String(concurrency)];
        const run = await tour.prep([...flags, ...all]);
        expect(run.status, run.stderr).toBe(0);
        expect(run.stdout).toContain('5 accounts: 5 changed\n');
        expect(proxy.traffic.connections).toBe(5);
        expect(proxy.traffic.most).toBe(concurrency);
      } finally {
        await proxy.close();
      }
    },
  );
});

describeSshd('many accounts at a terminal', () => {
  const stage = useSshd();

  test('one password for all, with consent, which names them; then one list, then the table', async () => {
    const tour = new Tour(stage, 3, true);
    const run = await tour.typing(tour.all, tour.types(0), {
      prompt: new RegExp(`Use the password of ${tour.at(0)} for the other 2 accounts too\\?`),
      type: (screen) => {
        for (const index of [1, 2]) {
          expect(screen.replaceAll('\n', '')).toContain(tour.accounts[index]!.name);
        }
        return 'y\r';
      },
    });
    expect(run.status, run.screen).toBe(0);
    expect(run.typed).toHaveLength(2);
    expect(run.screen).toContain('3 accounts: 3 changed');
    expect(run.screen.match(/ changed +\d+ changes, logged in with the key/g)).toHaveLength(3);
    expect(run.terminal).toEqual({ echo: true, lines: true, cursor: true });
    expect(stage.server.refusals()).toBe(0);
  });

  test('without consent each is asked for its own, and none is sent the other', async () => {
    const tour = new Tour(stage, 3);
    const run = await tour.typing(
      tour.all,
      tour.types(0),
      { prompt: /for the other 2 accounts too\?/, type: '\r' },
      tour.types(1),
      tour.types(2),
    );
    expect(run.status, run.screen).toBe(0);
    expect(stage.server.refusals()).toBe(0);
  });

  test('--same-password asks once, and says for whom; one that refuses it gets a prompt of its own', async () => {
    const tour = new Tour(stage, 2, true);
    const odd = makeAccount();
    stage.later(() => odd.remove());
    const place = `${odd.name}@127.0.0.1:${tour.visit.server.port}`;
    const run = await tour.typing(
      ['--same-password', tour.at(0), place, tour.at(1)],
      tour.types(0),
      { prompt: asks(odd), type: `${odd.password}\r` },
    );
    expect(run.status, run.screen).toBe(0);
    expect(run.typed).toHaveLength(2);
    expect(run.screen).toContain('the password is for all 3 accounts (--same-password)');
    expect(stage.server.refusals()).toBe(1);
  });

  test('a host key that two accounts share is asked about and remembered once', async () => {
    const tour = new Tour(stage, 2, true);
    tour.visit.laptop.write('.ssh/known_hosts', '');
    const run = await tour.typing(
      ['--same-password', '--only', 'ssh-dir', ...tour.all],
      { prompt: /Trust this host/, type: 'y\r' },
      tour.types(0),
    );
    expect(run.status, run.screen).toBe(0);
    expect(tour.visit.laptop.read('.ssh/known_hosts')!.trim().split('\n')).toHaveLength(1);
  });

  test('Ctrl-C at a question of the second: nobody was changed, and the table says so', async () => {
    const tour = new Tour(stage, 2);
    const before = tour.accounts.map((account) => account.tree());
    const retry = `${tour.visit.laptop.home}/retry`;
    const run = await tour.typing(
      ['--retry', retry, ...tour.all],
      tour.types(0),
      { prompt: /Use the password/, type: 'n\r' },
      { prompt: asks(tour.accounts[1]!), type: '\x03' },
    );
    expect(run.status, run.screen).toBe(130);
    expect(run.screen).toContain('2 accounts: 2 failed');
    expect(run.screen).toContain('interrupted; run prep again');
    expect(run.terminal).toEqual({ echo: true, lines: true, cursor: true });
    expect(tour.accounts.map((account) => account.tree())).toEqual(before);
    expect(readFileSync(retry, 'utf8').split('\n').slice(1, 3)).toEqual(tour.all);
  });

  test('Ctrl-C in the middle: 130, each path old or new, and the next run does the rest', async () => {
    const tour = new Tour(stage, 3, true);
    const names = Array.from({ length: 40 }, (_, index) => `.many/file-${index}`);
    const text = 'new content\n'.repeat(200);
    for (const name of names) tour.visit.laptop.write(`set/${name}`, text);
    const flags = ['--dotfiles', tour.visit.laptop.path('set'), '--same-password', '-y'];
    const run = await tour.typing([...flags, '--concurrency', '1', ...tour.all], tour.types(0), {
      prompt: new RegExp(`${tour.accounts[1]!.name}\\S+: [a-z]`),
      type: '\x03',
    });
    expect(run.status, run.screen).toBe(130);
    expect(run.screen).toMatch(/3 accounts: (\d changed, )?\d failed/);
    for (const { uid } of tour.accounts) await quiet(uid);
    for (const account of tour.accounts) {
      const tree = account.tree();
      for (const name of names) if (tree[name] !== undefined) expect(account.read(name)).toBe(text);
      expect(account.passwdShell()).toMatch(/^\/bin\/(bash|zsh)$/);
    }
    const env = { PREP_PASSWORD: tour.password };
    const rest = await tour.prep([...flags, '--json', ...tour.all], { env });
    expect(rest.status, rest.stderr).toBe(0);
    for (const { status } of summaryOf(rest)) expect(status).toMatch(READY);
  });
});

describeSshd('a hosts file that is wrong', () => {
  const stage = useSshd();

  test.each([
    ['alice@\n', 'line 1: "alice@" is not a destination; write it as [user@]host[:port]'],
    ['web1\nweb2 --dry-run\n', 'line 2: --dry-run goes on the command line; a line takes --port,'],
    ['web1 web2\n', 'line 1: "web2" is one word too many: one destination a line; see prep --help'],
    ['web1 -p 0\n', 'line 1: "0" is not a port; give a number from 1 to 65535'],
    [
      'web1\nweb1 --shell bash\n',
      'line 2: web1 stands in FILE line 1 with other options; keep one',
    ],
    ["web1 -i 'x\n", 'line 1: a quote or a backslash is left open; close it'],
    ['# none\n', 'FILE names no destination'],
    ['web1 -i\n', 'line 1: -i needs a value'],
  ])('%j', async (text, said) => {
    const visit = stage.visit();
    const file = visit.laptop.path('hosts');
    visit.laptop.write('hosts', text);
    const env = { PREP_PASSWORD: visit.account.password };
    const run = await runPrep(['--hosts', file], { laptop: visit.laptop, env });
    expect(run.status).toBe(2);
    expect(run.stderr.replaceAll(file, 'FILE')).toContain(said);
    expect(stage.server.connections()).toBe(0);
  });

  test('--retry replaces no file that it has not written', async () => {
    const visit = stage.visit();
    visit.laptop.write('mine', 'alice@web1\n');
    const run = await visit.prep(['--retry', visit.laptop.path('mine')], { password: true });
    expect(run.status).toBe(2);
    expect(run.stderr).toContain('was not written by --retry and is left alone');
    expect(visit.laptop.read('mine')).toBe('alice@web1\n');
  });
});
