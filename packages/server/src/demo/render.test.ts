import { DEFAULT_WATCH } from '@understudy/core/model';
import { PassThrough } from 'node:stream';
import { stripVTControlCharacters } from 'node:util';
import { readPlan } from '@understudy/contract/plan-file';
import type { DecisionView, RolloutView } from '@understudy/contract/views';
import { describe, expect, it } from 'vitest';
import { CLIMB } from './demo-plans.ts';
import { farewellLines } from './farewell.ts';
import { widthOf } from './lines.ts';
import { paletteOf } from './palette.ts';
import { decisionLines } from './render-decision.ts';
import { relapseLines, termLines } from './render-relapse.ts';
import { barOf, stepLines } from './render-step.ts';
import { summaryLines } from './render-summary.ts';
import { openScreen } from './screen.ts';
import { emptyMeasure } from './traffic-tracker.ts';

const COLUMNS = 80;
const bare = paletteOf(false);
const colored = paletteOf(true);

const VIEW: RolloutView = {
  rollout: {
    id: 'digits-1',
    model: 'digits',
    champion: 'v1',
    challenger: 'v2',
    plan: readPlan(CLIMB),
    salt: 's',
    startedAtMs: 0,
    startedBy: 'demo-operator',
    state: { phase: 'stepping', step: 1, sinceMs: 4000 },
  },
  challengerPercent: 25,
  now: { verdict: 'healthy', reason: 'every guard is within its limit', guards: [], atMs: 6000 },
  arms: [
    { arm: 'champion', version: 'v1', requests: 1_234_567, errors: 0, rescued: 0, p50Ms: 0.0214, p99Ms: 2.51 },
    { arm: 'challenger', version: 'v2', requests: 411_522, errors: 120, rescued: 118, p50Ms: 56.91, p99Ms: 1217.3 },
  ],
  warnings: [],
};
const MEASURE = {
  ...emptyMeasure(1),
  versions: {
    v1: { answers: 2000, users: 900, wrong: 100, wrongUsers: 90, distance: 300 },
    v2: { answers: 100, users: 90, wrong: 2, wrongUsers: 2, distance: 7 },
  },
};
const DECISION: DecisionView = {
  rollout: 'digits-1',
  window: 9,
  revision: 31,
  atMs: 6200,
  decision: {
    action: 'roll-back',
    verdict: 'harmful',
    reason: "p50 56.91 ms is 472.68× the champion's 0.12 ms and exceeds 1.2×; p99 216.69 ms is 64.92× the champion's 3.34 ms",
    guards: [
      {
        guard: 'latency.p50',
        verdict: 'harmful',
        champion: 0.12,
        challenger: 56.91,
        limit: 0.14,
        unit: 'ms',
        samples: 157,
        reason: '',
      },
      { guard: 'latency.p99', verdict: 'no-data', unit: 'ms', samples: 3, reason: '' },
      { guard: 'health.errors', verdict: 'healthy', challenger: 0.0125, limit: 0.05, unit: 'share', samples: 157, reason: '' },
      {
        guard: 'health.mean-drift',
        verdict: 'healthy',
        challenger: 0.0518,
        limit: 2,
        unit: 'standard deviations',
        samples: 157,
        reason: '',
      },
    ],
    next: { phase: 'rolled-back', step: 1, atMs: 6200, by: 'engine', reason: 'slow' },
  },
};

describe('a step', () => {
  it('shows planned and actual share, and both arms', () => {
    expect(stepLines({ view: VIEW, task: { kind: 'class' }, measure: MEASURE }, bare)).toEqual([
      '  █████░░░░░░░░░░░░░░░   planned 25 %, actual 25 %   step 2 of 5   healthy',
      '                    requests            errors      p50       p99  right answers so far',
      '    v1 champion    1,234,567                 0  0.02 ms   2.51 ms                95.0 %',
      '    v2 challenger    411,522  120, 118 rescued  56.9 ms  1,217 ms                98.0 %',
    ]);
  });

  it('shows what is unknown as a dash', () => {
    const lines = stepLines({ view: { ...VIEW, arms: [] }, task: { kind: 'class' }, measure: emptyMeasure(1) }, bare);
    expect(lines.join('\n')).toContain('planned 25 %, actual -');
    expect(lines.at(-1)).toMatch(/v2 challenger +0 +0 +- +- +-$/);
  });
});

describe('a bar', () => {
  it.each([
    { percent: 0, filled: 0 },
    { percent: 1, filled: 1 },
    { percent: 50, filled: 10 },
    { percent: 99.9, filled: 19 },
    { percent: 100, filled: 20 },
  ])('of $percent % has $filled of 20 blocks', ({ percent, filled }) => {
    expect(barOf(percent, bare)).toBe('█'.repeat(filled) + '░'.repeat(20 - filled));
  });
});

describe('a decision', () => {
  it('shows the reason, and each guard that has a value with what it is held against', () => {
    expect(decisionLines({ view: DECISION, startedAtMs: 0, columns: COLUMNS }, bare)).toEqual([
      "    6.2 s ▼  roll-back: p50 56.91 ms is 472.68× the champion's 0.12 ms and",
      "             exceeds 1.2×; p99 216.69 ms is 64.92× the champion's 3.34 ms",
      '             p50 56.9 vs 0.12 ms · errors 1.25 of 5 % · drift 0.05 of 2 sd',
    ]);
  });
});

