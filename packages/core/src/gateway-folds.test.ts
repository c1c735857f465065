import { describe, expect, it } from 'vitest';
import type { Tally } from './evidence.ts';
import { GRACE_MS } from './evidence-pool.ts';
import { GONE_MS } from './gateway-folds.ts';
import type { PolicyConfig } from './plan.ts';
import { openRolloutLedger } from './rollout-ledger.ts';
import type { Behaviour } from './sequential/test-traffic.ts';
import { FLEET_START_MS, type FleetEnd, type FleetGateway, fleetPlan, fleetRollout, type Lie, playFleet } from './test-fleet.ts';
import { DEFAULT_THRESHOLDS } from './thresholds.ts';

function times({ latency, bins, predictions, ...tally }: Tally, factor: number): Tally {
  return {
    ...tally,
    requests: tally.requests * factor,
    errors: tally.errors * factor,
    latency: latency.map(([bucket, count]) => [bucket, count * factor] as const),
    bins: Object.fromEntries(Object.entries(bins).map(([name, counts]) => [name, counts.map((count) => count * factor)])),
    predictions: {
      count: predictions.count * factor,
      sum: predictions.sum * factor,
      sumSquares: predictions.sumSquares * factor,
    },
  };
}

const inBucket = (tally: Tally, bucket: number): Tally => ({
  ...tally,
  latency: tally.requests === 0 ? [] : [[bucket, tally.requests]],
});
const ofChallenger =
  (change: (tally: Tally) => Tally): Lie =>
  (truth) => ({ ...truth, challenger: change(truth.challenger) });

const LIES: Readonly<Record<string, Lie>> = {
  'claims that the challenger never fails': ofChallenger((tally) => ({ ...tally, errors: 0 })),
  'claims that the challenger always fails': ofChallenger((tally) => ({ ...tally, errors: tally.requests })),
  'counts its challenger twice': ofChallenger((tally) => times(tally, 2)),
  'hides what fails on its champion': (truth) => ({ ...truth, champion: { ...truth.champion, errors: 0 } }),
  'replays its first seconds under new sequences': (truth, past) => past[past.length % 3] ?? truth,
  'says that nothing takes any time': ({ champion, challenger }) => ({
    champion: inBucket(champion, 0),
    challenger: inBucket(challenger, 0),
  }),
  'says that the challenger takes minutes': ofChallenger((tally) => inBucket(tally, 800)),
  'says that the challenger takes no time': ofChallenger((tally) => inBucket(tally, 0)),
  'brings a thousand times as much, and all is well': ({ champion, challenger }) => ({
    champion: { ...times(champion, 1000), errors: 0 },
    challenger: { ...times(challenger, 1000), errors: 0 },
  }),
  'brings a thousand times as much, and all fails': ({ champion, challenger }) => ({
    champion: times(champion, 1000),
    challenger: { ...times(challenger, 1000), errors: challenger.requests * 1000 },
  }),
};

const TRUTHS: Readonly<Record<string, Behaviour>> = {
  'is as good as its champion': {},
  'fails fifteen times as often': { errorRate: 0.15 },
  'is nearly twice as slow': { medianMs: 36 },
};

// Wide enough for noise: what is looked at again and again must not fall for it in the time that a liar holds it up.
const STEADY: PolicyConfig = { kind: 'thresholds', ...DEFAULT_THRESHOLDS, minSamples: 500, window: 2000, p99Ratio: 2 };

const POLICIES: Readonly<Record<string, PolicyConfig | undefined>> = { sequential: undefined, thresholds: STEADY };

function fiveAnd(challenger: Behaviour, others: readonly FleetGateway[] = []): readonly FleetGateway[] {
  const honest = [1, 2, 3, 4, 5].map((number) => ({ name: `gw-${number}`, rate: 150, challenger }));
  return [...honest, ...others];
}

const seeds = (count: number): readonly number[] => Array.from({ length: count }, (_, seed) => seed);

const optional = (policy: PolicyConfig | undefined): { readonly policy?: PolicyConfig } =>
  policy === undefined ? {} : { policy };

