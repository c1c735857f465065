/** The catalogue of scenarios that decision methods are measured on; `bench/verdicts-suite.ts` plays all of them. */
import type { LatencyShape } from './latency-shape.ts';
import type { PredictionDrift } from './prediction-shape.ts';
import {
  type Behaviour,
  type Detection,
  type Deviation,
  NO_DEVIATION,
  type Onset,
  type Scenario,
  type Traffic,
} from './scenario.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

const USUAL_TRAFFIC: Traffic = { requestsPerSecond: 20 };
const LOW_TRAFFIC: Traffic = { requestsPerSecond: 1 };
const LOW_TRAFFIC_LIMIT_MS = 72 * HOUR_MS;
const BOUNDARY_LIMIT_MS = 2 * HOUR_MS;

const ORDINARY: LatencyShape = { kind: 'lognormal', medianMs: 100, sigma: 0.5 };
const HEAVY: LatencyShape = { kind: 'lognormal', medianMs: 60, sigma: 1 };
const PARETO: LatencyShape = { kind: 'pareto', fastestMs: 36, exponent: 2.2 };
// A cache that answers seven of ten.
const BIMODAL: LatencyShape = {
  kind: 'modes',
  modes: [
    { share: 0.7, medianMs: 50, sigma: 0.25 },
    { share: 0.3, medianMs: 200, sigma: 0.25 },
  ],
};

const USUAL_CHAMPION: Behaviour = {
  errorRate: 0.01,
  latency: ORDINARY,
  predictions: { kind: 'normal', mean: 0, standardDeviation: 1 },
};

// Two humps at ±0.9 that together have mean 0 and standard deviation 1.
const TWO_HUMPS = {
  kind: 'modes',
  modes: [-0.9, 0.9].map((mean) => ({ share: 0.5, mean, standardDeviation: Math.sqrt(1 - 0.9 ** 2) })),
} as const;

// The largest move of a normal distribution that changes no share by more than 4.9 %: 2Φ(d/2) − 1 = 0.049.
const SHIFT_WITHIN_TOLERANCE = 0.1229;

const DOUBLED_TAIL = { ratio: 2, aboveQuantile: 0.97 };
// The study's bound for its ordinary tail, 190 requests, is that of 3.45 % slowed answers; with 3 % it would be 266.
const DOUBLED_ORDINARY_TAIL = { ratio: 2, aboveQuantile: 0.9655 };
const SLOWER = { ratio: 1.5, aboveQuantile: 0 };

