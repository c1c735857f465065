import { expect, it } from 'vitest';
import { type ManualTime, openManualTime } from '../gateway/gateway-rig.contract.ts';
import { openPacedRefresh, type PacedRefresh } from './paced-refresh.ts';

async function settled(): Promise<void> {
  for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

interface Counted extends PacedRefresh {
  readonly runs: () => number;
}

/** @param tookMs how long each refresh takes, the first is 1 */
function openCounted(time: ManualTime, tookMs: (run: number) => number): Counted {
  let runs = 0;
  const paced = openPacedRefresh({
    clock: time,
    timers: time,
    refresh: () => {
      runs += 1;
      time.advance(tookMs(runs));
      return Promise.resolve();
    },
  });
  return { ...paced, runs: () => runs };
}

it('takes the first change in at once and those that follow together, and misses none', async () => {
  const time = openManualTime();
  const paced = openCounted(time, () => 20);
  paced.soon();
  expect(paced.runs()).toBe(1);
  for (let change = 0; change < 100; change += 1) paced.soon();
  await settled();
  expect(paced.runs()).toBe(1);
  time.advance(59);
  await settled();
  expect(paced.runs()).toBe(1);
  time.advance(1);
  await settled();
  expect(paced.runs()).toBe(2);
  time.advance(10_000);
  await settled();
  expect(paced.runs()).toBe(2);
  paced.soon();
  await settled();
  expect(paced.runs()).toBe(3);
});

it.each([
  { name: 'never rests for longer than news may wait', isClosed: false, expected: 2 },
  { name: 'does nothing more once it is closed', isClosed: true, expected: 1 },
])('$name', async ({ isClosed, expected }) => {
  const time = openManualTime();
  const paced = openCounted(time, (run) => (run === 1 ? 5000 : 0));
  paced.soon();
  await settled();
  paced.soon();
  if (isClosed) paced.close();
  time.advance(200);
  await settled();
  expect(paced.runs()).toBe(expected);
});

it('does nothing more once it is closed, although something has changed while it was at work', async () => {
  const time = openManualTime();
  const paced = openCounted(time, () => 20);
  paced.soon();
  paced.soon();
  paced.close();
  await settled();
  time.advance(10_000);
  await settled();
  expect(paced.runs()).toBe(1);
});
