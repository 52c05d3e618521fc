import { readFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import ConfigText, {
  LineType,
  type Directive,
  type Line,
  type Match,
  type Section,
} from 'ssh-config';
import type { Destination } from '../core/destination.ts';
import { PrepError } from '../core/problem.ts';
import { cannotRead, hasCode } from '../core/system-error.ts';
import { expandFile, expandTokens } from './tokens.ts';

/** Keywords that mean the same without `ssh -G`; their values need no more than tokens to be replaced. */
const SUPPORTED: ReadonlyMap<string, string> = new Map(
  `AddressFamily BindAddress BindInterface ConnectionAttempts ConnectTimeout GlobalKnownHostsFile HashKnownHosts
  HostKeyAlias HostName IdentitiesOnly IdentityAgent IdentityFile KbdInteractiveAuthentication
  NumberOfPasswordPrompts PasswordAuthentication Port PreferredAuthentications ProxyCommand ProxyJump
  PubkeyAuthentication RevokedHostKeys ServerAliveCountMax ServerAliveInterval StrictHostKeyChecking User
  UserKnownHostsFile`
    .split(/\s+/)
    .map((name) => [name.toLowerCase(), name]),
);

/** Criteria of Match that need nobody's help. */
const CRITERIA = ['all', 'host', 'localuser', 'originalhost', 'user'];

/** As OpenSSH has it where none is configured. */
const IDENTITIES = ['rsa', 'ecdsa', 'ed25519', 'dsa'].map((type) => `~/.ssh/id_${type}`);

/** ssh_config as far as it can be understood here. */
export interface Understood {
  /** By keyword in lower case, in the words of `ssh -G`. */
  readonly values: ReadonlyMap<string, readonly string[]>;
  /** What stands in the file and is passed over: keywords, and `Match` with what it asks for. */
  readonly ignored: readonly string[];
}

/**
 * Reads one ssh_config file where there is no OpenSSH to ask; a file that `required` says must be there. Nothing
 * is run and nothing is looked up: `Include`, `Match exec` and the like are passed over.
 * @throws PrepError `cannot-read`, or `usage` where the file makes no sense
 */
export async function readWithoutOpenssh(
  { file, required }: { readonly file: string; readonly required: boolean },
  destination: Destination,
  home: string,
): Promise<Understood> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    if (!required && hasCode(error, 'ENOENT')) return '';
    throw cannotRead(file, 'ssh_config', error);
  });
  const ignored = new Set<string>();
  const config = understood(parsed(text, file), ignored);
  const { host: Host, user: User } = destination;
  const found = config.compute(
    { Host, ...(User !== undefined && { User }) },
    { ignoreCase: true, matchExec: false },
  );
  return { values: valuesOf(found, destination, home), ignored: [...ignored] };
}

function parsed(text: string, file: string): ConfigText {
  try {
    return ConfigText.parse(text);
  } catch (error) {
    throw new PrepError(
      { code: 'usage', text: `${file} cannot be understood: ${(error as Error).message}` },
      error,
    );
  }
}

/** The file without what is passed over. */
function understood(config: ConfigText, ignored: Set<string>): ConfigText {
  return config.filter((line) => isUnderstood(line, ignored)) as ConfigText;
}

function isUnderstood(line: Line, ignored: Set<string>): boolean {
  if (line.type !== LineType.DIRECTIVE) return true;
  if (isSection(line)) {
    const unknown = 'criteria' in line && foreignCriterion(line);
    if (unknown) ignored.add(`Match ${unknown}`);
    else line.config = understood(line.config, ignored);
    return !unknown;
  }
  const name = SUPPORTED.get(line.param.toLowerCase());
  if (name === undefined) ignored.add(line.param);
  // Some of them are compared with their case.
  else line.param = name;
  return name !== undefined;
}

function isSection(line: Directive): line is Section | Match {
  return 'config' in line;
}

function foreignCriterion({ criteria }: Match): string | undefined {
  return Object.keys(criteria).find((name) => !CRITERIA.includes(name.toLowerCase()));
}

function valuesOf(
  found: Readonly<Record<string, string | string[]>>,
  destination: Destination,
  home: string,
): Map<string, string[]> {
  const values = new Map(
    Object.entries(found).map(([keyword, value]) => [keyword, [value].flat().map(unquoted)]),
  );
  const first = (keyword: string): string | undefined => values.get(keyword)?.[0];
  const place = {
    host: destination.host,
    user: destination.user ?? first('user') ?? userInfo().username,
    port: destination.port ?? Number(first('port') ?? 22),
    hostKeyAlias: first('hostkeyalias'),
  };
  const address = expandTokens(first('hostname') ?? place.host, { ...place, address: place.host });
  values.set('hostname', [address]);
  for (const keyword of ['userknownhostsfile', 'globalknownhostsfile']) {
    const files = values.get(keyword)?.map((file) => expandFile(file, { ...place, address, home }));
    if (files !== undefined) values.set(keyword, [files.join(' ')]);
  }
  for (const keyword of ['connecttimeout', 'serveraliveinterval']) {
    const time = first(keyword);
    if (time !== undefined) values.set(keyword, [String(seconds(time))]);
  }
  if (!values.has('identityfile')) values.set('identityfile', IDENTITIES);
  return values;
}

function unquoted(value: string): string {
  return value.replace(/^"(.*)"$/, '$1');
}

/** `90`, `1m30s` (sshd_config(5), TIME FORMATS). */
function seconds(text: string): number {
  const units: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 };
  const parts = [...text.toLowerCase().matchAll(/(\d+)([smhdw]?)/g)];
  return parts.reduce((sum, [, count, unit]) => sum + Number(count) * (units[unit!] ?? 1), 0);
}
