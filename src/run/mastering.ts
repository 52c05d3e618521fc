import path from 'node:path';
import type { EditReport, LocalEdit, Observer } from '../core/event.ts';
import type { Prompter } from '../core/prompter.ts';
import {
  addBlock,
  blockLines,
  configWord,
  directives,
  hasBlock,
  removeBlock,
  type ConfigText,
} from '../core/ssh-config-text.ts';
import { chooseControlFolder, makePrivate, mustBeMade } from '../local/control-folder.ts';
import { expandTilde } from '../local/files.ts';
import {
  asTemporaryFile,
  configEntry,
  readConfigFile,
  writeConfigFile,
  type ConfigFile,
} from '../local/ssh-config-file.ts';
import { effective, type Effective } from '../ssh/ssh-g.ts';

/** What `prep mastering` needs of the world. */
export interface MasteringWorld {
  readonly wishes: { readonly sshConfig?: string; readonly dryRun: boolean };
  readonly home: string;
  /** $XDG_RUNTIME_DIR. */
  readonly runtimeDir?: string;
  readonly prompter: Prompter;
  readonly observe: Observer;
}

/** A host that no line of anybody's names: what holds for it holds for every other host. */
const ANY_HOST = 'any-other-host.invalid';

/** No more hosts than these are asked about. */
const HOSTS = 10;

/**
 * Lets every host share one connection, by a block at the end of the user's ssh_config; or takes the block out
 * again. Shown, asked about, and written only then.
 * @throws PrepError
 */
export async function mastering(world: MasteringWorld, remove: boolean): Promise<EditReport> {
  const file = await readConfigFile(world.home, world.wishes.sshConfig);
  const report = await (remove ? takeOut(world, file) : bringIn(world, file));
  world.observe({ type: 'edited', report });
  return report;
}

async function takeOut(world: MasteringWorld, file: ConfigFile): Promise<EditReport> {
  const { text } = file;
  const edit = editOf(file, text && removeBlock(text), 'take out the shared connections');
  if (text === undefined || !hasBlock(text)) {
    return { edit, status: 'unchanged', because: 'prep shares no connections here' };
  }
  const question = `Take this out of ${file.name}?`;
  return carriedOut(
    world,
    edit,
    { question, done: 'each ssh makes its own connection again' },
    () => writeConfigFile(file, removeBlock(text), world.home),
  );
}

async function bringIn(world: MasteringWorld, file: ConfigFile): Promise<EditReport> {
  const unchanged = editOf(file, file.text, 'share connections');
  if (file.text !== undefined && hasBlock(file.text)) {
    await mendFolder(world, file.text);
    return { edit: unchanged, status: 'unchanged', because: 'connections are shared already' };
  }
  const [before] = await askAbout(file, file.text ?? '', [ANY_HOST]);
  if (before !== undefined && sharesAlready(before)) {
    const because = `your own ControlPath shares connections already (${before.get('controlpath')![0]!})`;
    return { edit: unchanged, status: 'unchanged', because };
  }
  const { folder, controlPath, because } = await chooseControlFolder(world.home, world.runtimeDir);
  const text = addBlock(file.text, blockFor(controlPath));
  const remarks = [
    ...(because === undefined ? [] : [because]),
    ...((await mustBeMade(folder)) ? [`makes the directory ${folder} (0700) for the sockets`] : []),
    ...(before === undefined ? ['there is no ssh here to check this with'] : []),
    ...(await keptSettings(file, text)),
  ];
  const edit = { ...editOf(file, text, 'share one connection per host, for 10 minutes'), remarks };
  const named = world.wishes.sshConfig === undefined ? '' : ` -F ${world.wishes.sshConfig}`;
  const done = `connections are shared from now on; taken out by: prep mastering --remove${named}`;
  return carriedOut(world, edit, { question: `Write this to ${file.name}?`, done }, async () => {
    await makePrivate(folder);
    await writeConfigFile(file, text, world.home);
  });
}

