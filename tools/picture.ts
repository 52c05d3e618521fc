import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Laptop } from '../test/support/laptop.ts';
import { makeAccount, noSshd, startSshd, type TestAccount } from '../test/support/sshd.ts';
import { Terminal } from '../test/support/terminal.ts';
import { atTerminal } from '../test/support/typist.ts';
import { svg } from './svg.ts';

const FILE = 'docs/run.svg';
const COLUMNS = 100;

if (noSshd !== undefined) throw new Error(`No real server here: ${noSshd}`);
process.on('SIGINT', () => process.exit(130)); // the account goes as the process ends
await draw();

/** Draws a person who prepares a fresh account, alice, on a real server. @throws Error where alice exists already */
async function draw(): Promise<void> {
  const account = makeAccount({ name: 'alice' });
  const server = await startSshd({ hostKeys: ['ed25519'], config: ['AllowUsers alice'] });
  const laptop = new Laptop({ knownHosts: '', files: { '.ssh/config': hostBlock(server.port) } });
  try {
    const bin = join(laptop.home, 'bin');
    mkdirSync(bin);
    symlinkSync(resolve('dist/main.cjs'), join(bin, 'prep'));
    const output = await typed(laptop, account, bin);
    writeFileSync(FILE, picture(output));
  } finally {
    server.stop();
    account.remove();
    laptop.remove();
  }
}

function hostBlock(port: number): string {
  return `Host web1\n  HostName 127.0.0.1\n  HostKeyAlias web1\n  Port ${port}\n`;
}

/** What a shell and prep wrote to a terminal, while somebody typed. */
async function typed(laptop: Laptop, { password }: TestAccount, bin: string): Promise<string> {
  const { PATH, ...env } = laptop.env({ PS1: '$ ', COLORTERM: 'truecolor' });
  const { done } = atTerminal(['/bin/sh', '-i'], {
    env: { ...env, PATH: `${bin}:${PATH}` },
    cwd: laptop.home,
    answers: [
      { prompt: /^\$ $/, type: 'prep alice@web1\r' },
      { prompt: /Trust this host/, type: 'y\r' },
      { prompt: /'s password: *$/, type: `${password}\r` },
      { prompt: /^\$ $/, type: '\x04' },
    ],
  });
  const { output, screen } = await done;
  if (!screen.includes('is ready')) throw new Error(`it went otherwise:\n${screen}`);
  if (output.includes(password)) throw new Error('the password is to be read');
  return output;
}

/** The screen, up to the prompt that follows prep. */
function picture(output: string): string {
  const terminal = new Terminal(COLUMNS, 30);
  terminal.write(output.slice(0, output.lastIndexOf('$ ')));
  const title = 'prep alice@web1, on a fresh account';
  const lines = terminal.styled();
  const end = lines.findLastIndex((line) => line.length > 0) + 1;
  return svg(lines.slice(0, end), COLUMNS, { title, description: terminal.text() });
}
