import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { codeCacheOf, runCompiled } from '../../src/compiled.ts';

let folder: string;
let bundle: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'prep-compiled-'));
  bundle = join(folder, 'bundle.cjs');
  writeFileSync(
    bundle,
    '"use strict";exports.twice=n=>2*n;exports.place=__dirname;exports.require=require;',
  );
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

interface Exports {
  readonly twice: (n: number) => number;
  readonly place: string;
  readonly require: (name: string) => unknown;
}
const run = () => runCompiled<Exports>(bundle);

describe('a bundle', () => {
  test('runs without a code cache', () => {
    const { exports, script } = run();
    expect([exports.twice(21), exports.place]).toEqual([42, folder]);
    expect(script.cachedDataRejected).toBeUndefined();
  });

  test('runs from the code cache that it left', () => {
    writeFileSync(codeCacheOf(bundle), run().script.createCachedData());
    const { exports, script } = run();
    expect([exports.twice(21), script.cachedDataRejected]).toEqual([42, false]);
  });

  test('runs where the code cache is that of another one', () => {
    const { script } = run();
    writeFileSync(bundle, 'exports.twice=n=>n+n+0');
    writeFileSync(codeCacheOf(bundle), script.createCachedData());
    const again = run();
    expect([again.exports.twice(21), again.script.cachedDataRejected]).toEqual([42, true]);
  });

  test('gets the modules of node, and of packages those alone that cannot be in it', () => {
    const { exports } = run();
    expect(exports.require('node:path')).toHaveProperty('join');
    expect(() => exports.require('cpu-features')).toThrow('not part of prep');
    expect(() => exports.require('./build/Release/sshcrypto.node')).toThrow('not part of prep');
  });
});

test('the build left a code cache for the program, which is in ASCII', () => {
  const program = resolve('dist/program.cjs');
  expect(existsSync(codeCacheOf(program))).toBe(true);
  expect(readFileSync(program).every((byte) => byte < 0x80)).toBe(true);
});
