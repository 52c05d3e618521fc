/** One thing that a script said: a line `kind words`, and whatever followed until the next. */
export interface Saying {
  /** Everything after the kind, up to the final line feed; latin1. */
  readonly line: string;
  /** The first line after the kind. */
  readonly name: string;
  /** What followed the first line, without its final line feed; latin1. */
  readonly rest: string;
  /** What followed the first line, to the byte. */
  readonly bytes: Buffer;
}

/** All that a script said, by kind. Anything said outside the marker's frame (rc files, motd) is not in it. */
export class Answer {
  readonly #sayings = new Map<string, Saying[]>();

  /** Takes in one saying: the bytes between two markers. */
  add(raw: Buffer): { kind: string; saying: Saying } {
    const end = raw.indexOf(0x0a);
    const first = raw.subarray(0, end < 0 ? raw.length : end).toString('latin1');
    const space = first.indexOf(' ');
    const kind = space < 0 ? first : first.slice(0, space);
    const bytes = end < 0 ? Buffer.alloc(0) : raw.subarray(end + 1);
    const name = space < 0 ? '' : first.slice(space + 1);
    const saying: Saying = {
      name,
      bytes,
      get rest() {
        return bytes.toString('latin1').replace(/\n$/, '');
      },
      get line() {
        return bytes.length === 0 ? name : `${name}\n${this.rest}`;
      },
    };
    const others = this.#sayings.get(kind);
    if (others === undefined) this.#sayings.set(kind, [saying]);
    else others.push(saying);
    return { kind, saying };
  }

  /** Everything of one kind, in order. */
  all(kind: string): readonly Saying[] {
    return this.#sayings.get(kind) ?? [];
  }

  /** Whether something of that kind was said. */
  has(kind: string): boolean {
    return this.#sayings.has(kind);
  }

  /** The words of the last saying of a kind; empty where there is none. */
  word(kind: string): string {
    return this.all(kind).at(-1)?.name ?? '';
  }
}
