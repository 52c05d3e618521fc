import type { Facts } from '../src/core/facts.ts';
import type { CommandChange, PackageWish, Step } from '../src/core/plan.ts';
import { printable } from '../src/core/printable.ts';

/** Where the packages of shells put them, as /etc/shells then has it. */
const SHELLS: Readonly<Record<string, string>> = {
  zsh: '/bin/zsh',
  fish: '/usr/bin/fish',
  ksh: '/bin/ksh',
  mksh: '/bin/mksh',
  tcsh: '/bin/tcsh',
};

/** How each package manager brings its lists up to date, where a new machine has none, and how it installs. */
const MANAGERS: Readonly<
  Record<string, { readonly update?: readonly string[]; readonly install: readonly string[] }>
> = {
  'apt-get': {
    update: ['apt-get', 'update', '-q'],
    install: ['env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', 'install', '-q', '-y'],
  },
  dnf: { install: ['dnf', 'install', '-q', '-y'] },
  apk: { update: ['apk', 'update', '-q'], install: ['apk', 'add', '-q'] },
  pacman: { install: ['pacman', '-S', '-y', '--noconfirm', '--needed'] },
  zypper: { install: ['zypper', '--non-interactive', 'install'] },
};

/** The programs that you want are there, installed by the system's package manager. Off unless the configuration names packages. */
export const packages: Step = {
  name: 'packages',
  title: 'the packages you want are installed',

  reads: () => [],

  programs: ({ packages: wanted = [] }) => wanted.flatMap(({ provides }) => provides),

  plan(facts, { packages: wanted = [] }) {
    if (facts.account.access === 'sftp') {
      return { kind: 'blocked', because: 'the account runs no commands; ask the administrator' };
    }
    const { tools } = facts.system;
    const missing = wanted.filter(({ provides }) => provides.some((name) => !tools.has(name)));
    if (missing.length === 0) return { kind: 'settled', because: settled(wanted) };
    const names = missing.map(({ name }) => printable(name)).join(', ');
    const manager = Object.keys(MANAGERS).find((name) => tools.has(name));
    if (manager === undefined) {
      const known = Object.keys(MANAGERS).join(', ');
      return {
        kind: 'blocked',
        because: `there is no package manager that prep knows (${known}) to install ${names}; ask the administrator`,
      };
    }
    const root = facts.account.uid === 0;
    if (!root && !facts.system.sudo) {
      return {
        kind: 'blocked',
        because: `installing ${names} takes root, and sudo does not work without a password; ask the administrator`,
      };
    }
    return { kind: 'changes', changes: commands(manager, missing, facts) };
  },
};

function settled(wanted: readonly PackageWish[]): string {
  if (wanted.length === 0) return 'none was asked for';
  return wanted.length === 1 ? 'already there' : `all ${wanted.length} already there`;
}

function commands(
  manager: string,
  missing: readonly PackageWish[],
  { account }: Facts,
): readonly CommandChange[] {
  const { update, install } = MANAGERS[manager]!;
  const command = (argv: readonly string[], reason: string): CommandChange => ({
    what: 'command',
    argv,
    as: account.uid === 0 ? 'root' : 'sudo',
    provides: [],
    shells: [],
    reason,
  });
  const provides = missing.flatMap((wish) => wish.provides);
  const names = missing.map(({ name }) => name);
  const installing: CommandChange = {
    ...command([...install, ...names], `${provides.map(printable).join(', ')} not there yet`),
    provides,
    shells: provides.flatMap((name) => SHELLS[name] ?? []),
  };
  if (update === undefined) return [installing];
  return [command(update, 'its lists may be out of date'), installing];
}
