import path from 'node:path';
import { userInfo } from 'node:os';
import { label, parseDestination, type Destination } from '../core/destination.ts';
import type { EditReport, LocalEdit, Report } from '../core/event.ts';
import { PrepError, problemOf, type Problem } from '../core/problem.ts';
import { configWord, directives, insertHost, type ConfigText } from '../core/ssh-config-text.ts';
import { expandTilde } from '../local/files.ts';
import {
  asTemporaryFile,
  configEntry,
  readConfigFile,
  writeConfigFile,
  type ConfigFile,
} from '../local/ssh-config-file.ts';
import { namedHosts } from '../ssh/ssh-hosts.ts';
import { effective, type Effective } from '../ssh/ssh-g.ts';
import type { Settings } from '../ssh/settings.ts';
import type { Preparation } from './gather.ts';
import type { Begun } from './phases.ts';
import { beginPreparing } from './prepare.ts';
import type { World } from './world.ts';

/** Without its key an account is not worth remembering. */
const KEYS_STEP = 'authorized-keys';

/** What `ssh NAME` is to come to: keywords of ssh_config with the values that must hold, in the order of the block. */
type Wanted = readonly (readonly [keyword: string, value: string])[];

/** A Host block that is settled or yet to be written. */
interface Saving {
  readonly file: ConfigFile;
  readonly name: string;
  readonly wanted: Wanted;
  /** The text of the file with the block in it; undefined where it means that already. */
  readonly text?: ConfigText;
  readonly edit: LocalEdit;
}

/**
 * Begins to prepare an account; when that is done, it is remembered under a name in the user's ssh_config, so that
 * `ssh NAME` works. A name that means something else is refused before anything is done.
 * @throws PrepError `name-taken`, `cannot-read`
 */
export async function beginAndSave(
  world: World,
  destination: Destination,
  preparation: Preparation,
  name: string,
): Promise<Begun> {
  await planned(world, destination, preparation, name);
  const begun = await beginPreparing(world, destination, preparation);
  const remembered = async (report: Report): Promise<Report> => {
    if (!letsIn(report)) return report;
    try {
      // The file may have been edited while the account was prepared.
      const saving = await planned(world, destination, preparation, name);
      const saved = await save(world, destination, saving);
      world.observe({ type: 'edited', destination, report: saved });
      return report;
    } catch (error) {
      return { ...report, problem: report.problem ?? problemOf(error) };
    }
  };
  return typeof begun === 'function' ? async () => remembered(await begun()) : remembered(begun);
}

/** Whether the account is as good to log in to as it was to be: what is blocked besides stands in the way of nothing. */
function letsIn({ problem, steps }: Report): boolean {
  const amiss = steps.filter(({ status }) => status === 'failed' || status === 'blocked');
  const besides = amiss.every(({ name, status }) => status === 'blocked' && name !== KEYS_STEP);
  return problem === undefined && besides;
}

async function planned(
  world: World,
  destination: Destination,
  preparation: Preparation,
  name: string,
): Promise<Saving> {
  const { home, wishes } = world;
  const file = await readConfigFile(home, wishes.sshConfig);
  const settings = await world.settings(destination);
  const wanted = wantedOf(settings, preparation.privateFiles, wishes.knownHosts, home);
  const named = (await namedHosts(file.path, home)).find((host) => host.name === name);
  if (named !== undefined) {
    const found = await effective(file.name, name);
    if (found === undefined || missing(found, wanted, home).length > 0) {
      throw new PrepError({ code: 'name-taken', name, file: named.file, line: named.line });
    }
    return { file, name, wanted, edit: editOf(file, file.text, name, []) };
  }
  const { text, remarks } = await placed(file, name, wanted, home);
  return { file, name, wanted, text, edit: editOf(file, text, name, remarks) };
}

function editOf(
  file: ConfigFile,
  text: ConfigText | undefined,
  name: string,
  remarks: readonly string[],
): LocalEdit {
  const [before, after] = [configEntry(file), configEntry({ ...file, text })];
  return { file: file.name, before, after, reason: `remember it as ${name}`, remarks };
}

function wantedOf(
  { address, user, port, jump, proxyCommand, hostKeyAlias }: Settings,
  keys: readonly string[],
  knownHosts: string | undefined,
  home: string,
): Wanted {
  const hops = jump.map(hopWord).join(',');
  return [
    ['HostName', address.replaceAll('%', '%%')],
    ['User', user],
    ['Port', String(port)],
    ...keys.map((file) => ['IdentityFile', fileWord(file, home)] as const),
    ['ProxyJump', hops === '' ? 'none' : hops],
    ['ProxyCommand', proxyCommand ?? 'none'],
    // ssh looks the host key up under HostName, as prep has remembered it, unless an alias stood for that.
    ...(hostKeyAlias === undefined ? [] : [['HostKeyAlias', hostKeyAlias] as const]),
    ...(knownHosts === undefined
      ? []
      : [['UserKnownHostsFile', fileWord(knownHosts, home)] as const]),
  ];
}

