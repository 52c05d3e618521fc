import type { CustomStep } from '../core/configuration.ts';
import type { Facts, Reading } from '../core/facts.ts';
import type { Desired, Verdict } from '../core/plan.ts';
import { checkedChanges, checkedPrograms, checkedReadings } from './verdict-schema.ts';

type FunctionName = 'reads' | 'plan' | 'programs';

/** A step of the user's own that may fail like any program: then it is blocked and says why, and the others go on. */
export function guarded(step: object): CustomStep {
  const own = step as CustomStep;
  /** What went wrong, by what was wanted: one account's trouble is no other's. */
  const trouble = new WeakMap<Desired, string>();
  const tried = <T>(
    name: FunctionName,
    desired: Desired,
    call: () => readonly T[],
  ): readonly T[] => {
    try {
      return call();
    } catch (error) {
      if (!trouble.has(desired)) trouble.set(desired, sentence(name, error));
      return [];
    }
  };
  return {
    name: own.name,
    title: own.title,
    ...(own.before !== undefined && { before: own.before }),
    reads: (desired: Desired): readonly Reading[] =>
      tried('reads', desired, () => checkedReadings(own.reads(desired))),
    programs: (desired: Desired): readonly string[] =>
      tried('programs', desired, () => checkedPrograms(own.programs?.(desired) ?? [])),
    plan(facts: Facts, desired: Desired): Verdict {
      const because = trouble.get(desired);
      if (because !== undefined) return { kind: 'blocked', because };
      try {
        return verdict(own.plan(facts, desired));
      } catch (error) {
        return { kind: 'blocked', because: sentence('plan', error) };
      }
    },
  };
}

function sentence(name: FunctionName, error: unknown): string {
  const said = error instanceof Error ? error.message : String(error);
  return `its own function ${name}() failed (${said}); mend the step`;
}

/** Whatever the step gave, if it is a verdict. @throws TypeError */
function verdict(found: unknown): Verdict {
  const given = (found ?? {}) as Partial<Record<string, unknown>>;
  if (typeof given['then'] === 'function') throw new TypeError('it must not be async');
  const { kind, because, changes } = given;
  if (kind === 'changes' && Array.isArray(changes)) {
    if (changes.length === 0) return { kind: 'settled', because: 'nothing to change' };
    return { ...(found as Verdict & { kind: 'changes' }), changes: checkedChanges(changes) };
  }
  if ((kind === 'settled' || kind === 'blocked') && typeof because === 'string') {
    return { kind, because };
  }
  throw new TypeError('it gives no verdict');
}
