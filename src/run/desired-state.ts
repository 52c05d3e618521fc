import type { Desired, LocalFile } from '../core/plan.ts';
import { managedBy, readDotfiles } from '../local/dotfiles.ts';
import type { World } from './world.ts';

/** What is wanted of an account, read from this machine as far as the steps of this run need it. @throws PrepError */
export async function desiredState(world: World, keys: Desired['keys']): Promise<Desired> {
  const { wishes, home, steps } = world;
  const names = new Set(steps.map(({ name }) => name));
  return {
    keys,
    dotfiles: names.has('dotfiles') ? await dotfilesOf(world, managedBy(names)) : [],
    loginShell: wishes.shell,
    shellFallback: wishes.shellFallback,
    packages: wishes.packages,
    ...(names.has('terminfo') && (await terminalOf(home))),
  };
}

async function dotfilesOf(
  { wishes, home, shippedDotfile }: World,
  managed: readonly string[],
): Promise<readonly LocalFile[]> {
  const { dotfiles, values } = wishes;
  const place = { home, shipped: shippedDotfile };
  if (dotfiles === undefined) return readDotfiles(place);
  if (typeof dotfiles === 'string') return readDotfiles({ ...place, dir: dotfiles, managed });
  const { readSources } = await import('../local/dotfile-sources.ts');
  return readSources(dotfiles, { ...place, values, managed });
}

async function terminalOf(home: string): Promise<Pick<Desired, 'terminal'>> {
  const { terminalType } = await import('../local/terminal.ts');
  const terminal = await terminalType({ env: process.env, home });
  return terminal === undefined ? {} : { terminal };
}
