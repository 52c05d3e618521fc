/**
 * Stands in for `@inquirer/editor` in the build: prep opens no editor, and the real one brings half a megabyte of
 * character sets with it.
 */
export default function editor(): never {
  throw new Error('prep opens no editor');
}
