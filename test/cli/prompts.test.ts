import { build } from 'esbuild';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { atTerminal, type Answer, type TypedRun } from '../support/typist.ts';

/** Asks what its first argument says, as prep would, and prints what came of it. */
const PROGRAM = `
import { setTimeout } from 'node:timers/promises';
import { Keyboard } from './src/terminal/keyboard.ts';
import { InquirerPrompter } from './src/terminal/inquirer.ts';
import { problemOf } from './src/core/problem.ts';

const keyboard = new Keyboard(process.stdin);
const ask = new InquirerPrompter(keyboard, process.stderr);
const question = "alice@web1's password:";
const show = (value) => {
  const text = value?.reveal ? 'secret ' + Buffer.from(value.reveal()).toString('hex') : JSON.stringify(value);
  process.stdout.write('got ' + text + '\\n');
};
const withdraw = new AbortController();
const deeds = {
  password: async () => show(await ask.password(question)),
  late: async () => { process.stdout.write('busy'); await setTimeout(700); process.stdout.write('\\n'); await deeds.password(); },
  two: () => Promise.all([deeds.password(), deeds.password()]),
  new: async () => show(await ask.newPassword('Passphrase:', { mayBeEmpty: process.argv[3] === 'empty' })),
  confirm: async () => show(await ask.confirm('Replace .zshrc?', { preset: process.argv[3] === 'yes' })),
  hostKey: async () => show(await ask.hostKey({ host: '[web1]:2222', keyType: 'ED25519', fingerprint: 'SHA256:abc' })),
  answer: async () => show(await ask.answer('Duo for alice\\n 1. push\\nPasscode \\x1b[31m: ', process.argv[3] === 'echo')),
  choose: async () => show(await ask.choose({ message: 'Which key?', choices: [{ name: 'one', value: 1 }, { name: 'two', value: 2 }] })),
  withdrawn: async () => { setTimeout(300).then(() => withdraw.abort(new Error('gone'))); await ask.password(question, withdraw.signal); },
  idle: async () => { process.stdout.write('idle'); await setTimeout(20_000, undefined, { signal: withdraw.signal }); },
  nothing: async () => { process.stdout.write('ends by itself\\n'); },
};
process.on('SIGINT', () => { process.stdout.write(' SIGINT\\n'); withdraw.abort(); });
try {
  await deeds[process.argv[2]]();
  if (process.argv[2] !== 'nothing') keyboard.close();
} catch (error) {
  keyboard.close();
  const problem = problemOf(error);
  process.stdout.write('problem ' + problem.code + ' ' + (problem.question ?? problem.cause ?? '') + '\\n');
}
`;

const folder = mkdtempSync(join(tmpdir(), 'prep-prompts-'));
const program = join(folder, 'program.mjs');

