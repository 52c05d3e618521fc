import { randomBytes, timingSafeEqual } from 'node:crypto';
import { accessSync, constants, writeFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { isSea } from 'node:sea';
import type { Secret } from '../core/secret.ts';
import { shellWord } from '../core/shell-word.ts';
import type { PrivateFolder } from './private-folder.ts';

/** What ssh wants to know. */
export interface AskedBySsh {
  /** The whole prompt, as ssh put it. */
  readonly prompt: string;
  /** SSH_ASKPASS_PROMPT: `confirm` (yes or no), `none` (to be shown only), or empty. */
  readonly hint: string;
}

/** The answer; undefined where there is none, which ssh takes as a refusal. */
export type Answerer = (asked: AskedBySsh) => Promise<Secret | undefined>;

/** Longer than any prompt (ssh's own buffers are shorter). */
const LIMIT = 65_536;

/**
 * Answers what ssh asks. ssh runs the program that SSH_ASKPASS names, which is prep once more; that one
 * passes the question on through a socket in a private folder, proves by a token that it was started by
 * our ssh, and prints the answer into ssh's pipe. So a password stands in no argument, environment or file.
 */
export class Askpass {
  readonly #folder: PrivateFolder;
  readonly #answer: Answerer;
  readonly #token = randomBytes(24).toString('base64url');
  readonly #server: Server;
  readonly #asking = new Set<Socket>();

  private constructor(folder: PrivateFolder, answer: Answerer) {
    this.#folder = folder;
    this.#answer = answer;
    this.#server = createServer((socket) => this.#hear(socket)).unref();
  }

  /** Begins to listen in `folder`. */
  static async listen(folder: PrivateFolder, answer: Answerer): Promise<Askpass> {
    const askpass = new Askpass(folder, answer);
    await new Promise<void>((resolve, reject) => {
      askpass.#server.once('error', reject).listen(askpass.#socket, resolve);
    });
    return askpass;
  }

  /** What ssh's environment must have. OpenSSH before 8.4 asks no askpass without a DISPLAY. */
  get env(): Record<string, string> {
    return {
      SSH_ASKPASS: this.#program(),
      SSH_ASKPASS_REQUIRE: 'force',
      DISPLAY: process.env['DISPLAY'] ?? ':',
      PREP_ASKPASS: this.#socket,
      PREP_ASKPASS_TOKEN: this.#token,
    };
  }

  /** Whoever still asks gets no answer. */
  close(): void {
    this.#server.close();
    for (const socket of this.#asking) socket.destroy();
  }

  get #socket(): string {
    return this.#folder.file('asked');
  }

  /** One path that starts this very prep with this very node; prep's own file where the folder's file system runs no programs. */
  #program(): string {
    const self = isSea() ? [process.execPath] : [process.execPath, process.argv[1]!];
    const file = this.#folder.file('askpass');
    const words = self.map(shellWord).join(' ');
    writeFileSync(file, `#!/bin/sh\nexec ${words} "$@"\n`, { mode: 0o700 });
    try {
      accessSync(file, constants.X_OK);
      return file;
    } catch {
      return self.at(-1)!;
    }
  }

  #hear(socket: Socket): void {
    let heard = '';
    this.#asking.add(socket);
    socket.on('error', () => undefined).on('close', () => this.#asking.delete(socket));
    socket.setEncoding('utf8').on('data', (text: string) => {
      heard += text;
      if (heard.length > LIMIT) return socket.destroy();
      if (!heard.includes('\n')) return;
      socket.removeAllListeners('data').resume();
      this.#reply(socket, heard).catch(() => socket.destroy());
    });
  }

  async #reply(socket: Socket, line: string): Promise<void> {
    const { token, prompt, hint } = JSON.parse(line) as Record<string, unknown>;
    if (!isToken(token, this.#token)) return void socket.destroy();
    const answer = await this.#answer({ prompt: String(prompt), hint: String(hint) });
    if (answer === undefined) socket.destroy();
    else socket.end(answer.reveal());
  }
}

function isToken(given: unknown, token: string): boolean {
  const [a, b] = [Buffer.from(String(given)), Buffer.from(token)];
  return a.length === b.length && timingSafeEqual(a, b);
}
