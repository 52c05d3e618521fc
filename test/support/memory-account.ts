import type { Outcome } from '../../src/core/event.ts';
import {
  ABSENT,
  entryAt,
  same,
  type Entry,
  type Facts,
  type Reading,
} from '../../src/core/facts.ts';
import { rehearse, type Change } from '../../src/core/plan.ts';
import type { RemotePath } from '../../src/core/remote-path.ts';
import type { Account, Applied, Applying } from '../../src/remote/account.ts';
import type { Evidence } from '../../src/remote/evidence.ts';

/** An account that is nothing but facts: it is `rehearse`, with the comparison that every account makes before it writes. */
export class MemoryAccount implements Account {
  facts: Facts;

  constructor(facts: Facts) {
    this.facts = facts;
  }

  probe(readings: readonly Reading[]): Promise<Facts> {
    const entries = new Map<RemotePath, Entry>(
      readings.map(({ path }) => [path, this.facts.entries.get(path) ?? ABSENT]),
    );
    return Promise.resolve({ ...this.facts, entries });
  }

  async apply(changes: readonly Change[], { readings }: Applying): Promise<Applied> {
    const outcomes = changes.map((change) => this.#make(change));
    return { outcomes, facts: await this.probe(readings) };
  }

  evidence(): Promise<Evidence> {
    return Promise.resolve({ settings: new Map(), unread: '', context: '' });
  }

  close(): void {
    // There is nothing to hang up.
  }

  #make(change: Change): Outcome {
    if (change.what === 'entry' && !same(entryAt(this.facts, change.path), change.before)) {
      const problem = { code: 'stale', path: change.path, found: '' } as const;
      return { change, result: 'stale', problem };
    }
    this.facts = rehearse(this.facts, change);
    return { change, result: 'done' };
  }
}
