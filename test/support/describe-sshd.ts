import { describe } from 'vitest';
import { noSshd } from './sshd.ts';

/** `describe` for tests that need a real server: where there can be none, they are skipped and the title says why. */
export function describeSshd(title: string, body: () => void): void {
  const why = noSshd === undefined ? '' : ` (skipped: ${noSshd})`;
  describe.skipIf(noSshd !== undefined)(`${title}${why}`, () => body());
}
