import { entryAt, realPath, type Entry, type Facts } from '../src/core/facts.ts';
import type { Change, Step } from '../src/core/plan.ts';
import { printable } from '../src/core/printable.ts';
import { joinPath, parentOf, remotePath, type RemotePath } from '../src/core/remote-path.ts';
import { closed, notADirectory } from './standing.ts';

const OWN = remotePath('.terminfo');

/** Where systems keep descriptions of terminals (terminfo(5)). */
const SYSTEM = [
  '/etc/terminfo',
  '/lib/terminfo',
  '/usr/lib/terminfo',
  '/usr/share/terminfo',
  '/usr/share/lib/terminfo',
  '/usr/local/share/terminfo',
].map((folder) => remotePath(folder));

/** The server knows this machine's terminal (TERM), or learns it in ~/.terminfo. Off unless the configuration says so. */
export const terminfo: Step = {
  name: 'terminfo',
  title: 'your terminal is known there',

  reads: ({ terminal }) =>
    terminal === undefined
      ? []
      : [
          OWN,
          ...placesIn(OWN, terminal.name).map(folderOf),
          ...[OWN, ...SYSTEM].flatMap((folder) => placesIn(folder, terminal.name)),
        ].map((path) => ({ path, follow: true })),

  plan(facts, { terminal }) {
    if (terminal === undefined) return { kind: 'settled', because: 'there is no terminal here' };
    const name = printable(terminal.name);
    const there = [OWN, ...SYSTEM].flatMap((folder) => placesIn(folder, terminal.name));
    const found = there.find((path) => standsAt(facts, path).kind === 'file');
    if (found !== undefined) return { kind: 'settled', because: `${name} is known there already` };
    if (terminal.description === undefined) {
      return { kind: 'blocked', because: `this machine has no description of ${name} either` };
    }
    const path = placeOn(facts, terminal.name);
    const folders = [OWN, folderOf(path)];
    const obstacle = folders.map((folder) => inTheWay(facts, folder)).find(Boolean);
    if (obstacle !== undefined) return { kind: 'blocked', because: obstacle };
    const before = entryAt(facts, path);
    if (before.kind !== 'absent')
      return { kind: 'blocked', because: `~/${path} is no file; move it away` };
    const after: Entry = { kind: 'file', mode: 0o644, content: terminal.description };
    const reason = `${name} is not known there`;
    const file: Change = { what: 'entry', path, before, after, reason };
    return { kind: 'changes', changes: [...folders.flatMap((one) => made(facts, one)), file] };
  },
};

/** A description lies under its first letter, or where names may not differ by case alone, under that letter's number. */
function placesIn(folder: RemotePath, name: string): readonly RemotePath[] {
  return [name[0]!, hex(name)].map((letter) => joinPath(folder, `${letter}/${name}`));
}

function folderOf(path: RemotePath): RemotePath {
  return parentOf(path) ?? OWN;
}

function placeOn({ system }: Facts, name: string): RemotePath {
  return joinPath(OWN, `${system.os === 'Darwin' ? hex(name) : name[0]!}/${name}`);
}

function hex(name: string): string {
  return name.charCodeAt(0).toString(16).padStart(2, '0');
}

function standsAt(facts: Facts, path: RemotePath): Entry {
  return entryAt(facts, realPath(facts, path));
}

function inTheWay(facts: Facts, folder: RemotePath): string | undefined {
  const there = standsAt(facts, folder);
  if (there.kind === 'absent') {
    return entryAt(facts, folder).kind === 'absent'
      ? closed(facts, folder)
      : notADirectory(`~/${folder}`, { kind: 'symlink' });
  }
  if (there.kind !== 'directory') return notADirectory(`~/${folder}`, there);
  return facts.unwritable.has(folder) ? `~/${folder} may not be written` : undefined;
}

function made(facts: Facts, path: RemotePath): readonly Change[] {
  const before = standsAt(facts, path);
  if (before.kind !== 'absent') return [];
  const after: Entry = { kind: 'directory', mode: 0o755 };
  return [{ what: 'entry', path, before, after, reason: 'to hold it' }];
}
