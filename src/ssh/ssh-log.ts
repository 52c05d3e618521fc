import { printable } from '../core/printable.ts';
import type { Problem } from '../core/problem.ts';
import { keyTypeLabel } from './known-hosts.ts';
import { isAlgorithm } from './offers.ts';
import type { Settings } from './settings.ts';

/** What `ssh -v` said of a login that succeeded. */
export interface LoggedIn {
  /** `publickey`, `password`, ... */
  readonly method: string;
  /** The fingerprint of the key that the server took last; undefined where that was a certificate, or none. */
  readonly key?: string;
}

/** Reads what `ssh -v` logged of a login that succeeded. */
export function loggedIn(log: string): LoggedIn {
  const method = last(log, /^Authenticated to .* using "([\w-]+)"/gm)?.[1] ?? 'none';
  const accepted = last(log, /^debug1: Server accepts key: .* (\S+) (SHA256:\S+)/gm);
  const key = accepted !== undefined && !/-CERT/.test(accepted[1]!) ? accepted[2]! : undefined;
  return { method, ...(key !== undefined && { key }) };
}

/** What the server still takes, as it last said. */
export function offers(log: string): readonly string[] {
  const [, list = ''] = last(log, /(?:can continue: |Permission denied \()([\w,@.-]+)/g) ?? [];
  return list.split(',').filter((name) => name !== '');
}

/** Whether the login proper had begun: what comes on standard error from then on is the server's banner. */
export function isLoggingIn(log: string): boolean {
  return log.includes('SSH2_MSG_SERVICE_ACCEPT received');
}

/** Why the server opened no channel to another host (sshd logs it nowhere that the user sees), as the last `ssh -W` met it. */
export function refusedChannel(log: string): string | undefined {
  return last(log, /open failed: (.*?)(?:: open failed)?\r?$/gm)?.[1];
}

/**
 * Why `ssh` gave up, from what it logged and what its proxy said beside. A refused login is for the caller
 * to explain (undefined): only it knows what was tried.
 */
export function whyNot(log: string, beside: string, settings: Settings): Problem | undefined {
  const { address: host, port } = settings;
  const said = log
    .replaceAll('\r', '')
    .split('\n')
    .filter((line) => line.trim() !== '' && !/^(debug\d|OpenSSH_)/.test(line))
    .join('\n');
  if (/^(\S+: )?Permission denied \(/m.test(said)) return undefined;
  return (
    hostKeyTrouble(log, said, settings) ??
    refusedConnection(said, settings) ??
    wordsOf(said, beside, { host, port }, log)
  );
}

function hostKeyTrouble(log: string, said: string, settings: Settings): Problem | undefined {
  if (!/^Host key verification failed/m.test(said)) return undefined;
  const [, type = '', fingerprint = ''] =
    last(log, /^debug1: Server host key: (\S+) (SHA256:\S+)/gm) ?? [];
  const [, host = settings.address] =
    /host key for (\S+) (?:has changed|is marked|was revoked)/i.exec(said) ??
    /host key is known for (\S+) and/i.exec(said) ??
    [];
  const about = { host, keyType: keyTypeLabel(type), fingerprint };
  const [, file = settings.knownHosts[0] ?? 'known_hosts', line = '0'] =
    /^(?:Offending|Found) .*?key in (.+):(\d+)$/m.exec(said) ?? [];
  if (/IDENTIFICATION HAS CHANGED/.test(said)) {
    return { code: 'host-key-changed', ...about, file, line: Number(line) };
  }
  if (/REVOKED/i.test(said)) {
    return { code: 'host-key-revoked', ...about, file, line: Number(line) };
  }
  return { code: 'host-key-unknown', ...about, file: settings.knownHosts[0] ?? 'known_hosts' };
}

/** The keyword of ssh_config for what ssh names otherwise. */
const SETTINGS: Readonly<Record<string, string>> = {
  'key exchange': 'KexAlgorithms',
  'host key type': 'HostKeyAlgorithms',
  cipher: 'Ciphers',
  MAC: 'MACs',
};

function refusedConnection(said: string, settings: Settings): Problem | undefined {
  const { address, port, connectTimeout } = settings;
  const [, name] = /Could not resolve hostname (\S+?):/.exec(said) ?? [];
  if (name !== undefined) return { code: 'cannot-resolve', host: name };
  if (/Connection timed out/i.test(said)) {
    return { code: 'no-answer', host: address, port, seconds: connectTimeout / 1000 };
  }
  const [, host, at, cause] = /connect to host (\S+) port (\d+): (.*)/.exec(said) ?? [];
  if (host !== undefined) {
    return { code: 'cannot-connect', host, port: Number(at), cause: cause!.toLowerCase() };
  }
  const [, what, theirs] =
    /no matching (.*?)(?: method)? found\. Their offer: (.*)/.exec(said) ?? [];
  if (what !== undefined) {
    const setting = SETTINGS[what];
    return {
      code: 'no-common-algorithm',
      what,
      offers: theirs!.trim().split(',').filter(isAlgorithm),
      ...(setting !== undefined && { setting }),
      limits: false,
    };
  }
  return undefined;
}

function wordsOf(
  said: string,
  beside: string,
  { host, port }: { host: string; port: number },
  log: string,
): Problem {
  const [, greeting] = /^(?:kex_exchange|banner).*identification: (.*)/m.exec(said) ?? [];
  if (/invalid|illegal/i.test(greeting ?? '')) {
    return { code: 'not-ssh', host, port, said: '' };
  }
  const closed = /^(Received disconnect|Disconnected|Connection (closed|reset)|ssh_dispatch)/m;
  if (greeting !== undefined || closed.test(said)) {
    const during = isLoggingIn(log)
      ? 'login'
      : greeting === undefined
        ? 'the key exchange'
        : 'the greeting';
    const [, reason = ''] = /^Received disconnect from .*?:\d+: (.*)$/m.exec(said) ?? [];
    return { code: 'hung-up', during, said: printable(reason.trim()) };
  }
  const lines = `${beside}\n${said}`.trim().split('\n');
  return { code: 'openssh-failed', said: printable(lines.at(-1)?.trim() ?? '') };
}

function last(text: string, pattern: RegExp): RegExpMatchArray | undefined {
  return [...text.matchAll(pattern)].at(-1);
}
