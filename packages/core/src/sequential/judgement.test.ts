import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EMPTY_TALLY, type Tally } from '../evidence.ts';
import type { ConcurrentBlock } from '../evidence-pool.ts';
import type { Judgement, Opening, Question } from '../policy.ts';
import type { PredictionBins } from '../prediction-bins.ts';
import { DEFAULT_GUARDS, DEFAULT_SEQUENTIAL, type GuardConfig, type SequentialConfig } from './config.ts';
import { estimateOf } from './estimate.ts';
import { type Behaviour, BINS, judge, openingOf, play, type Played, questionOf, trafficOf } from './test-traffic.ts';

fc.configureGlobal({ seed: 1 });

const errors = { metric: 'errors', ...DEFAULT_GUARDS.errors } as const;
const slowest = { metric: 'latency', quantile: 0.99, ratio: 1.5, ...DEFAULT_GUARDS.latency } as const;
const drift = { metric: 'drift', ...DEFAULT_GUARDS.drift } as const;
const accuracy = { metric: 'score', name: 'accuracy', ...DEFAULT_GUARDS.score } as const;
const errorLimit = { metric: 'limit', of: 'errors', share: 0.1, ...DEFAULT_GUARDS.limit } as const;
const latencyLimit = { metric: 'limit', of: 'latency', share: 0.05, aboveMs: 100, ...DEFAULT_GUARDS.limit } as const;
const EVERY_GUARD: readonly GuardConfig[] = [...DEFAULT_SEQUENTIAL.guards, accuracy, errorLimit, latencyLimit];

/** Any split will do. */
const only = (...guards: readonly GuardConfig[]): SequentialConfig => ({ ...DEFAULT_SEQUENTIAL, guards, splitTolerance: 10 });

function sentencesOf({ reason, guards, forecast }: Judgement): readonly string[] {
  return [reason, ...guards.map((reading) => reading.reason), ...(forecast === undefined ? [] : [forecast.sentence])];
}

/** Ten blocks of the same counts; each arm by its number of requests and errors. */
function blocksOf(champion: Partial<Tally>, challenger: Partial<Tally>, count = 10): readonly ConcurrentBlock[] {
  const arms = { champion: { ...EMPTY_TALLY, ...champion }, challenger: { ...EMPTY_TALLY, ...challenger }, shadow: EMPTY_TALLY };
  return Array.from({ length: count }, (_, second) => ({ startMs: second * 1000, step: 0, stratum: '', arms }));
}

