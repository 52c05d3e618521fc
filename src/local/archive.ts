import { gunzipSync } from 'node:zlib';
import { extract, type Header } from 'tar-stream';
import { contentOf, type Entry } from '../core/facts.ts';
import { remotePath } from '../core/remote-path.ts';

/** One thing in an archive; its path is text, as the archive has it. */
export interface Unpacked {
  readonly path: string;
  readonly entry: Entry;
}

/**
 * Unpacks a tar archive (POSIX or GNU, gzipped or not) in memory; nothing of it touches the disk.
 * @throws Error for what is no tar archive, holds something that is neither file, directory nor link, or is larger than `limit` bytes
 */
export async function unpacked(archive: Buffer, limit: number): Promise<readonly Unpacked[]> {
  const gzipped = archive[0] === 0x1f && archive[1] === 0x8b;
  const bytes = gzipped ? gunzipSync(archive, { maxOutputLength: limit }) : archive;
  if (bytes.length < 512 || bytes.length % 512 !== 0) throw new Error('it is no tar archive');
  const files: Unpacked[] = [];
  const tar = extract();
  tar.end(bytes);
  for await (const part of tar) {
    const chunks: Buffer[] = [];
    for await (const chunk of part) chunks.push(chunk as Buffer);
    const path = part.header.name.replace(/^(\.?\/)+/, '').replace(/\/$/, '');
    if (path === '' || path === '.') continue;
    files.push({ path, entry: entryOf(part.header, Buffer.concat(chunks)) });
  }
  return files;
}

function entryOf({ name, type, mode, mtime, linkname }: Header, bytes: Buffer): Entry {
  const bits = mode & 0o777;
  if (type === 'directory') return { kind: 'directory', mode: bits };
  if (type === 'symlink') return { kind: 'symlink', target: remotePath(linkname ?? '') };
  if (type === 'file' || type === 'contiguous-file') {
    const time = mtime === undefined ? 0 : Math.floor(mtime.getTime() / 1000);
    return {
      kind: 'file',
      mode: bits,
      content: contentOf(bytes),
      // Archives made to be reproducible have no time.
      ...(time > 0 && { mtime: time }),
    };
  }
  throw new Error(`${name} in it is a ${type}, not a file, directory or link`);
}
