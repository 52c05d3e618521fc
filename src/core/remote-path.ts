/**
 * A path on the server: relative to the home directory, or absolute. File names are bytes, so each
 * character stands for one byte (latin1); `printablePath` turns one into text for people.
 */
export type RemotePath = string & { readonly brand: 'RemotePath' };

/** The path named by UTF-8 text (a string) or by raw bytes. */
export function remotePath(name: string | Uint8Array): RemotePath {
  return Buffer.from(name as string).toString('latin1') as RemotePath;
}

/** The bytes of a path, as the server knows it. */
export function pathBytes(path: RemotePath): Buffer {
  return Buffer.from(path, 'latin1');
}

/** `base/name`. */
export function joinPath(base: RemotePath, name: string): RemotePath {
  return `${base}/${name}` as RemotePath;
}

/** The directory that holds `path`; undefined for a name directly in the home directory and for `/`. */
export function parentOf(path: RemotePath): RemotePath | undefined {
  const slash = path.lastIndexOf('/');
  if (slash < 0 || path === '/') return undefined;
  return (slash === 0 ? '/' : path.slice(0, slash)) as RemotePath;
}