describe('any judgement', () => {
  const behaviour: fc.Arbitrary<Behaviour> = fc.record({
    errorRate: fc.constantFrom(0, 0.01, 0.2, 1),
    medianMs: fc.constantFrom(0.0001, 1, 20, 900, 1e7),
    shift: fc.constantFrom(-30, -0.3, 0, 1, 30),
    accuracy: fc.constantFrom(0, 0.3, 0.999, 1),
  });
  const played: fc.Arbitrary<Played> = fc
    .record({
      before: behaviour,
      champion: behaviour,
      challenger: behaviour,
      seed: fc.nat(1000),
      seconds: fc.constantFrom(0, 1, 12, 30),
      rate: fc.constantFrom(1, 12, 40),
      trafficPercent: fc.constantFrom(1, 10, 50, 100),
      weights: fc.constantFrom(0, 1),
      bins: fc.constantFrom<PredictionBins | undefined>(BINS, undefined, { kind: 'classes', classes: ['a'] }),
      silent: fc.constantFrom('champion', 'challenger', 'shadow'),
    })
    .map(({ before, seed, seconds, rate, trafficPercent, weights, bins, silent, champion, challenger }) => {
      const { bins: _, ...known } = openingOf(before);
      const opening: Opening = { ...known, percents: [trafficPercent], ...(bins === undefined ? {} : { bins }) };
      const guards = EVERY_GUARD.map((guard, index) => ({ ...guard, weight: index === 0 ? 1 : weights * guard.weight }));
      const blocks = trafficOf(seed, { seconds, rate, trafficPercent, champion, challenger });
      const heard = blocks.map((block) => ({ ...block, arms: { ...block.arms, [silent]: EMPTY_TALLY } }));
      return play(heard, only(...guards), opening);
    });
  const asked: fc.Arbitrary<Partial<Question>> = fc.record(
    { minSamples: fc.constantFrom(0, 50, 1_000_000), isStrictest: fc.boolean(), atMs: fc.constantFrom(0, 60_000, 400_000) },
    { requiredKeys: [] },
  );

  it('has numbers that can be stored and drawn', () => {
    fc.assert(
      fc.property(played, asked, (seen, question) => {
        const { guards, forecast } = judge(seen, question);
        for (const { champion, challenger, limit, margin, intervals, progress, samples } of guards) {
          const values = [champion, challenger, limit, margin, ...(intervals?.champion ?? []), ...(intervals?.challenger ?? [])];
          expect(values.filter((value) => value !== undefined).every(Number.isFinite)).toBe(true);
          for (const part of [progress?.harm, progress?.safety]) {
            expect(part).toBeGreaterThanOrEqual(0);
            expect(part).toBeLessThanOrEqual(1);
          }
          expect(Number.isInteger(samples) && samples >= 0).toBe(true);
          for (const [estimate, interval] of [
            [champion, intervals?.champion],
            [challenger, intervals?.challenger],
          ] as const) {
            if (estimate === undefined || interval === undefined) continue;
            expect(interval[0]).toBeLessThanOrEqual(estimate);
            expect(interval[1]).toBeGreaterThanOrEqual(estimate);
          }
        }
        expect(forecast?.verdictInMs ?? 0).toBeGreaterThanOrEqual(0);
        expect(Number.isFinite(forecast?.verdictInMs ?? 0)).toBe(true);
      }),
      { numRuns: 80 },
    );
  });

  it('has sentences that people can read', () => {
    fc.assert(
      fc.property(played, asked, (seen, question) => {
        for (const sentence of sentencesOf(judge(seen, question))) {
          expect(sentence).not.toMatch(/NaN|undefined|null|Infinity|∞|-0|\d[eE][+-]?\d|\s{2}|[;:,]\s*[;:,]|[;:,]$|\bobject\b/);
          expect(sentence.length).toBeLessThan(420);
        }
      }),
      { numRuns: 80 },
    );
  });
});

