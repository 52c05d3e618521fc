import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Event, Report } from '../../src/core/event.ts';
import { explain, problemOf, type Problem } from '../../src/core/problem.ts';
import type { Prompter } from '../../src/core/prompter.ts';
import { Secret } from '../../src/core/secret.ts';
import { unattended } from '../../src/core/unattended.ts';
import { makeHostKey } from '../../src/demo/embedded-server.ts';
import { gather, type Preparation } from '../../src/run/gather.ts';
import { ended } from '../../src/run/phases.ts';
import { prepare } from '../../src/run/prepare.ts';
import { chosenKeys } from '../../src/run/login-keys.ts';
import { beginUndo } from '../../src/run/undo.ts';
import type { World } from '../../src/run/world.ts';
import { resolveSettings, type Settings } from '../../src/ssh/settings.ts';
import { steps } from '../../steps/index.ts';
import { startDriven, type DrivenServer } from './driven-server.ts';
import { Laptop } from './laptop.ts';
import { startProxy, type Proxy } from './proxy.ts';
import { assertNoSecret } from './secrecy.ts';
import { shapeOf, treeOf } from './tree.ts';

/** The same for all: making one takes long. */
const hostKey = makeHostKey();

/** What is unusual about one run. */
export interface Manner {
  readonly prompter?: Partial<Prompter>;
  readonly onEvent?: (event: Event) => void;
  readonly now?: () => Date;
}

/** How a run ended, and all that it said. */
export interface Ended {
  readonly report?: Report;
  /** What went wrong with the account as a whole. */
  readonly problem?: Problem;
  readonly events: readonly Event[];
}

/** What is to be seen of an account, but for prep's own records. */
export interface Standing {
  readonly shell: string;
  readonly tree: Readonly<Record<string, object>>;
}

/** A server with one account, a line to it that can break, and prep itself, all in this process. */
export class Inside {
  readonly server: DrivenServer;
  readonly proxy: Proxy;
  readonly laptop: Laptop;
  readonly #dotfiles: string | undefined;
  #prepared: Preparation | undefined;

  /** Use `inside`. */
  constructor(server: DrivenServer, proxy: Proxy, laptop: Laptop, dotfiles?: string) {
    this.server = server;
    this.proxy = proxy;
    this.laptop = laptop;
    this.#dotfiles = dotfiles;
  }

  /** Prepares the account, like `prep --yes`; its password has leaked nowhere afterwards. */
  prepare(manner: Manner = {}): Promise<Ended> {
    return this.#run(manner, async (world) => {
      this.#prepared ??= await gather(world, [DESTINATION]);
      return prepare(world, DESTINATION, this.#prepared);
    });
  }

  /** Like `prep undo --yes`. */
  undo(manner: Manner = {}): Promise<Ended> {
    return this.#run(manner, (world) =>
      chosenKeys(world).then(async (keys) => ended(await beginUndo(world, DESTINATION, keys))),
    );
  }

  /** Lays a file into the account's home. */
  write(name: string, content: string, mode = 0o644): void {
    const { home } = this.server.sandbox;
    const missing: string[] = [];
    for (let folder = dirname(name); folder !== '.'; folder = dirname(folder))
      missing.unshift(folder);
    for (const folder of missing) {
      mkdirSync(join(home, folder), { recursive: true, mode: 0o700 });
      this.server.sandbox.own(join(home, folder));
    }
    writeFileSync(join(home, name), content);
    chmodSync(join(home, name), mode);
    this.server.sandbox.own(join(home, name));
  }

  /** Reads a file of the account's home; undefined where there is none. */
  read(name: string): string | undefined {
    const file = join(this.server.sandbox.home, name);
    return existsSync(file) ? readFileSync(file, 'latin1') : undefined;
  }

  /** Changes one byte of a file of the account's home. */
  spoil(name: string): void {
    const path = join(this.server.sandbox.home, name);
    const bytes = readFileSync(path);
    bytes[0]! ^= 1;
    writeFileSync(path, bytes);
  }

  /** A program that the account finds before that of the system. */
  program(name: string, script: string): void {
    const file = join(this.server.sandbox.folder, 'bin', name);
    writeFileSync(file, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    chmodSync(file, 0o755);
  }

  /** What is to be seen of the account, but for prep's own records. */
  standing(): Standing {
    const { home } = this.server.sandbox;
    const shown = Object.entries(shapeOf(treeOf(home))).filter(
      ([name]) => !OWN_RECORDS.test(`${name}/`),
    );
    return { shell: this.server.sandbox.loginShell(), tree: Object.fromEntries(shown) };
  }

  /** What no run may leave behind, as paths of the home. */
  leftovers(): string[] {
    return Object.keys(treeOf(this.server.sandbox.home)).filter((name) => LEFTOVER.test(name));
  }

  /**
   * Waits until the account runs nothing any more: what it was told, it does to the end. One look is not enough: what
   * the server was told may not have begun, and a process shows no environment while it becomes another.
   */
  async quiet(): Promise<void> {
    for (let still = 0; still < 8; still = this.processes().length > 0 ? 0 : still + 1)
      await sleep(15);
  }

  /** The account's processes: its user number is that of other throw-away accounts too. */
  processes(): number[] {
    const mark = `HOME=${this.server.sandbox.home}\0`;
    return readdirSync('/proc')
      .filter((pid) => /^\d+$/.test(pid) && environment(pid).includes(mark))
      .map(Number);
  }

  /** Ends every process of the account at once, as a power cut does. */
  killAll(): void {
    for (let round = 0; round < 20; round++) {
      const pids = this.processes();
      if (pids.length === 0) return;
      spawnSync('kill', ['-KILL', ...pids.map(String)]);
    }
  }

  async remove(): Promise<void> {
    await this.proxy.close();
    await this.server.stop();
    this.laptop.remove();
  }

  async #run({ prompter, onEvent, now }: Manner, work: Work): Promise<Ended> {
    const events: Event[] = [];
    const password = new Secret(this.server.password);
    const observe = (event: Event): void => {
      events.push(event);
      onEvent?.(event);
    };
    const world: World = {
      wishes: {
        identities: [],
        shell: 'zsh',
        skip: [],
        values: {},
        terminfo: false,
        packages: [],
        dryRun: false,
        yes: true,
        shellFallback: false,
        transport: 'auto',
        verify: true,
        hostKey: 'strict',
        ...(this.#dotfiles !== undefined && { dotfiles: this.#dotfiles }),
      },
      steps,
      prompter: { ...unattended(true), ...prompter },
      attended: false,
      password,
      observe,
      settings: () => this.#settings(),
      hopSettings: () => Promise.reject(new Error('there are no hops')),
      chosen: new Map(),
      home: this.laptop.home,
      shippedDotfile: () => Promise.reject(new Error('there are no dotfiles')),
      now: now ?? (() => new Date()),
    };
    const ended = await work(world).then(
      (report) => ({ report, ...(report.problem && { problem: report.problem }) }),
      (error: unknown) => ({ problem: problemOf(error) }),
    );
    this.#checkSecrecy(events, ended);
    return { ...ended, events };
  }

  #checkSecrecy(events: readonly Event[], ended: object): void {
    const printed = { events: plain(events), ended: plain(ended) };
    const folders = [this.server.sandbox.home, this.laptop.home];
    assertNoSecret(this.server.password, { printed, folders });
  }

  async #settings(): Promise<Settings> {
    const { port } = this.proxy;
    const knownHosts = [this.laptop.path('.ssh/known_hosts')];
    return { ...(await usual), user: this.server.sandbox.user, port, knownHosts };
  }
}