/** The block, as ASCII-compatible bytes. */
function blockFor(controlPath: string): string[] {
  const lines = [
    'Host *',
    '  ControlMaster auto',
    `  ControlPath ${configWord(controlPath)}`,
    '  ControlPersist 10m',
  ];
  return lines.map((line) => Buffer.from(line).toString('latin1'));
}

function editOf(file: ConfigFile, text: ConfigText | undefined, reason: string): LocalEdit {
  const [before, after] = [configEntry(file), configEntry({ ...file, text })];
  return { file: file.name, before, after, reason, remarks: [] };
}

async function carriedOut(
  { wishes, prompter, observe }: MasteringWorld,
  edit: LocalEdit,
  { question, done }: { readonly question: string; readonly done: string },
  write: () => Promise<void>,
): Promise<EditReport> {
  observe({ type: 'edit', edit, next: wishes.dryRun ? 'end' : 'ask' });
  if (wishes.dryRun) return { edit, status: 'planned', because: '1 change planned, none made' };
  if (!(await prompter.confirm(question, { preset: true, safe: true }))) {
    const because = 'left as it is: you said no; run prep mastering again to be asked once more';
    return { edit, status: 'declined', because };
  }
  await write();
  return { edit, status: 'changed', because: done };
}

/** ssh gives up where the directory for its sockets is missing: the block there is only half of it. */
async function mendFolder({ wishes, home }: MasteringWorld, text: ConfigText): Promise<void> {
  const set = directives(blockLines(text).join('\n')).find(
    ({ keyword }) => keyword === 'controlpath',
  );
  const named = Buffer.from(set?.values[0] ?? '', 'latin1')
    .toString()
    .replaceAll('%%', '\0');
  const folder = path.dirname(expandTilde(named, home)).replaceAll('\0', '%');
  if (wishes.dryRun || !path.isAbsolute(folder) || named.slice(0, -2).includes('%')) return;
  await makePrivate(folder);
}

function sharesAlready(settings: Effective): boolean {
  const master = settings.get('controlmaster')?.[0] ?? 'false';
  const socket = settings.get('controlpath')?.[0] ?? 'none';
  return !['false', 'no'].includes(master) && socket !== 'none';
}

/** What would hold for some hosts if the file had this text; undefined where there is no ssh to say so. */
function askAbout(
  { name }: ConfigFile,
  text: ConfigText,
  hosts: readonly string[],
): Promise<(Effective | undefined)[]> {
  return asTemporaryFile(text, (candidate) =>
    Promise.all(hosts.map((host) => effective(candidate, host, name))),
  );
}

const KEYWORDS = ['ControlMaster', 'ControlPath', 'ControlPersist'] as const;

/** What wins over the block, for which hosts, in words; `ssh -G` is the judge, with the text as it will be. */
async function keptSettings(file: ConfigFile, text: ConfigText): Promise<string[]> {
  const hosts = namesIn(text).slice(0, HOSTS);
  const [alone] = await askAbout(file, addBlock(undefined, blockLines(text)), [ANY_HOST]);
  if (alone === undefined) return [];
  const found = await askAbout(file, text, [ANY_HOST, ...hosts]);
  const [all = [], ...each] = found.map((settings) => differing(settings, alone));
  return [
    ...all.map((setting) => `every host keeps your own ${setting}`),
    ...each.flatMap((kept, index) =>
      kept
        .filter((one) => !all.includes(one))
        .map((one) => `${hosts[index]!} keeps its own ${one}`),
    ),
  ];
}

function differing(settings: Effective | undefined, wanted: Effective): string[] {
  return KEYWORDS.flatMap((name) => {
    const [value, block] = [settings, wanted].map((map) => map?.get(name.toLowerCase())?.[0]);
    const same = name === 'ControlPath' ? folderOf(value) === folderOf(block) : value === block;
    return same ? [] : [`${name} ${value ?? 'none'}`];
  });
}

function folderOf(socket: string | undefined): string {
  return socket === undefined ? '' : path.dirname(socket);
}

function namesIn(text: ConfigText): string[] {
  const hosts = directives(text).filter(({ keyword }) => keyword === 'host');
  return hosts.flatMap(({ values }) => values.filter((value) => /^[\w.-]+$/.test(value)));
}
