import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { getHook } from '../commands/hooks.ts';
import { openTestControl, type TestControl } from './test-control.ts';

let control: TestControl;
beforeEach(async () => {
  control = await openTestControl();
});
afterEach(async () => {
  await control[Symbol.asyncDispose]();
});

type Method = 'GET' | 'POST' | 'PUT' | 'DELETE';

type Scope = 'read' | 'operate' | 'admin';

/** A request with the token of a scope; admin unless told. */
async function call(line: `${Method} ${string}`, payload?: object, scope: Scope = 'admin') {
  const [method, path] = line.split(' ') as [Method, string];
  const headers = { authorization: `Bearer ${control.tokenFor(scope)}` };
  const answer = await control.api.inject({
    method,
    url: `/api/v1${path}`,
    headers,
    ...(payload === undefined ? {} : { payload }),
  });
  return { status: answer.statusCode, json: answer.json(), text: answer.body };
}

const HOOK = { name: 'ops', url: 'https://ops.example/services/T0/secret-path?key=hidden', events: ['rollout.promoted'] };

describe('webhooks', () => {
  it('show their secret once, and their address never', async () => {
    const { status, json } = await call('POST /hooks', HOOK);
    expect(status).toBe(200);
    expect(json.secret).toBe('whsec_ops');
    const { salt } = await getHook(control.context, 'ops');
    for (const path of ['/hooks', '/hooks/ops/deliveries', '/journal']) {
      const { text } = await call(`GET ${path}`, undefined, 'read');
      for (const hidden of ['whsec_', 'secret-path', 'hidden', salt]) expect(text).not.toContain(hidden);
    }
    expect((await call('GET /hooks', undefined, 'read')).json).toMatchObject([
      { name: 'ops', origin: 'https://ops.example', format: 'understudy', events: ['rollout.promoted'], pending: 0 },
    ]);
  });

  it.each([
    ['http://169.254.169.254/latest/meta-data', 'metadata'],
    ['http://[fe80::1]/', 'link-local'],
    ['http://0.0.0.0/', 'unspecified'],
    ['http://[::ffff:169.254.169.254]/', 'link-local'],
    ['http://2852039166/', 'link-local'],
    ['http://metadata.google.internal/', 'metadata'],
    ['http://127.0.0.1:7070/api/v1/line/stop', 'Understudy itself'],
    ['http://localhost:7071/', 'Understudy itself'],
    ['file:///etc/passwd', 'use http:// or https://'],
    ['gopher://ops.example/', 'use http:// or https://'],
    ['http://user:word@ops.example/', 'leave out the user name'],
    ['http://ops.example\\@169.254.169.254/', 'backslash'],
    ['http://ops.example/#part', 'leave out everything from the "#" on'],
    ['nonsense', 'not an address'],
  ])('do not go to %s', async (url, problem) => {
    const { status, json } = await call('POST /hooks', { ...HOOK, url });
    expect(status).toBe(400);
    expect(json.error).toMatchObject({ code: 'hook.forbidden_address', message: expect.stringContaining(problem) });
  });

  it('are for admins, and listed by who may read', async () => {
    await call('POST /hooks', HOOK);
    expect((await call('POST /hooks', { ...HOOK, name: 'two' }, 'operate')).status).toBe(403);
    expect((await call('POST /hooks/ops/test', undefined, 'operate')).status).toBe(403);
    expect((await call('POST /hooks/ops/test')).json).toEqual({ outcome: 'delivered', status: 204, tookMs: 3 });
    expect((await call('DELETE /hooks/ops?reason=moved', undefined, 'operate')).status).toBe(403);
    expect((await call('DELETE /hooks/ops?reason=moved')).json).toMatchObject({ outcome: 'done' });
    expect((await call('GET /hooks/ops/deliveries')).json.error.code).toBe('hook.not_found');
  });

  it('refuse names that are taken and events that do not exist', async () => {
    await call('POST /hooks', HOOK);
    expect((await call('POST /hooks', HOOK)).json.error.code).toBe('hook.already_exists');
    const { status, text } = await call('POST /hooks', { ...HOOK, name: 'two', events: ['rollout.exploded'] });
    expect(status).toBe(400);
    expect(text).toContain('use one of rollout.started');
  });
});

describe('freezes', () => {
  it('are answered as they were written, with whether they hold', async () => {
    const times = { days: ['sat', 'sun'], from: '16:00', to: '24:00', timezone: 'Europe/Berlin' };
    const { json } = await call('PUT /freezes/weekend', { times, reason: 'nobody is here' }, 'operate');
    // The clock of the test shows Saturday, 01:00 in Berlin.
    expect(json).toEqual({
      freezes: [
        {
          name: 'weekend',
          times,
          reason: 'nobody is here',
          setBy: 'token:only-operate',
          setAtMs: control.clock.nowMs(),
          isActive: false,
        },
      ],
    });
    control.clock.pass(15 * 3_600_000);
    expect((await call('GET /freezes', undefined, 'read')).json.freezes[0].isActive).toBe(true);
  });

  it.each([
    { name: 'a zone that does not exist', times: { days: ['sat'], timezone: 'Europe/Atlantis' } },
    { name: 'a time that does not exist', times: { days: ['sat'], from: '25:00' } },
    { name: 'an end before the beginning', times: { from: '2026-12-02T00:00:00Z', until: '2026-12-01T00:00:00Z' } },
    { name: 'a moment without a zone', times: { from: '2026-12-01T00:00:00', until: '2026-12-02T00:00:00Z' } },
    { name: 'no day', times: { days: [] } },
  ])('refuse $name', async ({ times }) => {
    expect((await call('PUT /freezes/x', { times, reason: 'r' })).json.error.code).toBe('request.invalid');
  });

  it('are deleted by name', async () => {
    await call('PUT /freezes/day', { times: { days: ['mon'] }, reason: 'r' });
    expect((await call('DELETE /freezes/night?reason=r')).json.error).toMatchObject({
      code: 'freeze.not_found',
      message: expect.stringContaining('there are day'),
    });
    expect((await call('DELETE /freezes/day?reason=r')).json).toMatchObject({ outcome: 'done' });
    expect((await call('GET /freezes')).json).toEqual({ freezes: [] });
  });

  it('include the line that somebody stopped: once', async () => {
    expect((await call('POST /line/stop', { reason: 'incident' }, 'operate')).json).toMatchObject({ outcome: 'done' });
    expect((await call('POST /line/stop', { reason: 'again' })).json).toMatchObject({ outcome: 'already-done' });
    expect((await call('GET /freezes')).json.stopped).toMatchObject({ by: 'token:only-operate', reason: 'incident' });
    expect((await call('POST /line/resume', { reason: 'over' }, 'read')).status).toBe(403);
    expect((await call('POST /line/resume', { reason: 'over' })).json).toMatchObject({ outcome: 'done' });
    expect((await call('POST /line/resume', { reason: 'over' })).json).toMatchObject({ outcome: 'already-done' });
  });
});
