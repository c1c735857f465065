import { describe, expect, it } from 'vitest';
import { EXIT } from './exit-codes.ts';
import { displayWidth } from './terminal-text.ts';
import { openFixture, run } from './test-cli.ts';
import { NOW_MS } from './test-data.ts';

const begin = { atMs: NOW_MS - 700_000, action: 'begin', recorded: 'no-data', replayed: 'no-data', isSame: true };
const advance = { atMs: NOW_MS - 250_000, action: 'advance', recorded: 'healthy', replayed: 'healthy', isSame: true };
const SAME = { outcome: 'replayed', decisions: [begin, advance], isFaithful: true };
const DIVERGENCE = {
  atMs: NOW_MS - 400_000,
  recorded: 'hold',
  other: 'roll-back',
  verdict: 'harmful',
  reason: 'p50 latency: challenger 22.9 ms, champion 19.8 ms',
  challengerRequests: 1234,
};

describe('replay', () => {
  it.each([
    {
      name: 'is faithful',
      answer: SAME,
      code: EXIT.ok,
      says: 'All 2 decisions on digits-3 came out the same: every verdict, and every number of every guard.',
    },
    {
      name: 'has other numbers',
      answer: { ...SAME, isFaithful: false, decisions: [begin, { ...advance, isSame: false }] },
      code: EXIT.different,
      says: '1 decision of 2 on digits-3 came out otherwise, first at 2026-01-31 11:55:50Z',
    },
    {
      name: 'has no decision',
      answer: { ...SAME, decisions: [] },
      code: EXIT.ok,
      says: 'No decision has been made on digits-3 yet.',
    },
    {
      name: 'has no evidence any more',
      answer: { outcome: 'evidence-deleted', keptSinceMs: NOW_MS },
      code: EXIT.conflict,
      says: 'only what began after 2026-01-31 12:00:00Z is kept',
    },
    {
      name: 'is too long',
      answer: { outcome: 'too-much-evidence', mostBlocks: 100_000 },
      code: EXIT.conflict,
      says: 'more than 100,000 blocks of evidence',
    },
    {
      name: 'is compared with a plan that differs',
      answer: { ...SAME, otherPlan: 'strict', divergence: DIVERGENCE },
      code: EXIT.different,
      says: 'The plan "strict" would have decided otherwise first after 5m 20s and 1,234 requests to the challenger: roll-back instead of hold.',
    },
    {
      name: 'is compared with a plan that does not',
      answer: { ...SAME, otherPlan: 'careful' },
      code: EXIT.ok,
      says: 'The plan "careful" would have decided the same to the end.',
    },
  ])('of a rollout that $name ends with $code', async ({ answer, code, says }) => {
    await using fixture = await openFixture({ replayRollout: answer });
    const ran = await run(['replay', 'digits'], { url: fixture.url });
    expect(ran.code).toBe(code);
    expect(ran.stdout.replaceAll('\n', ' ')).toContain(says);
    const json = await run(['replay', 'digits', '--json'], { url: fixture.url });
    expect([json.code, JSON.parse(json.stdout)]).toEqual([code, answer]);
  });

  it('sends the other plan by name', async () => {
    await using fixture = await openFixture();
    await run(['replay', 'digits', '--plan', 'careful'], { url: fixture.url });
    expect(fixture.seen.at(-1)).toMatchObject({ endpoint: 'replayRollout', body: { plan: 'careful' } });
  });

  it.each([40, 80])('fits %d columns', async (columns) => {
    const answer = { ...SAME, isFaithful: false, decisions: [begin, { ...advance, replayed: 'champion-sick', isSame: false }] };
    await using fixture = await openFixture({ replayRollout: { ...answer, otherPlan: 'strict', divergence: DIVERGENCE } });
    const { stdout } = await run(['replay', 'digits'], { url: fixture.url, columns, isTty: true, env: { NO_COLOR: '1' } });
    expect(stdout.split('\n').filter((line) => displayWidth(line) > columns)).toEqual([]);
    await expect(stdout).toMatchFileSnapshot(`testdata/frames/replay-${columns}.txt`);
  });
});
