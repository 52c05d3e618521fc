import { METHODS } from './access.ts';

/** What a login came to. */
export interface LoginFacts {
  /** The methods that were accepted, in their order. */
  readonly factors: readonly string[];
  readonly refused: ReadonlySet<string>;
  readonly keys: readonly unknown[];
  /** What the server last said can continue; null where it said nothing. */
  readonly left: readonly string[] | null;
}

/** How a login came about and why nothing else was tried, in words. */
export function loginReport({ factors, refused, keys, left }: LoginFacts): string {
  const others = METHODS.filter((method) => !refused.has(method) && !factors.includes(method));
  const names = factors.map(named).join(' and ') || 'nothing';
  const reasons = others.map((method) => {
    if (method === 'publickey' && keys.length === 0) return 'key: none at hand';
    const offered = left === null || left.includes(method);
    return `${named(method)}: ${offered ? 'not needed' : 'not offered by the server'}`;
  });
  return [`logged in with ${names} over one connection`, ...reasons].join('; ');
}

function named(method: string): string {
  return method === 'publickey' ? 'key' : method;
}
