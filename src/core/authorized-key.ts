/** One public key that may log in, as a line of authorized_keys says it (sshd(8), AUTHORIZED_KEYS FILE FORMAT). */
export interface AuthorizedKey {
  /** `ssh-ed25519`, `sk-ssh-ed25519@openssh.com`, ... */
  readonly type: string;
  /** The base64 text of the key itself: two lines with the same blob are the same key. */
  readonly blob: string;
  readonly comment: string;
  /** The options before the key (`from="..."`, `restrict`), empty for none. */
  readonly options: string;
}
