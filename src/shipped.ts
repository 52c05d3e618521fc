import { readFile } from 'node:fs/promises';
import { getAsset, isSea } from 'node:sea';

/** The bytes of one of the package's own dotfiles: beside dist/, or within the single executable. */
export async function shippedDotfile(name: string): Promise<Uint8Array> {
  if (isSea()) return new Uint8Array(getAsset(`dotfiles/${name}`));
  return readFile(new URL(`../dotfiles/${name}`, import.meta.url));
}
