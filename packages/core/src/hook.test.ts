import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Hook, type PendingDelivery, recordTry, retryDelayMs, type Try } from './hook.ts';

const HOUR_MS = 3_600_000;
const MESSAGE: PendingDelivery = { revision: 7, attempts: 0, firstAtMs: 1000, nextAtMs: 1000 };
const HOOK: Hook = {
  name: 'ops',
  url: 'https://ops.example/',
  format: 'understudy',
  events: ['rollout.promoted'],
  salt: 's',
  createdAtMs: 0,
  createdBy: 'token:ana',
  progress: { cursor: 7, pending: [MESSAGE], log: [], dead: [] },
};

function tried(result: Try['result']): Try {
  return {
    id: 'msg_1',
    event: 'rollout.promoted',
    result,
    tookMs: 3,
    ...(result === 'delivered' ? {} : { problem: 'it answered 500' }),
  };
}

it.each([
  { attempts: 1, lowest: 2500, highest: 5000 },
  { attempts: 2, lowest: 5000, highest: 10_000 },
  { attempts: 9, lowest: 640_000, highest: 1_280_000 },
  { attempts: 11, lowest: HOUR_MS / 2, highest: HOUR_MS },
  { attempts: 500, lowest: HOUR_MS / 2, highest: HOUR_MS },
])('waits $lowest to $highest ms after try $attempts', ({ attempts, lowest, highest }) => {
  expect([retryDelayMs(attempts, 0), retryDelayMs(attempts, 1)]).toEqual([lowest, highest]);
});

describe('a try', () => {
  it('that arrives leaves nothing to do', () => {
    const { progress } = recordTry(HOOK, MESSAGE, { atMs: 2000, random: 0.5, tried: tried('delivered') });
    expect(progress.pending).toEqual([]);
    expect(progress.log).toMatchObject([{ outcome: 'delivered', attempt: 1, revision: 7 }]);
  });

  it('that fails is tried again later', () => {
    const { progress } = recordTry(HOOK, MESSAGE, { atMs: 2000, random: 1, tried: tried('failed') });
    expect(progress.pending).toEqual([{ revision: 7, attempts: 1, firstAtMs: 1000, nextAtMs: 7000 }]);
    expect(progress.dead).toEqual([]);
  });

  it('that fails a day after the first is the last', () => {
    const { progress } = recordTry(HOOK, MESSAGE, { atMs: 1000 + 24 * HOUR_MS, random: 1, tried: tried('failed') });
    expect(progress.pending).toEqual([]);
    expect(progress.dead).toMatchObject([{ outcome: 'gave-up', problem: 'it answered 500' }]);
  });

  it('that finds nobody any more ends the hook', () => {
    const after = recordTry(HOOK, MESSAGE, { atMs: 2000, random: 1, tried: tried('gone') });
    expect(after.disabled).toEqual({ atMs: 2000, reason: 'it answered 500' });
    expect(after.progress.dead).toHaveLength(1);
  });

  it('is remembered, and so many are not', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom<Try['result']>('delivered', 'failed', 'gone'), { minLength: 1, maxLength: 80 }),
        (results) => {
          const last = results.reduce(
            (hook, result, index) => recordTry(hook, MESSAGE, { atMs: index, random: 0.3, tried: tried(result) }),
            HOOK,
          );
          expect(last.progress.log.length).toBe(Math.min(30, results.length));
          expect(last.progress.dead.length).toBeLessThanOrEqual(30);
          expect(last.progress.pending.length).toBeLessThanOrEqual(1);
        },
      ),
      { numRuns: 30 },
    );
  });
});
