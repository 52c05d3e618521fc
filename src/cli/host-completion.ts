/** The first word by which the completion scripts ask for hosts: `prep __hosts WORD... CURRENT`. Not for people. */
export const HOSTS_COMMAND = '__hosts';

/** What stands before the host in a word that is being typed: `alice@`, or the jump hosts before. */
export function hostPrefix(word: string): string {
  return word.slice(0, Math.max(word.lastIndexOf('@'), word.lastIndexOf(',')) + 1);
}
