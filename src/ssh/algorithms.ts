import type { Algorithms } from 'ssh2';
import { PrepError, type Problem } from '../core/problem.ts';
import { HOST_KEY_ALGORITHMS } from './known-hosts.ts';
import type { Offers } from './offers.ts';
import type { SshConfig } from './ssh-config.ts';

/** What ssh_config says about algorithms; only what somebody set is there, as `ssh -G` completes it. */
export interface AlgorithmSettings {
  readonly kexAlgorithms?: readonly string[];
  readonly ciphers?: readonly string[];
  readonly macs?: readonly string[];
  readonly hostKeyAlgorithms?: readonly string[];
}

/** One of the settings: its keyword, what ssh2 calls it, and what ssh2 can do of it. */
interface Kind {
  readonly keyword: string;
  readonly key: keyof Algorithms;
  /** How ssh2 says that client and server have none in common. */
  readonly complaint: RegExp;
  readonly names: readonly string[];
}

/** What ssh2 1.17 supports, with what is too weak to be offered unless ssh_config asks for it by name. */
const KINDS: Readonly<Record<keyof AlgorithmSettings, Kind>> = {
  kexAlgorithms: {
    keyword: 'KexAlgorithms',
    key: 'kex',
    complaint: /key exchange/,
    names: [
      'curve25519-sha256@libssh.org',
      'curve25519-sha256',
      'ecdh-sha2-nistp256',
      'ecdh-sha2-nistp384',
      'ecdh-sha2-nistp521',
      'diffie-hellman-group-exchange-sha256',
      'diffie-hellman-group14-sha256',
      'diffie-hellman-group15-sha512',
      'diffie-hellman-group16-sha512',
      'diffie-hellman-group17-sha512',
      'diffie-hellman-group18-sha512',
      'diffie-hellman-group-exchange-sha1',
      'diffie-hellman-group14-sha1',
      'diffie-hellman-group1-sha1',
    ],
  },
  ciphers: {
    keyword: 'Ciphers',
    key: 'cipher',
    complaint: /cipher/,
    names: [
      'aes128-gcm@openssh.com',
      'aes256-gcm@openssh.com',
      'aes128-ctr',
      'aes192-ctr',
      'chacha20-poly1305@openssh.com',
      'aes256-ctr',
      'aes256-cbc',
      'aes192-cbc',
      'aes128-cbc',
      '3des-cbc',
    ],
  },
  macs: {
    keyword: 'MACs',
    key: 'hmac',
    complaint: /MAC/,
    names: [
      'hmac-sha2-256-etm@openssh.com',
      'hmac-sha2-512-etm@openssh.com',
      'hmac-sha1-etm@openssh.com',
      'hmac-sha2-256',
      'hmac-sha2-512',
      'hmac-sha1',
      'hmac-md5',
      'hmac-sha1-96',
      'hmac-md5-96',
    ],
  },
  hostKeyAlgorithms: {
    keyword: 'HostKeyAlgorithms',
    key: 'serverHostKey',
    complaint: /host key/,
    names: HOST_KEY_ALGORITHMS,
  },
};

const SETTINGS = Object.keys(KINDS) as (keyof AlgorithmSettings)[];

/**
 * What ssh_config says about algorithms, where anybody mentions them at all: OpenSSH's own order is not made for
 * ssh2, which is fastest with what node does natively.
 */
export function algorithmSettings({ first, mentioned }: SshConfig): AlgorithmSettings {
  return Object.fromEntries(
    SETTINGS.flatMap((setting) => {
      const keyword = setting.toLowerCase();
      const names = mentioned.anywhere(keyword) ? first(keyword)?.split(',') : undefined;
      return names === undefined ? [] : [[setting, names]];
    }),
  );
}

/** The settings that leave ssh2 nothing, by their names in ssh_config(5). */
export function beyondReach(settings: AlgorithmSettings): readonly string[] {
  return SETTINGS.filter((setting) => supported(setting, settings[setting])?.length === 0).map(
    (setting) => KINDS[setting].keyword,
  );
}

/**
 * What to offer to a server, host keys aside: what ssh_config names and ssh2 supports, in that order.
 * @throws PrepError `algorithms-unsupported`
 */
export function algorithmsToOffer(settings: AlgorithmSettings): Algorithms {
  const [setting] = beyondReach(settings);
  if (setting !== undefined) {
    const kind = Object.values(KINDS).find(({ keyword }) => keyword === setting)!;
    throw new PrepError({ code: 'algorithms-unsupported', setting, known: kind.names });
  }
  return Object.fromEntries(
    SETTINGS.filter((one) => one !== 'hostKeyAlgorithms').flatMap((one) => {
      const names = supported(one, settings[one]);
      return names === undefined ? [] : [[KINDS[one].key, names]];
    }),
  );
}

/** What ssh2's complaint that nothing matches means, and what the server offers instead; undefined for any other. */
export function noCommonAlgorithm(
  said: string,
  settings: AlgorithmSettings,
  offered: Offers | undefined,
): Problem | undefined {
  const [, what] = /no matching (.*?)(?: algorithm)?$/i.exec(said) ?? [];
  if (what === undefined) return undefined;
  const one = SETTINGS.find((name) => KINDS[name].complaint.test(what));
  if (one === undefined) return { code: 'no-common-algorithm', what, offers: [], limits: false };
  return {
    code: 'no-common-algorithm',
    what,
    offers: offered?.[one] ?? [],
    setting: KINDS[one].keyword,
    limits: settings[one] !== undefined,
  };
}

function supported(
  setting: keyof AlgorithmSettings,
  names: readonly string[] | undefined,
): readonly string[] | undefined {
  return names?.filter((name) => KINDS[setting].names.includes(name));
}
