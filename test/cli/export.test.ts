import { execFile, spawnSync } from 'node:child_process';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { beforeEach, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { Laptop, runPrep } from '../support/laptop.ts';
import { noSshd } from '../support/sshd.ts';
import { statusesOf, useSshd, type Visit } from '../support/stage.ts';

const ANSIBLE = '/usr/bin/ansible-playbook';

/** cloud-init's own schema: where it is installed, or unpacked by .ci/run. */
const SCHEMA = ['/usr', 'node_modules/.cache/cloud-init/usr']
  .map(
    (root) =>
      `${root}/lib/python3/dist-packages/cloudinit/config/schemas/schema-cloud-config-v1.json`,
  )
  .find((file) => existsSync(file));

/** Judges YAML by a schema; its first error goes to standard error. */
const VALIDATE = `import json, sys, yaml, jsonschema
jsonschema.Draft4Validator(json.load(open(sys.argv[1]))).validate(yaml.safe_load(open(sys.argv[2])))`;

const DOTFILES = {
  'dots/.zshenv': 'export EDITOR=vi\n',
  'dots/.zshrc': 'PROMPT="%# "   # {{ no template }} {% nor this %}\n',
  'dots/.config/app/settings file.json': '{"a": 1}\n',
  'dots/.empty': '',
  'dots/.no-newline': 'käse',
};

const reason = noSshd ?? (existsSync(ANSIBLE) ? undefined : 'needs ansible-core');

describe.skipIf(reason !== undefined)(
  `prep export ansible (skipped: ${reason})`.replace(' (skipped: undefined)', ''),
  () => {
    const stage = useSshd();
    let visit: Visit;
    beforeEach(() => {
      visit = stage.visit({ laptop: { files: DOTFILES } });
      const rule = `/etc/sudoers.d/${visit.account.name}`;
      writeFileSync(rule, `${visit.account.name} ALL=(ALL) NOPASSWD: ALL\n`, { mode: 0o440 });
      stage.later(() => rmSync(rule));
    });

    const dots = (): string => visit.laptop.path('dots');

    async function play(...args: readonly string[]): Promise<string> {
      const { stdout, stderr, status } = await runPrep(
        ['export', 'ansible', '--dotfiles', dots(), ...args],
        { laptop: visit.laptop, accounts: [visit.account] },
      );
      expect(status, stderr).toBe(0);
      visit.laptop.write('prep.yml', stdout);
      const { name } = visit.account;
      const place = ['-e', `ansible_user=${name}`, '-e', `ansible_port=${stage.server.port}`];
      const { stdout: said } = await promisify(execFile)(
        ANSIBLE,
        ['-i', `${stage.server.host},`, ...place, visit.laptop.path('prep.yml')],
        {
          env: visit.laptop.env({ ANSIBLE_HOST_KEY_CHECKING: 'False', ANSIBLE_PIPELINING: 'True' }),
        },
      );
      return said;
    }

    test(
      'reaches the state that prep has nothing to add to, and reaches it once',
      { timeout: 240_000 },
      async () => {
        visit.authorize();
        await play();
        const again = await play();
        expect(again).toMatch(/ changed=0 /);
        const run = await visit.prep(['--json', '--dotfiles', dots()]);
        expect(run.status, run.stderr).toBe(0);
        expect(new Set(Object.values(statusesOf(run)))).toEqual(new Set(['unchanged']));
      },
    );

    test('leaves the options of a key alone, and every other line', async () => {
      const lines = `# mine\nrestrict,pty ${visit.keyLine}# ${visit.keyLine}`;
      visit.authorize(lines);
      await play('--only', 'ssh-dir,authorized-keys,permissions');
      expect(visit.authorizedKeys).toBe(lines);
    });
  },
);

describe('prep export cloud-init', () => {
  async function userData(laptop: Laptop, ...args: readonly string[]): Promise<string> {
    const run = await runPrep(['export', 'cloud-init', ...args], { laptop, accounts: [] });
    expect(run.status, run.stderr).toBe(0);
    return run.stdout;
  }

  test('names the user of the destination, the key, zsh and the files', async () => {
    const laptop = new Laptop({ files: DOTFILES });
    try {
      const text = await userData(laptop, '--dotfiles', laptop.path('dots'), 'alice@new');
      expect(text).toMatch(/^#cloud-config\n/);
      const config = parse(text) as {
        users: readonly [string, { name: string; shell: string; ssh_authorized_keys: string[] }];
        write_files: readonly { path: string; content: string; owner: string }[];
      };
      expect(config.users[1]).toMatchObject({ name: 'alice', shell: '/bin/zsh' });
      expect(config.users[1].ssh_authorized_keys).toEqual([
        laptop.read('.ssh/id_ed25519.pub')!.trim(),
      ]);
      const written = config.write_files.map(({ path, content }) => [path, content]);
      expect(Object.fromEntries(written)).toEqual(
        Object.fromEntries(
          Object.entries(DOTFILES).map(([name, content]) => [
            name.replace('dots', '/home/alice'),
            content,
          ]),
        ),
      );
    } finally {
      laptop.remove();
    }
  });

  test.skipIf(SCHEMA === undefined)(
    "is valid by cloud-init's own schema (needs .ci/run to have fetched it)",
    async () => {
      const laptop = new Laptop({ files: DOTFILES });
      try {
        laptop.write('good', await userData(laptop, '--dotfiles', laptop.path('dots'), 'al@new'));
        laptop.write('bad', laptop.read('good')!.replace('lock_passwd: true', 'lock_passwd: 7'));
        const judge = (name: string): number | null =>
          spawnSync('/usr/bin/python3', ['-c', VALIDATE, SCHEMA!, laptop.path(name)]).status;
        expect([judge('good'), judge('bad')]).toEqual([0, 1]);
      } finally {
        laptop.remove();
      }
    },
  );
});

test('what cannot be written down is refused, with its name', async () => {
  const laptop = new Laptop({ files: { 'dots/.latin1': Buffer.from([0x6b, 0xe4, 0x73]) } });
  try {
    const dots = laptop.path('dots');
    const run = await runPrep(['export', 'ansible', '--dotfiles', dots], { laptop, accounts: [] });
    expect(run.status).toBe(2);
    expect(run.stderr).toMatch(/^prep: the content of \.latin1 is not plain UTF-8 text[^\n]*\n$/);
    expect(run.stdout).toBe('');
  } finally {
    laptop.remove();
  }
});
