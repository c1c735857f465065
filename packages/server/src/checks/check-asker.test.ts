import { type CheckConfig, DEFAULT_CHECK, type PrometheusCheck } from '@understudy/core/checks/config';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ownListeners, problemOfHookUrl } from '../control/upstream-address.ts';
import { openCheckAsker } from './check-asker.ts';
import { ANY_ADDRESS, json, openTestProvider, type TestProvider, vector } from './test-provider.ts';

const SUBJECT = { model: 'fraud', champion: 'v1', challenger: 'v2', rollout: 'fraud-3', step: 2 };
const SECRETS: Readonly<Record<string, string>> = {
  UNDERSTUDY_CHECK_TOKEN: 's3cret\n',
  UNDERSTUDY_CHECK_USER: 'ana:pass',
  UNDERSTUDY_CHECK_BROKEN: 'a\nb',
  UNDERSTUDY_CHECK_BOUND: 'bound',
  UNDERSTUDY_CHECK_BOUND_ORIGIN: 'https://prometheus.example',
};

let provider: TestProvider;
beforeEach(async () => {
  provider = await openTestProvider();
});
afterEach(async () => {
  await provider[Symbol.asyncDispose]();
});

function asker(timeoutMs?: number) {
  const readVariable = (name: string): string | undefined => SECRETS[name];
  return openCheckAsker({ addresses: ANY_ADDRESS, readVariable, ...(timeoutMs === undefined ? {} : { timeoutMs }) });
}

function queryCheck(changes: Partial<PrometheusCheck> = {}): CheckConfig {
  const source = { kind: 'prometheus', url: provider.url, query: 'x{v="{{challenger}}"}', failAbove: 1, ...changes } as const;
  return { name: 'slo', ...DEFAULT_CHECK, source };
}

function hookCheck(path = '/verdict'): CheckConfig {
  return { name: 'desk', ...DEFAULT_CHECK, source: { kind: 'webhook', url: `${provider.url}${path}` } };
}

const prometheus = (resultType: string, result: unknown, more: object = {}): TestProvider['answer'] =>
  json({ status: 'success', data: { resultType, result }, ...more });

