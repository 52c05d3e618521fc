import { resolve } from 'node:path';
import { Client } from 'ssh2';
import { Laptop } from '../support/laptop.ts';
import { makeAccount, startSshd, type TestAccount, type TestSshd } from '../support/sshd.ts';
import { measure, type Cost } from './measure.ts';

/** How many are worked on at the same time, by prep and by the measure it is held to. */
const CONCURRENCY = 10;

/** How many accounts are compared with all of them, so that what a run costs once does not count. */
const FEW = 10;

/**
 * One account under many addresses, all prepared in one go, against what so many bare key exchanges, logins
 * and commands cost with the same library. Gives a table.
 */
export async function fleetTable(count: number): Promise<string> {
  const server = await startSshd({ hostKeys: ['ed25519'], address: '0.0.0.0' });
  const account = makeAccount();
  const places = Array.from({ length: count }, (_, index) => `127.0.0.${index + 1}`);
  const laptop = new Laptop({
    knownHosts: `[127.0.0.*]:${server.port} ${server.hostKey('ed25519')}\n`,
  });
  try {
    await run(laptop, account, server, places.slice(0, 1));
    const few = await run(laptop, account, server, places.slice(0, FEW));
    const all = await run(laptop, account, server, places);
    const bare = await bareLogins(laptop, account, server, places);
    return table(count, { few, all, bare });
  } finally {
    account.remove();
    laptop.remove();
    server.stop();
  }
}

async function run(
  laptop: Laptop,
  account: TestAccount,
  server: TestSshd,
  places: readonly string[],
): Promise<Cost> {
  const hosts = places.map((place) => `${account.name}@${place}:${server.port}\n`).join('');
  laptop.write('hosts', hosts);
  laptop.write(
    '.ssh/config',
    `UserKnownHostsFile ${laptop.path('.ssh/known_hosts')}\nIdentityFile ${laptop.path('.ssh/id_ed25519')}\n`,
    0o600,
  );
  const flags = ['--hosts', laptop.path('hosts'), '--concurrency', String(CONCURRENCY), '-y'];
  const cost = await measure({
    command: [
      process.execPath,
      ...(process.env['PROF'] ? ['--cpu-prof', '--cpu-prof-dir=/tmp/prof'] : []),
      resolve('dist/main.cjs'),
      '-F',
      laptop.path('.ssh/config'),
      ...flags,
    ],
    env: laptop.env({ PATH: process.env['PATH'] }),
    cwd: laptop.home,
    password: account.password,
  });
  if (cost.status !== 0) throw new Error(`prep ended with ${cost.status}:\n${cost.screen}`);
  return cost;
}

/** CPU and wall seconds of bare logins by key, each with one command. */
async function bareLogins(
  laptop: Laptop,
  account: TestAccount,
  server: TestSshd,
  places: readonly string[],
): Promise<{ cpu: number; wall: number }> {
  const privateKey = laptop.read('.ssh/id_ed25519')!;
  const left = places.values();
  const begin = { cpu: process.cpuUsage(), wall: performance.now() };
  const worker = async (): Promise<void> => {
    for (const host of left) {
      await login({ host, port: server.port, username: account.name, privateKey });
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, worker));
  const { user, system } = process.cpuUsage(begin.cpu);
  return { cpu: (user + system) / 1e6, wall: (performance.now() - begin.wall) / 1000 };
}

function login(options: Parameters<Client['connect']>[0]): Promise<void> {
  return new Promise((done, failed) => {
    const client = new Client();
    client
      .on('ready', () => {
        client.exec('true', (error, channel) => {
          if (error !== undefined) return failed(error);
          channel.on('close', () => client.end()).resume();
        });
      })
      .on('close', () => done())
      .on('error', failed)
      .connect(options);
  });
}

function table(
  count: number,
  { few, all, bare }: { few: Cost; all: Cost; bare: { cpu: number; wall: number } },
): string {
  const milliseconds = (seconds: number, among: number): string =>
    `${((1000 * seconds) / among).toFixed(1)} ms`;
  const more = count - FEW;
  const each = (all.cpu - few.cpu) / more;
  const rows = [
    ['', 'wall an account', 'CPU an account', 'memory an account', 'CPU against bare'],
    ['---', '---', '---', '---', '---'],
    ['bare login', milliseconds(bare.wall, count), milliseconds(bare.cpu, count), '', '1.00'],
    [
      `prep, ${count} accounts`,
      milliseconds(all.wall, count),
      milliseconds(all.cpu, count),
      '',
      (all.cpu / bare.cpu).toFixed(2),
    ],
    [
      `prep, each beyond ${FEW}`,
      milliseconds(all.wall - few.wall, more),
      milliseconds(each, 1),
      `${((all.megabytes - few.megabytes) / more).toFixed(2)} MB`,
      (each / (bare.cpu / count)).toFixed(2),
    ],
  ];
  return rows.map((row) => `| ${row.join(' | ')} |\n`).join('');
}
