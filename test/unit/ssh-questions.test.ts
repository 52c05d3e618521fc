import { describe, expect, test } from 'vitest';
import { PrepError } from '../../src/core/problem.ts';
import type { Prompter } from '../../src/core/prompter.ts';
import { Secret } from '../../src/core/secret.ts';
import { nobody } from '../../src/core/unattended.ts';
import { NewPassword, Password } from '../../src/ssh/password.ts';
import type { Settings } from '../../src/ssh/settings.ts';
import { Questions, type Answers } from '../../src/ssh/ssh-questions.ts';

const SETTINGS = { user: 'alice', address: 'Web1.example.org' } as unknown as Settings;
const OWN = "alice@web1.example.org's password: ";

/** A person who answers with what stands in `says`, in turn, and remembers what was asked. */
function person(...says: readonly string[]): { prompter: Prompter; asked: string[] } {
  const left = [...says];
  const asked: string[] = [];
  const say = (question: string): Promise<Secret> => {
    asked.push(question);
    return Promise.resolve(new Secret(left.shift() ?? ''));
  };
  const agree = (question: string): Promise<boolean> => {
    asked.push(question);
    return Promise.resolve(left.shift() === 'yes');
  };
  const prompter: Prompter = {
    ...nobody,
    password: (question) => say(question),
    newPassword: (question) => say(question),
    answer: (question) => say(question),
    confirm: (question) => agree(question),
    hostKey: ({ host, keyType, fingerprint }) => agree(`${host} ${keyType} ${fingerprint}`),
  };
  return { prompter, asked };
}

function questions(
  prompter: Prompter,
  {
    settings = SETTINGS,
    given,
    ...rest
  }: Partial<Answers> & {
    settings?: Settings;
    given?: string;
  } = {},
): { ask: (prompt: string, hint?: string) => Promise<string | undefined>; it: Questions } {
  const secret = given === undefined ? undefined : new Secret(given);
  const it = new Questions(settings, {
    prompter,
    password: new Password("alice@web1's password:", prompter, secret),
    newPassword: new NewPassword('alice@web1', prompter),
    typed: new Map(),
    notice: () => undefined,
    ...rest,
  });
  return { it, ask: async (prompt, hint = '') => (await it.answer({ prompt, hint }))?.reveal() };
}

