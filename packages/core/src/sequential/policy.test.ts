import { describe, expect, it } from 'vitest';
import { EMPTY_TALLY } from '../evidence.ts';
import type { ConcurrentBlock } from '../evidence-pool.ts';
import type { Verdict } from '../policy.ts';
import { DEFAULT_GUARDS, DEFAULT_SEQUENTIAL, type GuardConfig, type SequentialConfig } from './config.ts';
import { sequential } from './policy.ts';
import { type Behaviour, judge, openingOf, play, type Played, type Stretch, trafficOf } from './test-traffic.ts';

const SEED = 1;

/** The default policy with other guards, or other numbers. */
function withGuards(guards: readonly GuardConfig[], changes: Partial<SequentialConfig> = {}): SequentialConfig {
  return { ...DEFAULT_SEQUENTIAL, guards, ...changes };
}

const errors = { metric: 'errors', ...DEFAULT_GUARDS.errors } as const;
const drift = { metric: 'drift', ...DEFAULT_GUARDS.drift } as const;
const score = { metric: 'score', name: 'accuracy', ...DEFAULT_GUARDS.score } as const;
const errorLimit = { metric: 'limit', of: 'errors', share: 0.1, weight: 1 } as const;
const latencyLimit = { metric: 'limit', of: 'latency', share: 0.05, aboveMs: 100, weight: 1 } as const;

/** Seconds until a verdict was first given; undefined when it never was. */
function secondsUntil({ verdicts }: Played, verdict: Verdict): number | undefined {
  const index = verdicts.indexOf(verdict);
  return index < 0 ? undefined : index + 1;
}

function guardOf(played: Played, name: string) {
  return judge(played).guards.find(({ guard }) => guard === name);
}

/** The same errors in every block, without any chance. */
function exactly(seconds: number, [champion, challenger]: readonly [number, number], fromMs = 0): readonly ConcurrentBlock[] {
  const arms = {
    champion: { ...EMPTY_TALLY, requests: 90, errors: champion },
    challenger: { ...EMPTY_TALLY, requests: 10, errors: challenger },
    shadow: EMPTY_TALLY,
  };
  return Array.from({ length: seconds }, (_, second) => ({ startMs: fromMs + second * 1000, step: 0, stratum: '', arms }));
}

describe('a challenger that does what its champion does', () => {
  it('is proven safe by every guard, and advances', () => {
    const { verdict, guards, reason } = judge(play(trafficOf(SEED, { seconds: 100, rate: 100 })));
    expect(verdict).toBe('healthy');
    expect(guards.map((reading) => [reading.guard, reading.verdict])).toEqual([
      ['errors', 'healthy'],
      ['latency.p50', 'healthy'],
      ['latency.p99', 'healthy'],
      ['drift', 'healthy'],
    ]);
    expect(reason).toMatch(/^every guard is proven safe after 1,009 requests to the challenger in this step$/);
  });

  it.each([1, 2, 3, 4])('is never rolled back, whatever chance brings (seed %i)', (seed) => {
    const twins: Behaviour = { errorRate: 0.04, medianMs: 150 };
    const played = play(
      trafficOf(seed, { seconds: 150, champion: twins, challenger: twins }),
      DEFAULT_SEQUENTIAL,
      openingOf(twins),
    );
    expect(secondsUntil(played, 'harmful')).toBeUndefined();
  });

  it('is proven safe by more evidence in the strictest step', () => {
    const blocks = trafficOf(SEED, { seconds: 100, rate: 100 });
    const { verdicts } = play(blocks);
    const first = play(blocks.slice(0, verdicts.indexOf('healthy') + 1));
    expect(judge(first).verdict).toBe('healthy');
    expect(judge(first, { isStrictest: true }).verdict).toBe('undecided');
  });

  it('is not yet proven safe by what a smaller share proved', () => {
    const first = trafficOf(SEED, { seconds: 100, rate: 100 });
    const second = trafficOf(SEED, { seconds: 5, rate: 100, step: 1, trafficPercent: 25, fromMs: 100_000 });
    const { verdicts } = play([...first, ...second]);
    expect(verdicts[99]).toBe('healthy');
    expect(verdicts[100]).toBe('undecided');
  });
});

