/** The requests of one arm, second by second, as raw numbers in buffers that are used again. */
import { COLD_MS, COLD_REQUESTS } from '../evidence.ts';
import { latencyDrawer, logQuantileOf } from './latency-shape.ts';
import { classesOf, driftedDrawer, predictionDrawer } from './prediction-shape.ts';
import type { Random } from './random.ts';
import type { Scenario } from './scenario.ts';

/** What an arm was asked in a second. Only the first `count` places of the buffers mean anything, and only until the next second. */
export interface ArmSecond {
  readonly count: number;
  /** So many of them, the first ones, were answered by an instance that was still cold. */
  readonly cold: number;
  /** Natural logarithms of milliseconds. */
  readonly logMs: Float64Array;
  /** 1 where the request failed. */
  readonly failed: Uint8Array;
  /** The predicted number, or the place of the class; meaningless where the request failed or nothing is predicted. */
  readonly predictions: Float64Array;
}

/** The circumstances of one second. */
export interface Moment {
  readonly startMs: number;
  /** Requests that are to be expected of this arm in this second. */
  readonly expected: number;
  /** Whether the challenger differs already. */
  readonly isDeviating: boolean;
}

/** Draws an arm's requests; seconds are asked for in order. */
export type ArmSource = (moment: Moment) => ArmSecond;

/** How one arm behaves, ready to be drawn from: everything that is the same in all rollouts of a scenario. */
export interface ArmModel {
  readonly scenario: Scenario;
  readonly isChallenger: boolean;
  readonly drawLatency: (random: Random) => number;
  /** The logarithm of the latency beyond which a deviating challenger is slower. */
  readonly slowerFrom: number;
  readonly drawPrediction: ((random: Random) => number) | undefined;
  readonly drawDrifted: ((random: Random) => number) | undefined;
}

/** The arm of a scenario, ready to be drawn from. */
export function armModelOf(scenario: Scenario, isChallenger: boolean): ArmModel {
  const { champion, challenger } = scenario;
  const { latency, predictions } = champion;
  const aboveQuantile = challenger.latency?.aboveQuantile ?? 0;
  return {
    scenario,
    isChallenger,
    drawLatency: latencyDrawer(latency),
    slowerFrom: aboveQuantile === 0 ? -Infinity : logQuantileOf(latency, aboveQuantile),
    drawPrediction:
      predictions === undefined ? undefined : predictionDrawer(predictions, classesOf(predictions, challenger.predictions)),
    drawDrifted: predictions === undefined ? undefined : driftedDrawer(predictions, challenger.predictions),
  };
}

/** An arm's requests from its first one on; the challenger begins with a new instance, the champion does not. */
export function armSourceOf(model: ArmModel, random: Random): ArmSource {
  const { challenger } = model.scenario;
  const coldStart = model.isChallenger ? challenger.coldStart : undefined;
  let served = 0;
  let firstAtMs = Infinity;
  let logMs = new Float64Array(64);
  let failed = new Uint8Array(64);
  let predictions = new Float64Array(64);

  return ({ startMs, expected, isDeviating }) => {
    const count = random.poisson(expected);
    if (count > logMs.length) {
      logMs = new Float64Array(count * 2);
      failed = new Uint8Array(count * 2);
      predictions = new Float64Array(count * 2);
    }
    const isOther = model.isChallenger && isDeviating;
    const ratios = ratiosAt(model.scenario, startMs);
    const errorRate = (isOther ? challenger.errorRate : undefined) ?? model.scenario.champion.errorRate;
    const failsBelow = Math.min(1, errorRate * ratios.ofErrors);
    const slower = isOther && challenger.latency !== undefined ? Math.log(challenger.latency.ratio) : 0;
    const drawPrediction = isOther ? model.drawDrifted : model.drawPrediction;
    for (let index = 0; index < count; index += 1) {
      // Always the same draws in the same order, so that every judge is asked about the same requests.
      failed[index] = random.uniform() < failsBelow ? 1 : 0;
      const drawn = model.drawLatency(random);
      logMs[index] = drawn + ratios.ofLogLatency + (drawn > model.slowerFrom ? slower : 0);
      if (drawPrediction !== undefined) predictions[index] = drawPrediction(random);
    }
    for (let index = 0; coldStart !== undefined && index < Math.min(count, coldStart.requests - served); index += 1) {
      logMs[index] = (logMs[index] ?? 0) + Math.log(coldStart.ratio);
    }
    if (count > 0 && served === 0) firstAtMs = startMs;
    const isCold = model.isChallenger && startMs - firstAtMs < COLD_MS;
    const cold = isCold ? Math.max(0, Math.min(count, COLD_REQUESTS - served)) : 0;
    served += count;
    return { count, cold, logMs, failed, predictions };
  };
}

/** Requests that are to be expected of both arms together in a second. */
export function expectedRequestsAt({ traffic }: Scenario, startMs: number): number {
  const { wave, requestsPerSecond } = traffic;
  return wave === undefined ? requestsPerSecond : requestsPerSecond * (1 + wave.ofRate * phaseOf(wave.periodMs, startMs));
}

/** What hits both arms alike at a time. */
function ratiosAt({ traffic }: Scenario, startMs: number): { readonly ofErrors: number; readonly ofLogLatency: number } {
  let ofErrors = 1;
  let ofLatency = 1;
  const { wave, incidents = [] } = traffic;
  if (wave !== undefined) ofLatency += wave.ofLatency * phaseOf(wave.periodMs, startMs);
  for (const incident of incidents) {
    if (startMs < incident.fromMs || startMs >= incident.untilMs) continue;
    ofErrors *= incident.errorRatio;
    ofLatency *= incident.latencyRatio;
  }
  return { ofErrors, ofLogLatency: Math.log(ofLatency) };
}

function phaseOf(periodMs: number, atMs: number): number {
  return Math.sin((2 * Math.PI * atMs) / periodMs);
}
