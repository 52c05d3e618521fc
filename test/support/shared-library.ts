import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/** Where a shared library of this machine is (`NAME`, or `FOLDER/NAME`), whatever its architecture; undefined where it is not. */
export function sharedLibrary(name: string): string | undefined {
  const folders = ['/usr/lib', '/usr/lib64'].filter((folder) => existsSync(folder));
  return folders
    .flatMap((folder) => [folder, ...readdirSync(folder).map((inner) => join(folder, inner))])
    .map((folder) => join(folder, name))
    .find((path) => existsSync(path));
}
