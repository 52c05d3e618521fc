import { access, readFile } from 'node:fs/promises';
import { printable } from '../core/printable.ts';
import { Kept } from './kept.ts';
import type { SshConfig } from './ssh-config.ts';

/** Keywords that settings.ts gives a meaning to, or that `ssh -G` itself has used up. */
const HONOURED = words(`
  addressfamily bindaddress bindinterface challengeresponseauthentication ciphers connectionattempts connecttimeout controlpath
  globalknownhostsfile hashknownhosts host hostkeyalgorithms hostkeyalias hostname identitiesonly identityagent
  identityfile kbdinteractiveauthentication kexalgorithms macs numberofpasswordprompts passwordauthentication port
  preferredauthentications proxycommand proxyjump pubkeyacceptedalgorithms pubkeyacceptedkeytypes pubkeyauthentication revokedhostkeys
  serveralivecountmax serveraliveinterval stricthostkeychecking user userknownhostsfile
  canonicaldomains canonicalizefallbacklocal canonicalizehostname canonicalizemaxdots canonicalizepermittedcnames
  ignoreunknown include match tag`);

/**
 * Keywords that make no difference to what prep does, and are passed over on purpose. prep forwards nothing (no
 * port, agent, X11 or tunnel), runs its own commands (RemoteCommand, LocalCommand, SessionType), sends no
 * environment, opens no master of its own by ssh2, and learns no host key but the one that it sees.
 */
const WITHOUT_EFFECT = words(`
  casignaturealgorithms channeltimeout clearallforwardings compression compressionlevel controlmaster controlpersist
  dynamicforward enableescapecommandline enablesshkeysign escapechar exitonforwardfailure forkafterauthentication
  forwardagent forwardx11 forwardx11timeout forwardx11trusted gatewayports gssapiclientidentity
  gssapidelegatecredentials gssapikexalgorithms gssapikeyexchange gssapirenewalforcesrekey gssapiserveridentity
  gssapitrustdns hostbasedacceptedalgorithms hostbasedkeytypes ipqos localcommand localforward loglevel logverbose
  obscurekeystroketiming permitlocalcommand permitremoteopen rekeylimit remotecommand remoteforward requesttty
  sendenv sessiontype setenv stdinnull streamlocalbindmask streamlocalbindunlink syslogfacility tcpkeepalive tunnel
  tunneldevice updatehostkeys useroaming versionaddendum warnweakcrypto xauthlocation`);

/** Keywords that ssh2 passes over though they may matter, and what they must be set to for that to be all the same. */
const UNUSED: Readonly<Record<string, readonly [name: string, ...same: string[]]>> = {
  addkeystoagent: ['AddKeysToAgent', 'false', 'no'],
  batchmode: ['BatchMode', 'no'],
  checkhostip: ['CheckHostIP', 'no'],
  fingerprinthash: ['FingerprintHash', 'SHA256'],
  nohostauthenticationforlocalhost: ['NoHostAuthenticationForLocalhost', 'no'],
  requiredrsasize: ['RequiredRSASize', '1024'],
  securitykeyprovider: ['SecurityKeyProvider', 'internal'],
  verifyhostkeydns: ['VerifyHostKeyDNS', 'false', 'no'],
  visualhostkey: ['VisualHostKey', 'no'],
};

/** What ssh2 cannot do, and what must be set for it not to be asked for. */
const OPENSSH_ONLY: Readonly<Record<string, readonly [name: string, ...off: string[]]>> = {
  certificatefile: ['CertificateFile', 'none'],
  gssapiauthentication: ['GSSAPIAuthentication', 'no'],
  hostbasedauthentication: ['HostbasedAuthentication', 'no'],
  knownhostscommand: ['KnownHostsCommand', 'none'],
  pkcs11provider: ['PKCS11Provider', 'none'],
  proxyusefdpass: ['ProxyUseFdpass', 'no'],
};

/** Ways to log in that OpenSSH alone knows. */
const METHODS = ['gssapi-keyex', 'gssapi-with-mic', 'hostbased'];

