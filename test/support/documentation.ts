import { readFileSync } from 'node:fs';

/** The code block of a page that begins with the comment `// NAME`. */
export function codeIn(page: string, name: string): string {
  const blocks = readFileSync(page, 'utf8').matchAll(/^```ts\n(.*?)^```$/gms);
  for (const [, code = ''] of blocks) if (code.startsWith(`// ${name}\n`)) return code;
  throw new Error(`${page} has no code block ${name}`);
}
