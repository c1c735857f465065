/** A scenario made ready to be played many times, and the requests of one play. */
import { momentsOf } from '../evidence.ts';
import { type Baseline, baselineOf } from '../model-version.ts';
import type { Plan } from '../plan.ts';
import type { Opening } from '../policy.ts';
import { type Distribution, distributionOfClasses, distributionOfSample } from '../prediction-bins.ts';
import { type ArmModel, armModelOf, type ArmSecond, armSourceOf, expectedRequestsAt } from './arm-source.ts';
import { classesOf } from './prediction-shape.ts';
import { type Random, randomOf } from './random.ts';
import type { Onset, Scenario } from './scenario.ts';
import { type PredictionCounting, tallyCounterOf } from './tally-counter.ts';

/** What is the same in every play. */
export interface PreparedScenario {
  readonly scenario: Scenario;
  readonly champion: ArmModel;
  readonly challenger: ArmModel;
  readonly counting: PredictionCounting;
  /** What the champion's predictions looked like when it was registered; absent without predicted numbers. */
  readonly championBaseline?: Baseline;
  readonly distribution?: Distribution;
}

/** Raw requests of both arms in one second. */
export interface SimulatedSecond {
  readonly startMs: number;
  readonly step: number;
  readonly champion: ArmSecond;
  readonly challenger: ArmSecond;
  /** Whether the challenger has begun to differ. */
  readonly isDeviating: boolean;
}

/** Where a rollout stands in a second. */
export interface Place {
  readonly startMs: number;
  readonly step: number;
  readonly trafficPercent: number;
}

// As many predictions as a careful person registers; the bins are then within half a percent of true twentieths.
const BASELINE_SAMPLE = 20_000;

// How long the champion was watched before: long enough to know its 99th percentile at 20 requests a second.
const WATCHED_SECONDS = 600;

/** Makes a scenario ready. Takes milliseconds, so do it once for many plays. */
export function prepareScenario(scenario: Scenario): PreparedScenario {
  const champion = armModelOf(scenario, false);
  const base = { scenario, champion, challenger: armModelOf(scenario, true) };
  const { predictions } = scenario.champion;
  const { drawPrediction } = champion;
  if (predictions === undefined || drawPrediction === undefined) return { ...base, counting: { kind: 'none', classes: [] } };
  const random = randomOf(0, `${scenario.name} baseline`);
  const sample = Array.from({ length: BASELINE_SAMPLE }, () => drawPrediction(random));
  if (predictions.kind === 'classes') {
    const classes = classesOf(predictions, scenario.challenger.predictions);
    return {
      ...base,
      counting: { kind: 'classes', classes },
      distribution: distributionOfClasses(countsByName(classes, sample)),
    };
  }
  const distribution = distributionOfSample(sample);
  const baseline = baselineOf({ moments: momentsOf(sample), distribution }, 'validation', 0);
  if (distribution?.bins.kind !== 'ordered' || baseline === undefined) throw new Error(`no baseline for ${scenario.name}`);
  return {
    ...base,
    counting: { kind: 'numbers', bins: distribution.bins, classes: [] },
    championBaseline: baseline,
    distribution,
  };
}

/** What is known when a play begins: the staircase, the baseline, and ten minutes of the champion alone. */
export function openingOf(prepared: PreparedScenario, plan: Plan, seed: number): Opening {
  const { scenario, champion, counting, championBaseline, distribution } = prepared;
  const source = armSourceOf(champion, randomOf(seed, `${scenario.name} before`));
  const counter = tallyCounterOf(counting);
  for (let second = -WATCHED_SECONDS; second < 0; second += 1) {
    const startMs = second * 1000;
    counter.add(source({ startMs, expected: expectedRequestsAt(scenario, startMs), isDeviating: false }));
  }
  return {
    startedAtMs: 0,
    percents: plan.steps.map(({ trafficPercent }) => trafficPercent),
    champion: { ...counter.sum() },
    ...(distribution === undefined ? {} : { bins: distribution.bins }),
    ...(championBaseline === undefined ? {} : { championBaseline }),
  };
}

/**
 * The requests of one play; seconds are asked for in order. Each arm draws from a stream of its own, so every judge that
 * gives a challenger the same shares is asked about the same requests.
 */
export function requestsOf(
  { scenario, champion, challenger }: PreparedScenario,
  seed: number,
): (place: Place) => SimulatedSecond {
  const streamOf = (arm: string): Random => randomOf(seed, `${scenario.name} ${arm}`);
  const fromChampion = armSourceOf(champion, streamOf('champion'));
  const fromChallenger = armSourceOf(challenger, streamOf('challenger'));
  return ({ startMs, step, trafficPercent }) => {
    const expected = expectedRequestsAt(scenario, startMs);
    const isDeviating = hasBegun(scenario.challenger.onset, startMs, trafficPercent);
    const share = trafficPercent / 100;
    // Independent arrivals that are assigned at random are independent arrivals on each arm (J. F. C. Kingman, Poisson Processes, 5.1).
    return {
      startMs,
      step,
      champion: fromChampion({ startMs, expected: expected * (1 - share), isDeviating }),
      challenger: fromChallenger({ startMs, expected: expected * share, isDeviating }),
      isDeviating,
    };
  };
}

function hasBegun(onset: Onset, startMs: number, trafficPercent: number): boolean {
  switch (onset.kind) {
    case 'at-start':
      return true;
    case 'after':
      return startMs >= onset.ms;
    case 'at-share':
      return trafficPercent >= onset.trafficPercent;
  }
}

function countsByName(classes: readonly string[], sample: readonly number[]): Readonly<Record<string, number>> {
  return Object.fromEntries(classes.map((name, place) => [name, sample.filter((drawn) => drawn === place).length]));
}
