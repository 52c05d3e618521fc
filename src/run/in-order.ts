import type { Event, Observer } from '../core/event.ts';

/**
 * Lets accounts that are worked on side by side speak one after another, in the order given: what happens at
 * an account is told at once while it is its turn, and kept until then otherwise.
 */
export class InOrder {
  readonly #observe: Observer;
  readonly #held = new Map<number, Event[]>();
  readonly #waiting = new Map<number, () => void>();
  readonly #done = new Set<number>();
  #turn = 0;

  constructor(observe: Observer) {
    this.#observe = observe;
  }

  /** Something happened at the account of this number, from 0 up. */
  tell(account: number, event: Event): void {
    if (account <= this.#turn) this.#observe(event);
    else this.#held.set(account, [...(this.#held.get(account) ?? []), event]);
  }

  /** Waits until every account before it is done. */
  turn(account: number): Promise<void> {
    if (account <= this.#turn) return Promise.resolve();
    return new Promise((resolve) => {
      const before = this.#waiting.get(account);
      this.#waiting.set(account, () => {
        before?.();
        resolve();
      });
    });
  }

  /** Nothing more will come from it. */
  done(account: number): void {
    this.#done.add(account);
    while (this.#done.delete(this.#turn)) {
      this.#turn++;
      for (const event of this.#held.get(this.#turn) ?? []) this.#observe(event);
      this.#held.delete(this.#turn);
      this.#waiting.get(this.#turn)?.();
      this.#waiting.delete(this.#turn);
    }
  }
}
