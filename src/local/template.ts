import { readFile, stat } from 'node:fs/promises';
import { contentOf, type Entry } from '../core/facts.ts';
import { suggestion } from '../core/nearest.ts';
import { PrepError } from '../core/problem.ts';
import { cannotRead } from '../core/system-error.ts';

/** `{{name}}`, with or without blanks within. */
const PLACE = /\{\{\s*([\w.-]+)\s*\}\}/g;

/**
 * A template with its values in place, as the file that it becomes: same mode, and a time that nobody compares.
 * There is no logic in it, and no escape: braces that hold no name stay what they are.
 * @throws PrepError `cannot-read`; `bad-config` naming the line of a value that there is none of
 */
export async function rendered(
  file: string,
  values: Readonly<Record<string, string>>,
): Promise<Entry> {
  const [text, { mode }] = await Promise.all([readFile(file, 'utf8'), stat(file)]).catch(
    (error: unknown) => {
      throw cannotRead(file, 'template', error);
    },
  );
  const lines = text.split('\n').map((line, index) =>
    line.replaceAll(PLACE, (_, name: string) => {
      if (Object.hasOwn(values, name)) return values[name]!;
      const near = suggestion(name, Object.keys(values));
      const cause = `wants {{${name}}}, which "values" of the configuration does not have${near}`;
      throw new PrepError({ code: 'bad-config', file, where: `line ${index + 1}`, cause });
    }),
  );
  const content = contentOf(Buffer.from(lines.join('\n')));
  return { kind: 'file', mode: mode & 0o777, content };
}
