import {
  withHidden,
  type AccountFacts,
  type Facts,
  type PasswdSource,
  type Reading,
  type SystemFacts,
} from '../core/facts.ts';
import { PrepError } from '../core/problem.ts';
import { remotePath, type RemotePath } from '../core/remote-path.ts';
import type { Answer } from './answer.ts';
import { runsInOrder } from './journal.ts';
import { readEntries } from './probe-entries.ts';
import { DEFAULT_KEYS_FILE, HAIKU_KEYS_FILE, keysFileOf, readSshdConfig } from './sshd-config.ts';

/**
 * Reads the answer to a probe.
 * @throws PrepError `home-missing`, `no-checksums`, or `unexpected` where something that must be there is not
 */
export function readFacts(answer: Answer, readings: readonly Reading[]): Facts {
  const home = answer.word('home');
  if (answer.has('home-missing') || answer.word('cwd') === '') {
    throw new PrepError({ code: 'home-missing', home });
  }
  if (answer.has('no-sums')) throw new PrepError({ code: 'no-checksums' });
  const relative = relativeTo(answer.word('cwd') || home);
  const account = readAccount(answer);
  const entries = readEntries(answer, relative);
  for (const { path } of readings) if (!entries.has(path)) entries.set(path, { kind: 'absent' });
  return withHidden({
    account,
    system: readSystem(answer),
    keysFile: readKeysFile(answer, account),
    entries,
    real: new Map(answer.all('r').map(({ name, rest }) => [relative(name), relative(rest)])),
    unwritable: new Set(answer.all('closed').map(({ name }) => relative(name))),
    privateKeys: answer.all('key').map(({ name }) => relative(name)),
    runs: runsInOrder(answer.all('run').map(({ name }) => name)),
    ...readBarred(answer),
    ...((answer.has('locked') || answer.has('owned')) && { brokenOff: true }),
  });
}

function readBarred(answer: Answer): Pick<Facts, 'barred'> {
  const [, what, path] = /^(\w+) (.+)$/.exec(answer.word('barred')) ?? [];
  if (path === undefined) return {};
  const because = what === 'closed' ? 'may not be written' : 'is not a directory';
  return { barred: { path: path as RemotePath, because } };
}

function readKeysFile(answer: Answer, account: AccountFacts): RemotePath {
  if (answer.has('keys-at')) return remotePath(answer.word('keys-at'));
  const configured = keysFileOf(readSshdConfig(answer), account);
  return configured ?? (answer.word('os') === 'Haiku' ? HAIKU_KEYS_FILE : DEFAULT_KEYS_FILE);
}

function readAccount(answer: Answer): AccountFacts {
  const [, source = 'environment', shell = ''] = /^(\S+) ?(.*)$/s.exec(answer.word('shell')) ?? [];
  const user = answer.word('user');
  if (!/^\d+$/.test(answer.word('uid'))) {
    throw new PrepError({ code: 'unexpected', cause: 'the account did not tell its user number' });
  }
  return {
    user,
    uid: Number(answer.word('uid')),
    home: answer.word('home') as RemotePath,
    loginShell: shell,
    passwd: source as PasswdSource,
    access: 'shell',
    ownGroup: answer.has('own-group'),
  };
}

function readSystem(answer: Answer): SystemFacts {
  return {
    os: answer.word('os'),
    shells: answer
      .all('listed')
      .map(({ name }) => ({ path: name.slice(2), executable: name.startsWith('x') })),
    found: answer.word('found'),
    tools: new Set([
      ...answer.word('tools').split(' ').filter(Boolean),
      ...answer.all('program').map((one) => one.name),
    ]),
    sudo: answer.has('sudo'),
  };
}

/** The probe names paths as `./name` or absolute; facts have them relative to the home directory where they are inside. */
function relativeTo(home: string): (name: string) => RemotePath {
  const inside = home === '/' ? '/' : `${home}/`;
  return (name) => {
    if (name.startsWith('./')) return name.slice(2) as RemotePath;
    return (name.startsWith(inside) ? name.slice(inside.length) : name) as RemotePath;
  };
}
