import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { Laptop } from '../support/laptop.ts';
import { startProxy, type Proxy, type Traffic } from '../support/proxy.ts';
import {
  makeAccount,
  noSshd,
  startSshd,
  type TestAccount,
  type TestSshd,
} from '../support/sshd.ts';
import { fleetTable } from './fleet.ts';
import { measure, type Cost } from './measure.ts';

const HELP = `npm run bench -- [--rtt MS] [--reps N] [--tools NAME,...]
npm run bench -- --fleet N

The same work by prep and by what people do without it: a real sshd with PAM, a real new account, a line
that delays and counts. "fresh" is a new account, "again" the same one a second time. Figures are medians.
With --fleet: N accounts (11 to 250) in one go, ready already, against as many bare logins.
`;

/** The files that every tool puts on the account. */
const DOTFILES = {
  '.screenrc': `startup_message off\ndefscrollback 10000\n${'# a comment as people have them\n'.repeat(12)}`,
  '.zshenv': 'export EDITOR=vi\nexport PAGER=less\n',
  '.zshrc': `setopt hist_ignore_dups\nPS1="%n@%m:%~%# "\n${'alias ll="ls -l"\n'.repeat(100)}`,
};

/** The name under which ~/.ssh/config knows the account. */
const HOST = 'account';

const TOOLS: Readonly<Record<string, (laptop: Laptop) => readonly string[]>> = {
  prep: (laptop) => [
    process.execPath,
    resolve('dist/main.cjs'),
    '-y',
    '-F',
    laptop.path('.ssh/config'),
    HOST,
  ],
  seed: () => ['bash', resolve('test/bench/seed.sh'), HOST],
  'copy-id': () => ['bash', resolve('test/bench/copy-id.sh'), HOST],
};

const CASES = ['fresh', 'again'] as const;
type Case = (typeof CASES)[number];

/** One measured run. */
interface Sample extends Cost {
  readonly traffic: Traffic;
}

/** Everything that one row of the table needs. */
interface Row {
  readonly tool: string;
  readonly near: readonly Sample[];
  readonly far: readonly Sample[];
}

process.exitCode = await main();

async function main(): Promise<number> {
  const options = {
    rtt: { type: 'string' },
    reps: { type: 'string' },
    tools: { type: 'string' },
    fleet: { type: 'string' },
  } as const;
  const { values } = parseArgs({ options: { ...options, help: { type: 'boolean', short: 'h' } } });
  if (values.help === true) return print(HELP);
  if (noSshd !== undefined) {
    return print(
      `bench: this needs root, OpenSSH's server and real accounts, but here: ${noSshd}\n`,
      1,
    );
  }
  if (values.fleet !== undefined) {
    const count = Number(values.fleet);
    return count > 10 && count <= 250 ? print(await fleetTable(count)) : print(HELP, 2);
  }
  const rtt = Number(values.rtt ?? 100);
  const reps = Number(values.reps ?? 3);
  const tools = (values.tools ?? Object.keys(TOOLS).join()).split(',');
  const unknown = tools.filter((tool) => !(tool in TOOLS));
  if (!(rtt > 0) || !(reps >= 1) || unknown.length > 0) return print(HELP, 2);
  return bench(tools, rtt, reps);
}

async function bench(tools: readonly string[], rtt: number, reps: number): Promise<number> {
  const server = await startSshd();
  const proxy = await startProxy(server.port);
  const rows: Record<Case, Row[]> = { fresh: [], again: [] };
  try {
    for (const tool of tools) {
      const [near, far] = [
        await repeat(tool, server, proxy, 0, reps),
        await repeat(tool, server, proxy, rtt, reps),
      ];
      for (const kind of CASES) {
        rows[kind].push({
          tool,
          near: near.map((pair) => pair[kind]),
          far: far.map((pair) => pair[kind]),
        });
      }
    }
  } finally {
    await proxy.close();
    server.stop();
  }
  return print(table(rows, rtt));
}

type Pair = Readonly<Record<Case, Sample>>;

async function repeat(
  tool: string,
  server: TestSshd,
  proxy: Proxy,
  rtt: number,
  reps: number,
): Promise<Pair[]> {
  const pairs: Pair[] = [];
  proxy.rtt = rtt;
  for (let rep = 0; rep < reps; rep++) {
    process.stderr.write(`bench: ${tool}, ${rtt} ms, run ${rep + 1} of ${reps}\n`);
    const account = makeAccount();
    const laptop = laptopFor(account, server, proxy.port);
    try {
      const fresh = await once(tool, account, laptop, proxy);
      pairs.push({ fresh, again: await once(tool, account, laptop, proxy) });
    } finally {
      account.remove();
      laptop.remove();
    }
  }
  return pairs;
}

