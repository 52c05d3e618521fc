import { Document } from 'yaml';
import { authorizedKeyLine } from '../core/authorized-key.ts';
import type { Desired, LocalFile } from '../core/plan.ts';
import { bytesOf, modeText, pathText, textOf } from './text.ts';

type Command = readonly string[];

/** What the user-data says of itself. */
const HEADING = ` Brings up a machine with the account as prep would leave it. It has no password: the key lets you in.`;

/**
 * User-data for cloud-init (22.1 or newer, for deferred files): a machine that does not exist yet comes up
 * with the account ready.
 * @throws PrepError `usage` for a dotfile whose name YAML cannot hold, `cannot-read`
 */
export function cloudConfig(desired: Desired, steps: ReadonlySet<string>, user: string): string {
  const home = user === 'root' ? '/root' : `/home/${user}`;
  const dotfiles = steps.has('dotfiles') ? desired.dotfiles : [];
  const files = dotfiles.flatMap((file) => fileEntry(home, user, file));
  const commands = [
    ...dotfiles.flatMap((file) => entryCommands(home, user, file)),
    ...(steps.has('zlogin') ? linkCommands(`${home}/.zlogin`, '.zshenv', user) : []),
  ];
  const packages = packagesOf(desired, steps);
  const config = {
    users: ['default', account(desired, steps, user)],
    ...(packages.length > 0 && { packages }),
    ...(files.length > 0 && { write_files: files }),
    ...(commands.length > 0 && { runcmd: commands }),
  };
  const document = new Document(config);
  document.commentBefore = HEADING;
  return `#cloud-config\n${document.toString({ lineWidth: 0 })}`;
}

function packagesOf({ loginShell, packages = [] }: Desired, steps: ReadonlySet<string>): string[] {
  const shell = steps.has('login-shell') ? [nameOf(loginShell)] : [];
  const wanted = steps.has('packages') ? packages.map(({ name }) => name) : [];
  return [...new Set([...shell, ...wanted])];
}

function account({ keys, loginShell }: Desired, steps: ReadonlySet<string>, user: string): object {
  const path = loginShell.startsWith('/') ? loginShell : `/bin/${loginShell}`;
  const lines = keys.map((key) => Buffer.from(authorizedKeyLine(key), 'latin1').toString());
  return {
    name: user,
    lock_passwd: true,
    ...(steps.has('login-shell') && { shell: path }),
    ...(steps.has('authorized-keys') && lines.length > 0 && { ssh_authorized_keys: lines }),
  };
}

function nameOf(shell: string): string {
  return shell.slice(shell.lastIndexOf('/') + 1);
}

function fileEntry(home: string, user: string, { path, entry }: LocalFile): object[] {
  if (entry.kind !== 'file') return [];
  const bytes = bytesOf(path, entry.content);
  const text = textOf(bytes);
  const content =
    text === undefined
      ? { encoding: 'b64', content: Buffer.from(bytes).toString('base64') }
      : { content: text };
  return [
    {
      path: `${home}/${pathText(path)}`,
      owner: `${user}:`,
      permissions: modeText(entry.mode),
      // Written when the user is there.
      defer: true,
      ...content,
    },
  ];
}

/** What files alone do not say: folders and their modes, links, times. Runs when the files are there. */
function entryCommands(home: string, user: string, { path, entry }: LocalFile): Command[] {
  const there = `${home}/${pathText(path)}`;
  switch (entry.kind) {
    case 'directory':
      return [
        ['mkdir', '-p', '--', there],
        ['chmod', modeText(entry.mode), there],
        ['chown', `${user}:`, there],
      ];
    case 'symlink':
      return linkCommands(there, pathText(entry.target), user);
    case 'file':
      return entry.mtime === undefined ? [] : [['touch', '-d', `@${entry.mtime}`, there]];
    default:
      return [];
  }
}

function linkCommands(there: string, target: string, user: string): Command[] {
  return [
    ['ln', '-sfn', '--', target, there],
    ['chown', '-h', `${user}:`, there],
  ];
}
