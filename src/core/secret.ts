import { inspect } from 'node:util';

/**
 * A password. Its text sits in a private field: printing, serialising or inspecting a Secret gives
 * `[secret]`, so it cannot reach a log, an event or an error by accident.
 */
export class Secret {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  /** The text itself. Called only where it is written to the server; a test counts the callers. */
  reveal(): string {
    return this.#text;
  }

  /** Whether there is anything in it. */
  get empty(): boolean {
    return this.#text === '';
  }

  toString(): string {
    return '[secret]';
  }

  toJSON(): string {
    return '[secret]';
  }

  [inspect.custom](): string {
    return '[secret]';
  }
}
