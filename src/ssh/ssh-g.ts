import { execFile } from 'node:child_process';
import { PrepError } from '../core/problem.ts';

/** What holds for a host: the values of each keyword (in lower case), as `ssh -G` prints them. */
export type Effective = ReadonlyMap<string, readonly string[]>;

/** Milliseconds that ssh may take to think: a `Match exec` of the user's may run. */
const PATIENCE = 10_000;

/**
 * What ssh itself makes of its configuration for a host (ssh(1), -G); undefined where there is no ssh.
 * `args` name the file, the user and the port; `shown` makes ssh's complaint what the user is to read.
 * @throws PrepError `usage` where ssh rejects the configuration, or comes to no end with it
 */
export async function askSsh(
  args: readonly string[],
  host: string,
  shown = (text: string): string => text,
): Promise<Effective | undefined> {
  const { error, stdout, stderr } = await run(['-G', ...args, '--', host]);
  if (error === null) return parsed(stdout);
  if (error.code === 'ENOENT') return undefined;
  const text = error.killed
    ? `ssh came to no end with its configuration within ${PATIENCE / 1000} s (a Match exec may be waiting)`
    : `ssh rejects its configuration: ${shown(reasonIn(stderr))}`;
  throw new PrepError({ code: 'usage', text }, error);
}

/**
 * The same of one file alone; `shownAs` is the name of the file in what ssh complains about.
 * @throws PrepError `usage` as `askSsh`
 */
export function effective(
  file: string,
  host: string,
  shownAs = file,
): Promise<Effective | undefined> {
  return askSsh(['-F', file], host, (text) => text.replaceAll(file, shownAs));
}

/** Behind what is wrong it counts what is wrong, and it is surprised that there is no terminal. */
function reasonIn(stderr: string): string {
  const lines = stderr.trim().split('\n');
  return lines.find((line) => !/^Pseudo-terminal |: terminating, /.test(line)) ?? '';
}

function parsed(text: string): Effective {
  const values = new Map<string, string[]>();
  for (const line of text.split('\n')) {
    const space = line.indexOf(' ');
    if (space < 0) continue;
    const keyword = line.slice(0, space);
    values.set(keyword, [...(values.get(keyword) ?? []), line.slice(space + 1)]);
  }
  return values;
}

interface Ran {
  readonly error: (Error & { readonly code?: unknown; readonly killed?: boolean }) | null;
  readonly stdout: string;
  readonly stderr: string;
}

function run(args: readonly string[]): Promise<Ran> {
  return new Promise((resolve) => {
    const child = execFile('ssh', args, { timeout: PATIENCE }, (error, stdout, stderr) => {
      resolve({ error, stdout, stderr });
    });
    child.stdin?.end();
  });
}
