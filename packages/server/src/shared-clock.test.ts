import { expect, it } from 'vitest';
import { openManualTime } from './gateway/gateway-rig.contract.ts';
import { openSharedClock } from './shared-clock.ts';

const HOUR_MS = 3_600_000;

/** A server whose clock is ahead, and that takes its time on the way there and back. */
function openServer(aheadMs: number, ways: readonly (readonly [there: number, back: number])[]) {
  const time = openManualTime(1_000_000);
  const server = { aheadMs, asked: 0, isDown: false };
  const serverMs = async (): Promise<number> => {
    if (server.isDown) throw new Error('gone');
    const [there, back] = ways[server.asked % ways.length] ?? [0, 0];
    server.asked += 1;
    time.advance(there);
    const nowMs = time.nowMs() + server.aheadMs;
    time.advance(back);
    return nowMs;
  };
  const failures: unknown[] = [];
  const open = () =>
    openSharedClock({ clock: time, server: { serverMs }, timers: time, onFailure: (error) => failures.push(error) });
  return { time, server, failures, open };
}

async function settled(): Promise<void> {
  for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

it.each([
  { name: 'an hour behind', aheadMs: HOUR_MS },
  { name: 'an hour ahead', aheadMs: -HOUR_MS },
  { name: 'right', aheadMs: 0 },
])('agrees with the server though its own clock is $name, by the quickest answer', async ({ aheadMs }) => {
  const { time, open } = openServer(aheadMs, [
    [500, 10],
    [4, 2],
    [10, 900],
  ]);
  const clock = await open();
  expect(Math.abs(clock.nowMs() - (time.nowMs() + aheadMs))).toBeLessThanOrEqual(3);
});

it('follows the server when it is set, and never goes back', async () => {
  const { time, server, open } = openServer(0, [[1, 1]]);
  const clock = await open();
  const before = clock.nowMs();
  server.aheadMs = -5000;
  time.advance(60_000);
  await settled();
  const after = clock.nowMs();
  expect(after).toBeGreaterThanOrEqual(before);
  time.advance(1000);
  expect(clock.nowMs()).toBeGreaterThanOrEqual(after);
  server.aheadMs = 20_000;
  time.advance(60_000);
  await settled();
  expect(Math.abs(clock.nowMs() - (time.nowMs() + 20_000))).toBeLessThanOrEqual(1);
});

it('goes on as it was while the server does not answer, says so, and asks again', async () => {
  const { time, server, failures, open } = openServer(HOUR_MS, [[1, 1]]);
  const clock = await open();
  server.isDown = true;
  time.advance(60_000);
  await settled();
  expect(failures).toHaveLength(1);
  expect(Math.abs(clock.nowMs() - (time.nowMs() + HOUR_MS))).toBeLessThanOrEqual(1);
  server.isDown = false;
  server.aheadMs = 0;
  time.advance(60_000);
  await settled();
  const asked = server.asked;
  clock.close();
  time.advance(600_000);
  await settled();
  expect([failures.length, server.asked]).toEqual([1, asked]);
});

it('is not opened without an answer', async () => {
  const { server, open } = openServer(0, [[1, 1]]);
  server.isDown = true;
  await expect(open()).rejects.toThrow('gone');
});
