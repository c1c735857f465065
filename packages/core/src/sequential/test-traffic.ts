/** Traffic of two arms as gateways report it, drawn from a seed, and what a policy says about it. Tests are fed with it. */
import { type Arm, EMPTY_TALLY, mergeTallies, type Tally } from '../evidence.ts';
import type { ConcurrentBlock } from '../evidence-pool.ts';
import { bucketOfLatency } from '../histogram.ts';
import type { Judgement, Opening, Question, Verdict } from '../policy.ts';
import { binCountOf, binOf, binsOfNormal, nameOfEdges, type OrderedBins } from '../prediction-bins.ts';
import { type Random, randomOf } from '../simulation/random.ts';
import { DEFAULT_SEQUENTIAL, type SequentialConfig } from './config.ts';
import { sequential } from './policy.ts';
import type { SequentialState } from './state.ts';

/** What an arm does with requests. */
export interface Behaviour {
  /** Share of requests that fail; 1 % unless said otherwise. */
  readonly errorRate?: number;
  /** Of a lognormal distribution with a deviation of 0.5; 20 ms unless said otherwise. */
  readonly medianMs?: number;
  /** Predictions are normal around this with a deviation of 1. */
  readonly shift?: number;
  /** The chance of a score of 1 rather than 0, reported for every request under the name `accuracy`. */
  readonly accuracy?: number;
}

/** Some time on one step. */
export interface Stretch {
  readonly seconds: number;
  readonly step?: number;
  readonly trafficPercent?: number;
  /** Requests of both arms together in each second. */
  readonly rate?: number;
  readonly fromMs?: number;
  readonly stratum?: string;
  readonly champion?: Behaviour;
  readonly challenger?: Behaviour;
}

/** Twentieths of a standard normal distribution: what healthy predictions are. */
export const BINS: OrderedBins = normalBins();

const BINS_NAME = nameOfEdges(BINS.edges);

/** One block a second. The same seed gives the same blocks. */
export function trafficOf(seed: number, stretch: Stretch): readonly ConcurrentBlock[] {
  const { seconds, step = 0, trafficPercent = 10, rate = 20, fromMs = 0, stratum = '' } = stretch;
  const random = randomOf(seed, `${step} ${stratum} ${fromMs}`);
  return Array.from({ length: seconds }, (_, second) => {
    let toChallenger = 0;
    for (let request = 0; request < rate; request += 1) if (random.uniform() * 100 < trafficPercent) toChallenger += 1;
    const arms = {
      champion: drawTally(random, rate - toChallenger, stretch.champion),
      challenger: drawTally(random, toChallenger, stretch.challenger),
      shadow: EMPTY_TALLY,
    };
    return { startMs: fromMs + second * 1000, step, stratum, arms };
  });
}

/** What one arm did with so many requests. */
export function drawTally(random: Random, requests: number, behaviour: Behaviour = {}): Tally {
  const { errorRate = 0.01, medianMs = 20, shift = 0, accuracy } = behaviour;
  const latency = new Map<number, number>();
  const bins = Array.from<number>({ length: binCountOf(BINS) }).fill(0);
  let [errors, sum, sumSquares, right] = [0, 0, 0, 0];
  for (let request = 0; request < requests; request += 1) {
    if (random.uniform() < errorRate) errors += 1;
    const bucket = bucketOfLatency(medianMs * Math.exp(0.5 * random.normal()));
    latency.set(bucket, (latency.get(bucket) ?? 0) + 1);
    const prediction = shift + random.normal();
    const bin = binOf(BINS.edges, prediction);
    bins[bin] = (bins[bin] ?? 0) + 1;
    sum += prediction;
    sumSquares += prediction * prediction;
    if (accuracy !== undefined && random.uniform() < accuracy) right += 1;
  }
  return {
    ...EMPTY_TALLY,
    requests,
    errors,
    latency: [...latency].toSorted(([a], [b]) => a - b),
    predictions: { count: requests, sum, sumSquares },
    bins: { [BINS_NAME]: bins },
    scores: accuracy === undefined ? {} : { accuracy: { count: requests, sum: right, sumSquares: right } },
  };
}

/** Ten minutes of a healthy champion before the rollout, and the usual steps. */
export function openingOf(champion: Behaviour = {}): Opening {
  const percents = [10, 25, 50, 75, 100];
  return { startedAtMs: 0, champion: drawTally(randomOf(0, 'before'), 6000, champion), percents, bins: BINS };
}

/** How a policy was played. */
export interface Played {
  readonly config: SequentialConfig;
  readonly state: SequentialState;
  readonly question: Question;
  /** The verdict after each block. */
  readonly verdicts: readonly Verdict[];
}

/** Plays blocks in a configuration and asks after each of them, on the step that it belongs to. */
export function play(
  blocks: readonly ConcurrentBlock[],
  config: SequentialConfig = DEFAULT_SEQUENTIAL,
  opening: Opening = openingOf(),
): Played {
  let state = sequential.open(config, opening);
  let question = questionOf({});
  const verdicts: Verdict[] = [];
  for (const block of blocks) {
    const { startMs, step, arms } = block;
    const isSame = question.step === step && verdicts.length > 0;
    const seenOf = (arm: Exclude<Arm, 'shadow'>): Tally => (isSame ? mergeTallies(question.seen[arm], arms[arm]) : arms[arm]);
    question = questionOf({
      atMs: startMs + 1000,
      step,
      sinceMs: isSame ? question.sinceMs : startMs,
      trafficPercent: opening.percents[step] ?? 100,
      isStrictest: opening.percents[step] === 50,
      seen: { champion: seenOf('champion'), challenger: seenOf('challenger') },
    });
    state = sequential.absorb(config, state, block);
    verdicts.push(sequential.verdict(config, state, question));
  }
  return { config, state, question, verdicts };
}

/** The judgement on what was played, or on another question about it. */
export function judge({ config, state, question }: Played, asked: Partial<Question> = {}): Judgement {
  return sequential.judge(config, state, { ...question, ...asked });
}

/** A question about the first step, before anything was seen. */
export function questionOf(asked: Partial<Question>): Question {
  const seen = { champion: EMPTY_TALLY, challenger: EMPTY_TALLY };
  return { atMs: 0, step: 0, sinceMs: 0, trafficPercent: 10, isStrictest: false, isLast: false, minSamples: 0, seen, ...asked };
}

function normalBins(): OrderedBins {
  const bins = binsOfNormal(0, 1);
  if (bins === undefined) throw new Error('a normal distribution has no bins');
  return bins;
}