describe.each(Object.entries(POLICIES))('with the policy %s, among five honest gateways', (_policy, config) => {
  describe.each(Object.entries(TRUTHS))('whose challenger %s', (_truth, challenger) => {
    const honest = new Map<number, FleetEnd['end']>();
    const endOf = (seed: number): FleetEnd['end'] => {
      const known = honest.get(seed) ?? playFleet({ seed, gateways: fiveAnd(challenger), seconds: 80, ...optional(config) }).end;
      honest.set(seed, known);
      return known;
    };

    it.each(Object.entries(LIES))('one that %s cannot move the decision, only hold it', (_lie, lie) => {
      for (const seed of seeds(2)) {
        const gateways = fiveAnd(challenger, [{ name: 'liar', rate: 150, challenger, lie }]);
        const { end, judgement } = playFleet({ seed, gateways, seconds: 80, ...optional(config) });
        expect([endOf(seed), 'held']).toContain(end);
        for (const note of judgement.notes ?? []) expect(note).not.toMatch(/"gw-\d" is unlike/);
      }
    });
  });
});

describe('a liar whose reports carry no name', () => {
  it.each([
    { lie: 'claims that the challenger always fails', truth: 'is as good as its champion' },
    { lie: 'says that the challenger takes minutes', truth: 'is as good as its champion' },
  ])('that $lie does move the decision: this is what the names are for', ({ lie, truth }) => {
    const challenger = TRUTHS[truth] ?? {};
    const liar: FleetGateway = { name: 'liar', rate: 150, challenger, ...(LIES[lie] === undefined ? {} : { lie: LIES[lie] }) };
    for (const seed of seeds(3)) {
      expect(playFleet({ seed, gateways: fiveAnd(challenger), seconds: 80 }).end).toBe('promoted');
      const play = { seed, gateways: fiveAnd(challenger, [liar]), seconds: 80 };
      expect(playFleet({ ...play, isNamed: false }).end).toBe('rolled-back');
      expect(playFleet(play).end).toBe('held');
    }
  });
});

const alwaysFails: Lie = (truth) => ({ ...truth, challenger: { ...truth.challenger, errors: truth.challenger.requests } });

describe('a gateway that is set aside', () => {
  const liar: FleetGateway = { name: 'liar', rate: 150, lie: alwaysFails };

  it('is named with its counts, those of the others and what to do; the others are not rolled back for it', () => {
    const { end, judgement, reason } = playFleet({ seed: 1, gateways: fiveAnd({}, [liar]), seconds: 60 });
    expect(end).toBe('held');
    expect(judgement.verdict).toBe('invalid');
    expect(reason).toMatch(
      /^gateway "liar" is unlike the others and set aside: (\d+) of \1 requests to the challenger failed and \d+ of \d+ to the champion, of the other 5 gateways \d+ of \d+ requests to the challenger failed/,
    );
    expect(reason).toContain('`understudy token revoke`');
    expect(judgement.notes).toContain(reason);
  });

  it('does not keep the others from rolling back', () => {
    const onset = 30;
    // It becomes bad late, when the liar is known.
    const late: Lie = (truth, past) =>
      past.length < onset
        ? truth
        : { ...truth, challenger: { ...truth.challenger, errors: Math.ceil(truth.challenger.requests / 4) } };
    const honest = fiveAnd({}).map((gateway) => ({ ...gateway, lie: late }));
    const { end, seconds, reason } = playFleet({ seed: 1, gateways: [...honest, liar] });
    expect(end).toBe('rolled-back');
    expect(seconds).toBeGreaterThan(onset);
    expect(reason).toContain('the evidence of harm reached');
  });

  it('holds until it was not heard of for ten minutes; then the others go on', () => {
    const leavesAfter = 30;
    const gone: FleetGateway = { ...liar, isThere: (second) => second < leavesAfter };
    const { end, seconds } = playFleet({
      seed: 1,
      gateways: fiveAnd({}, [gone]).map((one) => ({ ...one, rate: 20 })),
      seconds: 900,
    });
    expect(end).toBe('promoted');
    expect(seconds).toBeGreaterThan(leavesAfter + GONE_MS / 1000);
  }, 60_000);

  it('holds until a person asks for a step, who goes by what the others say', () => {
    const asks: number[] = [];
    const { end } = playFleet({
      seed: 1,
      gateways: fiveAnd({}, [liar]),
      onJudged: ({ ifAsked, verdict }, second) => {
        if (ifAsked !== 'healthy') return false;
        expect(verdict).toBe('invalid');
        asks.push(second);
        return true;
      },
    });
    expect(end).toBe('promoted');
    // Once a step: nothing advances by itself in between.
    expect(asks).toHaveLength(2);
  });
});

