import { mkdir, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { PrepError } from '../core/problem.ts';
import type { Choice, Prompter } from '../core/prompter.ts';
import { cannotWrite, hasCode } from '../core/system-error.ts';
import { expandTilde } from '../local/files.ts';
import { candidateKeys } from '../local/keys.ts';
import { configFolder, findConfig, type ConfigPlace } from './load.ts';
import { starterConfig, type StarterAnswers, type StarterDotfiles } from './starter.ts';

/** Terminals that every server has heard of. */
const USUAL_TERMINALS = /^(|dumb|linux|vt\d+|xterm(-color|-256color)?|(screen|tmux|rxvt)\b.*)$/;

/** Where people keep their dotfiles. */
const USUAL_FOLDERS = ['dotfiles', '.dotfiles'];

/**
 * Writes a configuration file to begin with, after a few questions, and gives its name. Nothing is ever replaced.
 * @throws PrepError `config-exists`, `cannot-write`, `usage`, and what the prompter raises
 */
export async function initConfig(place: ConfigPlace, prompter: Prompter): Promise<string> {
  const { named, home } = place;
  const file =
    named === undefined
      ? path.join(configFolder(place), 'prep.config.ts')
      : path.resolve(expandTilde(named, home));
  if (!/\.m?[tj]s$/.test(file)) {
    throw new PrepError({ code: 'usage', text: 'prep init writes a .ts, .mts, .js or .mjs file' });
  }
  const there = named === undefined ? await findConfig(place) : await standing(file);
  if (there !== undefined) throw new PrepError({ code: 'config-exists', file: there });
  await writeNew(file, starterConfig(await answers(place, prompter)));
  return file;
}

async function standing(file: string): Promise<string | undefined> {
  return (await stat(file).catch(() => undefined)) === undefined ? undefined : file;
}

async function writeNew(file: string, text: string): Promise<void> {
  try {
    await mkdir(path.dirname(file), { recursive: true });
    await writeFile(file, text, { flag: 'wx' });
  } catch (error) {
    if (hasCode(error, 'EEXIST')) throw new PrepError({ code: 'config-exists', file }, error);
    throw cannotWrite(file, 'configuration file', error);
  }
}

async function answers({ home, env }: ConfigPlace, prompter: Prompter): Promise<StarterAnswers> {
  /** The first choice is what `--yes` takes. */
  const ask = async <T>(message: string, choices: Choice<Chosen<T>>['choices']): Promise<T> =>
    (await prompter.choose({ message, choices }, choices[0]!.value)).chosen;
  const key = await ask('Which key shall be installed?', await keysToChoose(home));
  const names = ['zsh', path.basename(env['SHELL'] ?? ''), 'bash', 'fish'];
  const shells = [...new Set(names)].filter((name) => /^\w+$/.test(name) && name !== 'sh');
  const shell = await ask(
    'Which login shell do you want?',
    shells.map((name) => choice(name, name)),
  );
  const dotfiles = await ask('Which dotfiles shall be copied?', await placesOfDotfiles(home));
  const term = env['TERM'] ?? '';
  const question = `Shall servers that do not know your terminal, ${term}, learn it?`;
  const terminfo =
    !USUAL_TERMINALS.test(term) && (await prompter.confirm(question, { preset: true, safe: true }));
  return { key, shell, dotfiles, terminfo };
}

/** An answer that may be undefined, which a prompter would take for none. */
interface Chosen<T> {
  readonly chosen: T;
}

function choice<T>(name: string, chosen: T): { name: string; value: Chosen<T> } {
  return { name, value: { chosen } };
}

async function keysToChoose(home: string): Promise<Choice<Chosen<string | undefined>>['choices']> {
  const own = (await candidateKeys(home)).map(({ file }) =>
    file.startsWith(`${home}/`) ? `~${file.slice(home.length)}` : file,
  );
  const atEachRun = choice<string | undefined>(
    'ask me at each run; --yes takes the newest',
    undefined,
  );
  return [atEachRun, ...own.map((name) => choice<string | undefined>(name, name))];
}

async function placesOfDotfiles(
  home: string,
): Promise<Choice<Chosen<StarterDotfiles | undefined>>['choices']> {
  const places: ReturnType<typeof choice<StarterDotfiles | undefined>>[] = [
    choice('my own ~/.screenrc, ~/.zshenv and ~/.zshrc', undefined),
  ];
  const isFolder = async (name: string): Promise<boolean> =>
    stat(path.join(home, name)).then(
      (found) => found.isDirectory(),
      () => false,
    );
  for (const name of USUAL_FOLDERS) {
    const directory = `~/${name}`;
    if (await isFolder(name)) places.push(choice(`everything in ${directory}`, { directory }));
  }
  if (await isFolder('.local/share/chezmoi')) {
    places.push(choice('what chezmoi looks after', { command: ['chezmoi', 'archive'] }));
  }
  return places;
}
