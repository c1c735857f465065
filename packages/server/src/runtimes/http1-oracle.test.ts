// Differential: undici reads the same bytes from the same socket. It was our client before, and it is the judge of this one.
import { once } from 'node:events';
import { createServer, type AddressInfo, type Server } from 'node:net';
import fc from 'fast-check';
import { Client } from 'undici';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openHttp1Pool } from './http1-pool.ts';

fc.configureGlobal({ seed: 1 });

type Reading =
  | { readonly end: 'whole'; readonly status: number; readonly headers: Record<string, unknown>; readonly body: string }
  | { readonly end: 'refused' };

const REFUSED: Reading = { end: 'refused' };

let server: Server;
let url: string;
/** What the server sends, piece by piece, to whoever sends anything; then it closes. */
let pieces: readonly Buffer[] = [];

beforeAll(async () => {
  server = createServer({ noDelay: true }, (socket) => {
    socket.on('error', () => {});
    socket.once('data', () => {
      const rest = [...pieces];
      const next = (): void => {
        const piece = rest.shift();
        if (piece === undefined) socket.end();
        else socket.write(piece, () => setImmediate(next));
      };
      next();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterAll(() => server.close());

function ours(): Promise<Reading> {
  const pool = openHttp1Pool(new URL(url), { connections: 1, connectTimeoutMs: 5000, idleTimeoutMs: 5000 });
  const { promise, resolve } = Promise.withResolvers<Reading>();
  const body: Buffer[] = [];
  let start = { status: 0, headers: {} as Record<string, unknown> };
  pool.send(
    { method: 'POST', path: '/', headers: [], body: Buffer.from('x') },
    {
      onStart: ({ status, headers }) => {
        start = { status, headers: { ...headers } };
      },
      onData: (chunk) => body.push(chunk),
      onEnd: () => resolve({ end: 'whole', ...start, body: Buffer.concat(body).toString('latin1') }),
      onError: () => resolve(REFUSED),
    },
  );
  return promise.finally(() => pool.close());
}

async function undicis(): Promise<Reading> {
  const client = new Client(url, { maxHeaderSize: 64 * 1024 });
  const { promise, resolve } = Promise.withResolvers<Reading>();
  const body: Buffer[] = [];
  let start = { status: 0, headers: {} as Record<string, unknown> };
  client.dispatch(
    { method: 'POST', path: '/', body: Buffer.from('x') },
    {
      onRequestStart() {},
      onResponseStart(_controller, status, headers) {
        start = { status, headers: { ...headers } };
      },
      onResponseData: (_controller, chunk) => {
        body.push(chunk);
      },
      onResponseEnd: () => resolve({ end: 'whole', ...start, body: Buffer.concat(body).toString('latin1') }),
      onResponseError: () => resolve(REFUSED),
    },
  );
  const reading = await promise;
  await client.destroy();
  return reading;
}

/** Undici leaves the blanks behind a value; RFC 9110 §5.5 does not count them. */
function withoutBlanks(reading: Reading): Reading {
  if (reading.end === 'refused') return reading;
  const trim = (value: unknown): unknown =>
    typeof value === 'string' ? value.replace(/[\t ]+$/, '') : Array.isArray(value) ? value.map(trim) : value;
  return { ...reading, headers: Object.fromEntries(Object.entries(reading.headers).map(([name, value]) => [name, trim(value)])) };
}

async function bothOf(raw: string, places: readonly number[] = []): Promise<{ ours: Reading; undici: Reading }> {
  const bytes = Buffer.from(raw, 'latin1');
  const cuts = [0, ...places.map((place) => place % (bytes.length + 1)).toSorted((a, b) => a - b), bytes.length];
  pieces = cuts
    .slice(1)
    .map((place, index) => bytes.subarray(cuts[index], place))
    .filter((piece) => piece.length > 0);
  return { ours: await ours(), undici: withoutBlanks(await undicis()) };
}

/** The heads in it: of interim answers, and of the answer. */
function headsOf(raw: string): string[] {
  const heads: string[] = [];
  for (let rest = raw; ;) {
    const end = rest.indexOf('\r\n\r\n', /^[\r\n]*/.exec(rest)?.[0].length);
    const head = end < 0 ? rest : rest.slice(0, end + 4);
    heads.push(head);
    rest = rest.slice(head.length);
    if (rest === '' || !/^[\r\n]*HTTP\/\d\.\d 1\d\d/.test(head)) return heads;
  }
}

interface Difference {
  readonly name: string;
  readonly example: string;
  /** Whether a head, or what follows, is the reason for it. */
  readonly is: (head: string, raw: string) => boolean;
}

function isOneOf(differences: readonly Difference[], raw: string): boolean {
  return headsOf(raw).some((head) => differences.some(({ is }) => is(head, raw)));
}

const CHUNK_LINE = /^[\da-f]+(?:;[\w!#$%&'*+\-.^`|~]+(?:=(?:[\w!#$%&'*+\-.^`|~]+|"[^"]*"))?)+$/i;

/** What undici reads and we do not. Each is a place where another reader could read something else. docs/decisions/0007 */
const DELIBERATE_REFUSALS: readonly Difference[] = [
  {
    name: 'an empty line before the answer',
    example: '\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi',
    is: (head) => /^[\r\n]/.test(head),
  },
  {
    name: 'versions other than 1.0 and 1.1',
    example: 'HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nhi',
    is: (head) => !/^HTTP\/1\.[01] /.test(head),
  },
  {
    name: 'a status above 599',
    example: 'HTTP/1.1 999 X\r\nContent-Length: 2\r\n\r\nhi',
    is: (head) => /^HTTP\/1\.[01] [6-9]\d\d/.test(head),
  },
  {
    name: 'control characters in the reason',
    example: 'HTTP/1.1 200 O\x01K\r\nContent-Length: 2\r\n\r\nhi',
    is: (head) => {
      const reason = /^HTTP\/1\.[01] \d\d\d([^\r\n]*)/.exec(head)?.[1] ?? '';
      return reason.split('').some((character) => character !== '\t' && (character < ' ' || character === '\x7f'));
    },
  },
  {
    name: 'transfer codings other than "chunked" alone',
    example: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n',
    is: (head) => {
      const codings = [...head.matchAll(/^transfer-encoding:[\t ]*([^\r\n]*?)[\t ]*\r$/gim)];
      return codings.length > 0 && (codings.length > 1 || codings[0]?.[1]?.toLowerCase() !== 'chunked');
    },
  },
  {
    name: 'blanks behind the transfer coding, with which undici reads until the end instead of chunks',
    example: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\t\r\n\r\n0\r\n\r\n',
    is: (head) => /^transfer-encoding:[^\r\n]*[\t ]\r$/im.test(head),
  },
  {
    name: 'a status line that ends in CR CR',
    example: 'HTTP/1.1 200 OK\r\rContent-Length: 2\r\n\r\nhi',
    is: (head) => /^HTTP\/1\.[01] \d\d\d[^\r\n]*\r\r/.test(head),
  },
  {
    name: 'chunk extensions that are none',
    example: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;=a\r\nhi\r\n0\r\n\r\n',
    is: (_head, raw) => (raw.match(/^[\da-f]+;.*$/gim) ?? []).some((line) => !CHUNK_LINE.test(line)),
  },
  {
    name: 'an interim answer that has a body or is of HTTP/1.0',
    example: 'HTTP/1.1 103 X\r\nContent-Length: 2\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi',
    is: (head) => head.startsWith('HTTP/1.0 1') || /^HTTP\/1\.1 1[^]*^(?:content-length|transfer-encoding):/im.test(head),
  },
  {
    name: 'chunks in HTTP/1.0',
    example: 'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n',
    is: (head) => /^HTTP\/1\.0[^]*^transfer-encoding:/im.test(head),
  },
];

/** What we read and undici does not. */
const DELIBERATE_ACCEPTANCES: readonly Difference[] = [
  {
    name: 'status 100, which RFC 9110 §15.2 lets a server send at any time',
    example: 'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi',
    is: (head) => /^HTTP\/1\.[01] 100/.test(head),
  },
];

const token = fc
  .stringMatching(/^[a-z][a-z0-9-]{0,9}$/)
  .filter((name) => !/^(content-length|transfer-encoding|connection|keep-alive)$/.test(name));
const value = fc.stringMatching(/^(?:[!-~\xa1-\xff](?:[!-~\xa1-\xff\t ]{0,20}[!-~\xa1-\xff])?)?$/);
const headers = fc.array(fc.tuple(token, value), { maxLength: 8 });
const byte = fc.nat(255).map((code) => String.fromCharCode(code));
const text = fc.string({ unit: byte, maxLength: 40 });
const framing = fc.oneof(
  text.map((body) => ({ header: `Content-Length: ${body.length}\r\n`, body })),
  fc
    .tuple(
      fc.array(fc.tuple(text, fc.constantFrom('', ';a', ';a=b', ';q="x y"')), { maxLength: 4 }),
      fc.constantFrom('', 'x-t: 1\r\n'),
    )
    .map(([chunks, trailers]) => ({
      header: 'Transfer-Encoding: chunked\r\n',
      body: `${chunks
        .filter(([data]) => data !== '')
        .map(([data, extension]) => `${data.length.toString(16)}${extension}\r\n${data}\r\n`)
        .join('')}0\r\n${trailers}\r\n`,
    })),
  text.map((body) => ({ header: '', body })),
);
const interim = fc.constantFrom(
  '',
  '',
  'HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n',
  'HTTP/1.1 102 X\r\nConnection: keep-alive\r\n\r\n',
);
const answer = fc
  .record({
    interim,
    status: fc.constantFrom(200, 201, 206, 400, 404, 422, 500, 503),
    reason: fc.constantFrom('', ' OK', ' '),
    headers,
    framing,
  })
  .map(({ interim: before, status, reason, headers: fields, framing: { header, body } }) => {
    const lines = fields.map(([name, content]) => `${name}: ${content}\r\n`).join('');
    return `${before}HTTP/1.1 ${status}${reason}\r\n${lines}${header}\r\n${body}`;
  });
const places = fc.array(fc.nat(500), { maxLength: 4 });

describe('undici reads what we read', () => {
  it('in any valid answer, however it is cut', async () => {
    await fc.assert(
      fc.asyncProperty(answer, places, async (raw, cuts) => {
        const both = await bothOf(raw, cuts);
        expect(both.ours.end).toBe('whole');
        expect(both.ours).toEqual(both.undici);
      }),
      { numRuns: 150 },
    );
  });

  it('in what noise makes of one, and refuses what we refuse unless it is on the list', async () => {
    const noise = fc.array(
      fc.record({
        at: fc.nat(400),
        removed: fc.nat(2),
        added: fc.string({
          unit: fc.oneof(byte, fc.constantFrom('\r', '\n', '\t', ' ', ':', ';', ',', '0', 'a', 'A')),
          maxLength: 2,
        }),
      }),
      { minLength: 1, maxLength: 3 },
    );
    await fc.assert(
      fc.asyncProperty(answer, noise, async (valid, changes) => {
        const raw = changes.reduce((before, { at, removed, added }) => {
          const place = at % (before.length + 1);
          return before.slice(0, place) + added + before.slice(place + removed);
        }, valid);
        const both = await bothOf(raw);
        if (both.ours.end === 'refused') {
          const isExpected = both.undici.end === 'refused' || isOneOf(DELIBERATE_REFUSALS, raw);
          expect(isExpected, JSON.stringify({ raw, undici: both.undici })).toBe(true);
        } else if (!(both.undici.end === 'refused' && isOneOf(DELIBERATE_ACCEPTANCES, raw))) {
          expect(both.ours, JSON.stringify(raw)).toEqual(both.undici);
        }
      }),
      { numRuns: 400 },
    );
  });
});

describe('where undici and we differ on purpose', () => {
  it.each(DELIBERATE_REFUSALS)('we refuse $name', async (difference) => {
    const both = await bothOf(difference.example);
    expect([both.ours.end, both.undici.end, isOneOf([difference], difference.example)]).toEqual(['refused', 'whole', true]);
  });

  it.each(DELIBERATE_ACCEPTANCES)('we read $name', async (difference) => {
    const both = await bothOf(difference.example);
    expect([both.ours, both.undici.end, isOneOf([difference], difference.example)]).toEqual([
      expect.objectContaining({ status: 200, body: 'hi' }),
      'refused',
      true,
    ]);
  });
});
