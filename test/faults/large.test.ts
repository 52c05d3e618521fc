import { closeSync, openSync, readdirSync, readFileSync, statSync, writeSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { spawn } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { inside, sentenceOf, type Inside } from '../support/inside.ts';
import type { Laptop } from '../support/laptop.ts';
import { soak } from '../support/soak.ts';

const MEGABYTE = 1024 * 1024;
const SIZE = (soak ? 200 : 60) * MEGABYTE;
const COUNT = soak ? 2000 : 200;
const PATIENCE = soak ? 600_000 : 120_000;

/** A file whose every piece differs from every other. */
function large(laptop: Laptop, name: string, size: number): void {
  laptop.write(name, '');
  const file = openSync(laptop.path(name), 'w');
  for (let at = 0; at < size; at += MEGABYTE) {
    const piece = Buffer.alloc(Math.min(MEGABYTE, size - at));
    for (let i = 0; i < piece.length; i += 16) piece.writeUInt32LE(at + i, i);
    writeSync(file, piece);
  }
  closeSync(file);
}

const same = (scene: Inside, name: string): boolean =>
  readFileSync(join(scene.server.sandbox.home, name)).equals(
    readFileSync(scene.laptop.path(`set/${name}`)),
  );

interface Measured {
  readonly status: number | null;
  readonly said: string;
  /** The most memory it had, in MB. */
  readonly peak: number;
}

/** The built command against a scene, its memory watched. */
async function command({ server, proxy, laptop }: Inside): Promise<Measured> {
  const flags = ['-y', '--dotfiles', laptop.path('set'), `demo@127.0.0.1:${proxy.port}`];
  const env = laptop.env({ PREP_PASSWORD: server.password });
  const child = spawn(process.execPath, [resolve('dist/main.cjs'), ...flags], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [said, peak] = ['', 0];
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (data) => (said += String(data)));
  const timer = setInterval(() => (peak = Math.max(peak, peakOf(child.pid!))), 50);
  const status = await new Promise<number | null>((done) => child.on('close', done));
  clearInterval(timer);
  return { status, said, peak };
}

function peakOf(pid: number): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'latin1');
    return Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) / 1024;
  } catch {
    return 0;
  }
}

describe('much', () => {
  test.skipIf(process.platform !== 'linux')(
    `as ${COUNT} dotfiles and one of ${SIZE / MEGABYTE} MB needs little memory, and is not read back`,
    async () => {
      const dotfiles = Object.fromEntries(
        Array.from({ length: COUNT }, (_, index) => [
          `.many/${index % 50}/file-${index}`,
          `text ${index}\n`,
        ]),
      );
      const scene = await inside({ dotfiles });
      try {
        large(scene.laptop, 'set/large', SIZE);
        const first = await command(scene);
        expect(first.status, first.said).toBe(0);
        expect(same(scene, 'large')).toBe(true);
        expect(readdirSync(join(scene.server.sandbox.home, '.many'))).toHaveLength(50);
        scene.proxy.forget();
        const second = await command(scene);
        expect(second.status, second.said).toBe(0);
        const { down } = scene.proxy.traffic.bytes;
        console.log(
          `peak memory ${Math.round(first.peak)} and ${Math.round(second.peak)} MB; the second run read ${down} bytes`,
        );
        expect(Math.max(first.peak, second.peak)).toBeLessThan(150);
        expect(down).toBeLessThan(20_000 + COUNT * 200);
      } finally {
        await scene.remove();
      }
    },
    PATIENCE,
  );
});

describe.each([
  ['over SFTP', false],
  ['where there is no SFTP', true],
])('an upload that is interrupted, %s', (_, noSftp) => {
  const half = 6 * MEGABYTE;
  /** Gives the name and the size of what is there. */
  const interrupted = async (scene: Inside): Promise<[name: string, size: number]> => {
    scene.server.faults.noSftp = noSftp;
    large(scene.laptop, 'set/large', 2 * half);
    scene.proxy.cut = { direction: 'up', afterBytes: half };
    const broken = await scene.prepare();
    expect(sentenceOf(broken)).toMatch(/the connection broke/);
    scene.proxy.cut = undefined;
    await scene.quiet();
    scene.proxy.forget();
    const [sent = ''] = scene.leftovers().filter((name) => name.includes('/sent-'));
    const { size } = statSync(join(scene.server.sandbox.home, sent));
    expect(size).toBeGreaterThan(0);
    return [sent, size];
  };

  test(
    'goes on where it was, and shows so',
    async () => {
      const scene = await inside({ dotfiles: { '.zshrc': 'x\n' } });
      try {
        const [, there] = await interrupted(scene);
        const shown: number[] = [];
        const again = await scene.prepare({
          onEvent: (event) => void (event.type === 'progress' && shown.push(event.sent)),
        });
        expect(again.problem, sentenceOf(again)).toBeUndefined();
        expect(same(scene, 'large')).toBe(true);
        expect(scene.proxy.traffic.bytes.up).toBeLessThan(2 * half - there + MEGABYTE);
        expect(shown[0]).toBeGreaterThan(there);
        expect(shown.at(-1)).toBe(2 * half);
        expect(scene.leftovers()).toEqual([]);
      } finally {
        await scene.remove();
      }
    },
    PATIENCE,
  );

  test(
    'starts over where what is there is no beginning of it',
    async () => {
      const scene = await inside({ dotfiles: { '.zshrc': 'x\n' } });
      try {
        const [sent] = await interrupted(scene);
        scene.spoil(sent);
        const again = await scene.prepare();
        expect(again.problem, sentenceOf(again)).toBeUndefined();
        expect(same(scene, 'large')).toBe(true);
        expect(scene.proxy.traffic.bytes.up).toBeGreaterThan(2 * half);
        expect(scene.leftovers()).toEqual([]);
      } finally {
        await scene.remove();
      }
    },
    PATIENCE,
  );
});
