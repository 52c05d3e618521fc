import { label } from '../core/destination.ts';
import { PrepError } from '../core/problem.ts';
import type { Hosts, HostsLine } from './hosts.ts';
import { splitWords } from './words.ts';

/** Variables by name, as they stand in the inventory. */
export type Vars = Readonly<Record<string, string>>;

/** A group of an Ansible inventory. */
export interface Group {
  readonly hosts: Set<string>;
  readonly children: Set<string>;
  vars: Vars;
}

/** An Ansible inventory: what it says of reaching hosts; all else is Ansible's own. */
export class Inventory {
  /** Hosts in the order of their first mention, each with where that was and its own variables. */
  readonly hosts = new Map<string, { readonly where: string; vars: Vars }>();
  readonly groups = new Map<string, Group>();

  /** A host is mentioned. Later variables win. */
  host(name: string, where: string, vars: Vars): void {
    const known = this.hosts.get(name);
    this.hosts.set(name, { where: known?.where ?? where, vars: { ...known?.vars, ...vars } });
  }

  /** The group of a name, made where there is none yet. */
  group(name: string): Group {
    const group = this.groups.get(name) ?? { hosts: new Set(), children: new Set(), vars: {} };
    this.groups.set(name, group);
    return group;
  }
}

/** The accounts of an inventory as lines of a hosts file. @throws PrepError `in-hosts-file` */
export function linesOf(inventory: Inventory): Omit<Hosts, 'name'> {
  const depths = depthsOf(inventory);
  const lines: HostsLine[] = [];
  const leftOut: string[] = [];
  for (const [name, { where, vars }] of inventory.hosts) {
    const all = { ...inherited(inventory, depths, name), ...vars };
    const connection = all['ansible_connection'] ?? 'ssh';
    if (/(^|\.)(ssh|paramiko(_ssh)?|smart)$/.test(connection)) {
      lines.push({ where, words: wordsFor(name, all, where) });
    } else leftOut.push(`${name} (ansible_connection=${connection})`);
  }
  return { lines, leftOut };
}

function wordsFor(name: string, vars: Vars, where: string): string[] {
  const value = (...names: readonly string[]): string | undefined => {
    const found = names.map((one) => vars[one]).find((one) => one !== undefined && one !== '');
    if (found === undefined || !found.includes('{{')) return found;
    throw refuse(where, `${names[0]} is a template`, 'prep computes none: write its value');
  };
  const host = value('ansible_host', 'ansible_ssh_host') ?? name;
  const user = value('ansible_user', 'ansible_ssh_user');
  const port = value('ansible_port', 'ansible_ssh_port');
  const key = value('ansible_ssh_private_key_file', 'ansible_private_key_file');
  const jump = jumpIn(
    value('ansible_ssh_common_args') ?? '',
    value('ansible_ssh_extra_args') ?? '',
  );
  return [
    label({ host, ...(user !== undefined && { user }) }),
    ...(port === undefined ? [] : ['--port', port]),
    ...(key === undefined ? [] : ['--identity', key]),
    ...(jump === undefined ? [] : ['--jump', jump]),
  ];
}

/** The jump hosts that ssh's arguments name. */
function jumpIn(...args: readonly string[]): string | undefined {
  const words = args.flatMap((text) => splitWords(text));
  for (const [index, word] of words.entries()) {
    const next = words[index + 1];
    if (word === '-J') return next;
    const [, inline] = /^(?:-o)?ProxyJump[= ](.+)$/i.exec(word) ?? [];
    if (inline !== undefined) return inline;
  }
  return undefined;
}

/** What the groups of a host say, the outermost first, as Ansible does: by depth, then by name. */
function inherited({ groups }: Inventory, depths: ReadonlyMap<string, number>, host: string): Vars {
  const names = [...groups.keys()].filter((name) => name === 'all' || contains(groups, name, host));
  names.sort((a, b) => (depths.get(a) ?? 0) - (depths.get(b) ?? 0) || (a < b ? -1 : Number(a > b)));
  return Object.assign({}, ...names.map((name) => groups.get(name)!.vars)) as Vars;
}

function contains(groups: ReadonlyMap<string, Group>, name: string, host: string): boolean {
  const group = groups.get(name);
  if (group === undefined) return false;
  return (
    group.hosts.has(host) || [...group.children].some((child) => contains(groups, child, host))
  );
}

/** How deep each group lies; `all` is the outermost. */
function depthsOf({ groups }: Inventory): ReadonlyMap<string, number> {
  const depths = new Map<string, number>([['all', 0]]);
  const visit = (name: string, above: readonly string[]): void => {
    if (above.includes(name)) {
      throw refuse(`group ${name}`, 'it is its own descendant', 'take it out of its children');
    }
    depths.set(name, Math.max(depths.get(name) ?? 0, above.length + (name === 'all' ? 0 : 1)));
    for (const child of groups.get(name)?.children ?? []) visit(child, [...above, name]);
  };
  for (const name of groups.keys()) visit(name, []);
  return depths;
}

/** More hosts than anyone prepares from one machine: a slip in a range. */
const MOST = 100_000;

/**
 * A pattern such as `web[01:10]`, `web[0:8:2]` or `db-[a:f]`, written out; leading zeros are kept.
 * @throws PrepError `bad-hosts-line`
 */
export function expandRange(pattern: string): string[] {
  const [whole, before, from, to, step = '1', after] =
    /^(.*?)\[(\w+):(\w+)(?::(\d+))?\](.*)$/.exec(pattern) ?? [];
  if (whole === undefined) return [pattern];
  const names = between(from!, to!, Number(step));
  if (names.length === 0) throw badRange(pattern);
  const rest = expandRange(after!);
  if (names.length * rest.length > MOST) throw badRange(pattern);
  return names.flatMap((name) => rest.map((tail) => `${before}${name}${tail}`));
}

function between(from: string, to: string, step: number): string[] {
  const digits = /^\d+$/;
  if (step < 1) return [];
  if (digits.test(from) && digits.test(to)) {
    const count = Math.floor((Number(to) - Number(from)) / step) + 1;
    const width = from.startsWith('0') ? from.length : 0;
    if (!(count > 0 && count <= MOST)) return [];
    return Array.from({ length: count }, (_, index) =>
      String(Number(from) + index * step).padStart(width, '0'),
    );
  }
  if (!/^[a-z]$/i.test(from) || !/^[a-z]$/i.test(to)) return [];
  const count = Math.floor((to.charCodeAt(0) - from.charCodeAt(0)) / step) + 1;
  return Array.from({ length: Math.max(0, count) }, (_, index) =>
    String.fromCharCode(from.charCodeAt(0) + index * step),
  );
}

function badRange(pattern: string): PrepError {
  return new PrepError({
    code: 'bad-hosts-line',
    cause: `"${pattern}" is not a range of hosts`,
    action: 'write it as web[01:10] or web[a:f]',
  });
}

/** A problem of an inventory, at its place; the file's name is added by `readHosts`. */
export function refuse(where: string, cause: string, action: string): PrepError {
  return new PrepError({
    code: 'in-hosts-file',
    file: '',
    where,
    problem: { code: 'bad-hosts-line', cause, action },
  });
}
