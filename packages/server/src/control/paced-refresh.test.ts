import { expect, it } from 'vitest';
import { openManualTime } from '../gateway/gateway-rig.contract.ts';
import { openPacedRefresh } from './paced-refresh.ts';

async function settled(): Promise<void> {
  for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

it('takes the first change in at once and those that follow together, and misses none', async () => {
  const time = openManualTime();
  let runs = 0;
  const paced = openPacedRefresh({
    clock: time,
    timers: time,
    refresh: () => {
      runs += 1;
      time.advance(20);
      return Promise.resolve();
    },
  });
  paced.soon();
  expect(runs).toBe(1);
  for (let change = 0; change < 100; change += 1) paced.soon();
  await settled();
  expect(runs).toBe(1);
  time.advance(59);
  await settled();
  expect(runs).toBe(1);
  time.advance(1);
  await settled();
  expect(runs).toBe(2);
  time.advance(10_000);
  await settled();
  expect(runs).toBe(2);
  paced.soon();
  await settled();
  expect(runs).toBe(3);
});

it.each([
  { name: 'never rests for longer than news may wait', isClosed: false, expected: 2 },
  { name: 'does nothing more once it is closed', isClosed: true, expected: 1 },
])('$name', async ({ isClosed, expected }) => {
  const time = openManualTime();
  let runs = 0;
  const paced = openPacedRefresh({
    clock: time,
    timers: time,
    refresh: () => {
      runs += 1;
      if (runs === 1) time.advance(5000);
      return Promise.resolve();
    },
  });
  paced.soon();
  await settled();
  paced.soon();
  if (isClosed) paced.close();
  time.advance(200);
  await settled();
  expect(runs).toBe(expected);
});
