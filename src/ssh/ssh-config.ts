import { access } from 'node:fs/promises';
import { join } from 'node:path';
import type { Destination } from '../core/destination.ts';
import { mentionedIn, type ConfigFiles, type Mentioned } from './mentioned.ts';
import { askSsh, type Effective } from './ssh-g.ts';
import { passwdEntry } from './tokens.ts';

/** ssh_config as it holds for one destination. */
export interface SshConfig {
  /** What a keyword (in lower case) is set to, one text for each time it counts; defaults included. */
  readonly all: (keyword: string) => readonly string[];
  /** The first of them; undefined where nothing is set. */
  readonly first: (keyword: string) => string | undefined;
  readonly keywords: readonly string[];
  readonly mentioned: Mentioned;
  /** What `ssh` is to be called with, before the host as typed, to read the same (-F, -l, -p). */
  readonly sshArguments: readonly string[];
  /** Where there is no OpenSSH: the file that was read instead, and what of it is passed over. */
  readonly ignored?: { readonly file: string; readonly what: readonly string[] };
}

/** What the command line says about ssh_config. */
export interface ConfigFlags {
  readonly port?: number;
  /** The file to read instead of the usual two, or `none`. */
  readonly sshConfig?: string;
}

const SYSTEM = '/etc/ssh/ssh_config';

/**
 * Reads ssh_config for a destination. `ssh -G` is the truth (Host, Match, Include, tokens); where there is no
 * OpenSSH, the user's own file is understood as far as it can be.
 * @throws PrepError `usage` where ssh rejects the configuration, `cannot-read`
 */
export async function readSshConfig(
  destination: Destination,
  flags: ConfigFlags,
  home: string,
): Promise<SshConfig> {
  const { sshConfig, files } = await filesFor(flags, home);
  const named = { ...flags, ...(sshConfig !== undefined && { sshConfig }) };
  const sshArguments = argumentsFor(destination, named);
  const { asked, mentioned } = await answerFor(destination, named, files, home);
  const { values, ignored } = asked ?? (await withoutSsh(destination, files, sshConfig, home));
  const all = (keyword: string): readonly string[] => values.get(keyword) ?? [];
  return {
    all,
    first: (keyword) => all(keyword)[0],
    keywords: [...values.keys()],
    mentioned,
    sshArguments,
    ...(ignored !== undefined && { ignored }),
  };
}

/** What ssh_config says, and what of it is passed over. */
type Answer = Pick<SshConfig, 'ignored'> & {
  readonly values: Effective;
};

interface Asked {
  readonly asked: Answer | undefined;
  readonly mentioned: Mentioned;
}

/** What ssh said first, by all that it may depend on. */
const answers = new Map<string, Promise<Asked>>();

/**
 * Asks ssh; but where nothing in ssh_config tells one host from another, what it said of the first holds for
 * the others too: starting ssh costs as much as logging in.
 */
async function answerFor(
  destination: Destination,
  flags: ConfigFlags,
  files: ConfigFiles,
  home: string,
): Promise<Asked> {
  const ask = async (): Promise<Asked> => {
    const [values, mentioned] = await Promise.all([
      askSsh(argumentsFor(destination, flags), destination.host),
      mentionedIn(files, home),
    ]);
    return { asked: values && { values }, mentioned };
  };
  const port = flags.port ?? destination.port;
  const name = JSON.stringify([
    files,
    flags.sshConfig,
    home,
    !destination.user,
    port === undefined,
  ]);
  const before = await answers.get(name)?.catch(() => undefined);
  if (before?.asked !== undefined && !before.mentioned.varies) {
    const values = new Map(before.asked.values);
    values.set('host', [destination.host]);
    values.set('hostname', [destination.host.toLowerCase()]);
    if (destination.user !== undefined) values.set('user', [destination.user]);
    if (port !== undefined) values.set('port', [String(port)]);
    return { ...before, asked: { values } };
  }
  const asking = ask();
  if (!answers.has(name)) answers.set(name, asking);
  return asking;
}

async function withoutSsh(
  destination: Destination,
  { own: file }: ConfigFiles,
  sshConfig: string | undefined,
  home: string,
): Promise<Answer> {
  if (file === undefined) return { values: new Map() };
  const { readWithoutOpenssh } = await import('./without-openssh.ts');
  const source = { file, required: sshConfig !== undefined };
  const { values, ignored } = await readWithoutOpenssh(source, destination, home);
  return { values, ...(ignored.length > 0 && { ignored: { file, what: ignored } }) };
}

/** The files that count, and the one to name to ssh: it takes the home directory from the passwd entry, whatever HOME says. */
async function filesFor(
  { sshConfig }: ConfigFlags,
  home: string,
): Promise<{ sshConfig?: string; files: ConfigFiles }> {
  if (sshConfig !== undefined) {
    return { sshConfig, files: sshConfig === 'none' ? {} : { own: sshConfig } };
  }
  const own = join(home, '.ssh', 'config');
  if (home === passwdEntry().homedir) return { files: { own, system: SYSTEM } };
  if (await isReadable(own)) return { sshConfig: own, files: { own } };
  return { ...((await isReadable(SYSTEM)) && { sshConfig: SYSTEM }), files: { system: SYSTEM } };
}

function isReadable(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}

function argumentsFor(
  destination: Destination,
  { port = destination.port, sshConfig }: ConfigFlags,
): readonly string[] {
  return [
    ...(sshConfig === undefined ? [] : ['-F', sshConfig]),
    ...(destination.user === undefined ? [] : ['-l', destination.user]),
    ...(port === undefined ? [] : ['-p', String(port)]),
  ];
}
