import { COLD_MS, COLD_REQUESTS } from '@understudy/core/evidence';
import { expect, it } from 'vitest';
import { openColdStart } from './cold-start.ts';

const NOW_MS = 1_700_000_000_000;

it('is cold for the first calls', () => {
  const coldStart = openColdStart();
  const calls = Array.from({ length: COLD_REQUESTS + 5 }, () => coldStart.begin(NOW_MS));
  expect(calls.filter(Boolean)).toHaveLength(COLD_REQUESTS);
  expect(calls.indexOf(false)).toBe(COLD_REQUESTS);
});

it.each([
  { name: 'until a minute after the first call', afterMs: COLD_MS - 0.5, isCold: true },
  { name: 'no longer', afterMs: COLD_MS, isCold: false },
])('is cold $name', ({ afterMs, isCold }) => {
  const coldStart = openColdStart();
  coldStart.begin(NOW_MS);
  expect(coldStart.begin(NOW_MS + afterMs)).toBe(isCold);
});

it('waits for the first call, however long ago it was loaded', () => {
  expect(openColdStart().begin(NOW_MS + 10 * COLD_MS)).toBe(true);
});

it('does not count calls that never reached it', () => {
  const coldStart = openColdStart();
  for (let call = 0; call < 1000; call++) {
    expect(coldStart.begin(NOW_MS + call)).toBe(true);
    coldStart.takeBack();
  }
  expect(coldStart.begin(NOW_MS + COLD_MS)).toBe(true);
});

it('stays warm when a late call turns out not to have reached it', () => {
  const coldStart = openColdStart();
  for (let call = 0; call < 2; call++) coldStart.begin(NOW_MS);
  expect(coldStart.begin(NOW_MS + COLD_MS)).toBe(false);
  coldStart.takeBack();
  expect(coldStart.begin(NOW_MS + COLD_MS)).toBe(false);
});
