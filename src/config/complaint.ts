import type { BaseIssue } from 'valibot';

/**
 * What valibot objects to, in words: the place as JavaScript writes it (empty for the whole), what belongs there, and
 * what stands there instead. The schema's own messages say what each place must be.
 */
export function complaint({ type, message, input, path }: BaseIssue<unknown>): {
  readonly where: string;
  readonly cause: string;
} {
  return {
    where: placeOf((path ?? []).map(({ key }) => key)),
    cause: causeOf(type, message, input),
  };
}

function causeOf(type: string, message: string, input: unknown): string {
  // An object's own complaints are about its keys, and say it all.
  if (type === 'strict_object') return message;
  if (input === undefined && (type === 'loose_object' || type === 'variant')) return 'is missing';
  return `must be ${message}, not ${described(input)}`;
}

/** What stands in the wrong place, short enough for a sentence. */
function described(input: unknown): string {
  if (typeof input === 'function') return 'a function';
  if (Array.isArray(input)) return input.length === 0 ? 'an empty list' : 'a list';
  if (isObject(input)) return 'an object';
  const text = typeof input === 'string' ? JSON.stringify(input) : String(input);
  return text.length > 60 ? `${text.slice(0, 59)}…` : text;
}

/** Whether it has keys: neither null nor a list. */
export function isObject(input: unknown): input is object {
  return typeof input === 'object' && input !== null && !Array.isArray(input);
}

/** A place as JavaScript writes it: `hosts["web*"].shell`, `dotfiles[2].to`. */
function placeOf(keys: readonly unknown[]): string {
  return keys
    .map((key, index) => {
      if (typeof key === 'number') return `[${key}]`;
      const name = String(key);
      if (!/^[A-Za-z_$][\w$]*$/.test(name)) return `[${JSON.stringify(name)}]`;
      return index === 0 ? name : `.${name}`;
    })
    .join('');
}
