import type { Facts } from './facts.ts';
import { printablePath } from './printable.ts';
import { remotePath, type RemotePath } from './remote-path.ts';

/** Where runs are kept on the server: what each of them replaced, and its journal. */
export const RUNS = remotePath('.local/state/prep');

/** What keeps a run from being kept: a folder above `RUNS` (or that itself), and what is wrong with it. */
export interface Barred {
  readonly path: RemotePath;
  readonly because: 'may not be written' | 'is not a directory';
}

/** Why nothing can be changed: what is replaced could not be kept. Undefined where it can. */
export function noRecords({ barred }: Facts): string | undefined {
  if (barred === undefined) return undefined;
  const { path, because } = barred;
  const name = path === '.' ? 'the home directory' : `~/${printablePath(path)}`;
  const next = because === 'is not a directory' ? 'move it away' : 'see to its owner and its mode';
  return `prep keeps what it replaces in ~/${RUNS}, and ${name} ${because}; ${next}`;
}
