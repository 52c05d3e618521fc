import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';

const BUSYBOX = '/bin/busybox';

/** Why there can be no system of busybox alone here; undefined where there can. */
export const noBusyboxRoot: string | undefined =
  process.getuid?.() !== 0
    ? 'not root'
    : existsSync(BUSYBOX)
      ? undefined
      : 'busybox is not installed';

/**
 * Makes the root directory of a system that has busybox and nothing else, but for some of its applets. It is in
 * /srv because sshd wants no folder above a chroot that others may write.
 */
export function makeBusyboxRoot(without: readonly string[] = []): string {
  const root = mkdtempSync('/srv/prep-root-');
  for (const name of ['bin', 'dev', 'etc', 'home', 'proc', 'tmp']) {
    mkdirSync(join(root, name), { mode: 0o755 });
  }
  const linked = execFileSync('ldd', [BUSYBOX], { encoding: 'utf8' });
  for (const [file] of linked.matchAll(/\/[^\s]+/g)) {
    mkdirSync(join(root, dirname(file)), { recursive: true });
    copyFileSync(file, join(root, file));
  }
  copyFileSync(BUSYBOX, join(root, BUSYBOX));
  const applets = execFileSync(BUSYBOX, ['--list'], { encoding: 'utf8' }).trim().split('\n');
  for (const name of applets) {
    if (name === 'busybox' || without.includes(name)) continue;
    symlinkSync('busybox', join(root, 'bin', name));
  }
  execFileSync('chmod', ['755', root]);
  return root;
}

/** A command line that runs a command in such a system, with another directory as its /home/alice. */
export function inBusyboxRoot(root: string, home: string, command: string): readonly string[] {
  mkdirSync(join(root, 'home/alice'), { recursive: true });
  const script =
    'mount --rbind "$1" "$2/home/alice" && mount --rbind /dev "$2/dev" && exec chroot "$2" /bin/sh -c "$3"';
  return ['unshare', '--mount', 'sh', '-c', script, 'sh', home, root, command];
}