describe('among two gateways', () => {
  it('nobody can tell who lies, so the decision is that of all together', () => {
    const gateways: readonly FleetGateway[] = [
      { name: 'a', rate: 150 },
      { name: 'liar', rate: 150, lie: alwaysFails },
    ];
    const [named, unnamed] = [true, false].map((isNamed) => playFleet({ seed: 1, gateways, isNamed }));
    expect(named?.end).toBe('rolled-back');
    expect(named?.judgement).toEqual(unnamed?.judgement);
  });
});

describe('two gateways that are both unlike the others', () => {
  const twice = LIES['counts its challenger twice'];
  const liars = ['liar-1', 'liar-2'].map((name) => ({ name, rate: 150, ...(twice === undefined ? {} : { lie: twice }) }));

  it('hold the rollout, with both named, whatever a person asks for: no policy has seen neither', () => {
    const { end, judgement } = playFleet({ seed: 1, gateways: fiveAnd({}, liars), seconds: 80, onJudged: () => true });
    expect(end).toBe('held');
    expect(judgement.verdict).toBe('invalid');
    expect(judgement.reason).toMatch(/"liar-1" is unlike.*"liar-2" is unlike/);
    expect(judgement.ifAsked).toBeUndefined();
  });
});

describe('a gateway with most of the traffic', () => {
  const gateways: readonly FleetGateway[] = [
    { name: 'main', rate: 300 },
    { name: 'a', rate: 10 },
    { name: 'b', rate: 10 },
  ];

  it('is noted, and waited with for the others, unless a person asks for a step', () => {
    const seen: string[] = [];
    const { end, judgement } = playFleet({
      seed: 1,
      gateways,
      seconds: 200,
      onJudged: ({ reason, ifAsked }) => {
        if (ifAsked === 'healthy') seen.push(reason);
        return false;
      },
    });
    expect(end).toBe('held');
    expect(judgement.notes?.[0]).toMatch(/^gateway "main" brings 9\d(\.\d)? % of the requests of this step/);
    expect(seen[0]).toMatch(/^every guard is proven safe only with what gateway "main" reported, and no gateway decides alone/);
    expect(playFleet({ seed: 1, gateways, seconds: 200, onJudged: ({ ifAsked }) => ifAsked === 'healthy' }).end).toBe('promoted');
  });

  it('decides as ever in a stratum of its own', () => {
    const apart = gateways.map((one) => (one.name === 'main' ? { ...one, stratum: 'main' } : one));
    expect(playFleet({ seed: 1, gateways: apart, seconds: 200 }).end).toBe('promoted');
  });
});

describe('the judgements of a rollout with a liar', () => {
  it('are the same again, bit for bit, from what was stored', () => {
    const judged: string[] = [];
    const gateways = fiveAnd({}, [{ name: 'liar', rate: 150, lie: alwaysFails }]);
    const { reports } = playFleet({
      seed: 3,
      gateways,
      seconds: 40,
      onJudged: (judgement) => {
        judged.push(JSON.stringify(judgement));
        return false;
      },
    });
    expect(judged.some((text) => text.includes('set aside'))).toBe(true);
    const rollout = fleetRollout(fleetPlan());
    const again = openRolloutLedger(rollout);
    let next = 0;
    const replayed = judged.map((_, second) => {
      const atMs = FLEET_START_MS + (second + 1) * 1000 + GRACE_MS;
      for (let stored = reports[next]; stored !== undefined && stored.seenAtMs <= atMs; stored = reports[next]) {
        again.settle(stored.seenAtMs);
        again.add(JSON.parse(JSON.stringify(stored)));
        next += 1;
      }
      // Half of them are judged twice, and some not at all: looking changes nothing.
      if (second % 2 === 0) again.judge(rollout, atMs);
      return JSON.stringify(again.judge(rollout, atMs));
    });
    expect(replayed).toEqual(judged);
  });
});
