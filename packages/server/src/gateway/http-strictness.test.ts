import { createHash } from 'node:crypto';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { modelOf, openRig, type Rig, snapshotOf, sumRuntime, until } from './gateway-rig.contract.ts';

const LIMIT = 1024;
const BODY = '{"features":[1,2,3]}';

let rig: Rig;

beforeAll(async () => {
  rig = await openRig({ snapshot: snapshotOf(1, [modelOf()]), options: { bodyLimitBytes: LIMIT } });
});

afterAll(() => rig[Symbol.asyncDispose]());

/** A whole request; the connection closes after the answer. */
function requestText(head: string, headers: readonly string[] = [], body = BODY): string {
  return [head, 'Content-Type: application/json', 'Connection: close', ...headers, '', body].join('\r\n');
}

const POST = 'POST /predict/sum HTTP/1.1';
const LENGTH = `Content-Length: ${BODY.length}`;

describe('what two servers could read differently', () => {
  it.each([
    { name: 'two Host headers', text: requestText(POST, ['Host: a', 'Host: b', LENGTH]) },
    { name: 'no Host header', text: requestText(POST, [LENGTH]) },
    { name: 'a target on another host', text: requestText('POST http://other/predict/sum HTTP/1.1', ['Host: a', LENGTH]) },
    { name: 'a target with credentials', text: requestText('POST http://u:p@a/predict/sum HTTP/1.1', ['Host: a', LENGTH]) },
    {
      name: 'a transfer encoding in HTTP/1.0',
      text: requestText('POST /predict/sum HTTP/1.0', ['Host: a', 'Transfer-Encoding: chunked'], '0\r\n\r\n'),
    },
    {
      name: 'an unknown transfer encoding',
      text: requestText(POST, ['Host: a', 'Transfer-Encoding: identity, chunked'], '0\r\n\r\n'),
    },
    {
      name: 'an encoding that is not last',
      text: requestText(POST, ['Host: a', 'Transfer-Encoding: chunked, gzip'], '0\r\n\r\n'),
    },
    { name: 'a length and an encoding', text: requestText(POST, ['Host: a', LENGTH, 'Transfer-Encoding: chunked'], '0\r\n\r\n') },
    { name: 'two lengths', text: requestText(POST, ['Host: a', 'Content-Length: 3', 'Content-Length: 4'], 'abcd') },
    { name: 'a signed length', text: requestText(POST, ['Host: a', 'Content-Length: +4'], 'abcd') },
    { name: 'a body on GET', text: requestText('GET /readyz HTTP/1.1', ['Host: a', 'Content-Length: 2'], 'ab') },
    { name: 'a bare line feed', text: `${POST}\nHost: a\n\n` },
    { name: 'a space before the colon', text: requestText(POST, ['Host : a', LENGTH]) },
    { name: 'a folded header', text: requestText(POST, ['Host: a', ' b', LENGTH]) },
    { name: 'a NUL in a header', text: requestText(POST, ['Host: a', 'X: a\0b', LENGTH]) },
    { name: 'no HTTP', text: 'hello\r\n\r\n' },
    {
      name: 'a chunk size that is none',
      text: requestText(POST, ['Host: a', 'Transfer-Encoding: chunked'], 'zz\r\n{}\r\n0\r\n\r\n'),
    },
  ])('refuses $name', async ({ text }) => {
    expect(await rig.raw(text)).toMatch(/^HTTP\/1\.1 400 /);
  });

  it('refuses another version of HTTP', async () => {
    expect(await rig.raw(requestText('POST /predict/sum HTTP/2.0', ['Host: a', LENGTH]))).toMatch(/^HTTP\/1\.1 (400|505) /);
  });

  it.each([
    {
      name: 'the form of proxies for the same host',
      text: requestText('POST http://a/predict/sum HTTP/1.1', ['Host: a', LENGTH]),
    },
    {
      name: 'chunks',
      text: requestText(POST, ['Host: a', 'Transfer-Encoding: chunked'], `${BODY.length.toString(16)}\r\n${BODY}\r\n0\r\n\r\n`),
    },
    { name: 'a query', text: requestText('POST /predict/sum?a=%00 HTTP/1.1', ['Host: a', LENGTH]) },
    { name: 'a header called __proto__', text: requestText(POST, ['Host: a', '__proto__: x', LENGTH]) },
  ])('takes $name', async ({ text }) => {
    expect(await rig.raw(text)).toMatch(/^HTTP\/1\.1 200 /);
    expect(Object.keys(Object.prototype)).toEqual([]);
  });
});

