import { spawnSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { buildExecutable, noExecutable } from './executable.ts';

const FILE = 'build/prep';

if (noExecutable !== undefined) throw new Error(`No single executable here: ${noExecutable}`);
await buildExecutable(FILE);
const size = (statSync(FILE).size / 1e6).toFixed(0);
const [prep, node] = [median(FILE, '--version'), median(process.execPath, '-e', '0')];
process.stdout.write(
  `${FILE}: ${size} MB; --version takes ${prep} ms, node -e 0 ${node} ms (medians of 5)\n`,
);

/** How long a command takes, in milliseconds. @throws Error where it fails */
function median(command: string, ...args: string[]): string {
  const times = Array.from({ length: 5 }, () => {
    const start = performance.now();
    const { status } = spawnSync(command, args);
    if (status !== 0) throw new Error(`${command} ${args.join(' ')} failed`);
    return performance.now() - start;
  });
  return times.sort((a, b) => a - b)[2]!.toFixed(0);
}
