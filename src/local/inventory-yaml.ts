import { LineCounter, parseDocument } from 'yaml';
import { PrepError } from '../core/problem.ts';
import { expandRange, Inventory, refuse, type Vars } from './inventory.ts';

/** Reads an Ansible inventory in YAML: groups with `hosts`, `children` and `vars`. @throws PrepError `in-hosts-file` */
export function readYaml(text: string): Inventory {
  const lines = new LineCounter();
  // Tags such as !vault are Ansible's own; nothing that bears one is wanted here.
  const document = parseDocument(text, { lineCounter: lines, logLevel: 'error' });
  const [error] = document.errors;
  if (error !== undefined) {
    const { line } = lines.linePos(error.pos[0]);
    const [cause = ''] = error.message.split(/ at line |\n/);
    throw refuse(`line ${line}`, `this is not YAML (${cause})`, 'mend it there');
  }
  const inventory = new Inventory();
  const groups = mapping(document.toJS({ maxAliasCount: 1000 }), 'the whole file');
  for (const [name, group] of Object.entries(groups)) takeGroup(inventory, name, group);
  return inventory;
}

function takeGroup(inventory: Inventory, name: string, value: unknown): void {
  const where = `group ${name}`;
  const { hosts, children, vars, ...others } = mapping(value, where);
  const [unknown] = Object.keys(others);
  if (unknown !== undefined) {
    throw refuse(where, `it has "${unknown}"`, 'a group has hosts, children and vars');
  }
  const group = inventory.group(name);
  group.vars = { ...group.vars, ...scalars(mapping(vars, `${where}, vars`)) };
  for (const [pattern, own] of Object.entries(mapping(hosts, `${where}, hosts`))) {
    for (const host of expanded(pattern)) {
      inventory.host(host, `host ${host}`, scalars(mapping(own, `host ${host}`)));
      group.hosts.add(host);
    }
  }
  for (const [child, below] of Object.entries(mapping(children, `${where}, children`))) {
    group.children.add(child);
    takeGroup(inventory, child, below);
  }
}

function expanded(pattern: string): readonly string[] {
  try {
    return expandRange(pattern);
  } catch (error) {
    if (!(error instanceof PrepError) || error.problem.code !== 'bad-hosts-line') throw error;
    throw refuse(`host ${pattern}`, error.problem.cause, error.problem.action);
  }
}

/** A mapping; nothing at all counts as an empty one, as with Ansible. */
function mapping(value: unknown, where: string): Record<string, unknown> {
  if (value === null || value === undefined) return {};
  if (typeof value === 'object' && !Array.isArray(value)) return value as Record<string, unknown>;
  throw refuse(
    where,
    'there is no mapping (name: value)',
    'write one host or group a line, each with a colon',
  );
}

function scalars(values: Record<string, unknown>): Vars {
  const plain = Object.entries(values).filter(([, value]) =>
    ['string', 'number', 'boolean'].includes(typeof value),
  );
  return Object.fromEntries(plain.map(([name, value]) => [name, String(value)]));
}
