import { addKeys } from '../core/authorized-key.ts';
import type { AuthorizedKey } from '../core/authorized-key.ts';
import { entryAt, realPath, type Facts } from '../core/facts.ts';

/** The options of the line that authorized_keys has for a key, as it was read; undefined where there is no such line. */
export function optionsOf(facts: Facts, key: AuthorizedKey): string | undefined {
  const entry = entryAt(facts, realPath(facts, facts.keysFile));
  const bytes = entry.kind === 'file' ? entry.content.bytes : undefined;
  return addKeys(bytes ?? new Uint8Array(), [key]).present[0]?.options;
}
