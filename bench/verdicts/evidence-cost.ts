// What evidence costs: recording a request, weighing a second of it, and keeping what was weighed.
import { deflateRawSync } from 'node:zlib';
import { EMPTY_TALLY, type Moments, type Tally } from '@understudy/core/evidence';
import type { ConcurrentBlock } from '@understudy/core/evidence-pool';
import { DEFAULT_SEQUENTIAL, type GuardConfig, type SequentialConfig } from '@understudy/core/sequential/config';
import { sequential } from '@understudy/core/sequential/policy';
import type { SequentialState } from '@understudy/core/sequential/state';
import { openingOf, type PreparedScenario, prepareScenario } from '@understudy/core/simulation/prepared-scenario';
import { randomOf } from '@understudy/core/simulation/random';
import { scenarioNamed } from '@understudy/core/simulation/scenarios';
import { simulateRollout } from '@understudy/core/simulation/simulate-rollout';
import { openEvidenceCell } from '../../packages/server/src/gateway/evidence-cell.ts';
import { measureOperation } from '../operation-cost.ts';
import type { Row } from '../row.ts';
import { figureText } from '../table.ts';
import { CONTENDERS, OURS_ALONE } from './contenders.ts';

const MOST_RECORDING_NANOS = 100;
const MOST_EVALUATION_MS = 1;
const MOST_STATE_BYTES = 4096;

const SEED = 1;
const ROUNDS = 21;
// A power of two, so that taking turns costs a mask.
const REQUESTS = 65_536;
const RECORDINGS_PER_ROUND = 1_000_000;
const EVALUATIONS_PER_ROUND = 300;

// Long enough for every guard to have weighed many times, and such that everything is due with the last second.
const WEIGHED_SECONDS = 590;

/** Two kinds of failure, three quantiles, drift and two scores. */
const GUARDS: readonly GuardConfig[] = [
  ...DEFAULT_SEQUENTIAL.guards,
  { metric: 'errors', of: 'timeouts', weight: 0.1, rollback: { ratio: 1.1, plus: 0.001 }, promote: { ratio: 1.5, plus: 0.003 } },
  { metric: 'latency', quantile: 0.95, weight: 0.1, ratio: 1.35, ignoreBelowMs: 0 },
  { metric: 'score', name: 'rating', better: 'higher', weight: 0.1, tolerance: 0.01, promote: 0.02 },
  { metric: 'score', name: 'complaints', better: 'lower', weight: 0.1, tolerance: 0.01, promote: 0.02 },
];
const CONFIG: SequentialConfig = { ...DEFAULT_SEQUENTIAL, guards: GUARDS };
const RATING: Moments = { count: 4, sum: 3.2, sumSquares: 2.7 };

/** Rows of costs, measured in this thread. */
export function evidenceCostRows(): readonly Row[] {
  const prepared = tenMinutes();
  const { state, last } = weighAllButLast(prepared);
  return [
    recordingRow(prepared),
    evaluationRow(state, last),
    rowOf({
      name: `state of ${GUARDS.length} guards, JSON deflated`,
      value: sizeOf(state),
      unit: 'bytes',
      most: MOST_STATE_BYTES,
    }),
  ];
}

/** A request with everything that guards need of it: latency, failure, and the prediction in its bin. */
function recordingRow({ scenario, champion, counting }: PreparedScenario): Row {
  const { drawPrediction } = champion;
  if (counting.bins === undefined || drawPrediction === undefined) throw new Error(`${scenario.name} has no bins`);
  const random = randomOf(SEED, 'recording');
  const latencies = Float64Array.from({ length: REQUESTS }, () => Math.exp(champion.drawLatency(random)));
  const predictions = Float64Array.from({ length: REQUESTS }, () => drawPrediction(random));
  const key = { model: 'fraud', version: 'v1', arm: 'champion' } as const;
  const cell = openEvidenceCell({ key, binEdges: counting.bins.edges }, () => undefined);
  const { medianNanos } = measureOperation({
    operation(index) {
      const at = index & (REQUESTS - 1);
      cell.addRequest(latencies[at] ?? 0, false);
      if (at % 100 === 0) cell.addError('failed', false);
      else cell.predictions.add(predictions[at] ?? 0, false);
    },
    rounds: ROUNDS,
    operationsPerRound: RECORDINGS_PER_ROUND,
  });
  return rowOf({ name: 'recording a request for all guards', value: medianNanos, unit: 'ns', most: MOST_RECORDING_NANOS });
}

function evaluationRow(state: SequentialState, last: ConcurrentBlock): Row {
  const atMs = last.startMs + 1000;
  const question = {
    atMs,
    step: 0,
    sinceMs: 0,
    trafficPercent: 10,
    isStrictest: true,
    isLast: false,
    minSamples: 100,
    seen: last.arms,
  };
  const absorbed = sequential.absorb(CONFIG, state, last);
  if (absorbed.pending.length > 0) throw new Error('not every guard was due with the last second');
  const { medianNanos } = measureOperation({
    operation: () => sequential.judge(CONFIG, sequential.absorb(CONFIG, state, last), question),
    rounds: ROUNDS,
    operationsPerRound: EVALUATIONS_PER_ROUND,
  });
  return rowOf({
    name: `one evaluation of ${GUARDS.length} guards, all due`,
    value: medianNanos / 1e6,
    unit: 'ms',
    most: MOST_EVALUATION_MS,
  });
}

function tenMinutes(): PreparedScenario {
  const scenario = scenarioNamed('aa-heavy-tail');
  if (scenario === undefined) throw new Error('the catalogue has no heavy tail');
  return prepareScenario({ ...scenario, limitMs: WEIGHED_SECONDS * 1000 });
}

/** The state just before the last second of a rollout on its first step, and that second. */
function weighAllButLast(prepared: PreparedScenario): { readonly state: SequentialState; readonly last: ConcurrentBlock } {
  const trial = CONTENDERS.get(OURS_ALONE);
  if (trial === undefined) throw new Error(`there is no contender "${OURS_ALONE}"`);
  const blocks: ConcurrentBlock[] = [];
  const see = (block: ConcurrentBlock): void => {
    blocks.push(withScores(block));
  };
  simulateRollout({ ...trial, prepared, openJudge: () => ({ reads: 'tallies', see, verdict: () => 'undecided' }) }, SEED);
  const last = blocks.pop();
  if (last === undefined) throw new Error('nothing was simulated');
  const opened = sequential.open(CONFIG, openingOf(prepared, trial.plan, SEED));
  return { state: blocks.reduce((state, block) => sequential.absorb(CONFIG, state, block), opened), last };
}

function withScores(block: ConcurrentBlock): ConcurrentBlock {
  const scored = (tally: Tally): Tally => ({ ...tally, scores: { rating: RATING, complaints: RATING } });
  const { champion, challenger } = block.arms;
  return { ...block, arms: { champion: scored(champion), challenger: scored(challenger), shadow: EMPTY_TALLY } };
}

function sizeOf(state: SequentialState): number {
  return deflateRawSync(JSON.stringify(state)).length;
}

interface Cost {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly most: number;
}

function rowOf({ name, value, unit, most }: Cost): Row {
  return { name, value, unit, bar: `<= ${figureText(most)} ${unit}`, holds: value <= most };
}
