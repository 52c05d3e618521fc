import { Document, Scalar } from 'yaml';
import { authorizedKeyLine, type AuthorizedKey } from '../core/authorized-key.ts';
import type { Destination } from '../core/destination.ts';
import type { Desired, LocalFile } from '../core/plan.ts';
import { cannotHold, modeText, pathText, textOf } from './text.ts';

type Task = Readonly<Record<string, unknown>>;

const KEYS = '~/.ssh/authorized_keys';

/** What the playbook says of itself. */
const HEADING = ` Reaches the state that prep would. For one account:
   ansible-playbook -i web1, -u alice --ask-pass --ask-become-pass FILE
 Only the login shell and packages need become; --skip-tags login-shell,packages leaves them out.`;

/**
 * A playbook of ansible.builtin modules that brings accounts to the desired state, each task tagged with
 * the step it stands for. Contents are never taken for templates.
 * @throws PrepError `usage` for a dotfile whose name or content YAML cannot hold
 */
export function ansiblePlaybook(
  desired: Desired,
  steps: ReadonlySet<string>,
  destinations: readonly Destination[],
): string {
  const tasks = Object.entries(TASKS).flatMap(([step, make]) =>
    steps.has(step) ? make(desired).map((task) => ({ ...task, tags: step })) : [],
  );
  const play = {
    name: 'prepare accounts',
    hosts: destinations.length > 0 ? destinations.map(({ host }) => host).join(',') : 'all',
    // Modification times are given in UTC.
    environment: { TZ: 'UTC' },
    tasks,
  };
  const document = new Document([play]);
  document.commentBefore = HEADING;
  return document.toString({ lineWidth: 0 });
}

const TASKS: Readonly<Record<string, (desired: Desired) => Task[]>> = {
  'ssh-dir': () => [folder('~/.ssh', 0o700)],
  'authorized-keys': ({ keys }) => [
    folder('~/.ssh', 0o700),
    {
      name: 'read authorized_keys',
      'ansible.builtin.slurp': { src: KEYS },
      register: 'prep_keys',
      failed_when: false,
    },
    ...keys.map(keyTask),
  ],
  permissions: () => [
    {
      name: 'nobody else writes the home directory',
      'ansible.builtin.file': { path: '~', state: 'directory', mode: 'go-w' },
    },
    {
      name: 'find what is private in ~/.ssh',
      'ansible.builtin.find': {
        paths: '~/.ssh',
        hidden: true,
        contains: '^-----BEGIN .*PRIVATE KEY-----',
      },
      register: 'prep_private',
    },
    {
      name: 'nobody else reads it',
      'ansible.builtin.file': { path: '{{ item.path }}', mode: 'go=' },
      loop: '{{ prep_private.files }}',
      loop_control: { label: '{{ item.path }}' },
    },
    {
      name: 'look for authorized_keys',
      'ansible.builtin.stat': { path: KEYS },
      register: 'prep_there',
    },
    {
      name: 'nobody else reads authorized_keys',
      'ansible.builtin.file': { path: KEYS, mode: 'go=' },
      when: 'prep_there.stat.exists',
    },
  ],
  packages: ({ packages = [] }) => [
    {
      name: 'the packages are installed',
      become: true,
      'ansible.builtin.package': { name: packages.map(({ name }) => verbatim(name)) },
    },
  ],
  dotfiles: ({ dotfiles }) => dotfiles.flatMap(dotfileTasks),
  zlogin: () => [link('~/.zlogin', '.zshenv')],
  'login-shell': ({ loginShell }) => shellTasks(loginShell),
};

/** A line of the key that is there with options of its own stays as it is. */
function keyTask(key: AuthorizedKey): Task {
  const blob = key.blob.replaceAll('+', '[+]');
  return {
    name: verbatim(`key ${text(key.comment) || key.type}`),
    'ansible.builtin.lineinfile': {
      path: KEYS,
      line: verbatim(text(authorizedKeyLine(key))),
      create: true,
      mode: 'u=rw,go=',
    },
    when: `(prep_keys.content | default('') | b64decode) is not search('(?m)^[ \\t]*[^#\\s].*${blob}')`,
  };
}

/** Keys are kept as bytes. */
function text(latin1: string): string {
  return Buffer.from(latin1, 'latin1').toString();
}

function dotfileTasks({ path, entry }: LocalFile): Task[] {
  const there = `~/${pathText(path)}`;
  switch (entry.kind) {
    case 'directory':
      return [folder(there, entry.mode)];
    case 'symlink':
      return [link(there, pathText(entry.target))];
    case 'file': {
      const { bytes, localFile } = entry.content;
      const content = bytes && textOf(bytes);
      if (content === undefined && localFile === undefined) throw cannotHold(path, 'content');
      const source =
        content === undefined ? { src: verbatim(localFile!) } : { content: verbatim(content) };
      return [
        {
          name: verbatim(there),
          'ansible.builtin.copy': {
            dest: verbatim(there),
            ...source,
            mode: modeText(entry.mode),
            backup: true,
          },
        },
        ...timeTask(there, entry.mtime),
      ];
    }
    default:
      return [];
  }
}

function timeTask(there: string, mtime: number | undefined): Task[] {
  if (mtime === undefined) return [];
  const [date = '', time = ''] = new Date(mtime * 1000).toISOString().split('T');
  const stamp = `${date}${time.slice(0, 8)}`.replace(/[-:]/g, '').replace(/(..)$/, '.$1');
  return [
    {
      name: verbatim(`the time of ${there}`),
      'ansible.builtin.file': {
        path: verbatim(there),
        modification_time: stamp,
        access_time: 'preserve',
      },
    },
  ];
}

function shellTasks(wanted: string): Task[] {
  const isPath = wanted.startsWith('/');
  const pattern = isPath ? `^${escaped(wanted)}$` : `/${escaped(wanted)}$`;
  return [
    {
      name: `find ${wanted} in /etc/shells`,
      'ansible.builtin.command': { argv: ['grep', '-m', '1', '-E', pattern, '/etc/shells'] },
      register: 'prep_shell',
      changed_when: false,
      check_mode: false,
    },
    {
      name: 'see it start with the new dotfiles',
      'ansible.builtin.command': { argv: ['{{ prep_shell.stdout }}', '-lic', 'true'] },
      changed_when: false,
    },
    {
      name: `the login shell is ${wanted}`,
      become: true,
      'ansible.builtin.user': {
        name: "{{ ansible_facts['user_id'] }}",
        shell: '{{ prep_shell.stdout }}',
      },
    },
  ];
}

function escaped(name: string): string {
  return name.replace(/[.+]/g, '[$&]');
}

function folder(path: string, mode: number): Task {
  return {
    name: verbatim(path),
    'ansible.builtin.file': { path: verbatim(path), state: 'directory', mode: modeText(mode) },
  };
}

function link(path: string, target: string): Task {
  return {
    name: verbatim(path),
    'ansible.builtin.file': {
      path: verbatim(path),
      src: verbatim(target),
      state: 'link',
      force: true,
      follow: false,
    },
  };
}

/** Text that Ansible must not take for a template. */
function verbatim(value: string): Scalar | string {
  if (!/\{[{%#]/.test(value)) return value;
  const scalar = new Scalar(value);
  scalar.tag = '!unsafe';
  return scalar;
}
