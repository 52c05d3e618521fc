import { randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { atTerminal } from '../support/typist.ts';

/** What one run of a tool cost its user. */
export interface Cost {
  readonly status: number;
  /** Seconds from start to exit. */
  readonly wall: number;
  /** CPU seconds of all its processes on this side. */
  readonly cpu: number;
  /** The largest resident set of any of its processes, in MB. */
  readonly megabytes: number;
  readonly passwords: number;
  /** What a person read. */
  readonly screen: string;
}

/** A tool about to be run. */
export interface Trial {
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  /** Typed whenever it is asked for. */
  readonly password: string;
}

const MEASURED = `begin=$EPOCHREALTIME; "$@"; status=$?
{ echo "$begin $EPOCHREALTIME"; times; } >"$BENCH_REPORT"; exit "$status"`;

/** Runs a tool at a terminal, types the password wherever it is asked for, and measures. */
export async function measure({ command, env, cwd, password }: Trial): Promise<Cost> {
  const folder = mkdtempSync(join(tmpdir(), 'prep-bench-'));
  const report = join(folder, 'report');
  const mark = randomBytes(8).toString('hex');
  const watch = new Watch(`BENCH_RUN=${mark}`);
  try {
    const answer = { prompt: /password.*: *$/i, type: `${password}\r` };
    const answers = Array.from({ length: 20 }, () => answer);
    const run = await atTerminal(['bash', '-c', MEASURED, 'bash', ...command], {
      env: { ...env, BENCH_REPORT: report, BENCH_RUN: mark },
      cwd,
      answers,
      settle: 5,
      timeout: 300_000,
    }).done;
    const { status, screen, typed } = run;
    const { wall, cpu } = readReport(readFileSync(report, 'utf8'));
    const { orphansCpu, megabytes } = await watch.stop();
    return { status, wall, cpu: cpu + orphansCpu, megabytes, passwords: typed.length, screen };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The line with both times, bash's own CPU, and that of the processes it waited for. */
function readReport(text: string): { wall: number; cpu: number } {
  const [times = '', , children = ''] = text.split('\n');
  const [begin = 0, end = 0] = times.split(' ').map(Number);
  const seconds = [...children.matchAll(/(\d+)m([\d.]+)s/g)].map(
    (match) => Number(match[1]) * 60 + Number(match[2]),
  );
  return { wall: end - begin, cpu: seconds.reduce((sum, part) => sum + part, 0) };
}

/**
 * Looks at all processes that carry a mark in their environment: how much memory each took at most, and
 * the CPU time of those that nobody waits for (a connection master in the background).
 */
class Watch {
  readonly #mark: string;
  readonly #timer: NodeJS.Timeout;
  readonly #ours = new Map<string, { orphan: boolean; cpu: number; megabytes: number }>();
  readonly #others = new Set<string>();

  constructor(mark: string) {
    this.#mark = mark;
    for (const pid of processes()) this.#others.add(pid);
    this.#timer = setInterval(() => this.#look(), 20);
  }

  /** Waits for what still runs in the background, and adds up. */
  async stop(): Promise<{ orphansCpu: number; megabytes: number }> {
    for (let round = 0; round < 100 && this.#look() > 0; round++) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    clearInterval(this.#timer);
    const all = [...this.#ours.values()];
    const orphans = all.filter(({ orphan }) => orphan);
    return {
      orphansCpu: orphans.reduce((sum, { cpu }) => sum + cpu, 0),
      megabytes: Math.max(0, ...all.map(({ megabytes }) => megabytes)),
    };
  }

  /** How many are alive. */
  #look(): number {
    let alive = 0;
    for (const pid of processes()) {
      if (this.#others.has(pid)) continue;
      const environment = read(pid, 'environ');
      if (!environment.includes(this.#mark)) continue;
      alive++;
      this.#note(pid);
    }
    return alive;
  }

  #note(pid: string): void {
    const fields = read(pid, 'stat')
      .replace(/^.*\) /s, '')
      .split(' ');
    if (fields.length < 14) return;
    const parent = fields[1]!;
    const orphan = !this.#ours.has(parent) && parent !== String(process.pid);
    const cpu = (Number(fields[11]) + Number(fields[12])) / 100;
    const peak = Number(/VmHWM:\s+(\d+)/.exec(read(pid, 'status'))?.[1] ?? 0) / 1024;
    this.#ours.set(pid, { orphan, cpu, megabytes: peak });
  }
}

function processes(): string[] {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name));
}

function read(pid: string, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'latin1');
  } catch {
    return '';
  }
}
