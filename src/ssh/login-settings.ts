import type { SshConfig } from './ssh-config.ts';
import { expandFile, type Tokens } from './tokens.ts';

/** Ways to log in that prep knows (RFC 4252, RFC 4256). */
export type LoginMethod = 'publickey' | 'password' | 'keyboard-interactive';

/** What ssh_config says about logging in. */
export interface LoginSettings {
  /** Keys that ssh_config names for this host, private or public half; OpenSSH's default ones are not among them. */
  readonly identityFiles: readonly string[];
  /** The only keys that may be offered, beside those of `-i` (IdentitiesOnly); undefined where any may. */
  readonly onlyIdentities?: readonly string[];
  /** The socket of the agent; undefined where none is to be used. */
  readonly agent?: string;
  /** The types of keys that may be used, with all algorithms of RSA (PubkeyAcceptedAlgorithms); undefined for any. */
  readonly keyAlgorithms?: readonly string[];
  /** What may be tried, in this order. */
  readonly methods: readonly LoginMethod[];
  /** How often a password is asked for. */
  readonly passwordPrompts: number;
}

/** Tried in this order where nobody says otherwise. */
const METHODS: readonly LoginMethod[] = ['publickey', 'password', 'keyboard-interactive'];

/** As ssh(1) has it. */
const PASSWORD_PROMPTS = 3;

/** Makes sense of what ssh_config says about logging in. */
export function loginSettings(config: SshConfig, tokens: Tokens): LoginSettings {
  const { all, first } = config;
  const files = all('identityfile');
  const named = isDefault(files) ? [] : filesOf(files, tokens);
  const agent = agentOf(tokens, first('identityagent'));
  const accepted = first('pubkeyacceptedalgorithms') ?? first('pubkeyacceptedkeytypes');
  return {
    identityFiles: named,
    ...(isYes(first('identitiesonly')) && { onlyIdentities: filesOf(files, tokens) }),
    ...(agent !== undefined && { agent }),
    ...(accepted !== undefined && { keyAlgorithms: accepted.split(',') }),
    methods: methodsOf(config),
    passwordPrompts: Number(first('numberofpasswordprompts') ?? PASSWORD_PROMPTS),
  };
}

/** What OpenSSH tries where no IdentityFile is configured; `ssh -G` lists them all then. */
const DEFAULT_IDENTITY = /^~\/\.ssh\/id_(rsa|ecdsa|ecdsa_sk|ed25519|ed25519_sk|xmss|dsa)$/;
const FEWEST_DEFAULTS = 4;

function isDefault(files: readonly string[]): boolean {
  return files.length >= FEWEST_DEFAULTS && files.every((file) => DEFAULT_IDENTITY.test(file));
}

function filesOf(files: readonly string[], tokens: Tokens): readonly string[] {
  return files.filter((file) => file !== 'none').map((file) => expandFile(file, tokens));
}

/** `none`, `SSH_AUTH_SOCK`, `$VARIABLE` or a path (ssh_config(5), IdentityAgent). */
function agentOf(tokens: Tokens, configuredAs = 'SSH_AUTH_SOCK'): string | undefined {
  if (configuredAs === 'none') return undefined;
  const variable =
    configuredAs === 'SSH_AUTH_SOCK' ? configuredAs : /^\$(\w+)$/.exec(configuredAs)?.[1];
  const socket = variable === undefined ? expandFile(configuredAs, tokens) : process.env[variable];
  return socket === '' ? undefined : socket;
}

function methodsOf({ first }: SshConfig): readonly LoginMethod[] {
  const switches: Readonly<Record<LoginMethod, string | undefined>> = {
    publickey: first('pubkeyauthentication'),
    password: first('passwordauthentication'),
    'keyboard-interactive':
      first('kbdinteractiveauthentication') ?? first('challengeresponseauthentication'),
  };
  const preferred = first('preferredauthentications')?.split(',');
  const order = preferred === undefined ? METHODS : preferred.filter(isMethod);
  return order.filter((method) => !isNo(switches[method]));
}

function isMethod(name: string): name is LoginMethod {
  return (METHODS as readonly string[]).includes(name);
}

/** `ssh -G` has `true` for `yes` in some places. */
function isYes(value: string | undefined): boolean {
  return value === 'yes' || value === 'true';
}

function isNo(value: string | undefined): boolean {
  return value === 'no' || value === 'false';
}
