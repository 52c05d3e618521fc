import fc from 'fast-check';
import { createHash, randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import {
  addKeys,
  authorizedKeyLine,
  keyFingerprint,
  optionNames,
  parseAuthorizedKey,
  removeLines,
  type AuthorizedKey,
} from '../../src/core/authorized-key.ts';

const ED25519 = blob('ssh-ed25519', 32);
const OTHER = blob('ssh-ed25519', 32);

describe('one line', () => {
  test.each([
    ['a bare key', `ssh-ed25519 ${ED25519}`, '', ''],
    ['a comment of several words', `ssh-ed25519 ${ED25519} alice at home`, '', 'alice at home'],
    ['a CR at the end', `ssh-ed25519 ${ED25519} alice\r`, '', 'alice'],
    ['a CR right after the key', `ssh-ed25519 ${ED25519}\r`, '', ''],
    ['white space before and between', `\t  ssh-ed25519 \t ${ED25519}  alice `, '', 'alice'],
    ['one option', `restrict ssh-ed25519 ${ED25519} a`, 'restrict', 'a'],
    [
      'quoted blanks',
      `command="echo a b",pty ssh-ed25519 ${ED25519}`,
      'command="echo a b",pty',
      '',
    ],
    ['escaped quotes', `command="a \\" b" ssh-ed25519 ${ED25519}`, 'command="a \\" b"', ''],
    [
      'a key inside quotes',
      `command="ssh-ed25519 ${OTHER}" ssh-ed25519 ${ED25519}`,
      `command="ssh-ed25519 ${OTHER}"`,
      '',
    ],
    ['bytes that end in 0xa0', `ssh-ed25519 ${ED25519} voil\u00c3\u00a0`, '', 'voil\u00c3\u00a0'],
    [
      'a comment that is a key',
      `ssh-ed25519 ${ED25519} ssh-ed25519 ${OTHER}`,
      '',
      `ssh-ed25519 ${OTHER}`,
    ],
  ])('%s', (_, line, options, comment) => {
    expect(parseAuthorizedKey(line)).toEqual({
      type: 'ssh-ed25519',
      blob: ED25519,
      options,
      comment,
    });
  });

  test.each([
    ['ssh-rsa', [3, 257]],
    ['ssh-dss', [16, 129, 21, 129]],
    ['ecdsa-sha2-nistp256', [8, 65]],
    ['ecdsa-sha2-nistp384', [8, 97]],
    ['ecdsa-sha2-nistp521', [8, 133]],
    ['ssh-ed25519', [32]],
    ['sk-ecdsa-sha2-nistp256@openssh.com', [8, 65, 4]],
    ['sk-ssh-ed25519@openssh.com', [32, 4]],
    ['ssh-ed25519-cert-v01@openssh.com', [32, 32, 100]],
    ['sk-ssh-ed25519-cert-v01@openssh.com', [32, 32, 100]],
    ['ecdsa-sha2-nistp384-cert-v01@openssh.com', [32, 8, 97]],
  ])('the type %s', (type, sizes) => {
    const sized = blob(type, ...sizes);
    expect(parseAuthorizedKey(`${type} ${sized} x`)?.type).toBe(type);
  });

  test.each([
    ['nothing', ''],
    ['blanks', ' \t\r'],
    ['a comment', '# a comment'],
    ['a commented-out key', `#ssh-ed25519 ${ED25519}`],
    ['a commented-out key, indented', `  # ssh-ed25519 ${ED25519}`],
    ['a type alone', 'ssh-ed25519'],
    ['an unknown type', `ssh-fancy ${blob('ssh-fancy', 32)}`],
    ['another type than the key says', `ssh-rsa ${ED25519}`],
    ['a cut key', `ssh-ed25519 ${ED25519.slice(0, 40)}`],
    [
      'a key of 31 bytes, as ssh2 makes them now and then',
      `ssh-ed25519 ${blob('ssh-ed25519', 31)}`,
    ],
    ['a key without its padding', `ssh-rsa ${blob('ssh-rsa', 3, 256).replace(/=+$/, '')}`],
    ['too few parts', `ssh-rsa ${blob('ssh-rsa', 3)}`],
    ['no base64', `ssh-ed25519 *${ED25519.slice(1)}`],
    ['an open quote', `command="x ssh-ed25519 ${ED25519}`],
    ['two words before the key', `no pty ssh-ed25519 ${ED25519}`],
    ['a byte order mark, as sshd sees it', `\u00ef\u00bb\u00bfssh-ed25519 ${ED25519}`],
  ])('no key: %s', (_, line) => {
    expect(parseAuthorizedKey(line)).toBeUndefined();
  });

  test.each([
    ['blanks', ' '.repeat(1 << 20)],
    ['one word', 'x'.repeat(1 << 20)],
    ['quotes', '"\\"'.repeat(400_000)],
    ['commas', ','.repeat(1 << 20)],
    ['a huge blob', `ssh-rsa ${'A'.repeat(1 << 20)}`],
    ['blanks after the key', `ssh-ed25519 ${ED25519}${' '.repeat(1 << 20)}x`],
  ])('a line of 1 MB ends within the time limit, so it is no square: %s', (_, line) => {
    expect(() => [parseAuthorizedKey(line), optionNames(line)]).not.toThrow();
  });

  test('any text is taken without a throw', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (line) => {
        expect(() => [parseAuthorizedKey(line), optionNames(line)]).not.toThrow();
      }),
    );
  });
});

