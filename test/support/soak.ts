/** How many minutes each test of `npm run soak` may try many times more than `npm test` has the time for; 0 in `npm test`. */
const MINUTES = Number(process.env['PREP_SOAK'] || 0);

/** Whether this is `npm run soak`, which sets `PREP_SOAK`. */
export const soak = MINUTES > 0;

/** How long a test may take that goes on `enough`, in milliseconds, where `npm test` allows so many. */
export function patience(usual: number): number {
  return soak ? MINUTES * 60_000 + 300_000 : usual;
}

/** The times at which something is tried: so many, or while there is time. */
export function* tries(usual: number): Generator<number> {
  const end = Date.now() + MINUTES * 60_000;
  for (let one = 0; soak ? Date.now() < end : one < usual; one++) yield one;
}

/** A few of some things in `npm test`; in a soak all of them, in a random order, while there is time. */
export function* someOf<T>(
  all: readonly T[],
  usual: readonly T[],
  below: (limit: number) => number,
): Generator<T> {
  if (!soak) return yield* usual;
  const rest = [...all];
  const end = Date.now() + MINUTES * 60_000;
  while (rest.length > 0 && Date.now() < end) {
    const [one] = rest.splice(below(rest.length), 1);
    yield one!;
  }
}
