import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { openResponseParser } from './http1-response-parser.ts';

fc.configureGlobal({ seed: 1 });

/** What was read of one connection: each answer, and how it ended. */
interface Reading {
  readonly status: number;
  readonly headers: Record<string, unknown>;
  readonly body: string;
  readonly end: 'whole' | 'whole, then more' | 'refused' | 'open';
}

/** Reads pieces in turn, then the end of the connection if `closes`. */
function readingOf(pieces: readonly Buffer[], closes = false): Reading {
  let status = 0;
  let headers: Record<string, unknown> = {};
  let body = '';
  let end = 'open' as Reading['end'];
  const parser = openResponseParser({
    onHead: ({ answer }) => {
      status = answer.status;
      headers = { ...answer.headers };
    },
    onBody: (chunk) => {
      body += chunk.toString('latin1');
    },
    onComplete: (excess) => {
      end = excess ? 'whole, then more' : 'whole';
    },
  });
  parser.begin();
  try {
    for (const piece of pieces) {
      // As bytes that come on a connection without a request do.
      if (end === 'whole' && piece.length > 0) end = 'whole, then more';
      // What the parser is given is overwritten afterwards, as the connection does.
      const shared = Buffer.from(piece);
      parser.read(shared);
      shared.fill(0x58);
    }
    if (closes) parser.end();
  } catch {
    end = 'refused';
  }
  return { status, headers, body, end };
}

function bytesOf(text: string): Buffer {
  return Buffer.from(text, 'latin1');
}

function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const all = [0, ...places.toSorted((a, b) => a - b), bytes.length];
  return all.slice(1).map((place, index) => bytes.subarray(all[index], place));
}

/** Every cut in two, and one byte at a time. */
function everyCut(text: string): Buffer[][] {
  const bytes = bytesOf(text);
  const inTwo = Array.from({ length: bytes.length - 1 }, (_, index) => cut(bytes, [index + 1]));
  return [...inTwo, cut(bytes, [...bytes.keys()].slice(1))];
}

const OK = 'HTTP/1.1 200 OK\r\n';
const CHUNKED = `${OK}Transfer-Encoding: chunked\r\n\r\n`;
const LENGTH_2 = `${OK}Content-Length: 2\r\n\r\nhi`;

interface Good {
  readonly name: string;
  readonly raw: string;
  readonly status?: number;
  readonly headers?: Record<string, unknown>;
  readonly body: string;
  readonly closes?: boolean;
}