function hopWord(hop: Destination): string {
  const bare = hop.host.includes(':') && hop.port === undefined;
  return label(bare ? { ...hop, host: `[${hop.host}]` } : hop);
}

/** A file as ssh_config names it: below `~` where ssh takes the same directory for home. */
function fileWord(file: string, home: string): string {
  const whole = path.resolve(expandTilde(file, home)).replaceAll('%', '%%');
  const inHome = home === userInfo().homedir && whole.startsWith(`${home}/`);
  return inHome ? `~${whole.slice(home.length)}` : whole;
}

/** What ssh takes where nothing is said. */
const PRESET: Readonly<Record<string, string>> = {
  Port: '22',
  ProxyJump: 'none',
  ProxyCommand: 'none',
};

/** The file's text with the block in it, and what wins over the block nevertheless. */
async function placed(
  file: ConfigFile,
  name: string,
  wanted: Wanted,
  home: string,
): Promise<{ text: ConfigText; remarks: string[] }> {
  const needed = wanted.filter(([keyword, value]) => PRESET[keyword] !== value);
  const before = file.text ?? '';
  const first = insertHost(before, blockFor(name, needed));
  const preset = await lacking(first, file, name, wanted, home);
  if (preset === undefined || preset.length === 0) return { text: first, remarks: [] };
  // A wildcard block or the system sets what ssh would else take by itself: then the block says it too.
  const said = wanted.filter((one) => needed.includes(one) || preset.includes(one));
  const text = insertHost(before, blockFor(name, said));
  const left = (await lacking(text, file, name, wanted, home)) ?? [];
  return { text, remarks: left.map(([keyword]) => winner(before, keyword)) };
}

function blockFor(name: string, settings: Wanted): string[] {
  const lines = settings.map(([keyword, value]) => {
    const word = keyword === 'ProxyCommand' ? value : configWord(value);
    return `  ${keyword} ${word}`;
  });
  return [`Host ${name}`, ...lines].map((line) => Buffer.from(line).toString('latin1'));
}

async function lacking(
  text: ConfigText,
  file: ConfigFile,
  name: string,
  wanted: Wanted,
  home: string,
): Promise<Wanted | undefined> {
  const found = await asTemporaryFile(text, (candidate) => effective(candidate, name, file.name));
  return found && missing(found, wanted, home);
}

/** What does not hold according to ssh. */
function missing(found: Effective, wanted: Wanted, home: string): Wanted {
  return wanted.filter(([keyword, value]) => {
    const values = found.get(keyword.toLowerCase()) ?? ['none'];
    if (keyword === 'IdentityFile') {
      return !values.some((one) => sameFile(one, value, home));
    }
    const [first = ''] = values;
    if (keyword === 'UserKnownHostsFile') return !sameFile(first.split(' ')[0]!, value, home);
    if (keyword === 'ProxyJump') return hopsOf(first) !== hopsOf(value);
    if (keyword === 'HostName')
      return first.toLowerCase() !== value.replaceAll('%%', '%').toLowerCase();
    return first !== value;
  });
}

function sameFile(a: string, b: string, home: string): boolean {
  const [one, other] = [a, b].map((file) => expandTilde(file.replaceAll('%%', '%'), home));
  return one === other;
}

function hopsOf(value: string): string {
  if (value === 'none') return value;
  const hops = value.split(',').map(parseDestination);
  return hops.map(({ port = 22, ...hop }) => label({ ...hop, port })).join();
}

function winner(text: ConfigText, keyword: string): string {
  const global = directives(text).find(
    (one) => one.keyword === keyword.toLowerCase() && one.block === undefined,
  );
  if (global === undefined) return `an included file sets ${keyword}, which wins over this block`;
  const said = `${keyword} ${global.values.join(' ')}`;
  return `line ${global.line} (${said}) holds for every host and wins over this block`;
}

async function save(world: World, destination: Destination, saving: Saving): Promise<EditReport> {
  const { file, name, text, edit, wanted } = saving;
  const { sshConfig, dryRun } = world.wishes;
  const login = `ssh ${sshConfig === undefined ? '' : `-F ${sshConfig} `}${name}`;
  if (text === undefined) {
    return { edit, status: 'unchanged', because: `${login} goes there already` };
  }
  world.observe({ type: 'edit', destination, edit, next: dryRun ? 'end' : 'apply' });
  if (dryRun) return { edit, status: 'planned', because: '1 change planned, none made' };
  await writeConfigFile(file, text, world.home);
  const found = await effective(file.name, name);
  const wrong: Problem = { code: 'not-as-predicted', paths: [file.name] };
  const left = found === undefined ? [] : missing(found, wanted, world.home);
  if (left.length > edit.remarks.length) throw new PrepError(wrong);
  return { edit, status: 'changed', because: `remembered; log in with: ${login}` };
}