describe('harm', () => {
  // Seconds at 20 requests a second, of which the challenger gets two.
  it.each([
    { name: 'fails each request', challenger: { errorRate: 1 }, within: 5, guard: 'errors' },
    { name: 'fails 20 % instead of 1 %', challenger: { errorRate: 0.2 }, within: 30, guard: 'errors' },
    { name: 'fails 5 % instead of 1 %', challenger: { errorRate: 0.05 }, within: 240, guard: 'errors' },
    { name: 'takes twice as long', challenger: { medianMs: 40 }, within: 60, guard: 'latency.p50' },
    { name: 'takes 1.5 times as long', challenger: { medianMs: 30 }, within: 180, guard: 'latency.p50' },
    { name: 'predicts a deviation too much', challenger: { shift: 1 }, within: 50, guard: 'drift' },
    { name: 'predicts half a deviation too little', challenger: { shift: -0.5 }, within: 180, guard: 'drift' },
  ])('is found within $within s in a challenger that $name', ({ challenger, within, guard }) => {
    const played = play(trafficOf(SEED, { seconds: within, challenger }));
    expect(judge(played).verdict).toBe('harmful');
    expect(guardOf(played, guard)?.verdict).toBe('harmful');
    expect(played.verdicts).not.toContain('healthy');
  });

  it.each([
    { better: 'higher', champion: 0.9, challenger: 0.7, verdict: 'harmful' },
    { better: 'higher', champion: 0.7, challenger: 0.9, verdict: 'healthy' },
    { better: 'lower', champion: 0.1, challenger: 0.3, verdict: 'harmful' },
    { better: 'lower', champion: 0.3, challenger: 0.1, verdict: 'healthy' },
  ] as const)(
    'of a score of which $better is better: $champion against $challenger is $verdict',
    ({ better, champion, challenger, verdict }) => {
      const blocks = trafficOf(SEED, {
        seconds: 100,
        champion: { accuracy: champion },
        challenger: { accuracy: challenger },
        trafficPercent: 50,
        rate: 40,
      });
      const opening = { ...openingOf({ accuracy: champion }), percents: [50] };
      expect(judge(play(blocks, withGuards([{ ...score, better }]), opening)).verdict).toBe(verdict);
    },
  );

  it('that was proven stays proven, however well the challenger does afterwards', () => {
    const bad = exactly(5, [1, 5]);
    const good = exactly(400, [1, 0], 5000);
    const played = play([...bad, ...good], withGuards([errors]));
    expect(played.verdicts.slice(4).every((verdict) => verdict === 'harmful')).toBe(true);
    expect(guardOf(played, 'errors')?.progress?.harm).toBeLessThan(1);
  });

  it('outlives the step in which it was found', () => {
    const stretch: Stretch = { seconds: 10, challenger: { errorRate: 0.5 } };
    const later = trafficOf(SEED, { seconds: 30, step: 1, trafficPercent: 25, fromMs: 10_000 });
    expect(play([...trafficOf(SEED, stretch), ...later]).verdicts.at(-1)).toBe('harmful');
  });

  it.each([
    { weights: [0, 1], verdict: 'undecided' },
    { weights: [1, 0], verdict: 'harmful' },
  ])(
    'of a guard of weight 0 rolls nothing back and promotes nothing: $weights',
    ({ weights: [ofErrors = 0, ofDrift = 0], verdict }) => {
      const guards = [
        { ...errors, weight: ofErrors },
        { ...drift, weight: ofDrift },
      ];
      const played = play(trafficOf(SEED, { seconds: 120, challenger: { errorRate: 0.5 } }), withGuards(guards));
      expect(judge(played).verdict).toBe(verdict);
      expect(played.verdicts).not.toContain('healthy');
    },
  );

  it('of predictions is neither found nor excluded without bins', () => {
    const { bins: _, ...opening } = openingOf();
    const blocks = trafficOf(SEED, { seconds: 120, rate: 60, challenger: { shift: 3 } });
    const { verdicts, ...played } = play(blocks, withGuards([errors, drift]), opening);
    expect(verdicts).not.toContain('harmful');
    expect(verdicts).not.toContain('healthy');
    expect(guardOf({ verdicts, ...played }, 'drift')).toMatchObject({ verdict: 'no-data', progress: { harm: 0, safety: 0 } });
  });
});

describe('an absolute limit', () => {
  it.each([
    { name: 'the challenger alone is over it', champion: 0.01, challenger: 0.2, verdict: 'harmful' },
    { name: 'both are over it alike', champion: 0.2, challenger: 0.2, verdict: 'undecided' },
    { name: 'the challenger is worse, and within it', champion: 0.01, challenger: 0.04, verdict: 'healthy' },
    { name: 'the champion alone is over it', champion: 0.2, challenger: 0.04, verdict: 'healthy' },
    { name: 'both are over it, the challenger much more', champion: 0.15, challenger: 0.6, verdict: 'harmful' },
  ])('of errors when $name: $verdict', ({ champion, challenger, verdict }) => {
    const blocks = trafficOf(SEED, {
      seconds: 150,
      champion: { errorRate: champion },
      challenger: { errorRate: challenger },
      trafficPercent: 50,
      rate: 40,
    });
    const sick = { errorRate: 0.9, slowMs: 10_000, slowShare: 0.9 };
    const opening = { ...openingOf({ errorRate: champion }), percents: [50] };
    expect(judge(play(blocks, withGuards([errorLimit], { sick }), opening)).verdict).toBe(verdict);
  });

  it.each([
    { name: 'the challenger alone is over it', champion: 20, challenger: 80, verdict: 'harmful' },
    { name: 'both are over it alike', champion: 80, challenger: 80, verdict: 'undecided' },
    { name: 'the challenger is slower, and within it', champion: 20, challenger: 30, verdict: 'healthy' },
  ])('of latency when $name: $verdict', ({ champion, challenger, verdict }) => {
    const stretch = { seconds: 150, trafficPercent: 50, rate: 40 };
    const blocks = trafficOf(SEED, { ...stretch, champion: { medianMs: champion }, challenger: { medianMs: challenger } });
    const opening = { ...openingOf({ medianMs: champion }), percents: [50] };
    expect(judge(play(blocks, withGuards([latencyLimit]), opening)).verdict).toBe(verdict);
  });
});