const GOOD: readonly Good[] = [
  { name: 'a body by its length', raw: LENGTH_2, headers: { 'content-length': '2' }, body: 'hi' },
  { name: 'no body by length 0', raw: `${OK}Content-Length: 0\r\n\r\n`, body: '' },
  { name: 'a length with zeros in front', raw: `${OK}Content-Length: 0002\r\n\r\nhi`, body: 'hi' },
  {
    name: 'a length with blanks in front',
    raw: `${OK}Content-Length: \t2\r\n\r\nhi`,
    headers: { 'content-length': '2' },
    body: 'hi',
  },
  { name: 'names in any case', raw: `${OK}cOnTeNt-LeNgTh:2\r\n\r\nhi`, headers: { 'content-length': '2' }, body: 'hi' },
  { name: 'bytes of any kind in a body', raw: `${OK}Content-Length: 5\r\n\r\n\0\r\n\r\n`, body: '\0\r\n\r\n' },
  { name: 'a status line without a reason', raw: 'HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nhi', body: 'hi' },
  { name: 'an empty reason', raw: 'HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nhi', body: 'hi' },
  { name: 'a reason in another language', raw: 'HTTP/1.1 200 tr\xe8s bien\r\nContent-Length: 2\r\n\r\nhi', body: 'hi' },
  { name: 'status 599', raw: 'HTTP/1.1 599 X\r\nContent-Length: 0\r\n\r\n', status: 599, body: '' },
  {
    name: 'an empty value',
    raw: `${OK}x:\r\ny: \r\nContent-Length: 0\r\n\r\n`,
    headers: { x: '', y: '', 'content-length': '0' },
    body: '',
  },
  {
    name: 'colons in a value',
    raw: `${OK}x: a:b:\r\nContent-Length: 0\r\n\r\n`,
    headers: { x: 'a:b:', 'content-length': '0' },
    body: '',
  },
  {
    name: 'bytes above 127 in a value',
    raw: `${OK}x: \xe9\xff\r\nContent-Length: 0\r\n\r\n`,
    headers: { x: '\xe9\xff', 'content-length': '0' },
    body: '',
  },
  {
    name: 'a header twice',
    raw: `${OK}set-cookie: a\r\nSet-Cookie: b\r\nset-cookie: c\r\nContent-Length: 0\r\n\r\n`,
    headers: { 'set-cookie': ['a', 'b', 'c'], 'content-length': '0' },
    body: '',
  },
  {
    name: 'every character of a name',
    raw: `${OK}!#$%&'*+-.^_\`|~09az: 1\r\nContent-Length: 0\r\n\r\n`,
    headers: { "!#$%&'*+-.^_`|~09az": '1', 'content-length': '0' },
    body: '',
  },
  { name: 'one chunk', raw: `${CHUNKED}2\r\nhi\r\n0\r\n\r\n`, body: 'hi' },
  { name: 'many chunks', raw: `${CHUNKED}1\r\na\r\n3\r\nbcd\r\n0\r\n\r\n`, body: 'abcd' },
  { name: 'no chunk', raw: `${CHUNKED}0\r\n\r\n`, body: '' },
  {
    name: 'sizes in either case',
    raw: `${CHUNKED}A\r\n0123456789\r\na\r\n0123456789\r\n000\r\n\r\n`,
    body: '01234567890123456789',
  },
  { name: 'the coding in any case', raw: `${OK}transfer-encoding: CHUNKED\r\n\r\n2\r\nhi\r\n0\r\n\r\n`, body: 'hi' },
  { name: 'chunk extensions', raw: `${CHUNKED}2;a;b=c;d="e \\" f"\r\nhi\r\n0;last\r\n\r\n`, body: 'hi' },
  { name: 'line ends inside of a chunk', raw: `${CHUNKED}4\r\n\r\n\r\n\r\n0\r\n\r\n`, body: '\r\n\r\n' },
  {
    name: 'trailers, which are dropped',
    raw: `${CHUNKED}2\r\nhi\r\n0\r\nx-sum: 1\r\nContent-Length: 9\r\n\r\n`,
    headers: { 'transfer-encoding': 'chunked' },
    body: 'hi',
  },
  { name: 'a body until the end', raw: `${OK}\r\nall of it`, headers: {}, body: 'all of it', closes: true },
  { name: 'an empty body until the end', raw: `${OK}\r\n`, body: '', closes: true },
  { name: 'HTTP/1.0', raw: 'HTTP/1.0 200 OK\r\n\r\nhi', body: 'hi', closes: true },
  { name: 'HTTP/1.0 with a length', raw: 'HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi', body: 'hi' },
  { name: '204 without a body', raw: 'HTTP/1.1 204 No Content\r\n\r\n', status: 204, body: '' },
  { name: '204 with a length, which is none', raw: 'HTTP/1.1 204 X\r\nContent-Length: 5\r\n\r\n', status: 204, body: '' },
  {
    name: '304 with the length of what it does not send',
    raw: 'HTTP/1.1 304 X\r\nContent-Length: 5\r\n\r\n',
    status: 304,
    body: '',
  },
  {
    name: 'an interim answer before',
    raw: `HTTP/1.1 100 Continue\r\n\r\n${LENGTH_2}`,
    headers: { 'content-length': '2' },
    body: 'hi',
  },
  {
    name: 'several interim answers before',
    raw: `HTTP/1.1 102 X\r\n\r\nHTTP/1.1 103 Y\r\nlink: z\r\n\r\n${LENGTH_2}`,
    headers: { 'content-length': '2' },
    body: 'hi',
  },
];

const MANY = Array.from({ length: 200 }, (_, index) => `x${index}: 1\r\n`).join('');