describe('a reading', () => {
  const readingOf = (guard: GuardConfig, champion: Partial<Tally>, challenger: Partial<Tally>) =>
    judge(play(blocksOf(champion, challenger), only(guard))).guards[0];

  it('has what was seen on both arms, with limit, margin and intervals', () => {
    const reading = readingOf(errors, { requests: 100, errors: 2 }, { requests: 100, errors: 3 });
    expect(reading).toMatchObject({
      guard: 'errors',
      verdict: 'undecided',
      champion: 0.02,
      challenger: 0.03,
      limit: 1.1 * 0.02 + 0.001,
      margin: 1.5 * 0.02 + 0.003,
      unit: 'share',
      samples: 1000,
    });
    expect(reading?.intervals?.challenger[0]).toBeLessThan(0.03);
    expect(reading?.intervals?.challenger[1]).toBeGreaterThan(0.03);
  });

  it.each([
    {
      name: 'failures',
      guard: errors,
      champion: { requests: 100, errors: 1 },
      challenger: { requests: 100, errors: 1 },
      sentence:
        /^failed requests: challenger 1 %, champion 1 %, harm begins above 1.2 %; no evidence of harm; evidence of safety 2\.1 to 1, 5 to 1 is proof$/,
    },
    {
      name: 'invalid outputs',
      guard: { ...errors, of: 'invalid' },
      champion: { requests: 100 },
      challenger: { requests: 100, errors: 40, invalid: 40 },
      sentence:
        /^invalid outputs: challenger 40 %, champion 0 %, harm begins above 0.1 %; evidence of harm over a million to 1, 20 to 1 rolls back; no evidence of safety yet, 5 to 1 is proof$/,
    },
    {
      name: 'a limit on errors',
      guard: errorLimit,
      champion: { requests: 100 },
      challenger: { requests: 100 },
      sentence:
        /^failed requests: challenger 0 %, champion 0 %, harm begins above 10 %; no evidence of harm; proven safe, over a million to 1$/,
    },
    {
      name: 'a limit on latency',
      guard: latencyLimit,
      champion: { requests: 100, latency: [[300, 100]] },
      challenger: { requests: 100, latency: [[600, 100]] },
      sentence: /^requests slower than 100 ms: challenger 100 %, champion 0 %, harm begins above 5 %; evidence of harm /,
    },
    {
      name: 'a score',
      guard: accuracy,
      champion: { requests: 100, scores: { accuracy: { count: 50, sum: 40, sumSquares: 40 } } },
      challenger: { requests: 100, scores: { accuracy: { count: 50, sum: 41, sumSquares: 41 } } },
      sentence: /^accuracy: challenger 0\.82, champion 0\.8, harm begins below 0\.79; /,
    },
    {
      name: 'a score of which less is better',
      guard: { ...accuracy, better: 'lower' },
      champion: { requests: 100, scores: { accuracy: { count: 50, sum: 10, sumSquares: 10 } } },
      challenger: { requests: 100, scores: { accuracy: { count: 50, sum: 9, sumSquares: 9 } } },
      sentence: /^accuracy: challenger 0\.18, champion 0\.2, harm begins above 0\.21; /,
    },
    {
      name: 'what nobody has seen',
      guard: accuracy,
      champion: { requests: 100 },
      challenger: { requests: 100 },
      sentence: /^accuracy: 0 on the challenger so far; no evidence of harm; no evidence of safety yet, 5 to 1 is proof$/,
    },
  ] as const)('says in a sentence what there is of $name', ({ guard, champion, challenger, sentence }) => {
    expect(readingOf(guard, champion, challenger)?.reason).toMatch(sentence);
  });

  it('names the range of which the challenger predicts most too many', () => {
    const played = play(trafficOf(1, { seconds: 60, rate: 50, trafficPercent: 50, challenger: { shift: 2 } }), only(drift));
    expect(judge(played).guards[0]).toMatchObject({
      unit: 'share',
      reason: expect.stringMatching(
        /^predictions from [01]\.\d+: challenger \d\d(\.\d)? %, champion \d\d?(\.\d)? %, harm begins above \d\d(\.\d)? %; evidence of harm/,
      ),
    });
  });

  it('names the class', () => {
    const bins: PredictionBins = { kind: 'classes', classes: ['spam', 'ham'] };
    const seen = {
      champion: { ...EMPTY_TALLY, classes: { spam: 20, ham: 80 } },
      challenger: { ...EMPTY_TALLY, classes: { spam: 60, ham: 30, eggs: 10 } },
    };
    expect(estimateOf(drift, bins, seen)).toMatchObject({
      what: 'predictions of "spam"',
      champion: 0.2,
      challenger: 0.6,
      samples: 100,
    });
    const others = { ...seen, challenger: { ...EMPTY_TALLY, classes: { spam: 10, eggs: 90 } } };
    expect(estimateOf(drift, bins, others)).toMatchObject({ what: 'predictions of other classes', champion: 0, challenger: 0.9 });
  });

  it('shows no limit beyond what a share or a score can be', () => {
    const seen = (errorsOf: number, score: number) => {
      const tally = {
        ...EMPTY_TALLY,
        requests: 100,
        errors: errorsOf,
        scores: { accuracy: { count: 100, sum: score, sumSquares: score } },
      };
      return { champion: tally, challenger: tally };
    };
    expect(estimateOf(errors, undefined, seen(98, 0))).toMatchObject({ limit: 1, margin: 1 });
    expect(estimateOf(accuracy, undefined, seen(0, 0))).toMatchObject({ limit: 0, margin: 0 });
    expect(estimateOf({ ...accuracy, better: 'lower' }, undefined, seen(0, 100))).toMatchObject({ limit: 1, margin: 1 });
  });

  it.each([
    {
      name: 'a weight of 0',
      config: only({ ...errors, weight: 0 }, { ...drift, weight: 1 }),
      index: 0,
      reason: /; evidence of harm over a million to 1, which rolls nothing back at weight 0; /,
    },
    {
      name: 'a part of the weight',
      config: only(errors, drift),
      index: 0,
      reason: /; evidence of harm over a million to 1, 32 to 1 rolls back; /,
    },
  ])('says what the evidence of a guard with $name may do', ({ config, index, reason }) => {
    const played = play(trafficOf(1, { seconds: 60, challenger: { errorRate: 0.5 } }), config);
    expect(judge(played).guards[index]?.reason).toMatch(reason);
  });

  it.each([
    {
      name: 'latency without a past of the champion',
      guard: slowest,
      opening: { champion: EMPTY_TALLY },
      reason: 'p99 latency: 0 on the challenger so far; not weighed yet: what is slow is known after 50 answers of the champion',
    },
    {
      name: 'predictions of which nobody knew anything',
      guard: drift,
      opening: { bins: { kind: 'classes', classes: [] } },
      reason: 'not weighed: nobody knew what predictions look like when the rollout started',
    },
  ] as const)('says why there is nothing to weigh: $name', ({ guard, opening, reason }) => {
    const played = play(blocksOf({ requests: 9 }, { requests: 1 }), only(guard), { ...openingOf(), ...opening });
    expect(judge(played).guards[0]).toMatchObject({ verdict: 'no-data', reason: expect.stringContaining(reason) });
  });
});

