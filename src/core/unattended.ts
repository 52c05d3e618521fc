import { PrepError } from './problem.ts';
import type { Prompter } from './prompter.ts';

const BY_PASSWORD = 'give it with --password-file or PREP_PASSWORD';

/** For when there is nobody to ask: every question is refused, naming the flag that answers it. */
export const nobody: Prompter = {
  password: (message) => refuse(message, BY_PASSWORD),
  newPassword: (message, { mayBeEmpty = false } = {}) =>
    refuse(
      message,
      mayBeEmpty
        ? 'make a key with ssh-keygen -t ed25519, or name one with -i'
        : 'give it with --new-password-file',
    ),
  confirm: (message, { safe }) =>
    refuse(message, safe === undefined ? 'run prep at a terminal' : 'run it with --yes'),
  hostKey: ({ host, keyType, fingerprint }) =>
    refuse(
      `trust the ${keyType} host key ${fingerprint} of ${host}`,
      'compare the fingerprint and run it with --host-key accept-new',
    ),
  answer: (message, echo) => refuse(message, echo ? 'run prep at a terminal' : BY_PASSWORD),
  choose: ({ message }, safe) =>
    refuse(message, safe === undefined ? 'run prep at a terminal' : 'run it with --yes'),
};

/** The same prompter under `--yes`: questions with a safe answer get it, and are not asked. */
export function answeringSafely(prompter: Prompter): Prompter {
  return {
    ...bound(prompter),
    confirm: async (message, options) => options.safe ?? prompter.confirm(message, options),
    choose: async (choice, safe) => safe ?? prompter.choose(choice),
  };
}

/** Answers what `--yes` may answer, and refuses the rest. */
export function unattended(yes: boolean): Prompter {
  return yes ? answeringSafely(nobody) : nobody;
}

function bound(prompter: Prompter): Prompter {
  return {
    expectQuestion: () => prompter.expectQuestion?.(),
    password: (message, signal) => prompter.password(message, signal),
    newPassword: (message, options) => prompter.newPassword(message, options),
    confirm: (message, options) => prompter.confirm(message, options),
    hostKey: (question) => prompter.hostKey(question),
    answer: (message, echo, signal) => prompter.answer(message, echo, signal),
    choose: (choice, safe) => prompter.choose(choice, safe),
  };
}

/** The question without what ends it, as it stands in the middle of a sentence. */
function refuse(question: string, flag: string): Promise<never> {
  const trimmed = question.trim().replace(/\s*[:?.]$/, '');
  return Promise.reject(new PrepError({ code: 'needs-an-answer', question: trimmed, flag }));
}
