import { atTerminal } from './typist.ts';
import type { Visit } from './stage.ts';

/** How an interactive login went. */
export interface InteractiveLogin {
  /** The program that took the command: `zsh`, `bash`. */
  readonly shell: string;
  /** `SHELL` there. */
  readonly variable: string;
  readonly screen: string;
}

/** Every shell understands this, fish and csh as well. */
const WHO = `sh -c 'echo it-is:$(ps -o comm= -p $PPID):$SHELL:'`;

/** Logs in with the laptop's key at a terminal, as a person would, and asks who is there. @throws Error where no prompt came */
export async function logIn(
  visit: Visit,
  {
    type = WHO,
    command = [],
  }: { readonly type?: string; readonly command?: readonly string[] } = {},
): Promise<InteractiveLogin> {
  const place = ['-p', String(visit.server.port), `${visit.account.name}@${visit.server.host}`];
  const { screen } = await atTerminal(['ssh', '-tt', '-o', 'BatchMode=yes', ...place, ...command], {
    env: visit.laptop.env(),
    answers: [
      { prompt: /[$%>#] ?$/, type: `${type}\r` },
      { prompt: /[$%>#] ?$/, type: 'exit\r' },
    ],
    timeout: 20_000,
  }).done;
  const [, shell = '', variable = ''] = /^it-is:([^:\n]*):([^:\n]*):/m.exec(screen) ?? [];
  return { shell, variable, screen };
}