describe('the reason of a verdict', () => {
  it('of harm names the guard that found it, and the evidence of all', () => {
    const played = play(trafficOf(1, { seconds: 30, challenger: { errorRate: 0.5 } }));
    expect(judge(played)).toMatchObject({
      verdict: 'harmful',
      reason: expect.stringMatching(
        /^failed requests: challenger 5\d(\.\d)? %, champion [\d.]+ %, harm begins above [\d.]+ %; the evidence of harm reached over a million to 1 over all guards, 20 to 1 rolls back$/,
      ),
    });
  });

  it('of doubt says how much of the proof there is', () => {
    const { reason, guards } = judge(play(trafficOf(1, { seconds: 20, rate: 100 })));
    expect(reason).toMatch(
      /^no harm found, and not proven safe yet; of the proof there is: errors \d+ %, latency\.p99 \d+ %, drift \d+ %$/,
    );
    expect(guards.filter(({ verdict }) => verdict === 'healthy').map(({ guard }) => guard)).toEqual(['latency.p50']);
  });

  it('of the opposite of doubt does not', () => {
    expect(judge(play([])).reason).toBe(
      'no harm found, and not proven safe yet; of the proof there is: errors 0 %, latency.p50 0 %, latency.p99 0 %, drift 0 %',
    );
  });
});

