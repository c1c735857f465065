import { expect, it } from 'vitest';
import { pruneBoundsAt } from './housekeeping.ts';

const DAY_MS = 86_400_000;

it('forgets nothing that was said of a request before it could be judged, however late that is', () => {
  const nowMs = 200 * DAY_MS;
  const bounds = pruneBoundsAt(nowMs, { evidenceDays: 14, longestDueMs: 90 * DAY_MS });
  expect(bounds).toEqual({ evidenceMs: 186 * DAY_MS, feedbackMs: 96 * DAY_MS, idempotencyMs: 199 * DAY_MS });
  expect(bounds.feedbackMs + 90 * DAY_MS).toBeLessThanOrEqual(bounds.evidenceMs);
});
