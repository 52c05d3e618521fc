import { readdirSync, readFileSync } from 'node:fs';
import { filesHolding } from './tree.ts';

/** Where a secret might have leaked to. */
export interface Traces {
  /** What was printed, by name. */
  readonly printed?: Readonly<Record<string, string>>;
  /** Folders whose every file is read. */
  readonly folders?: readonly string[];
}

/** The forms in which a secret would still be one: as it is, in base64, in hexadecimal. */
function forms(secret: string): Buffer[] {
  const bytes = Buffer.from(secret);
  const encoded = (['base64', 'base64url', 'hex'] as const).map((how) => bytes.toString(how));
  return [secret, ...encoded.map((text) => text.replace(/=+$/, ''))].map((text) =>
    Buffer.from(text),
  );
}

/** Checks that a secret occurs nowhere in what was printed or written. @throws Error naming the place */
export function assertNoSecret(secret: string, { printed = {}, folders = [] }: Traces): void {
  if (secret.length < 8) throw new Error('too short a secret to search for');
  const needles = forms(secret);
  const leaks = Object.entries(printed)
    .filter(([, text]) => needles.some((needle) => Buffer.from(text).includes(needle)))
    .map(([name]) => name);
  leaks.push(...folders.flatMap((folder) => filesHolding(folder, needles)));
  if (leaks.length > 0) throw new Error(`the password stands in ${leaks.join(', ')}`);
}

/**
 * Looks at the command lines of all processes, as `ps` shows them, and at their environments, for as long as it runs.
 * `given` are the command lines whose environment may hold a secret, since it was given to them there; what such a
 * process starts has its command line, too, until it has become another program.
 */
export class ProcessWatch {
  readonly #needles: readonly Buffer[];
  readonly #given: ReadonlySet<string>;
  readonly #timer: NodeJS.Timeout;
  readonly #old: ReadonlySet<string>;
  #leak = '';

  constructor(secrets: readonly string[], given: readonly (readonly string[])[] = []) {
    this.#needles = secrets.flatMap(forms);
    this.#given = new Set(given.map((words) => words.map((word) => `${word}\0`).join('')));
    this.#old = new Set(pids());
    this.#timer = setInterval(() => this.#look(), 20);
  }

  /** Ends the watch. @throws Error where a command line or an environment held a secret */
  stop(): void {
    clearInterval(this.#timer);
    if (this.#leak !== '') throw new Error(`the password stood ${this.#leak}`);
  }

  #look(): void {
    for (const pid of pids()) {
      if (this.#old.has(pid)) continue;
      const words = read(pid, 'cmdline');
      const program = words.toString().split('\0')[0]!;
      if (this.#holds(words)) this.#leak = `on the command line of ${program}`;
      // The environment after the command line: a process that became another program meanwhile has a new one of both.
      if (words.length === 0 || this.#given.has(words.toString())) continue;
      if (this.#holds(read(pid, 'environ'))) this.#leak = `in the environment of ${program}`;
    }
  }

  #holds(bytes: Buffer): boolean {
    return this.#needles.some((needle) => bytes.includes(needle));
  }
}

function pids(): string[] {
  return process.platform === 'linux'
    ? readdirSync('/proc').filter((name) => /^\d+$/.test(name))
    : [];
}

function read(pid: string, what: 'cmdline' | 'environ'): Buffer {
  try {
    return readFileSync(`/proc/${pid}/${what}`);
  } catch {
    return Buffer.alloc(0);
  }
}