function laptopFor(account: TestAccount, server: TestSshd, port: number): Laptop {
  const laptop = new Laptop({ knownHosts: server.knownHosts(port), files: DOTFILES });
  const lines = [
    `Host ${HOST}`,
    'HostName 127.0.0.1',
    `Port ${port}`,
    `User ${account.name}`,
    `UserKnownHostsFile ${laptop.path('.ssh/known_hosts')}`,
    `IdentityFile ${laptop.path('.ssh/id_ed25519')}`,
  ];
  laptop.write('.ssh/config', lines.map((line) => `${line}\n`).join(''), 0o600);
  return laptop;
}

/** One run of a tool, measured and its work inspected. @throws Error where the work was not done */
async function once(
  tool: string,
  account: TestAccount,
  laptop: Laptop,
  proxy: Proxy,
): Promise<Sample> {
  proxy.forget();
  const cost = await measure({
    command: TOOLS[tool]!(laptop),
    env: laptop.env({ PATH: process.env['PATH'] }),
    cwd: laptop.home,
    password: account.password,
  });
  const missing = undone(account, laptop);
  if (cost.status !== 0 || missing.length > 0) {
    throw new Error(
      `${tool} ended with ${cost.status}, without ${missing.join(', ') || 'a flaw'}:\n${cost.screen}`,
    );
  }
  return { ...cost, traffic: proxy.traffic };
}

/** What of the work is not to be seen on the account. */
function undone(account: TestAccount, laptop: Laptop): string[] {
  const tree = account.tree();
  const key = laptop.read('.ssh/id_ed25519.pub')!.split(' ')[1]!;
  const has = (path: string): boolean => existsSync(join(account.home, path));
  const checks: Record<string, boolean> = {
    '.ssh': tree['.ssh']?.mode === '0700',
    'the key': has('.ssh/authorized_keys') && account.read('.ssh/authorized_keys').includes(key),
    '.zlogin': has('.zlogin') && account.read('.zlogin') === DOTFILES['.zshenv'],
    'the login shell': account.passwdShell().endsWith('/zsh'),
  };
  for (const [name, text] of Object.entries(DOTFILES))
    checks[name] = has(name) && account.read(name) === text;
  return Object.keys(checks).filter((name) => !checks[name]);
}

function table(rows: Readonly<Record<Case, readonly Row[]>>, rtt: number): string {
  const head = [
    'case',
    'tool',
    'wall at 0 ms',
    `wall at ${rtt} ms`,
    'round trips',
    'flights',
    'connections',
    'bytes up',
    'bytes down',
    'CPU s',
    'peak MB',
    'passwords',
  ];
  const lines = CASES.flatMap((kind) => rows[kind].map((row) => cells(kind, row, rtt)));
  const text = [head, head.map(() => '---'), ...lines]
    .map((line) => `| ${line.join(' | ')} |\n`)
    .join('');
  return `${text}\nround trips: (wall at ${rtt} ms - wall at 0 ms) / ${rtt} ms; flights: how often the client spoke after having heard.\n`;
}

function cells(kind: Case, { tool, near, far }: Row, rtt: number): string[] {
  const of = (samples: readonly Sample[], figure: (sample: Sample) => number): number =>
    median(samples.map(figure));
  const [wallNear, wallFar] = [of(near, (sample) => sample.wall), of(far, (sample) => sample.wall)];
  return [
    kind,
    tool,
    `${wallNear.toFixed(2)} s`,
    `${wallFar.toFixed(2)} s`,
    (((wallFar - wallNear) * 1000) / rtt).toFixed(1),
    of(far, ({ traffic }) => traffic.flights).toString(),
    of(far, ({ traffic }) => traffic.connections).toString(),
    of(far, ({ traffic }) => traffic.bytes.up).toString(),
    of(far, ({ traffic }) => traffic.bytes.down).toString(),
    of(near, ({ cpu }) => cpu).toFixed(2),
    of(near, ({ megabytes }) => megabytes).toFixed(0),
    of(far, ({ passwords }) => passwords).toString(),
  ];
}

function median(figures: readonly number[]): number {
  const sorted = [...figures].sort((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) / 2)]!;
}

function print(text: string, status = 0): number {
  (status === 0 ? process.stdout : process.stderr).write(text);
  return status;
}
