import { randomBytes } from 'node:crypto';
import { printable } from '../core/printable.ts';
import { PrepError } from '../core/problem.ts';
import type { Channel, Session } from '../ssh/session.ts';
import { Answer } from './answer.ts';
import { openingFor, SHELLS, type Opening } from './opening.ts';
import { preamble } from './shell-text.ts';

/** What a running script has just said, or is still saying. */
export interface Heard {
  readonly kind: string;
  readonly words: string;
  /** What follows the words; it may still grow unless `whole`. */
  readonly text: string;
  readonly whole: boolean;
  /** Writes one line to whatever the script runs with descriptor 3 as its input. */
  readonly reply: (line: string) => void;
}

/** Told, while a script runs, of each thing it says: so a question can be answered, and progress shown. */
export type Listener = (heard: Heard) => void;

const END = Buffer.from('end\n');

/** How long the remote shell may go without a word of an answer within one exchange, in milliseconds. */
const PATIENCE = 60_000;

/** In how many bytes at a time a script is handed over; each that goes out is a sign of life. */
const PIECE = 64 * 1024;

/** How many bytes may be on their way when all have gone out (OpenSSH's channel window), and what the slowest line does in a millisecond. */
const [WINDOW, SLOWEST] = [2 * 1024 * 1024, 16];

/** How much is kept of what it says that is no answer, in bytes. */
const NOISE = 4096;

/** How long it may be silent before the opening is said once more, on standard input, in milliseconds. */
const SILENCE = 3_000;

/**
 * One remote POSIX shell, kept open and spoken to in scripts. Each script is one function, so that a
 * copy cut off on the way is a syntax error and does nothing; its standard input is /dev/null (what a
 * user types is on descriptor 3); its answer is framed by a random marker, so rc files may talk.
 */
export class Conversation {
  readonly #channel: Channel;
  #marker: string;
  /** That of the opening said once more. */
  #second: string | undefined;
  #heard: Buffer = Buffer.alloc(0);
  #stderr = '';
  #answer = new Answer();
  #listener: Listener | undefined;
  #settle: { done(answer: Answer): void; fail(error: PrepError): void } | undefined;
  #timer: NodeJS.Timeout | undefined;
  #ended = false;
  #ready = false;