/** What the user's ssh_config asks for and ssh2 does not do, each as in ssh_config(5). */
export interface Beyond {
  /**
   * What OpenSSH alone can honour, and getting in may depend on: the keyword, with a value where only that value
   * is meant (`CertificateFile`, `PreferredAuthentications gssapi-with-mic`, `IdentityFile /home/me/.ssh/id_sk`).
   */
  readonly opensshOnly: readonly string[];
  /** What ssh2 passes over though OpenSSH would not, and getting in does not depend on. */
  readonly unused: readonly string[];
}

/** Says which settings are passed over where ssh2 speaks SSH: one note, or none. */
export function passedOver({ opensshOnly, unused }: Beyond): readonly string[] {
  const names = [...opensshOnly, ...unused];
  if (names.length === 0) return [];
  const [are, them] = names.length === 1 ? ['is', 'it'] : ['are', 'them'];
  const list = names.map(printable).join(', ');
  return [`ssh_config's ${list} ${are} not used by ssh2 (--transport openssh uses ${them})`];
}

/** Looks for what the user set; what OpenSSH or the distribution sets by itself is never among it. */
export async function beyondSsh2(
  config: SshConfig,
  identityFiles: readonly string[],
): Promise<Beyond> {
  const preferred = config.first('preferredauthentications')?.split(',') ?? [];
  return {
    opensshOnly: [
      ...asked(config, OPENSSH_ONLY),
      ...preferred
        .filter((method) => METHODS.includes(method))
        .map((method) => `PreferredAuthentications ${method}`),
      ...(await beyondIn(identityFiles)),
    ],
    unused: [...asked(config, UNUSED), ...unheardOf(config)],
  };
}

function asked(
  { all, mentioned }: SshConfig,
  table: Readonly<Record<string, readonly [string, ...string[]]>>,
): string[] {
  return Object.entries(table)
    .filter(
      ([keyword, [, ...same]]) =>
        mentioned.own(keyword) && all(keyword).some((value) => !same.includes(value)),
    )
    .map(([, [name]]) => name);
}

/** Keywords of an OpenSSH newer than this table. */
function unheardOf({ keywords, mentioned }: SshConfig): string[] {
  return keywords
    .filter((keyword) => !HONOURED.has(keyword) && !WITHOUT_EFFECT.has(keyword))
    .filter((keyword) => !(keyword in UNUSED) && !(keyword in OPENSSH_ONLY))
    .filter((keyword) => mentioned.own(keyword));
}

const kept = new Kept<readonly string[]>();

/** What the key files of ssh_config are beyond ssh2 for. */
function beyondIn(files: readonly string[]): Promise<readonly string[]> {
  const looked = [...files.map(publicHalf), ...files.map(certificateOf)];
  return kept.of(looked, async () => [
    ...(await onSecurityKeys(files)).map((file) => `IdentityFile ${file}`),
    ...(await certificates(files)).map((file) => `CertificateFile ${file}`),
  ]);
}

function publicHalf(file: string): string {
  return file.endsWith('.pub') ? file : `${file}.pub`;
}

function certificateOf(file: string): string {
  return `${file.replace(/\.pub$/, '')}-cert.pub`;
}

/** Those of the keys that a hardware token holds (PROTOCOL.u2f). */
async function onSecurityKeys(files: readonly string[]): Promise<readonly string[]> {
  const texts = await Promise.all(
    files.map((file) => readFile(publicHalf(file), 'latin1').catch(() => '')),
  );
  return files.filter((_, index) => /^\s*sk-/.test(texts[index]!));
}

/** OpenSSH takes a certificate that lies beside a key without being told. */
async function certificates(files: readonly string[]): Promise<readonly string[]> {
  const beside = files.map(certificateOf);
  const there = await Promise.all(
    beside.map((file) =>
      access(file).then(
        () => true,
        () => false,
      ),
    ),
  );
  return beside.filter((_, index) => there[index]);
}

function words(text: string): ReadonlySet<string> {
  return new Set(text.trim().split(/\s+/));
}
