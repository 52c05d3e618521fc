import { execFile } from 'node:child_process';
import { PrepError } from '../core/problem.ts';

/** What holds for a host: the values of each keyword (in lower case), as `ssh -G` prints them. */
export type Effective = ReadonlyMap<string, readonly string[]>;

/** Milliseconds that ssh may take to think: a `Match exec` of the user's may run. */
const PATIENCE = 10_000;

/**
 * What ssh itself makes of an ssh_config file for a host; undefined where there is no ssh. `shownAs` is the
 * name of the file in what ssh complains about.
 * @throws PrepError `usage` where ssh rejects the file
 */
export async function effective(
  file: string,
  host: string,
  shownAs = file,
): Promise<Effective | undefined> {
  const { error, stdout, stderr } = await ask(['-G', '-F', file, '--', host]);
  if (error === null) return parse(stdout);
  if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
  const said = (stderr.trim().split('\n').at(-1) ?? '').replaceAll(file, shownAs);
  throw new PrepError({ code: 'usage', text: `ssh rejects its configuration: ${said}` }, error);
}

function parse(text: string): Effective {
  const values = new Map<string, string[]>();
  for (const line of text.split('\n')) {
    const space = line.indexOf(' ');
    if (space < 0) continue;
    const keyword = line.slice(0, space);
    values.set(keyword, [...(values.get(keyword) ?? []), line.slice(space + 1)]);
  }
  return values;
}

function ask(
  args: readonly string[],
): Promise<{ error: Error | null; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    const child = execFile('ssh', args, { timeout: PATIENCE }, (error, stdout, stderr) => {
      resolve({ error, stdout, stderr });
    });
    child.stdin?.end();
  });
}