describe('a query', () => {
  it.each([
    { name: 'a vector of one', answer: vector('0.25'), value: 0.25 },
    { name: 'a scalar', answer: prometheus('scalar', [1_700_000_000, '3']), value: 3 },
    { name: 'a number as Go writes it', answer: vector('1.5e-07'), value: 1.5e-7 },
    { name: 'a large number as Go writes it', answer: vector('1e+06'), value: 1e6 },
    { name: 'infinity', answer: vector('+Inf'), value: '+Inf' },
    { name: 'negative infinity', answer: vector('-Inf'), value: '-Inf' },
    { name: 'zero', answer: vector('0'), value: 0 },
  ])('takes $name', async ({ answer, value }) => {
    provider.answer = answer;
    expect(await asker().ask(queryCheck(), SUBJECT)).toEqual({ outcome: 'value', value });
  });

  it.each([
    { name: 'an empty vector', answer: vector(), reason: 'the query matches no series' },
    { name: 'NaN', answer: vector('NaN'), reason: 'the query gives NaN' },
  ])('has no data for $name: neither zero nor a failure', async ({ answer, reason }) => {
    provider.answer = answer;
    const answered = await asker().ask(queryCheck(), SUBJECT);
    expect(answered).toEqual({ outcome: 'no-data', reason: expect.stringContaining(reason) });
  });

  it.each([
    { name: 'several series', answer: vector('1', '2'), reason: 'the query gives 2 series; make it one, such as by sum(…)' },
    { name: 'a matrix', answer: prometheus('matrix', []), reason: 'a range of values' },
    { name: 'a text', answer: prometheus('string', [1, 'a']), reason: 'a text' },
    { name: 'a histogram', answer: prometheus('vector', [{ metric: {}, histogram: [1, {}] }]), reason: 'a histogram' },
    { name: 'what is no number', answer: vector('0x10'), reason: '"0x10" is not a number' },
    {
      name: 'a wrong query',
      answer: json({ status: 'error', errorType: 'bad_data', error: 'parse error' }, 400),
      reason: 'HTTP 400, bad_data: parse error',
    },
    {
      name: 'a part of the data',
      answer: prometheus('scalar', [1, '3'], { warnings: ['store-2 is away'] }),
      reason: 'a warning: store-2 is away',
    },
    {
      name: 'an error page',
      answer: ((response) => response.writeHead(502).end('<html>Bad\nGateway')) satisfies TestProvider['answer'],
      reason: 'HTTP 502',
    },
    {
      name: 'success with another status',
      answer: json({ status: 'success', data: { resultType: 'scalar', result: [1, '3'] } }, 203),
      reason: 'HTTP 203',
    },
    {
      name: 'a page instead of JSON',
      answer: ((response) => response.end('<html>sign in')) satisfies TestProvider['answer'],
      reason: 'not that of the query API',
    },
    {
      name: 'half of an answer',
      answer: ((response) => response.end('{"status":"success","data":{"resu')) satisfies TestProvider['answer'],
      reason: 'not that of the query API',
    },
    {
      name: 'JSON of something else',
      answer: json({ status: 'success', data: { resultType: 'vector', result: [{ value: [1, 2] }] } }),
      reason: 'not that of the query API',
    },
    {
      name: 'a redirect',
      answer: ((response) =>
        response.writeHead(307, { location: 'http://169.254.169.254/' }).end()) satisfies TestProvider['answer'],
      reason: 'redirects (HTTP 307), and redirects are not followed',
    },
    {
      name: 'too much',
      answer: ((response) => response.end('x'.repeat(1024 * 1024 + 1))) satisfies TestProvider['answer'],
      reason: 'larger than 1 MiB',
    },
    {
      name: 'a packed answer',
      answer: ((response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end('x')) satisfies TestProvider['answer'],
      reason: 'encoded as gzip',
    },
    {
      name: 'a broken connection',
      answer: ((response) => response.destroy()) satisfies TestProvider['answer'],
      reason: 'socket hang up',
    },
    {
      name: 'an answer that ends too early',
      answer: ((response) => {
        response.writeHead(200, { 'content-length': 100 }).write('{', () => response.destroy());
      }) satisfies TestProvider['answer'],
      reason: 'aborted',
    },
  ])('counts $name as an error of the provider', async ({ answer, reason }) => {
    provider.answer = answer;
    const answered = await asker().ask(queryCheck(), SUBJECT);
    expect(answered).toEqual({ outcome: 'error', reason: expect.stringContaining(reason) });
    expect(provider.received).toHaveLength(1);
  });

  it.each([
    { name: 'that never comes', answer: () => undefined },
    {
      name: 'that trickles',
      answer: ((response) => {
        response.writeHead(200).write('{');
      }) satisfies TestProvider['answer'],
    },
  ])('gives an answer up $name', async ({ answer }) => {
    provider.answer = answer;
    expect(await asker(50).ask(queryCheck(), SUBJECT)).toEqual({ outcome: 'error', reason: 'no answer within 0.05 s' });
  });

  it('counts a provider that is not there as an error', async () => {
    await provider[Symbol.asyncDispose]();
    const answered = await asker().ask(queryCheck(), SUBJECT);
    expect(answered).toEqual({ outcome: 'error', reason: expect.stringContaining('ECONNREFUSED') });
  });

  it('gives up what is under way when the process stops', async () => {
    const asking = asker();
    provider.answer = () => asking.stop();
    expect(await asking.ask(queryCheck(), SUBJECT)).toEqual({ outcome: 'error', reason: 'this process stopped meanwhile' });
  });

  it('is sent as a form, with its places filled in', async () => {
    provider.answer = vector('1');
    await asker().ask(queryCheck({ url: `${provider.url}/tenant/` }), SUBJECT);
    const [{ method, path, body, headers } = {}] = provider.received;
    expect({ method, path, query: new URLSearchParams(body).get('query') }).toEqual({
      method: 'POST',
      path: '/tenant/api/v1/query',
      query: 'x{v="v2"}',
    });
    expect(headers).not.toHaveProperty('authorization');
  });

  it('is compared with its baseline', async () => {
    const check = queryCheck({ baseline: 'x{v="{{champion}}"}', failAbove: { ratio: 1.5, plus: 0 } });
    provider.answer = (response, asked) => {
      vector(asked.body.includes('v1') ? '0.5' : '0.7')(response, asked);
    };
    expect(await asker().ask(check, SUBJECT)).toEqual({ outcome: 'value', value: 0.7, baseline: 0.5 });
    provider.answer = (response, asked) => {
      (asked.body.includes('v1') ? vector() : vector('0.7'))(response, asked);
    };
    expect(await asker().ask(check, SUBJECT)).toEqual({
      outcome: 'no-data',
      reason: 'of the baseline: the query matches no series',
    });
    provider.answer = (response, asked) => {
      (asked.body.includes('v1') ? vector('1') : json({}, 500))(response, asked);
    };
    expect(await asker().ask(check, SUBJECT)).toEqual({ outcome: 'error', reason: 'HTTP 500' });
  });
});

describe('a webhook', () => {
  it.each(['pass', 'fail', 'undecided'] as const)('says %s and why, in one line', async (verdict) => {
    provider.answer = json({ verdict, reason: 'two\nlines \u001b[31m', dashboard: 'https://d' });
    expect(await asker().ask(hookCheck('/verdict?team=fraud'), SUBJECT)).toEqual({
      outcome: 'verdict',
      verdict,
      reason: 'two lines [31m',
    });
    const [{ method, path, body } = {}] = provider.received;
    expect({ method, path, body: JSON.parse(body ?? '') }).toEqual({
      method: 'POST',
      path: '/verdict?team=fraud',
      body: { check: 'desk', ...SUBJECT },
    });
  });

  it('may leave the reason out, and is cut where it is long', async () => {
    provider.answer = json({ verdict: 'pass' });
    expect(await asker().ask(hookCheck(), SUBJECT)).toEqual({ outcome: 'verdict', verdict: 'pass', reason: '' });
    provider.answer = json({ verdict: 'fail', reason: '😀'.repeat(500) });
    const answered = await asker().ask(hookCheck(), SUBJECT);
    const reason = 'reason' in answered ? answered.reason : '';
    expect(reason).toHaveLength(300);
    expect(reason.isWellFormed()).toBe(true);
  });

  it.each([
    { name: 'another word', answer: json({ verdict: 'ok' }), reason: 'its answer is not {' },
    { name: 'no object', answer: json('pass'), reason: 'its answer is not {' },
    { name: 'a pass with an error status', answer: json({ verdict: 'pass' }, 500), reason: 'HTTP 500' },
    { name: 'a failure with an error status', answer: json({ verdict: 'fail' }, 404), reason: 'HTTP 404' },
    {
      name: 'no content',
      answer: ((response) => response.writeHead(204).end()) satisfies TestProvider['answer'],
      reason: 'HTTP 204',
    },
  ])('that says $name is an error of the provider', async ({ answer, reason }) => {
    provider.answer = answer;
    expect(await asker().ask(hookCheck(), SUBJECT)).toEqual({ outcome: 'error', reason: expect.stringContaining(reason) });
  });
});

describe('a secret', () => {
  it.each([
    { kind: 'bearer', variable: 'UNDERSTUDY_CHECK_TOKEN', header: 'Bearer s3cret' },
    { kind: 'basic', variable: 'UNDERSTUDY_CHECK_USER', header: `Basic ${btoa('ana:pass')}` },
  ] as const)('is sent as $kind', async ({ kind, variable, header }) => {
    provider.answer = vector('1');
    const check = queryCheck({ auth: { kind, variable } });
    expect(asker().refusalOf(check)).toBeUndefined();
    await asker().ask(check, SUBJECT);
    expect(provider.received[0]?.headers.authorization).toBe(header);
  });

  it.each([
    { kind: 'bearer', variable: 'UNDERSTUDY_CHECK_MISSING', problem: 'the server has no variable UNDERSTUDY_CHECK_MISSING' },
    { kind: 'bearer', variable: 'UNDERSTUDY_CHECK_BROKEN', problem: 'cannot be sent in a header' },
    { kind: 'basic', variable: 'UNDERSTUDY_CHECK_TOKEN', problem: 'does not hold user:password' },
    { kind: 'bearer', variable: 'UNDERSTUDY_CHECK_BOUND', problem: 'is only for https://prometheus.example' },
  ] as const)('that cannot be sent keeps the question from being asked: $problem', async ({ kind, variable, problem }) => {
    const check = queryCheck({ auth: { kind, variable } });
    expect(asker().refusalOf(check)).toContain(problem);
    expect(await asker().ask(check, SUBJECT)).toEqual({ outcome: 'error', reason: expect.stringContaining(problem) });
    expect(provider.received).toEqual([]);
  });
});

describe('an address', () => {
  const own = { ...ownListeners([7070]), ports: [7070] };
  const problemOf = (url: string): string | undefined => problemOfHookUrl(url, own);
  const hosts = [
    '169.254.169.254',
    '[fd00:ec2::254]',
    '[::ffff:169.254.169.254]',
    'metadata.google.internal',
    '0.0.0.0',
    '127.0.0.1:7070',
  ];

  it.each(hosts)('%s is refused, and not called', async (host) => {
    const asking = openCheckAsker({ addresses: { ...ANY_ADDRESS, problemOf }, readVariable: () => undefined });
    const check = queryCheck({ url: `http://${host}` });
    expect(asking.addressProblemOf(check)).toBeDefined();
    expect(asking.refusalOf(check)).toContain('may not call');
    expect(await asking.ask(check, SUBJECT)).toEqual({ outcome: 'error', reason: expect.stringContaining('may not be called') });
  });

  it('of a name is looked at again where it leads to', async () => {
    const addresses = { problemOf, resolve: async () => '169.254.169.254' };
    const asking = openCheckAsker({ addresses, readVariable: () => undefined });
    const check = queryCheck({ url: 'http://rebound.example' });
    expect(asking.addressProblemOf(check)).toBeUndefined();
    expect(await asking.ask(check, SUBJECT)).toEqual({ outcome: 'error', reason: expect.stringContaining('may not be called') });
  });
});