beforeAll(async () => {
  await build({
    stdin: { contents: PROGRAM, resolveDir: resolve(import.meta.dirname, '../..'), loader: 'ts' },
    bundle: true,
    format: 'esm',
    platform: 'node',
    outfile: program,
    logLevel: 'error',
    banner: {
      js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);",
    },
  });
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

const env = {
  PATH: process.env['PATH'] ?? '/usr/bin:/bin',
  TERM: 'xterm',
  LANG: 'C.UTF-8',
  NO_COLOR: '1',
};

/** The program at a terminal; stty tells in which state it was left. */
async function run(words: string, ...answers: Answer[]): Promise<TypedRun> {
  const command = `"$0" "$1" ${words}; s=$?; stty -a | grep -o -w -e '-*icanon' -e '-*echo' -e '-*isig' | tr '\\n' ' '; exit $s`;
  const typed = await atTerminal(['/bin/sh', '-c', command, process.execPath, program], {
    env,
    answers,
    timeout: 20_000,
  }).done;
  expect(typed.screen, 'the terminal is as it was').toMatch(
    /\n(isig icanon echo|icanon echo isig|\w+ \w+ \w+)$/,
  );
  expect(typed.cursorVisible).toBe(true);
  return typed;
}

const hex = (text: string) => Buffer.from(text).toString('hex');
const PASSWORD = /^alice@web1's password:/;
const type = (prompt: RegExp, text: string): Answer => ({ prompt, type: text });

describe('a password', () => {
  test('is asked for in those very words, masked, and leaves nothing of it on the screen, nor a line that asks', async () => {
    const { screen, output, typed } = await run('password', type(PASSWORD, 'grün-s3cret\r'));
    expect(typed).toEqual(
      ["alice@web1's password:"].map((line) => expect.stringMatching(new RegExp(`^${line} ?$`))),
    );
    expect(screen).toMatch(/^alice@web1's password: \(hidden\)\ngot secret /);
    expect(screen).toContain(hex('grün-s3cret'));
    expect(output).toContain('***********');
    expect(output).not.toContain('s3cret\r');
    expect(output).not.toContain('grün');
  });

  test('can be corrected while it is typed', async () => {
    const { screen } = await run('password', type(PASSWORD, 'wrong\u0015rigg\u007fht\r'));
    expect(screen).toContain(`got secret ${hex('right')}\n`);
  });

  test('does not take what was typed before it was asked for, nor is that ever shown', async () => {
    const { screen, output } = await run(
      'late',
      type(/^busy$/, 'early\r'),
      type(PASSWORD, 'right\r'),
    );
    expect(screen).toContain(`got secret ${hex('right')}\n`);
    expect(output).not.toContain('early');
  });

  /** No more than the terminal's own buffer holds: node-pty waits, deaf, until all is written. */
  test('may be the beginning of a huge paste', async () => {
    const { screen } = await run('password', type(PASSWORD, `${'x'.repeat(3_000)}\rmore\rmore`));
    const answer = /got secret ([\da-f\n]+)\n/.exec(screen)![1]!.replaceAll('\n', '');
    expect(answer).toBe(hex('x'.repeat(1024)));
  });

  test('of the next question does not come from the same paste', async () => {
    const { screen } = await run(
      'two',
      type(PASSWORD, 'first\rpasted\r'),
      type(PASSWORD, 'second\r'),
    );
    expect(screen).toContain(`got secret ${hex('first')}\n`);
    expect(screen).toContain(`got secret ${hex('second')}\n`);
  });
});

describe('a question ends', () => {
  test.each([
    ['Ctrl-C', '\u0003', 'problem interrupted '],
    ['Ctrl-C after some letters', 'abc\u0003', 'problem interrupted '],
    ['Ctrl-D', '\u0004', "problem no-answer-given alice@web1's password"],
    ['Ctrl-D after some letters', 'abc\u0004', "problem no-answer-given alice@web1's password"],
  ])('with %s', async (_, keys, expected) => {
    const { screen } = await run('password', type(PASSWORD, keys));
    expect(screen).toMatch(new RegExp(`^alice@web1's password:.*\n${expected}\n`));
  });

  test('when it is withdrawn', async () => {
    const { screen } = await run('withdrawn');
    expect(screen).toMatch(/^alice@web1's password:\nproblem unexpected gone\n/);
  });
});

describe('while no question is open', () => {
  test('Ctrl-C is the signal', async () => {
    const { screen } = await run('idle', type(/^idle$/, 'x\u0003'));
    expect(screen).toMatch(/^idle SIGINT\nproblem /);
  });

  test('the process can end', async () => {
    expect((await run('nothing')).screen).toMatch(/^ends by itself\n/);
  });
});

test('Ctrl-Z stops the job, and the question is there again afterwards', async () => {
  const { screen } = await atTerminal(['/bin/bash', '--norc', '--noprofile', '-i'], {
    env: { ...env, PS1: 'shell> ' },
    answers: [
      type(/shell> $/, `${process.execPath} ${program} password\r`),
      type(PASSWORD, 'a\u001a'),
      type(/shell> $/, 'stty -a | grep -o -w -e -*echo\r'),
      type(/shell> $/, 'fg\r'),
      type(PASSWORD, 'b\r'),
      type(/shell> $/, 'exit\r'),
    ],
    timeout: 20_000,
  }).done;
  expect(screen).toContain('Stopped');
  expect(screen).toMatch(/\necho\n/);
  expect(screen).toContain(`got secret ${hex('ab')}\n`);
});

describe('other questions', () => {
  test('a new password is asked twice until both agree', async () => {
    const { screen } = await run(
      'new',
      type(/^Passphrase:/, '\r'),
      type(/^Passphrase:/, 'one\r'),
      type(/once more:/, 'two\r'),
      type(/^Passphrase:/, 'three\r'),
      type(/once more:/, 'three\r'),
    );
    expect(screen).toContain(
      'It must not be empty.\nPassphrase:  (hidden)\nPassphrase, once more: (hidden)\nThe two differ;',
    );
    expect(screen).toContain(`got secret ${hex('three')}\n`);
  });

  test('a new passphrase may be empty where it may', async () => {
    const { screen } = await run('new empty', type(/^Passphrase:/, '\r'), type(/once more:/, '\r'));
    expect(screen).toContain('got secret \n');
  });

  test.each([
    ['confirm yes', '\r', true],
    ['confirm no', '\r', false],
    ['confirm no', 'yes\r', true],
    ['confirm yes', 'n\r', false],
    ['confirm no', 'zy\u007f\u007fy\r', true],
  ])('%s, typed %j', async (words, keys, expected) => {
    const { screen, typed } = await run(words, type(/^Replace/, keys));
    expect(typed[0]).toMatch(/^Replace \.zshrc\? \((Y\/n|y\/N)\)/);
    expect(screen).toContain(`got ${expected}\n`);
  });

  test('a host key is shown before it is trusted, which Enter alone does not', async () => {
    const { screen, typed } = await run('hostKey', type(/^Trust/, '\r'));
    expect(screen).toMatch(
      /^The host key of \[web1\]:2222 is not known here:\n {2}ED25519 SHA256:abc\nTrust/,
    );
    expect(typed[0]).toContain('Trust this host and remember its key? (y/N)');
    expect(screen).toContain('got false\n');
  });

  test.each([
    ['echo', '123456'],
    ['hide', '\\*{6}'],
  ])("the server's own question: %s", async (how, shown) => {
    const { screen, output } = await run(`answer ${how}`, type(/^Passcode/, '123456\r'));
    expect(screen).toMatch(/^Duo for alice\n 1\. push\nPasscode \\x1b\[31m:/);
    expect(output).toMatch(new RegExp(shown));
    expect(screen).toContain(`got secret ${hex('123456')}\n`);
  });

  test('one of several', async () => {
    const { screen } = await run('choose', type(/navigate|Which key/, '\u001b[B\r'));
    expect(screen).toContain('got 2\n');
  });
});
