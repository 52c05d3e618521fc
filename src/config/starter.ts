/** What the user answered. */
export interface StarterAnswers {
  /** A public key; undefined to choose at each run. */
  readonly key?: string | undefined;
  readonly shell: string;
  /** Undefined for the default set. */
  readonly dotfiles?: StarterDotfiles | undefined;
  readonly terminfo: boolean;
}

/** A directory, or a command that prints an archive. */
export type StarterDotfiles =
  { readonly directory: string } | { readonly command: readonly string[] };

/** A configuration file to begin with: what was answered, and in comments what else there is. */
export function starterConfig({ key, shell, dotfiles, terminfo }: StarterAnswers): string {
  const lines = [
    '// What prep does unless a flag says otherwise. Delete what you do not need.',
    "import { defineConfig } from 'prep';",
    '',
    'export default defineConfig({',
    '  // Public keys to install; without, your newest one.',
    setting(key !== undefined, 'keys', [key ?? '~/.ssh/id_ed25519.pub']),
    '',
    '  // The login shell, by name or absolute path.',
    setting(true, 'shell', shell),
    '',
    '  // A directory, or a list of directories, files, globs, templates and commands that print a tar archive.',
    '  // Without, your own ~/.screenrc, ~/.zshenv and ~/.zshrc.',
    setting(dotfiles !== undefined, 'dotfiles', sources(dotfiles)),
    "  // dotfiles: ['~/dotfiles', { path: '~/.config/nvim', to: '.config/nvim', exclude: ['**/*.log'] }],",
    "  // dotfiles: [{ template: 'gitconfig.tmpl', to: '.gitconfig' }], // {{email}} is one of the values",
    "  // values: { email: 'me@example.com' },",
    '',
    '  // Teach servers the terminal that you sit at (TERM).',
    setting(terminfo, 'terminfo', true),
    '',
    '  // Install what is missing, where sudo works without a password.',
    "  // packages: ['zsh', 'screen'],",
    '',
    '  // What differs by host; patterns as in ssh_config.',
    '  // hosts: {',
    "  //   'web*.example.com': { shell: 'bash', values: { email: 'web@example.com' } },",
    '  // },',
    '',
    '  // Steps of your own: docs/writing-a-step.md of prep.',
    '  // steps: [],',
    '});',
  ];
  return `${lines.join('\n')}\n`;
}

function sources(dotfiles: StarterDotfiles | undefined): string | readonly unknown[] {
  if (dotfiles === undefined) return '~/dotfiles';
  return 'directory' in dotfiles ? dotfiles.directory : [dotfiles];
}

/** One setting, or what it could be, as a comment. */
function setting(on: boolean, name: string, value: unknown): string {
  return `  ${on ? '' : '// '}${name}: ${literal(value)},`;
}

/** A value as people write it in JavaScript. */
function literal(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(literal).join(', ')}]`;
  if (typeof value !== 'object' || value === null) {
    const text = JSON.stringify(value);
    return /^"[^'"\\]*"$/.test(text) ? `'${text.slice(1, -1)}'` : text;
  }
  const entries = Object.entries(value).map(([name, one]) => `${name}: ${literal(one)}`);
  return `{ ${entries.join(', ')} }`;
}
