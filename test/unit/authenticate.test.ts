import { setTimeout as sleep } from 'node:timers/promises';
import type { AnyAuthMethod, KeyboardInteractiveAuthMethod } from 'ssh2';
import { describe, expect, test } from 'vitest';
import type { AuthorizedKey } from '../../src/core/authorized-key.ts';
import { PrepError } from '../../src/core/problem.ts';
import type { Prompter } from '../../src/core/prompter.ts';
import { Secret } from '../../src/core/secret.ts';
import { nobody } from '../../src/core/unattended.ts';
import { Login } from '../../src/ssh/authenticate.ts';
import type { LoginMethod } from '../../src/ssh/login-settings.ts';
import { LoginKey } from '../../src/ssh/login-key.ts';
import { Password } from '../../src/ssh/password.ts';

/** What the server says can continue (nothing before its first word), and whether the last method was one factor of several. */
type Word = readonly [left: readonly string[] | null, partial?: 'partial'];

const START: Word = [null];
const ALL: Word = [['publickey', 'password', 'keyboard-interactive']];
const PASSWORD: Word = [['publickey', 'password']];
const KEYBOARD: Word = [['publickey', 'keyboard-interactive']];

const key: AuthorizedKey = { type: 'ssh-ed25519', blob: 'AAAA', comment: 'me@laptop', options: '' };

interface Setting {
  /** How many keys are at hand. */
  readonly keys?: number;
  /** What ssh_config allows, in its order. */
  readonly methods?: readonly LoginMethod[];
  /** What the user types when asked; undefined where no password may be used. */
  readonly typed?: readonly string[];
}

function loginOf({ keys = 0, typed, methods }: Setting): {
  login: Login;
  asked: string[];
  notes: string[];
} {
  const [asked, notes, left]: string[][] = [[], [], [...(typed ?? [])]];
  const answer = (message: string): Promise<Secret> => {
    asked!.push(message);
    return Promise.resolve(new Secret(left!.shift() ?? ''));
  };
  const prompter: Prompter = { ...nobody, password: answer, answer };
  const access = {
    user: 'alice',
    keys: Array.from({ length: keys }, () => new LoginKey(key, { file: '/nowhere' })),
    ...(typed !== undefined && { password: new Password("alice@web1's password:", prompter) }),
    ...(methods !== undefined && { methods }),
    prompter,
    note: (text: string) => notes!.push(text),
  };
  return { login: new Login(access, () => undefined), asked: asked!, notes: notes! };
}

/** The methods tried in answer to what the server says, and how it ended. */
async function tried(login: Login, words: readonly Word[]): Promise<readonly string[]> {
  const methods: string[] = [];
  for (const [left, partial] of words) {
    try {
      methods.push(nameOf(await login.next(left, partial !== undefined)));
    } catch (error) {
      return [...methods, error instanceof PrepError ? error.problem.code : String(error)];
    }
  }
  return methods;
}

/** ssh2 signs with a key through something that looks like an agent. */
function nameOf(method: AnyAuthMethod): string {
  if (method.type === 'password') return `password ${method.password}`;
  return method.type === 'agent' ? 'key' : method.type;
}