/** Every scenario, harmless ones first. */
export const SCENARIOS: readonly Scenario[] = [
  harmless('aa-lognormal', 'no difference; lognormal latency, sigma 0.5'),
  harmless('aa-heavy-tail', 'no difference; lognormal latency, sigma 1', { latency: HEAVY }),
  harmless('aa-pareto', 'no difference; Pareto latency, exponent 2.2', { latency: PARETO }),
  harmless('aa-bimodal', 'no difference; latency with two humps', { latency: BIMODAL }),
  harmless('aa-normal', 'no difference; normal latency', {
    latency: { kind: 'normal', meanMs: 100, standardDeviationMs: 15 },
  }),
  harmless('aa-classes', 'no difference; a classifier with five classes', {
    predictions: { kind: 'classes', shares: { cat: 0.4, dog: 0.3, fox: 0.2, owl: 0.08, eel: 0.02 } },
  }),
  withLowTraffic(harmless('aa-low-traffic', 'no difference')),
  {
    ...harmless('aa-diurnal-incident', 'no difference; a busy morning, all 3x slower and failing in minutes 22 to 27'),
    traffic: {
      ...USUAL_TRAFFIC,
      wave: { periodMs: 24 * HOUR_MS, ofRate: 0.5, ofLatency: 0.3 },
      incidents: [{ fromMs: 22 * MINUTE_MS, untilMs: 27 * MINUTE_MS, errorRatio: 3, latencyRatio: 3 }],
    },
  },
  {
    ...harmless('aa-incident', 'no difference; all 3x slower and failing from 100 to 220 s'),
    traffic: {
      ...USUAL_TRAFFIC,
      incidents: [{ fromMs: 100_000, untilMs: 220_000, errorRatio: 3, latencyRatio: 3 }],
    },
  },
  {
    ...harmless('aa-cold-start', 'no difference, but for the first 60 requests 5x slower'),
    challenger: { ...NO_DEVIATION, coldStart: { requests: 60, ratio: 5 } },
  },

  boundary('boundary-errors', 'errors 1 -> 1.2 %, exactly the tolerance', { errorRate: 0.012 }),
  boundary('boundary-p50', 'all 1.19x slower, of 1.2x tolerated', { latency: { ratio: 1.19, aboveQuantile: 0 } }),
  boundary('boundary-p99', 'the slowest 3 % take 1.49x, of 1.5x tolerated', { latency: { ratio: 1.49, aboveQuantile: 0.97 } }),
  boundary('boundary-predictions', 'predictions moved so that shares differ by 4.9 %, of 5 % tolerated', {
    predictions: { kind: 'moved', by: SHIFT_WITHIN_TOLERANCE, spread: 1 },
  }),

  failing({ name: 'errors-1-to-1.8', errorRate: 0.018, reference: [4165, 12_100, 5928, 14_800] }),
  failing({ name: 'errors-1-to-2', errorRate: 0.02, reference: [2350, 6719, 3317, 8116] }),
  failing({ name: 'errors-1-to-5', errorRate: 0.05, reference: [186, 484, 246, 576] }),
  failing({ name: 'errors-1-to-20', errorRate: 0.2, reference: [21, 50, 28, 62] }),
  failing({ name: 'errors-1-to-100', errorRate: 1, reference: [4, 6, 5, 7] }),

  slowing({ name: 'p99-2x', latency: ORDINARY, slower: DOUBLED_ORDINARY_TAIL, reference: [475, 993, 590, 1166] }),
  slowing({ name: 'p99-2x-heavy-tail', latency: HEAVY, slower: DOUBLED_TAIL, reference: [1550, 3559, 1994, 4242] }),
  slowing({ name: 'p99-2x-pareto', latency: PARETO, slower: DOUBLED_TAIL, reference: [2211, 5059, 2876, 6100] }),
  slowing({ name: 'p50-1.5x', latency: ORDINARY, slower: SLOWER, reference: [229, 361, 260, 407] }),
  slowing({ name: 'p50-1.5x-heavy-tail', latency: HEAVY, slower: SLOWER, reference: [557, 1052, 696, 1236] }),
  slowing({ name: 'p50-1.5x-bimodal', latency: BIMODAL, slower: SLOWER, reference: [165, 228, 181, 249] }),

  drifting('predictions-plus-0.25', { kind: 'moved', by: 0.25, spread: 1 }, [1974, 3392, 2460, 4024]),
  drifting('predictions-plus-0.5', { kind: 'moved', by: 0.5, spread: 1 }, [211, 357, 261, 418]),
  drifting('predictions-plus-1', { kind: 'moved', by: 1, spread: 1 }, [47, 79, 55, 88]),
  drifting('predictions-wider', { kind: 'moved', by: 0, spread: 1.5 }, [202, 363, 238, 417]),
  drifting('predictions-narrower', { kind: 'moved', by: 0, spread: 0.5 }, [72, 118, 83, 135]),
  drifting('predictions-two-humps', { kind: 'replaced', shape: TWO_HUMPS }, [190, 298, 226, 335]),
  drifting('predictions-stuck', { kind: 'stuck', share: 0.2 }, [155, 270, 178, 300]),

  failing({
    name: 'late-errors-at-half',
    errorRate: 0.05,
    onset: { kind: 'at-share', trafficPercent: 50 },
    reference: [821, 1530, 958, 1708],
  }),
  failing({
    name: 'late-errors-after-15m',
    errorRate: 0.05,
    onset: { kind: 'after', ms: 15 * MINUTE_MS },
    reference: [719, 1907, 849, 2194],
  }),
  withLowTraffic(failing({ name: 'errors-1-to-5-low-traffic', errorRate: 0.05, reference: [193, 523, 266, 654] })),
  withLowTraffic(failing({ name: 'errors-1-to-20-low-traffic', errorRate: 0.2, reference: [24, 57, 31, 68] })),
];