describe('limits', () => {
  const bodyOf = (length: number): string => BODY.padEnd(length, ' ');

  it.each([
    { length: LIMIT - 1, status: 200 },
    { length: LIMIT, status: 200 },
    { length: LIMIT + 1, status: 413 },
  ])('answers $status to a body of $length bytes, with a length or in chunks', async ({ length, status }) => {
    const body = bodyOf(length);
    expect(await rig.raw(requestText(POST, ['Host: a', `Content-Length: ${length}`], body))).toMatch(
      new RegExp(`^HTTP/1.1 ${status} `),
    );
    const chunked = requestText(
      POST,
      ['Host: a', 'Transfer-Encoding: chunked'],
      `${length.toString(16)}\r\n${body}\r\n0\r\n\r\n`,
    );
    expect(await rig.raw(chunked)).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
  });

  it('refuses a large body by its announced length, before it comes', async () => {
    const text = [POST, 'Host: a', 'Content-Type: application/json', 'Content-Length: 999999999', '', ''].join('\r\n');
    expect(await rig.raw(text)).toMatch(/^HTTP\/1\.1 413 [^]*x-understudy-error: request\.body_too_large/);
  });

  it('asks for the body only when it will read it', async () => {
    const expecting = (length: number): string =>
      [
        POST,
        'Host: a',
        'Content-Type: application/json',
        `Content-Length: ${length}`,
        'Expect: 100-continue',
        'Connection: close',
        '',
        '',
      ].join('\r\n');
    expect(await rig.raw(expecting(LIMIT + 1))).toMatch(/^HTTP\/1\.1 413 /);
    expect(await rig.raw(expecting(BODY.length) + BODY)).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 /);
  });

  it.each([
    { count: 100, status: 200 },
    { count: 101, status: 431 },
  ])('answers $status to $count headers', async ({ count, status }) => {
    const more = Array.from({ length: count - 4 }, (_, index) => `X-${index}: 1`);
    expect(await rig.raw(requestText(POST, ['Host: a', LENGTH, ...more]))).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
  });

  it.each([
    { name: 'headers of 17 kB', text: requestText(POST, ['Host: a', LENGTH, `X: ${'a'.repeat(17_000)}`]), status: 431 },
    {
      name: 'a URL of 9 kB',
      text: requestText(`POST /predict/sum?${'a'.repeat(9000)} HTTP/1.1`, ['Host: a', LENGTH]),
      status: 414,
    },
  ])('answers $status to $name', async ({ text, status }) => {
    expect(await rig.raw(text)).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
  });

  it('refuses what it has no room for, but not health checks', async () => {
    let finish = (): void => {};
    const gate = new Promise<void>((resolve) => {
      finish = resolve;
    });
    const run = async () => {
      await gate;
      return [{ name: 'prediction', dataType: 'FP64' as const, shape: [1], data: new Float64Array([1]) }];
    };
    await using full = await openRig({
      snapshot: snapshotOf(1, [modelOf()]),
      options: { maxInFlight: 2 },
      openRuntime: () => Promise.resolve(sumRuntime(0, run)),
    });
    const waiting = [full.post('/predict/sum', BODY), full.post('/predict/sum', BODY)];
    await until(() => full.gateway.stats().inFlight === 2, 'full');
    const refused = await full.post('/predict/sum', BODY);
    expect(refused).toMatchObject({ status: 503, json: { error: { code: 'request.overloaded' } } });
    expect(refused.headers['retry-after']).toBe('1');
    expect((await full.get('/readyz')).status).toBe(200);
    finish();
    expect((await Promise.all(waiting)).map(({ status }) => status)).toEqual([200, 200]);
    expect(full.gateway.stats()).toMatchObject({ inFlight: 0, overloaded: 1 });
  });

  it('keeps its place count right when clients go away with half of a body', async () => {
    for (let index = 0; index < 20; index++) {
      const socket = connect(rig.gateway.address.port, '127.0.0.1');
      socket.on('error', () => {});
      socket.write([POST, 'Host: a', 'Content-Type: application/json', 'Content-Length: 100', '', '{"a'].join('\r\n'));
      await until(() => rig.gateway.stats().inFlight === 1, 'let in');
      socket.resetAndDestroy();
      await until(() => rig.gateway.stats().inFlight === 0, 'let go');
    }
    expect(rig.gateway.stats().bugs).toBe(0);
  });
});

it('echoes a request id only when it is harmless', async () => {
  const echo = async (id: string): Promise<string | undefined> =>
    (await rig.post('/predict/sum', BODY, { 'x-request-id': id })).headers['x-request-id'];
  expect(await echo('abc-1')).toBe('abc-1');
  expect(await echo('a b')).toBeUndefined();
  expect(await echo('a'.repeat(129))).toBeUndefined();
});

it('shows no secret in what it answers or logs', async () => {
  const secret = createHash('sha256').update('canary').digest('base64url');
  const answer = await rig.post('/predict/sum', BODY, { authorization: `Bearer us_x_${secret}` });
  expect(answer.status).toBe(401);
  expect(answer.headers['www-authenticate']).toBe('Bearer');
  expect(answer.text + JSON.stringify(answer.headers) + JSON.stringify(rig.logged)).not.toContain(secret);
});