describe('the order of methods', () => {
  test.each<[string, Setting, readonly Word[], readonly string[]]>([
    ['a key goes first, unasked', { keys: 1, typed: [] }, [START], ['key']],
    [
      'without a key, what the server takes is learnt while the password is typed',
      { typed: ['one'] },
      [START, ALL],
      ['none', 'password one'],
    ],
    [
      'a server that takes no password',
      { typed: ['one'] },
      [START, [['publickey']]],
      ['none', 'password-not-offered'],
    ],
    ['there is no request for nothing', {}, [START], ['password-not-offered']],
    [
      'after a refused key, the password',
      { keys: 1, typed: ['one'] },
      [START, ALL],
      ['key', 'password one'],
    ],
    [
      'each key once',
      { keys: 2, typed: ['one'] },
      [START, ALL, ALL],
      ['key', 'key', 'password one'],
    ],
    [
      'no key where the server takes none',
      { keys: 1, typed: ['one'] },
      [[['password']]],
      ['password one'],
    ],
    [
      'a refused password is asked for again, three times in all',
      { typed: ['one', 'two', 'three'] },
      [START, PASSWORD, PASSWORD, PASSWORD, PASSWORD],
      ['none', 'password one', 'password two', 'password three', 'wrong-password'],
    ],
    [
      'keyboard-interactive where there is no password',
      { typed: ['one'] },
      [KEYBOARD],
      ['keyboard-interactive'],
    ],
    ['the password before keyboard-interactive', { typed: ['one'] }, [ALL], ['password one']],
    [
      'a server without the method says nothing of the password',
      { typed: ['one'] },
      [ALL, KEYBOARD],
      ['password one', 'keyboard-interactive'],
    ],
    [
      'a key as one factor, the password as the other',
      { keys: 1, typed: ['one'] },
      [START, [['password'], 'partial']],
      ['key', 'password one'],
    ],
    [
      'a password as one factor, a code as the other',
      { typed: ['one'] },
      [ALL, [['keyboard-interactive'], 'partial']],
      ['password one', 'keyboard-interactive'],
    ],
    [
      'a password as one factor, a key as the other',
      { keys: 1, typed: ['one'] },
      [[['password']], [['publickey'], 'partial']],
      ['password one', 'key'],
    ],
    [
      'a key that is not looked at yet, again after the password',
      { keys: 1, typed: ['one'] },
      [START, [['password']], [['publickey'], 'partial']],
      ['key', 'password one', 'key'],
    ],
    [
      'keyboard-interactive with the same password where PAM may want a code besides, on another connection',
      { typed: ['one'] },
      [ALL, [['password', 'keyboard-interactive']], START],
      ['password one', 'hung-up'],
    ],
    [
      'a trial login has its key and nothing else',
      { keys: 1 },
      [START, ALL],
      ['key', 'password-not-offered'],
    ],
    [
      'a server that kept to itself what it offers is asked',
      { keys: 1 },
      [START, START, ALL],
      ['key', 'none', 'password-not-offered'],
    ],
    [
      'a server that wants something else',
      { typed: ['one'] },
      [[['gssapi-with-mic']]],
      ['password-not-offered'],
    ],
    [
      'no password where ssh_config rules it out',
      { keys: 1, typed: ['one'], methods: ['publickey', 'keyboard-interactive'] },
      [START, ALL],
      ['key', 'keyboard-interactive'],
    ],
    [
      'nothing where ssh_config rules out what the server has',
      { keys: 1, typed: ['one'], methods: ['publickey'] },
      [START, PASSWORD],
      ['key', 'login-ruled-out'],
    ],
    [
      'the order of ssh_config',
      { keys: 1, typed: ['one'], methods: ['keyboard-interactive', 'publickey'] },
      [START, PASSWORD],
      ['keyboard-interactive', 'key'],
    ],
  ])('%s', async (_, setting, words, methods) => {
    expect(await tried(loginOf(setting).login, words)).toEqual(methods);
  });

  test.each<[Setting, number]>([
    [{ typed: ['one'] }, 1],
    [{ typed: ['one'], keys: 1 }, 0],
    [{ typed: ['one'], keys: 1, methods: ['password', 'publickey'] }, 1],
    [{ typed: ['one'], methods: ['publickey'] }, 0],
    [{ typed: ['one'], methods: ['keyboard-interactive', 'password'] }, 0],
    [{}, 0],
  ])('%o: the password is asked for beforehand %i times', (setting, times) => {
    const { login, asked } = loginOf(setting);
    login.askMeanwhile();
    expect(asked).toHaveLength(times);
  });

  test('a password that was typed by then goes out at once', async () => {
    const { login } = loginOf({ typed: ['one'] });
    login.askMeanwhile();
    await sleep(0);
    expect(await tried(login, [START])).toEqual(['password one']);
  });

  test('tells what the server offers instead, and whether a key was tried', async () => {
    const { login } = loginOf({ keys: 1 });
    await login.next(null, false);
    await expect(login.next(['publickey', 'hostbased'], false)).rejects.toMatchObject({
      problem: {
        code: 'password-not-offered',
        offers: ['publickey', 'hostbased'],
        accepted: [],
        keys: [expect.stringMatching(/^SHA256:/)],
      },
    });
  });

  test('notes what was tried and what came of it, and no secret', async () => {
    const { login, notes } = loginOf({ keys: 1, typed: ['hunter2'] });
    await tried(login, [START, PASSWORD, [['keyboard-interactive'], 'partial']]);
    expect(notes).toEqual([
      'trying key ssh-ed25519 me@laptop',
      'publickey: refused',
      'trying password',
      'password: accepted, but the server wants more',
      'trying keyboard-interactive',
    ]);
  });

  test('knows the way in', async () => {
    const { login } = loginOf({ keys: 1, typed: ['one'] });
    expect(login.login).toBe('none');
    await login.next(null, false);
    expect(login.login).toBe('key');
    await login.next(['password'], false);
    expect(login.login).toBe('password');
  });
});

describe('a prompt of keyboard-interactive', () => {
  test.each([
    ['Password:', false],
    ['Password: ', false],
    ['password:', false],
    ["alice@web1's password:", false],
    ['(alice@web1) Password: ', false],
    ['Password for alice:', false],
  ])('%s is answered with the password', async (prompt, echo) => {
    const { answers, asked } = await prompted([{ prompt, echo }], ['secret']);
    expect(answers).toEqual(['secret']);
    expect(asked).toEqual(["alice@web1's password:"]);
  });

  test.each([
    ['Verification code: ', false],
    ["One-time password (OATH) for `alice': ", false],
    ['Password: ', true],
    ['Your favourite colour? ', true],
  ])('%s (shown: %s) is shown with its own text', async (prompt, echo) => {
    const { answers, asked } = await prompted([{ prompt, echo }], ['green']);
    expect(answers).toEqual(['green']);
    expect(asked).toEqual([prompt]);
  });

  test('obeys no terminal control', async () => {
    const { asked } = await prompted([{ prompt: 'Code\u001b[2J: ', echo: false }], ['1']);
    expect(asked).toEqual(['Code\\x1b[2J: ']);
  });

  test('may come with others, each answered in turn', async () => {
    const prompts = [
      { prompt: 'Password: ', echo: false },
      { prompt: 'Code: ', echo: false },
    ];
    expect((await prompted(prompts, ['secret', '123456'])).answers).toEqual(['secret', '123456']);
  });

  test('that is not there needs no answer', async () => {
    expect(await prompted([], [])).toEqual({ answers: [], asked: [] });
  });
});

async function prompted(
  prompts: readonly { readonly prompt: string; readonly echo: boolean }[],
  typed: readonly string[],
): Promise<{ answers: readonly string[]; asked: readonly string[] }> {
  const { login, asked } = loginOf({ typed });
  const method = (await login.next(KEYBOARD[0], false)) as KeyboardInteractiveAuthMethod;
  const answers = await new Promise<readonly string[]>((resolve) => {
    method.prompt('', '', '', [...prompts], resolve);
  });
  return { answers, asked };
}
