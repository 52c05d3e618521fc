/** A prompt that wants the account's password: `Password:`, `alice@web1's password:`, `(alice@web1) Password:`. */
export const PASSWORD_PROMPT = /^(\([^)]*\) ?)?([^ ]+'s )?password( for [^ ]+)?: *$/i;

/** PAM's question for the old password, where an expired one is changed within the login. */
export const CURRENT_PROMPT = /^\(?current\)?( unix)? password: *$/i;

/** PAM's questions for the new password, and for it once more. */
export const NEW_PROMPT = /^((enter )?new|re-?type|re-?enter).*password.*: *$/i;

/** PAM's prompt, and what its modules had to say before: sshd passes both on as one. */
export function parted(prompt: string): { question: string; before: string } {
  const lines = prompt.replace(/\r/g, '').split('\n');
  return { question: lines.pop() ?? '', before: (lines.at(-1) ?? '').trim() };
}