  private constructor(channel: Channel, marker: string) {
    this.#channel = channel;
    this.#marker = marker;
    channel.stdout.on('data', this.#hear);
    channel.stderr.on('data', (data: Buffer) => {
      this.#stderr = (this.#stderr + data.toString('latin1')).slice(-2000);
    });
    channel.stdin.on('error', () => undefined);
    void channel.exit.then(() => this.#end());
  }

  /**
   * Opens a conversation and gives the answer to its first script.
   * @throws PrepError `no-shell` where the account runs no commands
   */
  static async open(
    session: Session,
    opening: Opening,
  ): Promise<{ conversation: Conversation; answer: Answer }> {
    let said = '';
    for (const shell of SHELLS) {
      const first = shell === SHELLS[0];
      const { marker, script, command, inline } = first
        ? opening
        : openingFor(shell, opening.marker, opening.script);
      const conversation = new Conversation(await session.exec(command), marker);
      const again = inline
        ? setTimeout(() => conversation.#sayAgain(shell, script), SILENCE)
        : undefined;
      try {
        return { conversation, answer: await conversation.#first(inline ? undefined : script) };
      } catch (error) {
        if (conversation.#ready || !isSilence(error)) throw error;
        said = conversation.#lastWords();
      } finally {
        clearTimeout(again);
      }
    }
    throw new PrepError({ code: 'no-shell', said });
  }

  /** Runs a script and gives everything it said. @throws PrepError `connection-lost`, `no-answer-from-shell` */
  run(script: string, listener?: Listener): Promise<Answer> {
    return this.#exchange(() => this.#send(script), listener);
  }

  /** Hangs up. */
  close(): void {
    clearTimeout(this.#timer);
    this.#channel.close();
  }

  /** What came in so far of an answer that was cut off. */
  get partial(): Answer {
    return this.#answer;
  }

  /**
   * A start-up file may be waiting for a line of input, or have started another shell, which forgot the command and
   * reads its standard input. A second marker tells its answer from that of a shell that only was slow.
   */
  #sayAgain(shell: string, script: string): void {
    if (this.#ready || this.#ended) return;
    const { marker, command } = openingFor(shell, randomBytes(8).toString('hex'), script);
    this.#second = marker;
    this.#channel.stdin.write(`${command}\n`);
  }

  async #first(script: string | undefined): Promise<Answer> {
    return this.#exchange(() => {
      // Empty lines to a shell. An SFTP server that was forced on us takes them for a packet of absurd length
      // and gives up, instead of waiting for a client to begin.
      this.#channel.stdin.write('\n\n\n\n\n');
      if (script !== undefined) this.#send(script);
    });
  }

  #send(script: string): void {
    const text = `prep_said() {\n${preamble(this.#marker)}${script}\n}\nprep_said 3<&0 </dev/null; printf '\\n%s end\\n\\n' ${this.#marker}\n`;
    const bytes = Buffer.from(text, 'latin1');
    this.#wait(Math.min(bytes.length, WINDOW) / SLOWEST);
    for (let at = 0; at < bytes.length; at += PIECE) {
      this.#channel.stdin.write(bytes.subarray(at, at + PIECE), () => this.#timer?.refresh());
    }
  }

  #exchange(begin: () => void, listener?: Listener): Promise<Answer> {
    this.#answer = new Answer();
    this.#listener = listener;
    return new Promise((resolve, reject) => {
      this.#settle = {
        done: (answer) => {
          this.#rest();
          resolve(answer);
        },
        fail: (error) => {
          this.#rest();
          reject(error);
        },
      };
      if (this.#ended) return this.#end();
      this.#wait();
      begin();
    });
  }

  #rest(): void {
    clearTimeout(this.#timer);
    this.#settle = undefined;
    this.#listener = undefined;
  }

  /** `underWay` is how long what is sent may take to get there, in milliseconds. */
  #wait(underWay = 0): void {
    clearTimeout(this.#timer);
    const patience = PATIENCE + underWay;
    this.#timer = setTimeout(() => {
      // What this script may still say must not be taken for the answer to another.
      this.#ended = true;
      this.#channel.close();
      this.#settle?.fail(
        new PrepError({ code: 'no-answer-from-shell', seconds: Math.round(patience / 1000) }),
      );
    }, patience);
  }

  readonly #hear = (data: Buffer): void => {
    this.#heard = this.#heard.length === 0 ? data : Buffer.concat([this.#heard, data]);
    const mark = Buffer.from(`\n${this.#markerHeard()} `);
    for (;;) {
      const start = this.#heard.indexOf(mark);
      if (start < 0) return this.#forget();
      this.#timer?.refresh();
      const from = start + mark.length;
      const next = this.#heard.indexOf(mark, from);
      const raw = this.#heard.subarray(from, next < 0 ? undefined : next);
      if (next < 0) return this.#tail(raw);
      this.#heard = this.#heard.subarray(next);
      this.#take(raw);
    }
  };

  /** What a start-up file prints may have no end: no more of it is kept than is quoted, or may begin a saying. */
  #forget(): void {
    if (this.#heard.length > NOISE) this.#heard = Buffer.from(this.#heard.subarray(-NOISE));
  }

  /** Whichever of the openings was answered first goes on. */
  #markerHeard(): string {
    const second = this.#second;
    if (!this.#ready && second !== undefined && this.#heard.includes(`\n${second} ready\n`)) {
      this.#marker = second;
    }
    return this.#marker;
  }

  /** The saying at the end may not be whole yet; `end` is, with its line. */
  #tail(raw: Buffer): void {
    if (raw.subarray(0, 4).equals(END)) {
      this.#heard = Buffer.alloc(0);
      this.#settle?.done(this.#answer);
      return;
    }
    if (this.#listener === undefined) return;
    const line = raw.indexOf(0x0a);
    if (line < 0 || raw.length > 65_536) return;
    const [kind = '', ...rest] = raw.subarray(0, line).toString('latin1').split(' ');
    const text = raw.subarray(line + 1).toString('latin1');
    this.#listener({ kind, words: rest.join(' '), text, whole: false, reply: this.#reply });
  }

  #take(raw: Buffer): void {
    const { kind, saying } = this.#answer.add(raw);
    if (kind === 'ready') this.#ready = true;
    if (this.#listener === undefined) return;
    const { name: words, rest: text } = saying;
    this.#listener({ kind, words, text, whole: true, reply: this.#reply });
  }

  readonly #reply = (line: string): void => {
    this.#channel.stdin.write(`${line}\n`);
  };

  #end(): void {
    this.#ended = true;
    this.#settle?.fail(new PrepError({ code: 'connection-lost', certain: 0, uncertain: 0 }));
  }

  #lastWords(): string {
    const text = this.#stderr.trim() || this.#heard.toString('latin1').trim();
    return printable(text.split('\n').at(-1) ?? '').slice(0, 200);
  }
}

function isSilence(error: unknown): boolean {
  return error instanceof PrepError && error.problem.code === 'connection-lost';
}
