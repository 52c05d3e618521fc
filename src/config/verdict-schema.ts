import * as v from 'valibot';
import type { Reading } from '../core/facts.ts';
import type { Change } from '../core/plan.ts';
import { complaint } from './complaint.ts';

const PATH = v.pipe(v.string('a path'), v.nonEmpty('a path that is not empty'));
const TEXT = v.string('a string');
const NUMBER = v.number('a number');
const WORDS = v.array(TEXT, 'a list of strings');
const AS = v.picklist(['self', 'root', 'sudo'], '"self", "root" or "sudo"');

const reading = v.looseObject(
  {
    path: PATH,
    bytes: v.optional(v.picklist(['all', 'some'], '"all" or "some"')),
    unless: v.optional(v.looseObject({ size: NUMBER }, 'a content')),
    follow: v.optional(v.boolean('true or false')),
    list: v.optional(v.boolean('true or false')),
  },
  'a reading, such as { path }',
);

const content = v.looseObject(
  {
    size: NUMBER,
    checksum: v.optional(NUMBER),
    bytes: v.optional(v.instance(Uint8Array, 'bytes (a Uint8Array)')),
  },
  'a content, as contentOf() makes it',
);

const ENTRY = 'an entry of a kind that prep knows';
const entry = v.variant(
  'kind',
  [
    v.looseObject({ kind: v.literal('absent') }),
    v.looseObject({ kind: v.literal('directory'), mode: NUMBER }),
    v.looseObject({ kind: v.literal('file'), mode: NUMBER, content }),
    v.looseObject({ kind: v.literal('symlink'), target: PATH }),
    v.looseObject({ kind: v.literal('unreadable'), mode: NUMBER }),
    v.looseObject({ kind: v.literal('special') }),
  ],
  ENTRY,
);

const change = v.variant(
  'what',
  [
    v.looseObject({
      what: v.literal('entry'),
      path: PATH,
      before: entry,
      after: entry,
      reason: TEXT,
    }),
    v.looseObject({
      what: v.literal('login-shell'),
      before: TEXT,
      after: TEXT,
      by: v.picklist(['chsh', 'usermod'], '"chsh" or "usermod"'),
      as: AS,
      reason: TEXT,
    }),
    v.looseObject({
      what: v.literal('command'),
      argv: v.pipe(WORDS, v.nonEmpty('a list of words, the program first')),
      as: AS,
      provides: WORDS,
      shells: WORDS,
      reason: TEXT,
    }),
  ],
  'a change of an entry or a command',
);

const changes = v.looseObject({ changes: v.array(change) });
const readings = v.array(reading, 'a list of readings');
const programs = v.array(TEXT, 'a list of names');

/** The changes of a verdict, if that is what they are. @throws TypeError naming the first place that is wrong, and how */
export function checkedChanges(found: readonly unknown[]): readonly Change[] {
  return checked(changes, { changes: found }).changes as unknown as readonly Change[];
}

/** What a step wants to be read. @throws TypeError as `checkedChanges` */
export function checkedReadings(found: unknown): readonly Reading[] {
  return checked(readings, found) as unknown as readonly Reading[];
}

/** The programs that a step wants to know of. @throws TypeError as `checkedChanges` */
export function checkedPrograms(found: unknown): readonly string[] {
  return checked(programs, found);
}

function checked<T extends v.GenericSchema>(schema: T, found: unknown): v.InferOutput<T> {
  const result = v.safeParse(schema, found, { abortEarly: true });
  if (result.success) return result.output;
  const { where, cause } = complaint(result.issues[0]);
  throw new TypeError(`${where || 'what it gives'} ${cause}`);
}
