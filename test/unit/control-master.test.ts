import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { channelOver } from '../../src/ssh/control-master.ts';
import { resolveSettings } from '../../src/ssh/settings.ts';

let bin = '';
beforeEach(() => {
  bin = mkdtempSync(join(tmpdir(), 'prep-bin-'));
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(bin, { recursive: true });
});

test('what is said to an ssh that no longer listens is no error but the end of the channel', async () => {
  const flags = { sshConfig: 'none', hostKey: 'strict', jump: [] } as const;
  const settings = await resolveSettings({ host: '127.0.0.1' }, flags, '/nonexistent');
  writeFileSync(join(bin, 'ssh'), '#!/bin/sh\nexec 0<&-; echo deaf; sleep 0.3; exit 255\n', {
    mode: 0o755,
  });
  vi.stubEnv('PATH', `${bin}:${process.env['PATH'] ?? ''}`);
  const channel = channelOver('/nowhere/socket', settings, 'true');
  await new Promise((done) => channel.stdout.once('data', done));
  channel.stdin.write('hello\n');
  await sleep(50);
  expect(await channel.exit).toEqual({ kind: 'lost' });
});