describe("ssh's questions", () => {
  test.each([OWN, '(alice@web1.example.org) Password: ', 'Password: '])(
    'for the password, %j, are answered with the one of the account',
    async (prompt) => {
      const { prompter, asked } = person('secret');
      expect(await questions(prompter).ask(prompt)).toBe('secret');
      expect(asked).toEqual(["alice@web1's password:"]);
    },
  );

  test('for the password again mean that it was wrong; the third wrong one is the last', async () => {
    const { prompter, asked } = person('one', 'two', 'three');
    const { ask, it } = questions(prompter);
    for (const answer of ['one', 'two', 'three', undefined]) expect(await ask(OWN)).toBe(answer);
    expect(asked).toHaveLength(3);
    expect(it.failure).toMatchObject({ problem: { code: 'wrong-password', tries: 3 } });
  });

  test.each([
    "bob@web1.example.org's password: ",
    "alice@gate.example.org's password: ",
    '(alice@gate) Password: ',
  ])('for the password of somebody else, %j, never get it', async (prompt) => {
    const { prompter, asked } = person('theirs');
    const { ask } = questions(prompter, { given: 'mine' });
    expect(await ask(prompt)).toBe('theirs');
    expect(asked).toEqual([prompt.trim()]);
  });

  test('that do not say whose password they want do not get it where another ssh may be asking', async () => {
    const { prompter } = person('theirs');
    const settings = { ...SETTINGS, proxyCommand: 'ssh gate -W %h:%p' };
    expect(await questions(prompter, { settings, given: 'mine' }).ask('Password: ')).toBe('theirs');
  });

  test('for a passphrase are asked by file, and once only', async () => {
    const { prompter, asked } = person('wrong', 'right');
    const { ask, it } = questions(prompter);
    const prompt = "Enter passphrase for key '/home/me/.ssh/id': ";
    expect(await ask(prompt)).toBe('wrong');
    expect(await ask(prompt)).toBe('right');
    it.begin();
    expect(await ask(prompt)).toBe('right');
    expect(asked).toHaveLength(2);
  });

  test('for a passphrase go without an answer where nobody is there, and the login goes on', async () => {
    const { ask, it } = questions(nobody, { given: 'secret' });
    expect(await ask("Enter passphrase for key '/home/me/.ssh/id': ")).toBeUndefined();
    expect(it.failure).toBeUndefined();
    expect(await ask(OWN)).toBe('secret');
  });

  test('for a PIN, too; and one that was typed is not used again, lest it lock the token', async () => {
    const prompt = "Enter PIN for 'card': ";
    const alone = questions(nobody, { given: 'secret' });
    expect(await alone.ask(prompt)).toBeUndefined();
    expect(alone.it.failure).toBeUndefined();
    const { ask, it } = questions(person('wrong', 'right').prompter);
    expect(await ask(prompt)).toBe('wrong');
    it.begin();
    expect(await ask(prompt)).toBe('right');
  });

  test.each([
    "(alice@web1.example.org) One-time password (OATH) for `alice': ",
    'Enter PIN for ED25519-SK key /home/me/.ssh/id_sk: ',
    'Verification code: ',
  ])('of any other kind, %j, are passed on in their own words', async (prompt) => {
    const { prompter, asked } = person('123456');
    expect(await questions(prompter, { given: 'secret' }).ask(prompt)).toBe('123456');
    expect(asked).toEqual([prompt]);
  });

  test('are made harmless', async () => {
    const { prompter, asked } = person('x');
    await questions(prompter).ask('Code\u001b[2J: ');
    expect(asked).toEqual(['Code\\x1b[2J: ']);
  });

  test('about a host key show it; no means the end', async () => {
    const prompt = `The authenticity of host '[web1]:2222 ([10.0.0.1]:2222)' can't be established.
ED25519 key fingerprint is SHA256:FEuigcQsBQTHCft.
This key is not known by any other names.
Are you sure you want to continue connecting (yes/no/[fingerprint])? `;
    const { prompter, asked } = person('yes', 'no');
    const { ask, it } = questions(prompter);
    expect(await ask(prompt)).toBe('yes');
    expect(asked).toEqual(['[web1]:2222 ED25519 SHA256:FEuigcQsBQTHCft']);
    expect(await ask(prompt)).toBeUndefined();
    expect(it.failure).toMatchObject({
      problem: { code: 'host-key-declined', host: '[web1]:2222' },
    });
  });

  test('that want no answer are shown; those that want leave get a yes or none', async () => {
    const shown: string[] = [];
    const { prompter } = person('yes', 'no');
    const { ask, it } = questions(prompter, { notice: (text) => shown.push(text) });
    expect(await ask('Confirm user presence for key ED25519-SK', 'none')).toBeUndefined();
    expect(shown).toEqual(['Confirm user presence for key ED25519-SK']);
    expect(await ask('Allow use of key?', 'confirm')).toBe('yes');
    expect(await ask('Allow use of key?', 'confirm')).toBeUndefined();
    expect(it.failure).toBeUndefined();
  });

  test('where an expired password is changed get the old one, and the new one twice', async () => {
    const { prompter } = person('old', 'fresh');
    const { ask, it } = questions(prompter);
    const whom = '(alice@web1.example.org) ';
    expect(await ask(`${whom}Password: `)).toBe('old');
    expect(await ask(`${whom}You must change it.\nCurrent password: `)).toBe('old');
    expect(await ask(`${whom}New password: `)).toBe('fresh');
    expect(await ask(`${whom}Retype new password: `)).toBe('fresh');
    it.succeeded();
    expect(it.failure).toBeUndefined();
  });

  test('that nobody can answer end the login with the reason', async () => {
    const { ask, it } = questions(nobody);
    expect(await ask(OWN)).toBeUndefined();
    expect(it.failure).toBeInstanceOf(PrepError);
    expect(it.failure).toMatchObject({ problem: { code: 'needs-an-answer' } });
  });
});
