import { fingerprint } from '../core/key-blob.ts';
import { PrepError } from '../core/problem.ts';
import type { Prompter } from '../core/prompter.ts';
import {
  hostKeyAlgorithms,
  hostName,
  judgeHostKey,
  keyTypeName,
  knownKeyTypes,
  readKnownHosts,
  rememberHostKey,
  type KnownHostsLine,
} from './known-hosts.ts';
import { readRevokedKeys } from './revoked-keys.ts';
import type { Settings } from './settings.ts';

/** What this process has written down. */
const remembered = new Set<string>();

/** Decides whether a host is the one it claims to be, once per run however often one connects. */
export class HostKeyJudge {
  readonly #settings: Settings;
  readonly #prompter: Prompter;
  readonly #lines: readonly KnownHostsLine[];
  #accepted: Buffer | undefined;
  #pending: Buffer | undefined;

  private constructor(settings: Settings, prompter: Prompter, lines: readonly KnownHostsLine[]) {
    this.#settings = settings;
    this.#prompter = prompter;
    this.#lines = lines;
  }

  /** Reads known_hosts and RevokedHostKeys. @throws PrepError `cannot-read` */
  static async read(settings: Settings, prompter: Prompter): Promise<HostKeyJudge> {
    const [known, revoked] = await Promise.all([
      readKnownHosts(settings.knownHosts),
      settings.revokedHostKeys === undefined ? [] : readRevokedKeys(settings.revokedHostKeys),
    ]);
    return new HostKeyJudge(settings, prompter, [...known, ...revoked]);
  }

  /** Whether known_hosts has anything about this host: then no question about it is to be expected. */
  get expectsNoQuestion(): boolean {
    return this.#accepted !== undefined || this.#knownTypes.length > 0;
  }

  /** The host key algorithms to offer, those of known keys first, so that a second key type does not look like a changed key. */
  get algorithms(): readonly string[] {
    return hostKeyAlgorithms(this.#knownTypes, this.#settings.algorithms.hostKeyAlgorithms);
  }

  /**
   * Returns when the key is to be trusted. sshd may re-key at any time and is then judged again.
   * @throws PrepError `host-key-changed`, `host-key-revoked`, `host-key-unknown`, `host-key-declined`
   */
  async judge(key: Buffer): Promise<void> {
    if (this.#accepted?.equals(key)) return;
    const { verdict, file = '', line = 0 } = judgeHostKey(this.#lines, ...this.#name, key);
    const about = {
      host: hostName(...this.#name),
      keyType: keyTypeName(key),
      fingerprint: fingerprint(key),
    };
    if (verdict === 'changed' || verdict === 'revoked') {
      throw new PrepError({ code: `host-key-${verdict}`, ...about, file, line });
    }
    if (verdict === 'unknown') await this.#decide(about);
    this.#accepted = Buffer.from(key);
    if (verdict === 'unknown') this.#pending = this.#accepted;
  }

  /** The key that was accepted, as a line of known_hosts; undefined where none was yet. */
  get line(): string | undefined {
    const key = this.#accepted;
    if (key === undefined) return undefined;
    const type = key.subarray(4, 4 + key.readUInt32BE(0)).toString('latin1');
    return `${hostName(...this.#name)} ${type} ${key.toString('base64')}`;
  }

  /** Takes over what somebody else (ssh itself) found acceptable and new: `judge` will not ask again, `remember` writes it down. */
  accept(key: Buffer): void {
    if (this.#accepted?.equals(key)) return;
    this.#accepted = Buffer.from(key);
    this.#pending = this.#accepted;
  }

  /** Writes down a key that was accepted for the first time. To be called after the key exchange proved its possession. */
  async remember(): Promise<{ file: string } | undefined> {
    const key = this.#pending;
    const file = this.#settings.knownHosts[0];
    if (key === undefined || file === undefined) return undefined;
    this.#pending = undefined;
    // Accounts on one host are let in side by side, each with the same key.
    const name = [file, ...this.#name, key.toString('base64')].join('\n');
    if (remembered.has(name)) return undefined;
    remembered.add(name);
    await rememberHostKey(file, ...this.#name, key, { hash: this.#settings.hashKnownHosts });
    return { file };
  }

  async #decide(about: { host: string; keyType: string; fingerprint: string }): Promise<void> {
    const { hostKeyPolicy, knownHosts } = this.#settings;
    if (hostKeyPolicy === 'accept-new') return;
    if (hostKeyPolicy === 'strict') {
      throw new PrepError({
        code: 'host-key-unknown',
        ...about,
        file: knownHosts[0] ?? 'known_hosts',
      });
    }
    if (await this.#prompter.hostKey(about)) return;
    throw new PrepError({ code: 'host-key-declined', host: about.host });
  }

  get #knownTypes(): readonly string[] {
    return knownKeyTypes(this.#lines, ...this.#name);
  }

  /** known_hosts has hosts by the name dialled, after HostName; HostKeyAlias stands without a port (ssh_config(5)). */
  get #name(): [host: string, port: number] {
    const { hostKeyAlias, address, port } = this.#settings;
    return hostKeyAlias === undefined ? [address, port] : [hostKeyAlias, 0];
  }
}
