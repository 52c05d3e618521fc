import * as v from 'valibot';
import { suggestion } from '../core/nearest.ts';
import { PrepError } from '../core/problem.ts';
import { complaint, isObject } from './complaint.ts';

/** What each place must be, in words; what stands there instead is added. */
const TEXT = v.pipe(v.string('a string'), v.nonEmpty('a string that is not empty'));
const NAMES = v.array(TEXT, 'a list of strings');
const WORD = v.pipe(v.string('a plain name'), v.regex(/^[\w.+][\w.+@:/-]*$/, 'a plain name'));
const SHELL = 'the name of a shell or an absolute path';
const COMMAND = 'a list of words, the program first';
const PATTERN = /^[^\s,]/;

const pathSource = object({ path: TEXT, to: v.optional(TEXT), exclude: v.optional(NAMES) });
const templateSource = object({ template: TEXT, to: TEXT });
const commandSource = object({
  command: v.pipe(v.array(TEXT, COMMAND), v.nonEmpty(COMMAND)),
});

const source = v.lazy((input) => {
  if (typeof input === 'string') return TEXT;
  if (has(input, 'template')) return templateSource;
  if (has(input, 'command')) return commandSource;
  return has(input, 'path') || isObject(input)
    ? pathSource
    : v.string('a string, or an object with path, template or command');
});

const dotfiles = v.lazy((input) => {
  if (Array.isArray(input)) return v.array(source);
  return v.pipe(
    v.string('a directory, or a list of sources'),
    v.nonEmpty('the name of a directory'),
  );
});

const packageWish = object({ name: WORD, provides: v.array(WORD, 'a list of programs') });

const ACCOUNT = {
  keys: v.optional(NAMES),
  shell: v.optional(v.pipe(v.string(SHELL), v.regex(/^(\/[\w.+/-]+|[\w.+][\w.+-]*)$/, SHELL))),
  dotfiles: v.optional(dotfiles),
  values: v.optional(v.record(v.string(), v.string('a string'), 'an object of strings')),
  only: v.optional(NAMES),
  skip: v.optional(NAMES),
  terminfo: v.optional(v.boolean('true or false')),
  packages: v.optional(
    v.array(
      v.lazy((input) => (typeof input === 'string' ? WORD : packageWish)),
      'a list of packages',
    ),
  ),
};

const step = v.looseObject(
  {
    name: v.pipe(
      v.string('a name such as "my-step"'),
      v.regex(/^[a-z][a-z0-9-]*$/, 'a name such as "my-step"'),
    ),
    title: TEXT,
    reads: v.function('a function'),
    plan: v.function('a function'),
    programs: v.optional(v.function('a function')),
    before: v.optional(v.string('the name of a step')),
  },
  'a step, as defineStep makes it',
);

const config = object({
  ...ACCOUNT,
  hosts: v.optional(
    v.record(
      v.pipe(v.string(), v.regex(PATTERN, 'a pattern such as "web*.example.com"')),
      object(ACCOUNT),
      'an object of sections, by pattern',
    ),
  ),
  steps: v.optional(v.array(step, 'a list of steps')),
});

/**
 * Checks what a configuration file says, and gives it back.
 * @throws PrepError `bad-config` for the first place that is wrong: where it is, what belongs there, what stands there
 */
export function checked(file: string, found: unknown): v.InferOutput<typeof config> {
  const result = v.safeParse(config, found, { abortEarly: true });
  if (result.success) return result.output;
  const { where, cause } = complaint(result.issues[0]);
  throw new PrepError({ code: 'bad-config', file, where: where || 'the whole', cause });
}

/** An object with these keys and no others. */
function object<T extends v.ObjectEntries>(entries: T) {
  const known = Object.keys(entries);
  return v.pipe(
    v.custom<object>(isObject, 'an object'),
    v.strictObject(entries, ({ expected, path }) => {
      if (expected !== 'never') return 'is missing';
      const near = suggestion(String(path?.at(-1)?.key), known);
      return `is not a setting${near || ` (the settings: ${known.join(', ')})`}`;
    }),
  );
}

function has(input: unknown, key: string): boolean {
  return isObject(input) && key in input;
}
