/** Numbers by chance that can be had again. */
export interface Seeded {
  readonly seed: number;
  /** A whole number from 0 up to, not including, the limit. */
  below(limit: number): number;
}

/** By the environment's `PREP_SEED`, or anew. The generator is mulberry32. */
export function seeded(seed = Number(process.env['PREP_SEED'] ?? Date.now() % 1_000_000)): Seeded {
  let state = seed >>> 0;
  return {
    seed,
    below: (limit) => {
      state = (state + 0x6d2b79f5) >>> 0;
      let mixed = Math.imul(state ^ (state >>> 15), state | 1);
      mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
      return ((mixed ^ (mixed >>> 14)) >>> 0) % limit;
    },
  };
}
