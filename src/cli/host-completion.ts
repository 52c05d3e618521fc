import { tokenize } from './options.ts';

/** The first word by which the completion scripts ask for hosts: `prep __hosts WORD... CURRENT`. Not for people. */
export const HOSTS_COMMAND = '__hosts';

/** What stands before the host in a word that is being typed: `alice@`, or the jump hosts before. */
export function hostPrefix(word: string): string {
  return word.slice(0, Math.max(word.lastIndexOf('@'), word.lastIndexOf(',')) + 1);
}

/** The file named with -F among the words typed so far. */
export function sshConfigIn(words: readonly string[]): string | undefined {
  const named = tokenize(words).filter(
    (token) => token.kind === 'option' && token.name === 'ssh-config',
  );
  const last = named.at(-1);
  return last?.kind === 'option' ? last.value : undefined;
}
