import { setImmediate, setTimeout } from 'node:timers/promises';
import { PassThrough, type Readable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';
import type { ReadStream } from 'node:tty';
import { PrepError, type Problem } from '../core/problem.ts';

/** Longer lines are cut, so that a pasted book does not keep the prompt busy. */
const MAX_LINE = 1024;

/** How long nothing must have come before a question is opened over a paste still under way. */
const QUIET = 20;

const CTRL_C = '\u0003';
const CTRL_D = '\u0004';
const CTRL_U = '\u0015';
const CTRL_Z = '\u001a';
const CTRL_BACKSLASH = '\u001c';
// oxlint-disable-next-line no-control-regex -- these keys are what the terminal would have turned into signals
const ENDINGS = /([\u0003\u0004\u001a\u001c])/;
const BACKSPACE = '\u007f';

/** What is typed while one question is open. */
export interface Answering {
  /** For inquirer to read. */
  readonly input: Readable;
  /** Aborted when the person ends the question; the reason is a PrepError. */
  readonly signal: AbortSignal;
  /** The question is over. */
  close(): void;
}

/**
 * Owns the terminal's input for the whole run. It is raw from the start, so that nothing typed early is ever
 * echoed; what is typed while no question is open is dropped, as readpassphrase(3) does.
 */
export class Keyboard {
  readonly #stdin: ReadStream;
  readonly #decoder = new StringDecoder('utf8');
  #question: Question | undefined;
  /** Whether something was dropped since this was last false. */
  #dropped = false;
  #closed = false;

  /** Takes the terminal over, until `close`. It does not keep the process alive. */
  constructor(stdin: ReadStream) {
    this.#stdin = stdin;
    stdin.on('data', this.#typed).on('end', this.#hungUp).on('error', this.#hungUp);
    stdin.setRawMode(true).resume().unref();
    process.on('exit', this.#cooked).on('SIGCONT', this.#continued);
  }

  /** Opens one question; whatever was typed before is dropped first. */
  async open(question: string): Promise<Answering> {
    this.#stdin.ref();
    await this.#flush();
    const answering = new Question(question, () => {
      this.#question = undefined;
      this.#stdin.unref();
    });
    this.#question = answering;
    return answering;
  }

  /** Gives the terminal back as it was. */
  close(): void {
    if (this.#closed) return;
    this.#cooked();
    this.#closed = true;
    this.#stdin.off('data', this.#typed).off('end', this.#hungUp).off('error', this.#hungUp);
    this.#stdin.pause().unref();
    process.off('exit', this.#cooked).off('SIGCONT', this.#continued);
  }

  /** Two turns of the event loop read what the kernel holds; after a paste, until it stops coming. */
  async #flush(): Promise<void> {
    do {
      this.#dropped = false;
      await setImmediate();
      await setImmediate();
      if (this.#dropped) await setTimeout(QUIET);
    } while (this.#dropped);
  }

  readonly #typed = (chunk: Buffer): void => {
    for (const part of this.#decoder.write(chunk).split(ENDINGS)) {
      if (part === CTRL_C) this.#interrupt();
      else if (part === CTRL_Z) this.#suspend();
      else if (part === CTRL_BACKSLASH) this.#quit();
      else if (part === CTRL_D) this.#question?.giveUp();
      else if (this.#question) this.#question.type(part);
      else this.#dropped ||= part !== '';
    }
  };

  #interrupt(): void {
    if (this.#question) this.#question.end({ code: 'interrupted' });
    else process.kill(process.pid, 'SIGINT');
  }

  /** The whole job stops, as if the terminal had sent the signal; kill returns when it goes on. */
  #suspend(): void {
    this.#cooked();
    process.kill(0, 'SIGTSTP');
    this.#continued();
  }

  #quit(): void {
    this.#cooked();
    process.kill(process.pid, 'SIGQUIT');
  }

  readonly #hungUp = (): void => this.#question?.giveUp();

  readonly #cooked = (): void => {
    if (!this.#closed) this.#stdin.setRawMode(false);
  };

  /** The shell may have changed the terminal meanwhile, and libuv would not notice: off, then on. */
  readonly #continued = (): void => {
    this.#stdin.setRawMode(false).setRawMode(true);
    this.#question?.redraw();
  };
}

class Question implements Answering {
  readonly input = new PassThrough();
  readonly #abort = new AbortController();
  readonly #text: string;
  readonly #over: () => void;
  #length = 0;

  constructor(text: string, over: () => void) {
    this.#text = text;
    this.#over = over;
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Passes on up to one line, of that no more letters than fit. */
  type(text: string): void {
    let taken = '';
    for (const character of text) {
      if (character === '\r' || character === '\n') {
        this.#length = 0;
        this.input.write(`${taken}\r`);
        return;
      }
      if (this.#fits(character)) taken += character;
    }
    this.input.write(taken);
  }

  /** Keys that edit the line always do. */
  #fits(character: string): boolean {
    if (character === BACKSPACE || character === '\b') this.#length = Math.max(0, this.#length - 1);
    if (character === CTRL_U) this.#length = 0;
    if (character < ' ' || character === BACKSPACE) return true;
    if (this.#length >= MAX_LINE) return false;
    this.#length++;
    return true;
  }

  /** A space and its removal: inquirer draws a line anew only when it changes. */
  redraw(): void {
    this.input.write(` ${BACKSPACE}`);
  }

  giveUp(): void {
    this.end({ code: 'no-answer-given', question: this.#text });
  }

  end(problem: Problem): void {
    this.#abort.abort(new PrepError(problem));
    this.close();
  }

  close(): void {
    if (this.input.destroyed) return;
    this.#over();
    this.input.destroy();
  }
}
