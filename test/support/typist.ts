import { spawn as spawnPty, type IPty } from '@lydell/node-pty';
import { write } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Terminal } from './terminal.ts';

/** What to type when a question appears. Answers are given in their order, each once. */
export interface Answer {
  /** Looked for in the line of the cursor, and in all that was printed below the last answered question. */
  readonly prompt: RegExp;
  /** Whether to look on all of the screen, for a question that keeps the cursor elsewhere and looks like no other. */
  readonly anywhere?: boolean;
  /** What to type; `\r` is Enter, `\x03` Ctrl-C. */
  readonly type: string | ((text: string) => string);
  /** Done instead of typing, e.g. to change something on the server while a question is open. */
  readonly before?: () => void | Promise<void>;
}

/** A program at a terminal of its own, typed at by a person. */
export interface TypistOptions {
  readonly env: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly answers?: readonly Answer[];
  /** How long a question must stand still before it is answered, in milliseconds. */
  readonly settle?: number;
  /** Given up and killed after so many milliseconds. */
  readonly timeout?: number;
}

/** How it went. */
export interface TypedRun {
  /** Exit status; 128 + N where signal N ended the program. */
  readonly status: number;
  /** Every byte the terminal received. */
  readonly output: string;
  /** What a person reads: the text with all redrawing done, scrolled-away lines included. */
  readonly screen: string;
  /** The lines of the cursor in which something was typed, in order. */
  readonly typed: readonly string[];
  readonly cursorVisible: boolean;
}

/** Runs a program at a terminal of 100 columns and 30 rows. @throws Error with the screen where it does not end */
export function atTerminal(
  command: readonly [string, ...string[]],
  options: TypistOptions,
): {
  readonly done: Promise<TypedRun>;
  readonly kill: (signal: NodeJS.Signals) => void;
  readonly pid: number;
} {
  const [file, ...args] = command;
  const { env, cwd = '/' } = options;
  const pty = spawnPty(file, args, { cols: 100, rows: 30, name: 'xterm-256color', env, cwd });
  const typist = new Typist((text) => void press(pty, text), options);
  pty.onData((text) => typist.see(text));
  const done = new Promise<TypedRun>((resolve, reject) => {
    const timer = setTimeout(() => {
      process.kill(-pty.pid, 'SIGKILL');
      reject(new Error(`${command.join(' ')} did not end; the screen:\n${typist.terminal.text()}`));
    }, options.timeout ?? 50_000);
    pty.onExit(({ exitCode, signal }) => {
      clearTimeout(timer);
      resolve(typist.report(signal ? 128 + signal : exitCode));
    });
  });
  return { done, kill: (signal) => pty.kill(signal), pid: pty.pid };
}

/** Types as a terminal emulator does, which goes on reading meanwhile; node-pty alone is deaf until all is written. */
async function press(pty: IPty, text: string): Promise<void> {
  const { fd } = pty as IPty & { readonly fd: number };
  let bytes = Buffer.from(text);
  while (bytes.length > 0) {
    const written = await promisify(write)(fd, bytes).then(
      (result) => result.bytesWritten,
      (error: NodeJS.ErrnoException) => (error.code === 'EAGAIN' ? 0 : bytes.length),
    );
    bytes = bytes.subarray(written);
    if (written === 0) await sleep(1);
  }
}

class Typist {
  readonly terminal = new Terminal();
  readonly #press: (text: string) => void;
  readonly #answers: Answer[];
  readonly #settle: number;
  readonly #typed: string[] = [];
  #output = '';
  #timer: NodeJS.Timeout | undefined;
  /** The last answered question: its row, and whether its line has looked different since. */
  #answered = { row: -1, line: '', gone: true };

  constructor(press: (text: string) => void, { answers = [], settle = 20 }: TypistOptions) {
    this.#press = press;
    this.#answers = [...answers];
    this.#settle = settle;
  }

  see(text: string): void {
    this.#output += text;
    // However much arrives at once: an answer and the next question that looks the same, too.
    for (const piece of text.split(/(?=[\x1b\r\n])/)) {
      this.terminal.write(piece);
      if (this.terminal.cursorLine() !== this.#answered.line) this.#answered.gone = true;
    }
    clearTimeout(this.#timer);
    if (this.#settle === 0) return void this.#answer();
    this.#timer = setTimeout(() => void this.#answer(), this.#settle);
  }

  report(status: number): TypedRun {
    clearTimeout(this.#timer);
    const { cursorVisible } = this.terminal;
    return {
      status,
      output: this.#output,
      screen: this.terminal.text(),
      typed: this.#typed,
      cursorVisible,
    };
  }

  async #answer(): Promise<void> {
    const answer = this.#answers[0];
    if (answer === undefined || !this.#asks(answer)) return;
    this.#answers.shift();
    const line = this.terminal.cursorLine();
    this.#typed.push(line);
    this.#answered = { row: this.terminal.row, line, gone: answer.anywhere === true };
    await answer.before?.();
    this.#press(typeof answer.type === 'string' ? answer.type : answer.type(this.terminal.text()));
  }

  #asks({ prompt, anywhere }: Answer): boolean {
    const { row, gone } = this.#answered;
    if (anywhere) return prompt.test(this.terminal.text());
    // inquirer puts the cursor before what was answered for a moment when Enter was pressed.
    const { afterCursor } = this.terminal;
    if (gone && afterCursor === '' && prompt.test(this.terminal.cursorLine())) return true;
    return this.terminal.row > row && prompt.test(this.terminal.text(row + 1));
  }
}
