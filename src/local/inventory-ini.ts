import { PrepError } from '../core/problem.ts';
import { expandRange, Inventory, refuse, type Vars } from './inventory.ts';
import { splitWords } from './words.ts';

/** Reads an Ansible inventory in INI: groups, ranges, `:children`, `:vars`, variables beside hosts. @throws PrepError `in-hosts-file` */
export function readIni(text: string): Inventory {
  const inventory = new Inventory();
  let section: Section = { group: 'ungrouped', kind: 'hosts' };
  for (const [index, raw] of text.split('\n').entries()) {
    const line = raw.trim();
    if (line === '' || /^[#;]/.test(line)) continue;
    const where = `line ${index + 1}`;
    const [, name, kind = 'hosts'] = /^\[([^\]:]+)(?::(\w+))?\]\s*(?:[#;].*)?$/.exec(line) ?? [];
    if (name === undefined) take(inventory, section, line, where);
    else section = { group: name, kind: kindOf(kind, where) };
  }
  return inventory;
}

type Kind = 'hosts' | 'children' | 'vars';

interface Section {
  readonly group: string;
  readonly kind: Kind;
}

function kindOf(kind: string, where: string): Kind {
  if (kind === 'hosts' || kind === 'children' || kind === 'vars') return kind;
  throw refuse(where, `there is no section of kind ":${kind}"`, 'write :children or :vars');
}

function take(inventory: Inventory, { group, kind }: Section, line: string, where: string): void {
  const target = inventory.group(group);
  if (kind === 'vars') target.vars = { ...target.vars, ...assignment(line, where) };
  else if (kind === 'children') target.children.add(line.replace(/\s*[#;].*$/, ''));
  else {
    const { names, vars } = hostLine(line, where);
    for (const name of names) {
      inventory.host(name, where, vars);
      target.hosts.add(name);
    }
  }
}

function hostLine(line: string, where: string): { names: readonly string[]; vars: Vars } {
  try {
    const [pattern = '', ...rest] = splitWords(line);
    const [, host = pattern, port] = /^([^:]*(?:\[[^\]]*\][^:]*)*):(\d+)$/.exec(pattern) ?? [];
    const own = Object.assign({}, ...rest.map((word) => assignment(word, where))) as Vars;
    const vars = port === undefined ? own : { ansible_port: port, ...own };
    return { names: expandRange(host), vars };
  } catch (error) {
    if (!(error instanceof PrepError) || error.problem.code !== 'bad-hosts-line') throw error;
    throw refuse(where, error.problem.cause, error.problem.action);
  }
}

function assignment(text: string, where: string): Vars {
  const [, name, value] = /^([^\s=]+)\s*=\s*(.*)$/s.exec(text) ?? [];
  if (name === undefined) {
    throw refuse(where, `"${text}" is not a variable`, 'write it as name=value');
  }
  return { [name]: value!.replace(/^(['"])(.*)\1$/s, '$2') };
}