const BAD: readonly { readonly name: string; readonly raw: string; readonly closes?: boolean }[] = [
  { name: 'another protocol', raw: 'SSH-2.0-OpenSSH_9\r\n' },
  { name: 'an empty line in front', raw: `\r\n${LENGTH_2}` },
  { name: 'a blank in front', raw: ` ${LENGTH_2}` },
  { name: 'HTTP/0.9', raw: 'HTTP/0.9 200 OK\r\n\r\n' },
  { name: 'HTTP/1.2', raw: 'HTTP/1.2 200 OK\r\n\r\n' },
  { name: 'HTTP/2.0', raw: 'HTTP/2.0 200 OK\r\n\r\n' },
  { name: 'the protocol in small letters', raw: 'http/1.1 200 OK\r\n\r\n' },
  { name: 'two blanks before the status', raw: 'HTTP/1.1  200 OK\r\n\r\n' },
  { name: 'a status of two digits', raw: 'HTTP/1.1 20 OK\r\n\r\n' },
  { name: 'a status of four digits', raw: 'HTTP/1.1 2000 OK\r\n\r\n' },
  { name: 'status 099', raw: 'HTTP/1.1 099 OK\r\n\r\n' },
  { name: 'status 600', raw: 'HTTP/1.1 600 OK\r\n\r\n' },
  { name: 'a status that is no number', raw: 'HTTP/1.1 2x0 OK\r\n\r\n' },
  { name: 'a control character in the reason', raw: 'HTTP/1.1 200 O\x01K\r\n\r\n' },
  { name: 'a bare CR in the reason', raw: 'HTTP/1.1 200 O\rK\r\n\r\n' },
  { name: 'a change of the protocol', raw: 'HTTP/1.1 101 X\r\nUpgrade: y\r\nConnection: upgrade\r\n\r\n' },
  { name: 'an interim answer with a length', raw: `HTTP/1.1 103 Y\r\nContent-Length: 2\r\n\r\n${LENGTH_2}` },
  { name: 'an interim answer that closes', raw: `HTTP/1.1 103 Y\r\nConnection: close\r\n\r\n${LENGTH_2}` },
  { name: 'an interim answer in HTTP/1.0', raw: `HTTP/1.0 103 X\r\n\r\n${LENGTH_2}` },
  { name: 'lines that end in LF', raw: 'HTTP/1.1 200 OK\nContent-Length: 2\n\nhi' },
  { name: 'one line that ends in LF', raw: `${OK}x: 1\ny: 2\r\nContent-Length: 2\r\n\r\nhi` },
  { name: 'a bare CR in a value', raw: `${OK}x: a\rb\r\n\r\n` },
  { name: 'CR CR LF', raw: `${OK}x: a\r\r\n\r\n` },
  { name: 'NUL in a value', raw: `${OK}x: a\0b\r\n\r\n` },
  { name: 'DEL in a value', raw: `${OK}x: a\x7fb\r\n\r\n` },
  { name: 'a control character in a value', raw: `${OK}x: a\x1bb\r\n\r\n` },
  { name: 'a folded value', raw: `${OK}x: a\r\n b\r\n\r\n` },
  { name: 'a value folded by a tab', raw: `${OK}x: a\r\n\tb: c\r\n\r\n` },
  { name: 'a blank before the colon', raw: `${OK}x : a\r\n\r\n` },
  { name: 'a blank in front of the first header', raw: `${OK} x: a\r\n\r\n` },
  { name: 'a header without a name', raw: `${OK}: a\r\n\r\n` },
  { name: 'a header without a colon', raw: `${OK}x\r\ny: 1\r\n\r\n` },
  { name: 'a byte above 127 in a name', raw: `${OK}x\xe9: a\r\n\r\n` },
  { name: 'a bracket in a name', raw: `${OK}x(y): a\r\n\r\n` },
  { name: '201 headers', raw: `${OK}${MANY}y: 1\r\n\r\n` },
  { name: 'a head of more than 64 KiB', raw: `${OK}x: ${'a'.repeat(65_536)}\r\n\r\n` },
  { name: 'a head that does not end', raw: `${OK}x: ${'a'.repeat(66_000)}` },
  { name: 'more interim answers than anybody needs', raw: 'HTTP/1.1 102 X\r\n\r\n'.repeat(17) },
  { name: 'two lengths that differ', raw: `${OK}Content-Length: 2\r\nContent-Length: 3\r\n\r\nhi` },
  { name: 'two lengths that agree', raw: `${OK}Content-Length: 2\r\nContent-Length: 2\r\n\r\nhi` },
  { name: 'a list of lengths', raw: `${OK}Content-Length: 2, 2\r\n\r\nhi` },
  { name: 'a length with a sign', raw: `${OK}Content-Length: +2\r\n\r\nhi` },
  { name: 'a negative length', raw: `${OK}Content-Length: -2\r\n\r\nhi` },
  { name: 'a length in hexadecimal', raw: `${OK}Content-Length: 0x2\r\n\r\nhi` },
  { name: 'an empty length', raw: `${OK}Content-Length:\r\n\r\nhi` },
  { name: 'a length beyond exact numbers', raw: `${OK}Content-Length: 9999999999999999\r\n\r\nhi` },
  { name: 'a bad length where there is no body', raw: 'HTTP/1.1 204 X\r\nContent-Length: x\r\n\r\n' },
  { name: 'a length and chunks', raw: `${OK}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n` },
  { name: 'chunks and a length', raw: `${OK}Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n` },
  { name: 'two codings', raw: `${OK}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n` },
  { name: 'chunked twice', raw: `${OK}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n` },
  { name: 'the coding "identity"', raw: `${OK}Transfer-Encoding: identity\r\n\r\nhi` },
  { name: 'an empty coding', raw: `${OK}Transfer-Encoding:\r\n\r\nhi` },
  { name: 'a coding that looks like chunked', raw: `${OK}Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n` },
  { name: 'a length with a blank behind', raw: `${OK}Content-Length: 2 \r\n\r\nhi` },
  { name: 'chunks with a blank behind', raw: `${OK}Transfer-Encoding: chunked\t\r\n\r\n0\r\n\r\n` },
  { name: 'chunks in HTTP/1.0', raw: 'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n' },
  { name: 'a chunk size that is no number', raw: `${CHUNKED}g\r\nhi\r\n0\r\n\r\n` },
  { name: 'an empty chunk size', raw: `${CHUNKED}\r\nhi\r\n0\r\n\r\n` },
  { name: 'a chunk size with a sign', raw: `${CHUNKED}-2\r\nhi\r\n0\r\n\r\n` },
  { name: 'a chunk size with 0x', raw: `${CHUNKED}0x2\r\nhi\r\n0\r\n\r\n` },
  { name: 'a chunk size with a blank behind', raw: `${CHUNKED}2 \r\nhi\r\n0\r\n\r\n` },
  { name: 'a chunk size with a blank in front', raw: `${CHUNKED} 2\r\nhi\r\n0\r\n\r\n` },
  { name: 'a chunk size beyond exact numbers', raw: `${CHUNKED}fffffffffffffff\r\nhi` },
  { name: 'a chunk size that ends in LF', raw: `${CHUNKED}2\nhi\r\n0\r\n\r\n` },
  { name: 'a chunk size with a bare CR', raw: `${CHUNKED}2\r0\r\nhi\r\n0\r\n\r\n` },
  { name: 'a chunk longer than its size', raw: `${CHUNKED}2\r\nhi!\r\n0\r\n\r\n` },
  { name: 'a chunk that ends in LF', raw: `${CHUNKED}2\r\nhi\n0\r\n\r\n` },
  { name: 'a chunk extension without a name', raw: `${CHUNKED}2;\r\nhi\r\n0\r\n\r\n` },
  { name: 'a control character in a chunk extension', raw: `${CHUNKED}2;a=\x01\r\nhi\r\n0\r\n\r\n` },
  { name: 'chunk extensions without end', raw: `${CHUNKED}2;${'a'.repeat(600)}\r\nhi\r\n0\r\n\r\n` },
  { name: 'a trailer without a colon', raw: `${CHUNKED}0\r\nx\r\n\r\n` },
  { name: 'a folded trailer', raw: `${CHUNKED}0\r\nx: 1\r\n y\r\n\r\n` },
  { name: 'a trailer that ends in LF', raw: `${CHUNKED}0\r\nx: 1\n\r\n` },
  { name: 'trailers without end', raw: `${CHUNKED}0\r\n${'x: 1234567890\r\n'.repeat(600)}\r\n` },
  { name: 'one endless trailer', raw: `${CHUNKED}0\r\nx: ${'a'.repeat(9000)}\r\n\r\n` },
  { name: 'an end before the answer', raw: '', closes: true },
  { name: 'an end in the head', raw: `${OK}Content-Le`, closes: true },
  { name: 'an end after an interim answer', raw: 'HTTP/1.1 103 X\r\n\r\n', closes: true },
  { name: 'an end in a body of known length', raw: `${OK}Content-Length: 3\r\n\r\nhi`, closes: true },
  { name: 'an end in a chunk', raw: `${CHUNKED}3\r\nhi`, closes: true },
  { name: 'an end between chunks', raw: `${CHUNKED}2\r\nhi\r\n`, closes: true },
  { name: 'an end before the end of the trailers', raw: `${CHUNKED}0\r\n`, closes: true },
];

