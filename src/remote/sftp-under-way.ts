import { PrepError } from '../core/problem.ts';
import type { Sftp } from '../ssh/session.ts';

/** How long the server may be silent while something is asked of it, in milliseconds. */
const PATIENCE = 60_000;

/** How ssh2 says that nobody will answer any more. */
const LOST = /No response from server/;

/** How ssh2 gives an answer. */
export type Done<T> = (error: Error | null | undefined, answer?: T) => void;

/** The SFTP requests that have no answer yet. A connection that breaks, or a server that falls silent, ends them all. */
export class SftpUnderWay {
  readonly #pending = new Set<() => void>();
  #lost = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(raw: Sftp['raw']) {
    for (const event of ['close', 'end', 'error'] as const) raw.on(event, () => this.#end());
  }

  /** Sends a request, and gives its answer. @throws PrepError `connection-lost`; what the server says otherwise, as it came */
  ask<T>(send: (done: Done<T>) => void): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const lose = (): void =>
        reject(new PrepError({ code: 'connection-lost', certain: 0, uncertain: 0 }));
      // ssh2 drops what is sent to a closed channel, and calls nobody back.
      if (this.#lost) return lose();
      this.#pending.add(lose);
      this.#timer ??= setTimeout(() => this.#end(), PATIENCE);
      const done: Done<T> = (error, answer) => {
        this.#pending.delete(lose);
        this.#heard();
        if (!error) resolve(answer as T);
        else if (LOST.test(error.message)) lose();
        else reject(error);
      };
      try {
        send(done);
      } catch (error) {
        // An extension that the server has not.
        done(error as Error);
      }
    });
  }

  /** An answer came: the server is there. What is asked meanwhile says nothing of it. */
  #heard(): void {
    if (this.#pending.size > 0) return void this.#timer?.refresh();
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #end(): void {
    this.#lost = true;
    for (const lose of this.#pending) lose();
    this.#pending.clear();
    this.#heard();
  }
}