describe('words about a key', () => {
  test.each([
    ['', []],
    ['restrict', ['restrict']],
    [
      'from="10.0.0.0/8,!10.1.1.1",command="x \\",no-pty",Restrict',
      ['from=', 'command=', 'restrict'],
    ],
    ['expiry-time="20200101",', ['expiry-time=']],
  ])('options %s', (options, names) => {
    expect(optionNames(options)).toEqual(names);
  });

  test('its fingerprint is that of ssh-keygen -l', () => {
    const digest = createHash('sha256').update(Buffer.from(ED25519, 'base64')).digest('base64');
    expect(keyFingerprint(key(ED25519))).toBe(`SHA256:${digest.slice(0, 43)}`);
  });

  test.each([
    ['alice@laptop', 'alice@laptop'],
    ['', ''],
    ['a\nssh-rsa AAAA\r\u0000b\u001b[31m', 'a ssh-rsa AAAA  b [31m'],
    ['\u00c2\u009b31m caf\u00c3\u00a9', '31m caf\u00c3\u00a9'],
    ['\u00c3\u0080 la carte', '\u00c3\u0080 la carte'],
  ])('its line is one line, whatever the comment: %j', (comment, clean) => {
    const line = authorizedKeyLine({ ...key(ED25519), comment });
    expect(line).toBe(`ssh-ed25519 ${ED25519}${clean && ` ${clean}`}`);
    expect(parseAuthorizedKey(line)?.comment).toBe(clean);
  });

  test('its options come along', () => {
    const restricted = parseAuthorizedKey(`restrict,pty ssh-ed25519 ${ED25519} a`)!;
    expect(authorizedKeyLine(restricted)).toBe(`restrict,pty ssh-ed25519 ${ED25519} a`);
  });
});

describe('adding keys to a file', () => {
  const line = `ssh-ed25519 ${ED25519} new`;
  const other = `ssh-ed25519 ${OTHER} old`;

  test.each([
    ['no file', '', `${line}\n`],
    ['an ordinary file', `${other}\n`, `${other}\n${line}\n`],
    ['no newline at its end', other, `${other}\n${line}\n`],
    ['every line CRLF', `# x\r\n${other}\r\n`, `# x\r\n${other}\r\n${line}\r\n`],
    ['CRLF, no newline at its end', `# x\r\n${other}`, `# x\r\n${other}\r\n${line}\r\n`],
    ['some lines CRLF', `# x\r\n${other}\n`, `# x\r\n${other}\n${line}\n`],
    [
      'bytes of no encoding',
      `# \u00ff\u0000\u0080\n${other}`,
      `# \u00ff\u0000\u0080\n${other}\n${line}\n`,
    ],
    ['the key commented out', `# ${line}\n`, `# ${line}\n${line}\n`],
    [
      'the key as a certificate authority',
      `cert-authority ${line}\n`,
      `cert-authority ${line}\n${line}\n`,
    ],
    [
      'the key in a quoted option',
      `command="${line}" ${other}\n`,
      `command="${line}" ${other}\n${line}\n`,
    ],
  ])('%s', (_, old, expected) => {
    const result = addKeys(bytes(old), [{ ...key(ED25519), comment: 'new' }]);
    expect(text(result.bytes)).toBe(expected);
    expect(result.lines).toEqual([line]);
    expect(result.present).toEqual([]);
  });

  test.each([
    ['as it is', `${line}\n`, ''],
    ['with another comment', `ssh-ed25519 ${ED25519} elsewhere\r\n`, ''],
    ['restricted', `from="10.0.0.0/8",Restrict ${line}\n`, 'from="10.0.0.0/8",Restrict'],
    ['expired', `expiry-time="19990101" ${line}\n`, 'expiry-time="19990101"'],
    ['twice', `pty ${line}\n${line}\n`, 'pty'],
  ])('a key that is there already, %s', (_, old, options) => {
    const wanted = key(ED25519);
    const given = bytes(old);
    const result = addKeys(given, [wanted]);
    expect(result).toEqual({
      bytes: given,
      added: [],
      lines: [],
      present: [{ key: wanted, options }],
    });
    expect(result.bytes).toBe(given);
  });

  test('a key wanted twice is added once', () => {
    const result = addKeys(bytes(''), [key(ED25519), key(OTHER), key(ED25519)]);
    expect(result.added).toEqual([key(ED25519), key(OTHER)]);
  });

  test('10,000 lines are no matter', () => {
    const old = Array.from({ length: 10_000 }, () => `ssh-ed25519 ${blob('ssh-ed25519', 32)} x\n`);
    const result = addKeys(bytes(old.join('')), [key(ED25519)]);
    expect(text(result.bytes)).toBe(`${old.join('')}ssh-ed25519 ${ED25519}\n`);
  });
});

