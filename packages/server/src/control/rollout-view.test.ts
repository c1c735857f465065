import { createClient, type Client } from '@understudy/contract/client';
import { tallyOfView } from '@understudy/contract/tally-view';
import { EMPTY_TALLY } from '@understudy/core/evidence';
import type { Model } from '@understudy/core/model';
import type { ModelVersion } from '@understudy/core/model-version';
import type { GuardReading } from '@understudy/core/policy';
import type { Rollout } from '@understudy/core/rollout';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { printableReadings } from './printable-readings.ts';
import { warningsOf } from './rollout-warnings.ts';
import { openTestControl, type TestControl } from './test-control.ts';

const READING: GuardReading = {
  guard: 'errors',
  verdict: 'undecided',
  champion: 0.01,
  challenger: 0.019,
  limit: 0.012,
  margin: 0.018,
  intervals: { champion: [0.008, 0.013], challenger: [0.012, 0.028] },
  progress: { harm: 0.4, safety: 0.7 },
  unit: 'share',
  samples: 3412,
  reason: 'failed requests',
};
const FORECAST = { verdictInMs: 90_000, sentence: 'at the present traffic about 1m 30s to a verdict' };

let control: TestControl;
let call: Client;
let reader: Client;

beforeEach(async () => {
  control = await openTestControl();
  const url = await control.api.listen({ host: '127.0.0.1', port: 0 });
  call = createClient({ url, token: control.tokenFor('admin') });
  reader = createClient({ url, token: control.tokenFor('read') });
  await call('createModel', { body: { name: 'fraud' } });
  for (const version of ['v1', 'v2']) {
    const upstream = { url: 'http://10.0.0.7:8080/', protocol: 'predict' } as const;
    await call('registerVersion', { params: { model: 'fraud' }, body: { version, upstream } });
  }
  await call('promoteVersion', { params: { model: 'fraud', version: 'v1' }, body: { reason: 'first' } });
});

afterEach(async () => {
  await control[Symbol.asyncDispose]();
});

async function start(): Promise<string> {
  return (await call('startRollout', { body: { model: 'fraud', challenger: 'v2' } })).rollout.id;
}

describe('a rollout', () => {
  it('shows all that its guards see, and the forecast', async () => {
    control.engineSays({ judgement: { verdict: 'undecided', reason: 'not yet', guards: [READING], forecast: FORECAST } });
    const rollout = await start();
    const { now } = await call('getRollout', { params: { rollout } });
    expect(now?.guards).toEqual([READING]);
    expect(now?.forecast).toEqual(FORECAST);
  });

  it('warns of gateways that make a difference to its verdict', async () => {
    const notes = ['gateway "gw-5" is unlike the others and set aside: 36 of 36 requests to the challenger failed'];
    control.engineSays({ judgement: { verdict: 'invalid', reason: notes[0] ?? '', guards: [READING], notes } });
    const rollout = await start();
    const view = await call('getRollout', { params: { rollout } });
    expect(view.warnings).toEqual(expect.arrayContaining(notes));
    expect(view.now?.verdict).toBe('invalid');
  });

  it('is replayed by whoever may read, also with another plan, which must exist', async () => {
    const params = { rollout: await start() };
    const replayed = { outcome: 'replayed', decisions: [], isFaithful: true };
    expect(await reader('replayRollout', { params, body: {} })).toEqual(replayed);
    const written = { name: 'mine', steps: [{ traffic: 10 }, { traffic: 100 }] };
    expect(await reader('replayRollout', { params, body: { plan: written } })).toEqual(replayed);
    await expect(reader('replayRollout', { params, body: { plan: 'none' } })).rejects.toMatchObject({ code: 'plan.not_found' });
    const { arms } = await reader('getRolloutEvidence', { params });
    expect(arms.map(({ tally, ...rest }) => ({ ...rest, tally: tallyOfView(tally) }))).toEqual([
      { arm: 'challenger', version: 'v2', step: 0, tally: EMPTY_TALLY },
    ]);
    await expect(reader('getRolloutEvidence', { params: { rollout: 'fraud-9' } })).rejects.toMatchObject({
      code: 'rollout.not_found',
    });
  });
});

describe('readings', () => {
  it('leave out what JSON cannot say, and keep the rest', () => {
    expect(printableReadings([READING])).toEqual([READING]);
    const { margin: _margin, intervals: _intervals, ...rest } = READING;
    const intervals = { champion: [0, 1], challenger: [0.1, Infinity] } as const;
    expect(printableReadings([{ ...READING, margin: Infinity, intervals }])).toEqual([rest]);
  });
});

describe('warnings', () => {
  const model = { name: 'fraud', champion: 'v1' } as Model;
  const versions = ['v1', 'v2'].map((version) => ({
    version,
    source: { kind: 'upstream', protocol: 'predict' },
  })) as ModelVersion[];
  const rolloutOf = (kind: string, remarks?: readonly string[]): Rollout =>
    ({ champion: 'v1', challenger: 'v2', plan: { policy: { kind } }, ...(remarks === undefined ? {} : { remarks }) }) as Rollout;

  it.each([
    { name: 'begin with what the start check found', kind: 'sequential', remarks: ['one', 'two'], expected: ['one', 'two'] },
    { name: 'leave the missing baseline to the start check of a sequential plan', kind: 'sequential', expected: [] },
    { name: 'name the missing baseline otherwise', kind: 'thresholds', expected: [expect.stringContaining('neither v1 nor v2')] },
  ])('$name', ({ kind, remarks, expected }) => {
    expect(warningsOf(rolloutOf(kind, remarks), model, versions)).toEqual(expected);
  });

  it('keep the remarks when a version is gone', () => {
    expect(warningsOf(rolloutOf('sequential', ['one']), model, [])).toEqual([
      'one',
      'a version of the rollout does not exist: champion v1, challenger v2',
    ]);
  });
});
