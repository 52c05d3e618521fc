import { expect, test } from 'vitest';
import { remotePath } from '../../src/core/remote-path.ts';
import type { Conversation } from '../../src/remote/conversation.ts';
import { sendFiles } from '../../src/remote/transfer.ts';
import type { Session, Sftp } from '../../src/ssh/session.ts';

test('a file that is gone by now keeps no other from being sent', async () => {
  const sent: string[] = [];
  const sftp = {
    write: async (_source: unknown, to: string) => void sent.push(to),
    delete: async () => undefined,
    end: async () => undefined,
  };
  const session = { sftp: async () => sftp as unknown as Sftp } as unknown as Session;
  const file = (number: number, content: object): Parameters<typeof sendFiles>[2][number] => ({
    number,
    path: remotePath(`file-${number}`),
    to: remotePath(`sent-${number}`),
    content: { size: 9, ...content },
    there: { size: 2, checksum: 1 },
  });
  const files = [file(1, { localFile: '/nowhere/file' }), file(2, { bytes: Buffer.alloc(9) })];
  const unsent = await sendFiles(session, {} as Conversation, files, undefined);
  expect([...unsent]).toEqual([
    ['file-1', { code: 'write-failed', path: 'file-1', said: expect.stringContaining('ENOENT') }],
  ]);
  expect(sent).toEqual(['sent-2']);
});