const MODEL = {
  name: 'digits',
  createdAtMs: 0,
  champion: 'v2',
  terms: [
    { version: 'v2', fromMs: 0, untilMs: 61_000, began: 'promotion' },
    { version: 'v5', fromMs: 61_000, untilMs: 64_500, began: 'promotion' },
    { version: 'v2', fromMs: 64_500, began: 'rollback' },
  ],
  routing: { subject: [], rules: [], deadlineMs: 5000 },
  watch: { ...DEFAULT_WATCH, checkEveryMs: 500, cooldownMs: 2000 },
  lastRollback: {
    failed: 'v5',
    restored: 'v2',
    atMs: 64_500,
    by: 'engine',
    reason: 'error rate 30.74 % (154 of 501) exceeds 5.00 %',
  },
  rolloutCount: 3,
} as const;

describe('a relapse', () => {
  it('tells what happened since the first error, in order', () => {
    const measure = {
      ...emptyMeasure(1),
      errors: 209,
      errorUsers: 1,
      errorSpan: { firstMs: 63_200, lastMs: 64_540 },
      problems: { '500 model.run_failed': 209 },
    };
    expect(relapseLines({ model: MODEL, failed: 'v5', restored: 'v2', measure }, { palette: bare, columns: COLUMNS })).toEqual([
      '    0.0 s ✖  the first user gets an error (500 model.run_failed)',
      '    1.3 s ▼  roll-back: error rate 30.74 % (154 of 501) exceeds 5.00 %',
      '    1.3 s ▲  v5 is marked unhealthy, everybody is on v2',
      '    1.3 s ✔  the last user gets an error; in all 209 errors, 1 user',
    ]);
  });

  it('tells who was champion when', () => {
    expect(termLines(MODEL.terms, bare)).toEqual([
      'version  from          until           for  began with',
      'v2       00:00:00.000  00:01:01.000  1m 1s  promotion',
      'v5       00:01:01.000  00:01:04.500     4s  promotion',
      'v2       00:01:04.500  now                  rollback',
    ]);
  });
});

describe('the summary', () => {
  it('says for each story what had to happen, what did, and what was wrong', () => {
    const results = [
      { title: 'A better model climbs', must: 'v2 is promoted', happened: 'v2 promoted', problems: [] },
      { title: 'It fails later', must: 'v2 is restored', happened: 'v5 is champion', problems: ['v5 was not sent back'] },
    ];
    expect(summaryLines({ results, columns: COLUMNS }, bare)).toEqual([
      ' ✔ 1  A better model climbs',
      '       had to    v2 is promoted',
      '       happened  v2 promoted',
      ' ✖ 2  It fails later',
      '       had to    v2 is restored',
      '       happened  v5 is champion',
      '       wrong     v5 was not sent back',
    ]);
  });
});

describe('colours', () => {
  const pages = (palette: typeof bare) => [
    ...stepLines({ view: VIEW, task: { kind: 'class' }, measure: MEASURE }, palette),
    ...decisionLines({ view: DECISION, startedAtMs: 0, columns: COLUMNS }, palette),
    ...termLines(MODEL.terms, palette),
  ];

  it('change no column', () => {
    expect(pages(colored).map(stripVTControlCharacters)).toEqual(pages(bare));
  });

  it('are absent where they are not wanted', () => {
    expect(pages(bare).join('')).not.toContain('\u001B');
  });

  it('leave every line of a usual step within 80 columns', () => {
    const arms = VIEW.arms.map((arm) => ({ ...arm, requests: 12_345, errors: 120, rescued: 120, p50Ms: 14.3, p99Ms: 21.7 }));
    const usual = { ...VIEW, arms };
    for (const line of stepLines({ view: usual, task: { kind: 'class' }, measure: MEASURE }, colored)) {
      expect(widthOf(line)).toBeLessThanOrEqual(COLUMNS);
    }
  });
});

describe('the farewell', () => {
  it('gives commands that can be pasted as they are', () => {
    const text = farewellLines(
      {
        controlUrl: 'http://127.0.0.1:7070',
        gatewayUrl: 'http://127.0.0.1:7071',
        tokenFile: '/tmp/demo/operator-token',
        predictToken: 'secret',
        features: [0, 1.5],
      },
      bare,
    ).join('\n');
    expect(text).toContain('http://127.0.0.1:7070/docs');
    expect(text).toContain("curl -s http://127.0.0.1:7071/predict/digits -H 'authorization: Bearer secret' \\\n");
    expect(text).toContain(`-d '{"features":[0,1.5]}'`);
    expect(text).toContain('export UNDERSTUDY_URL=http://127.0.0.1:7070 UNDERSTUDY_TOKEN_FILE=/tmp/demo/operator-token');
  });
});

describe('the screen', () => {
  function screenOf(io: { readonly isTty: boolean; readonly isColored: boolean; readonly columns: number }) {
    const stdout = new PassThrough();
    const screen = openScreen({ ...io, stdout });
    return { screen, text: () => String(stdout.read() ?? '') };
  }

  it.each([
    { name: 'a pipe', isTty: false, isColored: true },
    { name: 'a terminal with NO_COLOR', isTty: true, isColored: false },
  ])('redraws nothing on $name', ({ isTty, isColored }) => {
    const { screen, text } = screenOf({ isTty, isColored, columns: 90 });
    screen.live(['waiting']);
    screen.print('one', 'two');
    expect(text()).toBe('one\ntwo\n');
  });

  it('replaces the live block on a terminal', () => {
    const { screen, text } = screenOf({ isTty: true, isColored: true, columns: 90 });
    screen.live(['waiting']);
    screen.print('done');
    const written = text();
    expect(written).toContain('waiting');
    expect(written).toContain('\u001B[2K');
    expect(written.endsWith('done\n')).toBe(true);
  });

  it.each([
    { columns: 40, expected: 80 },
    { columns: 90, expected: 90 },
    { columns: 200, expected: 100 },
  ])('sets text for $expected columns on a terminal of $columns', ({ columns, expected }) => {
    expect(screenOf({ isTty: false, isColored: false, columns }).screen.columns).toBe(expected);
  });
});