describe('trouble that is not the challenger’s', () => {
  const outage: Behaviour = { errorRate: 0.4, medianMs: 2000 };

  it('blames nobody when it hits both arms, and stops everything until it is over', () => {
    const blocks = [
      ...trafficOf(SEED, { seconds: 30, rate: 100 }),
      ...trafficOf(SEED, { seconds: 40, rate: 100, fromMs: 30_000, champion: outage, challenger: outage }),
      ...trafficOf(SEED, { seconds: 350, rate: 100, fromMs: 70_000 }),
    ];
    const { verdicts } = play(blocks);
    expect(verdicts).not.toContain('harmful');
    expect(verdicts[40]).toBe('champion-sick');
    expect(verdicts[69]).toBe('champion-sick');
    expect(verdicts.indexOf('undecided', 70)).toBeLessThan(90);
    // Proof of safety lost much in the outage; with fresh money after five minutes it comes soon.
    expect(verdicts.slice(70)).toContain('healthy');
  });

  it.each([
    { name: 'fails', champion: { errorRate: 0.3 }, reason: 'more than 5 % of its requests fail' },
    { name: 'is slow', champion: { medianMs: 700 }, reason: 'more than 5 % of its answers take over 500 ms' },
  ])('lets no challenger advance while the champion $name', ({ champion, reason }) => {
    const played = play(trafficOf(SEED, { seconds: 120, rate: 60, champion }), DEFAULT_SEQUENTIAL, openingOf(champion));
    expect(played.verdicts.slice(20).every((verdict) => verdict === 'champion-sick')).toBe(true);
    expect(judge(played).reason).toContain(reason);
  });

  it('does not excuse harm that the champion does not share', () => {
    const blocks = trafficOf(SEED, { seconds: 60, champion: { errorRate: 0.15 }, challenger: { errorRate: 0.9 } });
    expect(play(blocks).verdicts.at(-1)).toBe('harmful');
  });

  it('tells a split that is not as planned from everything else', () => {
    const played = play(trafficOf(SEED, { seconds: 60, rate: 60, trafficPercent: 25 }));
    expect(judge(played)).toMatchObject({
      verdict: 'invalid',
      reason: expect.stringMatching(/^the challenger got 2\d(\.\d)? % of the requests in this step where 10 % was planned, so /),
    });
  });

  it.each([
    { name: 'a little off', trafficPercent: 11 },
    { name: 'as planned', trafficPercent: 10 },
  ])('trusts a split that is $name', ({ trafficPercent }) => {
    expect(play(trafficOf(SEED, { seconds: 60, rate: 100, trafficPercent })).verdicts).not.toContain('invalid');
  });

  it('is not looked for in the split of a step that sends everybody to the challenger', () => {
    expect(play(trafficOf(SEED, { seconds: 5, step: 4, trafficPercent: 100 })).verdicts).not.toContain('invalid');
  });
});

describe('too little evidence', () => {
  const healthy = play(trafficOf(SEED, { seconds: 100, rate: 100 }));

  it('is not enough below the minimum sample of the step', () => {
    const { requests } = healthy.question.seen.challenger;
    const reasonOf = (minSamples: number) => judge(healthy, { minSamples });
    expect(reasonOf(requests)).toMatchObject({ verdict: 'healthy' });
    expect(reasonOf(requests + 1)).toMatchObject({
      verdict: 'undecided',
      reason: `${requests.toLocaleString('en-US')} of ${(requests + 1).toLocaleString('en-US')} requests that this step asks for`,
    });
  });

  it('is not enough for a step of which no block is closed yet', () => {
    expect(judge(healthy, { step: 1, trafficPercent: 25 }).verdict).toBe('undecided');
  });

  it.each([
    { name: 'the challenger', silent: 'challenger' },
    { name: 'the champion', silent: 'champion' },
  ] as const)('is waited for when $name falls silent', ({ silent }) => {
    const alone = trafficOf(SEED, { seconds: 150, fromMs: 60_000 }).map((block) => ({
      ...block,
      arms: { ...block.arms, [silent]: EMPTY_TALLY },
    }));
    const config = { ...DEFAULT_SEQUENTIAL, splitTolerance: 10 };
    const played = play([...trafficOf(SEED, { seconds: 60 }), ...alone], config);
    expect(played.verdicts[175]).toBe('undecided');
    expect(judge(played)).toMatchObject({
      verdict: 'no-data',
      reason: `the ${silent} was not heard of for 2m 31s; the rollout holds until it is`,
    });
  });

  it('counts silence from the begin of the step, as there was nobody to hear of before', () => {
    const early = { ...healthy.question, atMs: 10_000_000 };
    const at = (sinceMs: number) => sequential.verdict(healthy.config, healthy.state, { ...early, sinceMs });
    expect(at(10_000_000 - 121_000)).toBe('no-data');
    expect(at(10_000_000 - 119_000)).toBe('healthy');
  });
});