describe('a forecast', () => {
  const forecastOf = (blocks: readonly ConcurrentBlock[], config = only(errors), asked: Partial<Question> = {}) =>
    judge(play(blocks, config), asked).forecast;
  const even = { requests: 100, errors: 1 };

  it('says how long it will take at the present traffic, and what was and would be caught', () => {
    const forecast = forecastOf(blocksOf({ requests: 90, errors: 1 }, { requests: 10 }, 5));
    expect(forecast?.sentence).toMatch(
      /^at the present traffic about 1m \d+s to a verdict; by now a rise of errors from 1\.1 % to [\d.]+ % would have been caught \(80 % likely\), by then one to [\d.]+ %$/,
    );
    expect(forecast?.verdictInMs).toBeGreaterThan(5_000);
    expect(forecast?.verdictInMs).toBeLessThan(120_000);
  });

  it('comes true, more or less', () => {
    const blocks = blocksOf(even, even, 200);
    const needed = play(blocks, only(errors)).verdicts.indexOf('healthy') + 1;
    for (const count of [2, Math.round(needed / 2)]) {
      const leftMs = forecastOf(blocks.slice(0, count), only(errors), { trafficPercent: 50 })?.verdictInMs ?? 0;
      const foretold = count + leftMs / 1000;
      expect(foretold / needed).toBeGreaterThan(0.5);
      expect(foretold / needed).toBeLessThan(2);
    }
  });

  it.each([
    { name: 'nothing was asked yet', blocks: [], asked: {}, sentence: 'no request has come to the challenger in this step yet' },
    {
      name: 'the challenger was not asked yet',
      blocks: blocksOf({ requests: 9 }, {}),
      asked: {},
      sentence: 'no request has come to the challenger in this step yet',
    },
    {
      name: 'everything is proven',
      blocks: blocksOf({ requests: 1000, errors: 10 }, { requests: 1000, errors: 10 }, 20),
      asked: {},
      sentence:
        /^everything that a verdict needs is there; by now a rise of errors from 1 % to 1\.\d+ % would have been caught \(80 % likely\)$/,
    },
    {
      name: 'only the minimum sample is missing',
      blocks: blocksOf({ requests: 1000, errors: 10 }, { requests: 1000, errors: 10 }, 20),
      asked: { minSamples: 40_000 },
      sentence:
        /^at the present traffic about 20s to a verdict; by now a rise of errors from 1 % to 1\.\d+ % would have been caught \(80 % likely\), by then one to 1\.\d+ %$/,
    },
    {
      name: 'it would take for ever',
      blocks: blocksOf({ requests: 9 }, { requests: 1 }, 2),
      asked: { minSamples: 1e9, atMs: 100_000 },
      sentence:
        /^at the present traffic a verdict would take more than a year; by now not even a challenger that always fails would have been caught for sure$/,
    },
    {
      name: 'too little has come to have caught anything',
      blocks: blocksOf({ requests: 9 }, { requests: 1 }, 2),
      asked: {},
      sentence:
        /^at the present traffic about \d+m( \d+s)? to a verdict; by now not even a challenger that always fails would have been caught for sure, by then a rise of errors from 0 % to [\d.]+ %$/,
    },
  ])('has a sentence when $name', ({ blocks, asked, sentence }) => {
    expect(forecastOf(blocks, only(errors), asked)?.sentence).toMatch(sentence);
  });

  it('names what cannot be proven', () => {
    const blocks = blocksOf({ requests: 100, errors: 12 }, { requests: 100, errors: 5 }, 3);
    const sick = { ...DEFAULT_SEQUENTIAL.sick, errorRate: 0.9 };
    const forecast = forecastOf(blocks, { ...only(errors, errorLimit), sick });
    expect(forecast?.sentence).toMatch(
      /^no telling when the step can be passed: by what is known of the champion, limit\.errors cannot be proven safe; by now /,
    );
    expect(forecast?.verdictInMs).toBeUndefined();
  });

  it('knows that not every request has a score', () => {
    const withScores = (scored: number) =>
      blocksOf(
        { requests: 100, scores: { accuracy: { count: scored, sum: scored / 2, sumSquares: scored / 2 } } },
        { requests: 100, scores: { accuracy: { count: scored, sum: scored / 2, sumSquares: scored / 2 } } },
        2,
      );
    const times = [100, 10].map((scored) => forecastOf(withScores(scored), only(accuracy))?.verdictInMs ?? 0);
    expect((times[1] ?? 0) / (times[0] ?? 1)).toBeCloseTo(10, 0);
  });

  it('is still one when proof was lost beyond what numbers can hold', () => {
    const config = only({ ...errors, weight: 0 }, { ...drift, weight: 1 });
    const blocks = blocksOf({ requests: 100 }, { requests: 100, errors: 100 }, 100);
    expect(forecastOf(blocks, config)?.sentence).toMatch(/^(at the present traffic|no telling)/);
  });

  it.each([
    { name: 'harmful', blocks: blocksOf({ requests: 90 }, { requests: 10, errors: 9 }) },
    { name: 'champion-sick', blocks: blocksOf({ requests: 90, errors: 90 }, { requests: 10, errors: 10 }) },
  ])('is not given when the verdict is $name', ({ name, blocks }) => {
    const judgement = judge(play(blocks, only(errors)));
    expect([judgement.verdict, judgement.forecast]).toEqual([name, undefined]);
  });

  it('is not given where there is nobody to compare with', () => {
    const { config, state } = play(blocksOf(even, even), only(errors));
    const asked = questionOf({ trafficPercent: 100, atMs: 9000 });
    expect(judge({ config, state, question: asked, verdicts: [] }).forecast).toBeUndefined();
  });
});
