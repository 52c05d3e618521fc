import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { PrepError } from '../../src/core/problem.ts';
import type { Prompter } from '../../src/core/prompter.ts';
import { Secret } from '../../src/core/secret.ts';
import { nobody } from '../../src/core/unattended.ts';
import { Password } from '../../src/ssh/password.ts';
import { problemIn } from '../support/problem-in.ts';

const QUESTION = "alice@web1's password:";

/** Somebody who types these, one after the other. */
function typing(...texts: readonly string[]): { prompter: Prompter; asked: string[] } {
  const left = [...texts];
  const asked: string[] = [];
  const password = (message: string): Promise<Secret> => {
    asked.push(message);
    const text = left.shift();
    if (text === undefined) throw new Error(`nobody expected to be asked: ${message}`);
    return Promise.resolve(new Secret(text));
  };
  return { prompter: { ...nobody, password }, asked };
}

async function textOf(password: Password): Promise<string> {
  return (await password.obtain()).reveal();
}

describe('a password that is typed', () => {
  test('is asked for when it is first needed, and then kept', async () => {
    const { prompter, asked } = typing('one');
    const password = new Password(QUESTION, prompter);
    expect(password.known).toBeUndefined();
    expect(asked).toEqual([]);
    expect(await textOf(password)).toBe('one');
    expect(await textOf(password)).toBe('one');
    expect(password.known?.reveal()).toBe('one');
    expect(asked).toEqual([QUESTION]);
  });

  test('is asked for once, however many wait for it', async () => {
    const { prompter, asked } = typing('one');
    const password = new Password(QUESTION, prompter);
    const [a, b] = await Promise.all([password.obtain(), password.obtain()]);
    expect(a).toBe(b);
    expect(asked).toHaveLength(1);
  });

  test('is asked for again when it was refused, three times in all', async () => {
    const { prompter, asked } = typing('one', 'two', 'three');
    const password = new Password(QUESTION, prompter);
    for (const text of ['one', 'two', 'three']) {
      expect(await textOf(password)).toBe(text);
      password.refuse();
    }
    expect(await problemIn(password.obtain())).toEqual({ code: 'wrong-password', tries: 3 });
    expect(asked).toHaveLength(3);
  });

  test('counts as a wrong one when it is empty, and is not sent', async () => {
    const { prompter, asked } = typing('', 'two');
    const password = new Password(QUESTION, prompter);
    expect(await textOf(password)).toBe('two');
    password.refuse();
    expect(password.tries).toBe(2);
    expect(asked).toHaveLength(2);
  });

  test('may be asked for in other words', async () => {
    const { prompter, asked } = typing('one');
    await new Password(QUESTION, prompter).obtain('chsh wants it:');
    expect(asked).toEqual(['chsh wants it:']);
  });

  test('that was not given leaves the question open', async () => {
    let refusals = 1;
    const password = new Password(QUESTION, {
      ...nobody,
      password: () =>
        refusals-- > 0
          ? Promise.reject(new PrepError({ code: 'no-answer-given', question: QUESTION }))
          : Promise.resolve(new Secret('one')),
    });
    expect(await problemIn(password.obtain())).toMatchObject({ code: 'no-answer-given' });
    expect(await textOf(password)).toBe('one');
  });
});

describe('a password that was given beforehand', () => {
  test('is known at once, and nobody is asked', async () => {
    const password = new Password(QUESTION, nobody, new Secret('given'));
    expect(password.known?.reveal()).toBe('given');
    expect(await textOf(password)).toBe('given');
  });

  test('is tried once: nobody is asked for another', async () => {
    const password = new Password(QUESTION, nobody, new Secret('given'));
    await password.obtain();
    password.refuse();
    expect(await problemIn(password.obtain())).toEqual({ code: 'wrong-password', tries: 1 });
  });
});

test('a password that nobody can give names the flag that gives it', async () => {
  expect(await problemIn(new Password(QUESTION, nobody).obtain())).toEqual({
    code: 'needs-an-answer',
    question: "alice@web1's password",
    flag: 'give it with --password-file or PREP_PASSWORD',
  });
});

test.each([
  ['printed', (secret: Secret) => String(secret)],
  ['serialised', (secret: Secret) => JSON.stringify({ secret })],
  ['copied', (secret: Secret) => JSON.stringify(Object.assign({}, secret))],
  ['inspected', (secret: Secret) => inspect({ secret }, { showHidden: true, depth: 9 })],
])('a secret that is %s shows nothing', (_, show) => {
  expect(show(new Secret('hunter2'))).not.toContain('hunter2');
});