/** The environment a process began with; empty for one that has ended. */
function environment(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'latin1');
  } catch {
    return '';
  }
}

type Work = (world: World) => Promise<Report>;

const DESTINATION = { user: 'demo', host: '127.0.0.1' };

/** What every destination is reached with. */
const usual = resolveSettings(
  DESTINATION,
  { hostKey: 'strict', sshConfig: 'none' },
  '/nonexistent',
);
const OWN_RECORDS = /^\.local\/(state\/(prep\/.*)?)?$/;
const LEFTOVER = /\.prep-|\/(sent-[^/]*|beside|start|owner)$|\/prep\/lock/;

/** How a home and a laptop are to look like. */
export interface Scene {
  /** Files of the account's home. */
  readonly theirs?: Readonly<Record<string, string | { content: string; mode: number }>>;
  /** Files below the folder that `--dotfiles` names. */
  readonly dotfiles?: Readonly<Record<string, string | Uint8Array>>;
}

/** Sets up a scene. Call its `remove()` when done. */
export async function inside({ theirs = {}, dotfiles }: Scene = {}): Promise<Inside> {
  const server = await startDriven({}, { hostKey: await hostKey });
  const proxy = await startProxy(server.port);
  const laptop = new Laptop({
    knownHosts: server.knownHosts.replace(`:${server.port} `, `:${proxy.port} `),
  });
  for (const [name, content] of Object.entries(dotfiles ?? {}))
    laptop.write(`set/${name}`, content);
  const scene = new Inside(server, proxy, laptop, dotfiles && laptop.path('set'));
  for (const [name, file] of Object.entries(theirs)) {
    if (typeof file === 'string') scene.write(name, file);
    else scene.write(name, file.content, file.mode);
  }
  return scene;
}

/** Everything in a value as text, sets and maps too. */
function plain(value: unknown): string {
  return JSON.stringify(value, (_key, one: unknown) => {
    if (one instanceof Uint8Array) return Buffer.from(one).toString('latin1');
    if (one instanceof Set) return [...one];
    return one instanceof Map ? [...one] : one;
  });
}

/** What a person reads of what went wrong: with the account, or with its steps. */
export function sentenceOf({ problem, report }: Pick<Ended, 'problem' | 'report'>): string {
  const failed = report?.steps.filter(({ status }) => status === 'failed') ?? [];
  const sentences = failed.map(({ reason }) => reason);
  if (problem !== undefined) sentences.unshift(explain(problem).sentence);
  return sentences.join('\n');
}