/** The scenario of that name. */
export function scenarioNamed(name: string): Scenario | undefined {
  return SCENARIOS.find((scenario) => scenario.name === name);
}

function harmless(name: string, title: string, champion: Partial<Behaviour> = {}): Scenario {
  return {
    name,
    title,
    truth: 'harmless',
    traffic: USUAL_TRAFFIC,
    champion: { ...USUAL_CHAMPION, ...champion },
    challenger: NO_DEVIATION,
    limitMs: 6 * HOUR_MS,
  };
}

function boundary(name: string, title: string, deviation: Partial<Deviation>): Scenario {
  const challenger = { ...NO_DEVIATION, ...deviation };
  return { ...harmless(name, title), truth: 'boundary', challenger, limitMs: BOUNDARY_LIMIT_MS };
}

/** Median and 95th percentile at a risk of 5 %, then at 1 %. */
type Figures = readonly [median: number, p95: number, strictMedian: number, strictP95: number];

interface Failing {
  readonly name: string;
  readonly errorRate: number;
  readonly onset?: Onset;
  readonly reference: Figures;
}

function failing({ name, errorRate, onset = NO_DEVIATION.onset, reference }: Failing): Scenario {
  const since = { 'at-start': '', 'at-share': ', once half of the traffic is on it', after: ', after a while' }[onset.kind];
  const title = `errors ${percentOf(USUAL_CHAMPION.errorRate)} -> ${percentOf(errorRate)} %${since}`;
  return { ...harmless(name, title), truth: 'harmful', challenger: { onset, errorRate }, reference: referenceOf(reference) };
}

interface Slowing {
  readonly name: string;
  readonly latency: LatencyShape;
  readonly slower: { readonly ratio: number; readonly aboveQuantile: number };
  readonly reference: Figures;
}

function slowing({ name, latency, slower, reference }: Slowing): Scenario {
  const who = slower.aboveQuantile === 0 ? 'all answers' : `the slowest ${percentOf(1 - slower.aboveQuantile)} %`;
  const base = harmless(name, `${who} take ${slower.ratio}x; ${latency.kind} latency`, { latency });
  return { ...base, truth: 'harmful', challenger: { ...NO_DEVIATION, latency: slower }, reference: referenceOf(reference) };
}

function drifting(name: string, predictions: PredictionDrift, reference: Figures): Scenario {
  const base = harmless(name, titleOfDrift(predictions));
  return { ...base, truth: 'harmful', challenger: { ...NO_DEVIATION, predictions }, reference: referenceOf(reference) };
}

function titleOfDrift(drift: PredictionDrift): string {
  switch (drift.kind) {
    case 'moved':
      return drift.by === 0
        ? `predictions ${drift.spread}x as wide around the same mean`
        : `predictions moved by ${drift.by} standard deviations`;
    case 'stuck':
      return `${percentOf(drift.share)} % of predictions stuck at the mean`;
    case 'replaced':
      return 'predictions in two humps, same mean and spread';
  }
}

function withLowTraffic(scenario: Scenario): Scenario {
  return {
    ...scenario,
    title: `${scenario.title}; 1 request a second, heavy tail`,
    traffic: LOW_TRAFFIC,
    champion: { ...scenario.champion, latency: HEAVY },
    limitMs: LOW_TRAFFIC_LIMIT_MS,
  };
}

function referenceOf([median, p95, strictMedian, strictP95]: Figures): {
  readonly atFivePercent: Detection;
  readonly atOnePercent: Detection;
} {
  return { atFivePercent: { median, p95 }, atOnePercent: { median: strictMedian, p95: strictP95 } };
}

function percentOf(share: number): number {
  return Number((share * 100).toPrecision(6));
}