describe('taking lines out', () => {
  test.each([
    ['the last', 'a\nb\n', ['b'], 'a\n'],
    ['the first', 'a\nb\n', ['a'], 'b\n'],
    ['of two equal ones the last', 'a\nb\na\nc', ['a'], 'a\nb\nc'],
    ['both', 'a\nb\na\n', ['a', 'a'], 'b\n'],
    ['one ending in CRLF', 'a\r\nb\r\n', ['a'], 'b\r\n'],
    ['one without a newline', 'a\nb', ['b'], 'a\n'],
    ['one that is not there', 'a\nbb\n', ['b'], 'a\nbb\n'],
    ['none', '\u00ff\r\r\n\n', [], '\u00ff\r\r\n\n'],
  ])('%s', (_, old, lines, expected) => {
    expect(text(removeLines(bytes(old), lines))).toBe(expected);
  });
});

describe('authorized_keys never loses a byte', () => {
  const comment = fc.string({
    unit: fc.integer({ min: 0, max: 255 }).map((c) => String.fromCharCode(c)),
  });
  const wanted = fc.uniqueArray(
    fc.record({ blob: fc.uint8Array({ minLength: 32, maxLength: 32 }).map(ed25519), comment }),
    { minLength: 1, maxLength: 4, selector: (one) => one.blob },
  );
  const piece = fc.oneof(
    fc.uint8Array().map((raw) => text(raw)),
    fc.constantFrom('\n', '\r\n', '#', ' ', '"', `ssh-ed25519 ${ED25519} x`, 'from="a b" '),
  );
  const file = fc.array(piece).map((pieces) => bytes(pieces.join('')));

  test('adding only appends, and a second time changes nothing', () => {
    fc.assert(
      fc.property(file, wanted, (old, some) => {
        const keys = some.map((one): AuthorizedKey => ({ ...key(one.blob), comment: one.comment }));
        const result = addKeys(old, keys);
        expect(text(result.bytes).startsWith(text(old))).toBe(true);
        expect(result.added.length + result.present.length).toBe(keys.length);
        expect(addKeys(result.bytes, keys).bytes).toBe(result.bytes);
      }),
    );
  });

  test('taking out what was added gives the old file, but for its missing newline', () => {
    fc.assert(
      fc.property(file, wanted, (old, some) => {
        const { bytes: after, lines } = addKeys(
          old,
          some.map((one) => key(one.blob)),
        );
        const back = text(removeLines(after, lines));
        expect([text(old), `${text(old)}\n`, `${text(old)}\r\n`]).toContain(back);
      }),
    );
  });
});

/** The base64 text of a key: its type name, then random parts of the sizes given. */
function blob(type: string, ...sizes: number[]): string {
  return joined(Buffer.from(type), ...sizes.map((size) => randomBytes(size)));
}

function ed25519(point: Uint8Array): string {
  return joined(Buffer.from('ssh-ed25519'), point);
}

function joined(...parts: Uint8Array[]): string {
  return Buffer.concat(parts.flatMap((part) => [lengthOf(part), part])).toString('base64');
}

function lengthOf(part: Uint8Array): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(part.length);
  return length;
}

function key(ofBlob: string): AuthorizedKey {
  return { type: 'ssh-ed25519', blob: ofBlob, comment: '', options: '' };
}

function bytes(latin1: string): Buffer {
  return Buffer.from(latin1, 'latin1');
}

function text(raw: Uint8Array): string {
  return Buffer.from(raw).toString('latin1');
}
