import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createModel } from '../commands/models.ts';
import type { KnownRequest } from './feedback.ts';
import { openTestControl, type TestControl, testIdOf } from './test-control.ts';

const MINUTE_MS = 60_000;

let control: TestControl;
beforeEach(async () => {
  control = await openTestControl();
  await createModel(control.context, { actor: 'setup' }, { name: 'fraud', labelsDueMs: 10 * MINUTE_MS });
});
afterEach(async () => {
  await control[Symbol.asyncDispose]();
});

const idOf = (extra: Partial<KnownRequest> = {}) =>
  testIdOf({ environment: 'production', model: 'fraud', version: 'v1', arm: 'champion', atMs: control.clock.nowMs(), ...extra });

async function give(feedback: readonly object[], scope: 'feedback' | 'predict' = 'feedback') {
  const headers = { authorization: `Bearer ${control.tokenFor(scope)}` };
  const answer = await control.api.inject({ method: 'POST', url: '/api/v1/feedback', headers, payload: { feedback } });
  return { status: answer.statusCode, body: answer.json() };
}

async function look(query = '') {
  const headers = { authorization: `Bearer ${control.tokenFor('read')}` };
  const answer = await control.api.inject({ url: `/api/v1/models/fraud/feedback${query}`, headers });
  return { status: answer.statusCode, body: answer.json() };
}

describe('giving feedback', () => {
  it.each<readonly [string, object, number]>([
    ['correct', { correct: true }, 1],
    ['incorrect', { correct: false }, 0],
    ['a label that was predicted', { label: 'fraud', predicted: 'fraud' }, 1],
    ['another label', { label: 3, predicted: 4 }, 0],
    ['a label of another type', { label: '3', predicted: 3 }, 0],
    ['a correction', { correction: 'dog' }, 0],
    ['a correction to what was predicted', { correction: 'cat', predicted: 'cat' }, 1],
  ])('%s is an accuracy of %d', async (_name, said, mean) => {
    expect(await give([{ requestId: idOf(), ...said }])).toEqual({ status: 200, body: { accepted: 1, late: 0, ignored: [] } });
    expect((await look()).body.scores).toEqual([
      { name: 'accuracy', version: 'v1', arm: 'champion', requests: 1, mean, judged: 0 },
    ]);
  });

  it.each<readonly [string, object, string]>([
    ['nothing', {}, 'says nothing'],
    ['two ways at once', { correct: true, correction: 'x' }, 'say with one of'],
    ['a label alone', { label: 1 }, 'give predicted with label'],
    ['accuracy twice', { correct: true, scores: { accuracy: 1 } }, 'do not give both'],
    ['a score beyond 1', { scores: { rating: 1.5 } }, 'rating'],
    ['an unknown field', { correct: true, comment: 'x' }, 'comment'],
  ])('%s is refused with what to do', async (_name, said, words) => {
    const { status, body } = await give([{ requestId: idOf(), ...said }]);
    expect(status).toBe(400);
    expect(JSON.stringify(body)).toContain(words);
  });

  it('takes the last word on each request, whatever is sent again', async () => {
    const requestId = idOf();
    await give([{ requestId, correct: false, scores: { rating: 0.2 } }]);
    control.clock.pass(1000);
    await give([
      { requestId, correct: true },
      { requestId: idOf(), correct: true },
    ]);
    await give([{ requestId, correct: false, atMs: control.clock.nowMs() - 500 }]);
    const { scores, lag } = (await look()).body;
    expect(scores).toContainEqual({ name: 'accuracy', version: 'v1', arm: 'champion', requests: 2, mean: 1, judged: 0 });
    expect(scores).toContainEqual({ name: 'rating', version: 'v1', arm: 'champion', requests: 1, mean: 0.2, judged: 0 });
    expect(lag).toEqual({ p50Ms: 1000, p90Ms: 3000, p99Ms: 3000 });
  });

  it('leaves out ids that are not ours, of another environment, or of no model, and takes the rest', async () => {
    const { body } = await give([
      { requestId: 'u2.forged', correct: true },
      { requestId: idOf({ environment: 'staging' }), correct: true },
      { requestId: idOf({ model: 'gone' }), correct: true },
      { requestId: idOf(), correct: true },
    ]);
    expect(body).toMatchObject({ accepted: 1, ignored: [{ index: 0 }, { index: 1 }, { index: 2 }] });
    const reasons = body.ignored.map(({ reason }: { reason: string }) => reason);
    expect(reasons[0]).toContain('not given by a gateway of this installation');
    expect(reasons[1]).toContain('"staging"');
    expect(reasons[2]).toContain('"gone"');
  });

  it('keeps what comes after the request was judged, and says that it is late', async () => {
    const requestId = idOf();
    control.clock.pass(12 * MINUTE_MS);
    expect((await give([{ requestId, correct: true }])).body).toEqual({ accepted: 1, late: 1, ignored: [] });
    const { body } = await look();
    expect(body).toMatchObject({ labelsDueMs: 10 * MINUTE_MS, scores: [{ requests: 1, judged: 1 }] });
    expect(body.judgedUntilMs).toBeLessThanOrEqual(control.clock.nowMs() - 10 * MINUTE_MS);
  });

  it('needs a token that may give feedback', async () => {
    expect((await give([{ requestId: idOf(), correct: true }], 'predict')).status).toBe(403);
  });
});