describe('what is read', () => {
  it.each(GOOD)('$name', ({ raw, status = 200, headers, body, closes = false }) => {
    const whole = readingOf([bytesOf(raw)], closes);
    expect(whole).toMatchObject({ status, body, end: 'whole' });
    if (headers !== undefined) expect(whole.headers).toEqual(headers);
    for (const pieces of everyCut(raw)) expect(readingOf(pieces, closes)).toEqual(whole);
  });

  it('makes no header name special', () => {
    const { headers } = readingOf([bytesOf(`${OK}__proto__: a\r\nconstructor: b\r\n__PROTO__: c\r\nContent-Length: 0\r\n\r\n`)]);
    expect(Object.entries(headers)).toEqual([
      ['__proto__', ['a', 'c']],
      ['constructor', 'b'],
      ['content-length', '0'],
    ]);
  });

  it.each(GOOD.filter(({ closes }) => closes !== true))('reports what follows: $name', ({ raw, body }) => {
    for (const excess of ['H', '\r\n', LENGTH_2]) {
      const whole = readingOf([bytesOf(raw + excess)]);
      expect(whole).toMatchObject({ body, end: 'whole, then more' });
      for (const pieces of everyCut(raw + excess)) expect(readingOf(pieces)).toEqual(whole);
    }
  });
});

