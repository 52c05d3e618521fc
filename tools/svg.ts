import type { StyledText } from '../test/support/terminal.ts';

/** What a picture is of, for those who do not see it. */
export interface Caption {
  readonly title: string;
  readonly description: string;
}

/** In pixels; a character is as wide as in most monospaced fonts. */
const [WIDTH, HEIGHT, SIZE, MARGIN] = [8, 19, 13.3, 18];

const BACKGROUND = '#16181d';
const TEXT = '#d5d8df';

/** The sixteen colours of a terminal, readable on the background. */
const COLOURS = [
  ['#5c6370', '#f07178', '#8fd06f', '#e6c07b', '#6cb2f7', '#c792ea', '#5ccfe6', '#d5d8df'],
  ['#7f8694', '#ff8b92', '#aee68f', '#ffd68a', '#8cc7ff', '#ddb0ff', '#84e3f5', '#ffffff'],
].flat();

/** A terminal's screen as an SVG image: text only, in whatever monospaced font is there. */
export function svg(
  lines: readonly (readonly StyledText[])[],
  columns: number,
  { title, description }: Caption,
): string {
  const [width, height] = [columns * WIDTH + 2 * MARGIN, lines.length * HEIGHT + 2 * MARGIN];
  const font = "ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace";
  const texts = lines.flatMap((line, row) => textsOf(line, MARGIN + (row + 0.75) * HEIGHT));
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-labelledby="title description">
<title id="title">${escaped(title)}</title>
<desc id="description">${escaped(description)}</desc>
<rect width="100%" height="100%" rx="8" fill="${BACKGROUND}"/>
<g font-family="${font}" font-size="${SIZE}" fill="${TEXT}" xml:space="preserve">
${texts.join('\n')}
</g>
</svg>
`;
}

/** Each run has its place and its length, so that columns stand in line whatever the font. */
function textsOf(line: readonly StyledText[], y: number): string[] {
  let column = 0;
  return line.flatMap(({ text, bold, dim, colour }) => {
    const from = column + (text.length - text.trimStart().length);
    column += text.length;
    const shown = text.trim();
    if (shown === '') return [];
    const look = [
      colour === undefined ? '' : ` fill="${COLOURS[colour]}"`,
      bold ? ' font-weight="bold"' : '',
      dim ? ' opacity="0.65"' : '',
    ];
    const place = `x="${MARGIN + from * WIDTH}" y="${y}" textLength="${shown.length * WIDTH}"`;
    return [`<text ${place}${look.join('')}>${escaped(shown)}</text>`];
  });
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
