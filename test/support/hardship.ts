import assert from 'node:assert/strict';
import type { SshdOptions } from './sshd.ts';
import type { Stage, Visit } from './stage.ts';
import { shapeOf } from './tree.ts';

/** A way into a real account, and the flags with which everything can be done there. */
export interface Way {
  readonly name: string;
  readonly server: SshdOptions;
  readonly flags: readonly string[];
}

const FOR_SFTP_ALONE = ['Match User prep_*', 'ForceCommand internal-sftp'];

/** What every fault is tried on. */
export const WAYS: readonly Way[] = [
  { name: 'over a shell', server: {}, flags: [] },
  {
    name: 'over SFTP alone',
    server: { sftp: 'internal', match: FOR_SFTP_ALONE },
    flags: ['--skip', 'login-shell'],
  },
];

const KEYS = '# mine\n';
const NAMES = Array.from({ length: 12 }, (_, index) => `.many/file-${index}`);
const NEW = 'new content\n'.repeat(100);
const BINARY = Buffer.from('binary\0'.repeat(3000));
const LEFTOVER = /\.prep-|\/prep\/lock|\/(sent-[^/]*|beside|owner|start)$/;

/** A real account with a past, and dotfiles for it: what happens to it on the way, it must be whole. */
export class Hardship {
  readonly visit: Visit;
  readonly flags: readonly string[];

  constructor(stage: Stage, way: Way, port = stage.server.port) {
    const ports = [...new Set([port, stage.server.port])];
    const knownHosts = ports.map((one) => stage.server.knownHosts(one)).join('');
    this.visit = stage.visit({ laptop: { knownHosts } });
    this.visit.port = port;
    const { account, laptop } = this.visit;
    for (const name of NAMES) laptop.write(`set/${name}`, NEW);
    laptop.write('set/.app/data', BINARY);
    for (const name of NAMES.slice(0, 7)) account.write(name, 'old');
    account.write('.ssh/', { mode: 0o700 });
    account.write('.ssh/authorized_keys', { content: KEYS, mode: 0o600 });
    this.flags = ['--dotfiles', laptop.path('set'), '--yes', ...way.flags];
  }

  /** What is to be seen of the account, but for prep's records and the key, which differs. */
  standing(): object {
    const tree = Object.entries(shapeOf(this.visit.account.tree())).filter(
      ([name]) => !/^\.local|^\.ssh\/authorized_keys$/.test(name),
    );
    return { shell: this.visit.account.passwdShell(), tree: Object.fromEntries(tree) };
  }

  /** Each path is old or new, and no key is lost. */
  isWhole(): void {
    const read = (name: string): string | undefined => {
      try {
        return this.visit.account.read(name);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
        throw error;
      }
    };
    for (const name of NAMES.slice(0, 7)) assert.ok(['old', NEW].includes(read(name) ?? ''), name);
    for (const name of NAMES.slice(7)) assert.ok([undefined, NEW].includes(read(name)), name);
    assert.ok([undefined, BINARY.toString('latin1')].includes(read('.app/data')), '.app/data');
    assert.ok(this.visit.authorizedKeys.startsWith(KEYS), 'a key is lost');
  }

  /** The next run does the rest, and leaves what an undisturbed one leaves; then undo works. */
  async recovers(undisturbed: object): Promise<void> {
    const { visit } = this;
    const rest = await visit.prep([...this.flags, '--json'], { password: true });
    assert.equal(rest.status, 0, rest.stderr + rest.stdout);
    assert.deepEqual(this.standing(), undisturbed);
    assert.equal(visit.authorizedKeys, `${KEYS}${visit.keyLine}`);
    assert.deepEqual(this.leftovers(), []);
    const undone = await visit.undo();
    assert.equal(undone.status, 0, undone.stderr);
    this.isWhole();
    assert.deepEqual(this.leftovers(), []);
  }

  /** What no run may leave behind. */
  leftovers(): string[] {
    return Object.keys(this.visit.account.tree()).filter((name) => LEFTOVER.test(name));
  }
}

/** What a run leaves that nothing disturbs. */
export async function undisturbed(stage: Stage, way: Way, port?: number): Promise<object> {
  const hardship = new Hardship(stage, way, port);
  const run = await hardship.visit.prep(hardship.flags, { password: true });
  assert.equal(run.status, 0, run.stderr);
  assert.deepEqual(hardship.leftovers(), []);
  return hardship.standing();
}
