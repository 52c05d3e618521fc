import { hostname, userInfo, type UserInfo } from 'node:os';
import { join } from 'node:path';

/** What the tokens of ssh_config(5) stand for. */
export interface Tokens {
  /** The name dialled, after HostName. */
  readonly address: string;
  /** The name as typed. */
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly hostKeyAlias?: string | undefined;
  readonly home: string;
}

/** Replaces the tokens that ProxyCommand knows (ssh_config(5), TOKENS); others stay as they are. */
export function expandTokens(
  text: string,
  { address, host, port, user }: Omit<Tokens, 'home'>,
): string {
  const tokens = { '%': '%', h: address, n: host, p: String(port), r: user };
  return replaced(text, tokens);
}

/** The name of a file as IdentityFile and its like write it: `~/`, tokens and `${VARIABLE}`. */
export function expandFile(text: string, tokens: Tokens): string {
  const { address, host, port, user, hostKeyAlias = host, home } = tokens;
  const variables = text.replace(/\$\{(\w+)\}/g, (_, name: string) => process.env[name] ?? '');
  if (!variables.includes('%')) return inHome(variables, home);
  const name = replaced(variables, {
    '%': '%',
    d: home,
    h: address,
    i: String(process.getuid?.() ?? 0),
    k: hostKeyAlias,
    L: hostname().split('.')[0]!,
    l: hostname(),
    n: host,
    p: String(port),
    r: user,
    u: passwdEntry().username,
  });
  return inHome(name, home);
}

let entry: UserInfo<string> | undefined;

/** The passwd entry of the user of this machine, looked up once. */
export function passwdEntry(): UserInfo<string> {
  return (entry ??= userInfo());
}

/** OpenSSH takes the home directory from the passwd entry; whoever sets HOME to another means that one. */
export function inHome(file: string, home: string): string {
  if (file.startsWith('~/')) return join(home, file.slice(2));
  const real = passwdEntry().homedir;
  return file.startsWith(`${real}/`) ? join(home, file.slice(real.length)) : file;
}

function replaced(text: string, tokens: Readonly<Record<string, string>>): string {
  return text.replace(/%(.)/g, (token, letter: string) => tokens[letter] ?? token);
}
