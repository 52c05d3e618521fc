import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { svg } from '../../tools/svg.ts';

const plain = { bold: false, dim: false, colour: undefined };
const caption = { title: 'a & b', description: '<c>' };

test('a screen becomes text in its place, with its colours, and nothing else', () => {
  const image = svg(
    [
      [
        { ...plain, text: '  a<b ' },
        { ...plain, text: 'c', bold: true, colour: 2 },
      ],
      [],
    ],
    10,
    caption,
  );
  expect(image).toContain('<title id="title">a &amp; b</title>');
  expect(image).toContain('<desc id="description">&lt;c&gt;</desc>');
  const texts = image.match(/<text.*/g);
  expect(texts).toEqual([
    expect.stringMatching(/^<text x="34" y="[\d.]+" textLength="24">a&lt;b<\/text>$/),
    expect.stringMatching(/^<text x="66" .* fill="#\w{6}" font-weight="bold">c<\/text>$/),
  ]);
});

test("README's picture is small, tells its story in words too, and runs and loads nothing", () => {
  const image = readFileSync('docs/run.svg', 'utf8');
  expect(image.length).toBeLessThan(40_000);
  expect(image).not.toMatch(/<script|<style|<image|<foreignObject|href|@font-face|\son\w+=|url\(/i);
  expect(/<desc[^>]*>([^<]*)<\/desc>/.exec(image)![1]).toMatch(/alice@web1 is ready/);
});
