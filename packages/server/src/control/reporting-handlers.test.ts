import { ObservationReceipt } from '@understudy/contract/observation-endpoints';
import { SdkView } from '@understudy/contract/sdk-endpoints';
import type { FastifyPluginCallback } from 'fastify';
import { z } from 'zod';
import { describe, expect, it } from 'vitest';
import { createModel, promoteVersion } from '../commands/models.ts';
import { HUMAN } from '../commands/test-world.ts';
import { openTestControl, type TestControl } from './test-control.ts';

const authorized = (control: TestControl, scope: 'feedback' | 'read' | 'operate' | 'admin') => ({
  authorization: `Bearer ${control.tokenFor(scope)}`,
});

describe('the API of services that decide by flag', () => {
  it('takes an external version and observations of it, up to 4 MiB', async () => {
    await using control = await openTestControl();
    await createModel(control.context, HUMAN, { name: 'rank' });
    const headers = authorized(control, 'operate');
    const url = '/api/v1/models/rank/versions';
    const answer = await control.api.inject({ method: 'POST', url, headers, payload: { version: 'v1', external: true } });
    expect(answer.json()).toMatchObject({ version: { source: { kind: 'external' } }, readiness: {} });
    await promoteVersion(control.context, HUMAN, { model: 'rank', version: 'v1', reason: 'first' });
    const observations = Array.from({ length: 10_000 }, () => ({
      model: 'rank',
      version: 'v1',
      latencyMs: 20,
      subject: 'a-subject-with-a-long-name',
      prediction: 'a class with a long name',
      scores: { 'a-score-with-a-long-name': 1 },
    }));
    const payload = { reporter: 'web-1', boot: 'b', sequence: 0, observations };
    expect(JSON.stringify(payload).length).toBeGreaterThan(1024 * 1024);
    const send = { method: 'POST', url: '/api/v1/observations', headers: authorized(control, 'feedback'), payload } as const;
    const stored = ObservationReceipt.parse((await control.api.inject(send)).json());
    expect(stored).toEqual({ outcome: 'stored', counted: 10_000, ignored: [] });
    expect(ObservationReceipt.parse((await control.api.inject(send)).json()).outcome).toBe('duplicate');
  });

  it('says which source a version lacks', async () => {
    await using control = await openTestControl();
    await createModel(control.context, HUMAN, { name: 'rank' });
    const request = { method: 'POST', url: '/api/v1/models/rank/versions', headers: authorized(control, 'operate') } as const;
    const none = await control.api.inject({ ...request, payload: { version: 'v1' } });
    expect(none.json()).toMatchObject({ error: { message: expect.stringContaining('none is given') as string } });
  });

  it('lists SDKs that were heard of', async () => {
    await using control = await openTestControl();
    control.sdks.sighted({ family: 'unleash', sdk: 'unleash-node-sdk:6.12.1', application: 'shop', isLocal: true });
    const answer = await control.api.inject({ url: '/api/v1/sdks', headers: authorized(control, 'read') });
    expect(z.array(SdkView).parse(answer.json())).toMatchObject([{ family: 'unleash', application: 'shop', warnings: [] }]);
  });

  it('creates a key in the form of a family, and lists it without the secret', async () => {
    await using control = await openTestControl();
    const headers = authorized(control, 'admin');
    const payload = { name: 'shop', scopes: ['flags'], sdk: 'launchdarkly' };
    const created = await control.api.inject({ method: 'POST', url: '/api/v1/tokens', headers, payload });
    const { secret } = z.object({ secret: z.string().startsWith('sdk-') }).parse(created.json());
    const listed = await control.api.inject({ url: '/api/v1/tokens', headers });
    expect(listed.body).not.toContain(secret);
    expect(listed.json()).toContainEqual(expect.objectContaining({ name: 'shop', sdk: 'launchdarkly' }));
  });

  it('serves flag protocols under their prefix, without our tokens and outside of its description', async () => {
    const plugin: FastifyPluginCallback = (app, _options, done) => {
      app.get('/api/features', async () => ({ features: [] }));
      done();
    };
    await using control = await openTestControl({}, [{ prefix: '/unleash', plugin }]);
    expect((await control.api.inject('/unleash/api/features')).json()).toEqual({ features: [] });
    expect((await control.api.inject('/unleash/api/nothing')).statusCode).toBe(404);
    expect((await control.api.inject('/openapi.json')).body).not.toContain('unleash/api');
  });
});