describe('what is refused', () => {
  it.each(BAD)('$name', ({ raw, closes = false }) => {
    expect(readingOf([bytesOf(raw)], closes).end).toBe('refused');
    if (raw.length > 2000) return;
    for (const pieces of everyCut(raw)) expect(readingOf(pieces, closes).end).toBe('refused');
  });

  it('says so with a code of its own', () => {
    const parser = openResponseParser({ onHead: () => {}, onBody: () => {}, onComplete: () => {} });
    parser.begin();
    expect(() => parser.read(bytesOf('SMTP ready\r\n'))).toThrow(expect.objectContaining({ code: 'upstream.bad_response' }));
  });

  it('says so before the end where it can be seen before', () => {
    for (const beginning of ['X', 'HTTP/2', 'HTTP/1.1 200 OK\n', `${OK}a: b\n`, `${OK}x: ${'a'.repeat(66_000)}`]) {
      expect(readingOf([bytesOf(beginning)]).end).toBe('refused');
    }
  });
});

describe('any bytes', () => {
  const raws = [...GOOD, ...BAD].map(({ raw }) => raw).filter((raw) => raw.length < 2000);
  const mutation = fc.record({
    at: fc.nat(200),
    kind: fc.constantFrom('replace', 'insert', 'delete', 'double'),
    byte: fc.nat(255),
  });
  const mutant = fc
    .tuple(fc.constantFrom(...raws), fc.array(mutation, { maxLength: 4 }))
    .map(([raw, mutations]) =>
      mutations.reduce((text, { at, kind, byte }) => mutated(text, at % (text.length + 1), { kind, byte }), raw),
    );

  function mutated(text: string, at: number, { kind, byte }: { kind: string; byte: number }): string {
    const character = String.fromCharCode(byte);
    if (kind === 'insert') return text.slice(0, at) + character + text.slice(at);
    if (kind === 'replace') return text.slice(0, at) + character + text.slice(at + 1);
    return kind === 'delete' ? text.slice(0, at) + text.slice(at + 1) : text.slice(0, at) + text.slice(Math.max(0, at - 9));
  }

  it('are read alike however they are cut', () => {
    fc.assert(
      fc.property(mutant, fc.array(fc.nat(300), { maxLength: 12 }), fc.boolean(), (raw, places, closes) => {
        const bytes = bytesOf(raw);
        const whole = readingOf([bytes], closes);
        const pieces = cut(
          bytes,
          places.map((place) => place % (bytes.length + 1)),
        );
        const cutUp = readingOf(pieces, closes);
        if (whole.end !== 'refused') expect(cutUp).toEqual(whole);
        else expect(cutUp.end).toBe('refused');
      }),
      { numRuns: 3000 },
    );
  });

  it('of one answer are never read as the next one’s', () => {
    fc.assert(
      fc.property(mutant, fc.array(fc.nat(300), { maxLength: 3 }), (raw, places) => {
        const bytes = bytesOf(raw);
        let isComplete = false;
        let told = '';
        const parser = openResponseParser({
          onHead: () => {},
          onBody: (chunk) => {
            told += chunk.toString('latin1');
          },
          onComplete: () => {
            isComplete = true;
          },
        });
        parser.begin();
        try {
          for (const piece of cut(
            bytes,
            places.map((place) => place % (bytes.length + 1)),
          ))
            if (!isComplete) parser.read(piece);
        } catch {
          return;
        }
        if (!isComplete) return;
        told = '';
        parser.begin();
        parser.read(bytesOf(LENGTH_2));
        expect(told).toBe('hi');
      }),
      { numRuns: 3000 },
    );
  });
});
