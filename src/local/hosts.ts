import { readFile } from 'node:fs/promises';
import { PrepError, problemOf, type Problem } from '../core/problem.ts';
import { cannotRead } from '../core/system-error.ts';
import { linesOf, type Inventory } from './inventory.ts';
import { readIni } from './inventory-ini.ts';
import { splitWords } from './words.ts';

/** One account of a hosts file, in the command line's own words: a destination and its options. */
export interface HostsLine {
  readonly words: readonly string[];
  /** Where it stands, for complaints: `line 3`, `host web1`. */
  readonly where: string;
}

/** What a hosts file says. */
export interface Hosts {
  /** The file's name, for complaints. */
  readonly name: string;
  readonly lines: readonly HostsLine[];
  /** The names of hosts that are not reached by SSH, and so left out, and why. */
  readonly leftOut: readonly string[];
}

/**
 * Reads a hosts file; `-` is standard input. One destination a line, with options; or an Ansible inventory, in
 * INI where there is a `[group]`, an `ansible_...=` variable or a range of hosts, in YAML where the name or the
 * first line say so.
 * @throws PrepError `cannot-read`, `in-hosts-file`
 */
export async function readHosts(file: string): Promise<Hosts> {
  const name = file === '-' ? 'standard input' : file;
  const text = await (file === '-' ? input() : readFile(file, 'utf8')).catch((error: unknown) => {
    throw cannotRead(name, 'hosts file', error);
  });
  const plain = text.replace(/^\uFEFF/, '').replaceAll('\r\n', '\n');
  const form = formOf(file, plain);
  if (form === 'plain') return { name, lines: plainLines(plain, name), leftOut: [] };
  return {
    name,
    ...(await inHostsFile(name, undefined, async () => linesOf(await inventory(form, plain)))),
  };
}

/** Does something with a line of a hosts file; its problem says where it is. @throws PrepError `in-hosts-file` */
export async function inHostsFile<T>(
  file: string,
  where: string | undefined,
  work: () => T | Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw inFile(file, where, error);
  }
}

function inFile(file: string, where: string | undefined, error: unknown): unknown {
  if (!(error instanceof PrepError)) return error;
  const inner: Problem = problemOf(error);
  const problem: Problem =
    inner.code === 'in-hosts-file'
      ? { ...inner, file }
      : { code: 'in-hosts-file', file, where: where ?? '', problem: inner };
  return new PrepError(problem, error);
}

async function input(): Promise<string> {
  let text = '';
  process.stdin.setEncoding('utf8');
  for await (const chunk of process.stdin) text += String(chunk);
  return text;
}

type Form = 'plain' | 'ini' | 'yaml';

const SECTION = /^\s*\[[a-z_][\w.-]*(:[a-z]+)?\]\s*([#;].*)?$/im;
const VARIABLE = /^[^#;\n]*\sansible_\w+=/m;
/** No IPv6 address in brackets has so few colons between its words. */
const RANGE = /^[^#;\s]*\[\w+:\w+(:\d+)?\]/m;

function formOf(file: string, text: string): Form {
  if (/\.ya?ml$/i.test(file)) return 'yaml';
  const [first = ''] = text.split('\n').filter((line) => !/^\s*(#|$)/.test(line));
  if (/^(---|%YAML\b)|^[\w.-]+:\s*(#.*)?$/.test(first)) return 'yaml';
  const isIni = SECTION.test(text) || VARIABLE.test(text) || RANGE.test(text);
  return isIni || /\.ini$/i.test(file) ? 'ini' : 'plain';
}

async function inventory(form: 'ini' | 'yaml', text: string): Promise<Inventory> {
  if (form === 'ini') return readIni(text);
  return (await import('./inventory-yaml.ts')).readYaml(text);
}

function plainLines(text: string, file: string): HostsLine[] {
  return text.split('\n').flatMap((line, index) => {
    const where = `line ${index + 1}`;
    try {
      const words = splitWords(line);
      return words.length === 0 ? [] : [{ words, where }];
    } catch (error) {
      throw inFile(file, where, error);
    }
  });
}
