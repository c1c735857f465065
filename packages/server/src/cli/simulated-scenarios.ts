/** Which scenarios are played: those of the catalogue, or those that a recorded rollout's own traffic gives. */
import { tallyOfView } from '@understudy/contract/tally-view';
import type { ArmEvidenceView } from '@understudy/contract/views';
import { EMPTY_TALLY, mergeTallies, type Tally } from '@understudy/core/evidence';
import type { Plan } from '@understudy/core/plan';
import type { PredictionBins } from '@understudy/core/prediction-bins';
import {
  type Behaviour,
  behaviourOfTally,
  type Deviation,
  NO_DEVIATION,
  type Scenario,
} from '@understudy/core/simulation/scenario';
import { SCENARIOS } from '@understudy/core/simulation/scenarios';
import { nearestOf } from './nearest.ts';
import type { TrialOrder } from './simulated-trial.ts';
import { UsageError } from './usage-error.ts';

/** What `--rate` and `--limit` say; without them what the scenario, or the recording, has. */
export interface Circumstances {
  readonly plan: Plan;
  readonly requestsPerSecond?: number;
  readonly limitMs?: number;
}

/** A rollout that was recorded: what both arms did, in how long. */
export interface RecordedTraffic {
  readonly rollout: string;
  readonly arms: readonly ArmEvidenceView[];
  readonly spanMs: number;
  readonly bins: PredictionBins | undefined;
}

/** A challenger without a difference, and one of each kind of harm that is neither obvious nor rare. */
const USUAL = ['aa-lognormal', 'errors-1-to-2', 'p99-2x', 'predictions-plus-0.5'];

/** The name of the scenario that plays a recorded challenger as it was. */
export const AS_RECORDED = 'as-recorded';
const WITHOUT_DIFFERENCE = 'no-difference';

/**
 * Scenarios of the catalogue.
 * @param names `all` for all of them; a handful of usual ones for none
 * @throws UsageError for a name that nobody knows
 */
export function ordersOf(names: readonly string[], circumstances: Circumstances): readonly TrialOrder[] {
  return chosen(names.length === 0 ? USUAL : names, SCENARIOS).map((scenario) => orderOf(scenario, circumstances));
}

/**
 * Scenarios on recorded traffic: the champion's, with a challenger that does not differ, the one that was recorded, and
 * those of the catalogue that can be told by what they do differently.
 * @param names `all` for all of them; for none the recorded challenger and one without a difference
 * @throws UsageError for a name that nobody knows, or when there is no evidence of both arms
 */
export function recordedOrders(
  names: readonly string[],
  recorded: RecordedTraffic,
  circumstances: Circumstances,
): readonly TrialOrder[] {
  const [champion, challenger] = [armOf(recorded, 'champion'), armOf(recorded, 'challenger')];
  const requestsPerSecond = (champion.tally.requests + challenger.tally.requests) / (recorded.spanMs / 1000);
  const onTheirs = { traffic: { requestsPerSecond }, champion: champion.behaviour };
  const plain: Scenario = {
    name: WITHOUT_DIFFERENCE,
    title: `no difference, on the traffic of ${recorded.rollout}`,
    truth: 'harmless',
    ...onTheirs,
    challenger: NO_DEVIATION,
    limitMs: LIMIT_MS,
  };
  const deviation = recordedDeviation(champion.behaviour, challenger.behaviour);
  // Nobody knows whether it was harmful, so no end is a wrong one.
  const title = `the challenger of ${recorded.rollout}, as it was`;
  const itself: Scenario = { ...plain, name: AS_RECORDED, title, truth: 'boundary', challenger: deviation };
  const others = SCENARIOS.flatMap((scenario) => transferred(scenario, plain));
  const scenarios = chosen(names.length === 0 ? [WITHOUT_DIFFERENCE, AS_RECORDED] : names, [plain, itself, ...others]);
  return scenarios.map((scenario) => ({
    ...orderOf(scenario, circumstances),
    ...(scenario.name === AS_RECORDED ? { challengerLatency: challenger.tally.latency } : {}),
  }));
}

const HOUR_MS = 3_600_000;
const LIMIT_MS = 6 * HOUR_MS;
// Of the catalogue, which is made for this many.
const USUAL_RATE = 20;

function chosen(names: readonly string[], known: readonly Scenario[]): readonly Scenario[] {
  if (names.includes('all')) return known;
  return [...new Set(names)].map((name) => {
    const found = known.find((scenario) => scenario.name === name);
    if (found !== undefined) return found;
    const all = known.map((scenario) => scenario.name);
    const near = nearestOf(name, all);
    const hint = near === undefined ? `there are ${all.join(', ')}` : `did you mean "${near}"?`;
    throw new UsageError(`there is no scenario "${name}"${known === SCENARIOS ? '' : ' on recorded traffic'}; ${hint}`);
  });
}

/** A rollout is given time for what its plan asks for: holds, a time box, and evidence at its rate. */
function orderOf(scenario: Scenario, { plan, requestsPerSecond, limitMs }: Circumstances): TrialOrder {
  const rate = requestsPerSecond ?? scenario.traffic.requestsPerSecond;
  const heldMs = plan.steps.reduce((sum, step) => sum + step.holdMs, 0);
  const slowness = Math.max(1, Math.min(scenario.traffic.requestsPerSecond, USUAL_RATE) / rate);
  const enoughMs = Math.max(scenario.limitMs * slowness, 2 * heldMs, (plan.timeBox?.afterMs ?? 0) + HOUR_MS);
  return {
    plan,
    scenario: {
      ...scenario,
      traffic: { ...scenario.traffic, requestsPerSecond: rate },
      limitMs: limitMs ?? enoughMs,
    },
  };
}

interface RecordedArm {
  readonly tally: Tally;
  readonly behaviour: Behaviour;
}

function armOf({ rollout, arms, bins }: RecordedTraffic, name: 'champion' | 'challenger'): RecordedArm {
  const seen = arms.filter(({ arm }) => arm === name).map(({ tally }) => tallyOfView(tally));
  const tally = seen.reduce(mergeTallies, EMPTY_TALLY);
  const behaviour = behaviourOfTally(tally, bins);
  if (behaviour !== undefined) return { tally, behaviour };
  throw new UsageError(
    `--from ${rollout}: no evidence of its ${name} is stored, so there is nothing to simulate with; it had no traffic, or its evidence has been deleted since`,
  );
}

/** Everything but latency, which is played as it was counted. */
function recordedDeviation(champion: Behaviour, challenger: Behaviour): Deviation {
  const [theirs, ours] = [champion.predictions, challenger.predictions];
  const isAlike = theirs !== undefined && ours !== undefined && (theirs.kind === 'classes') === (ours.kind === 'classes');
  return {
    ...NO_DEVIATION,
    errorRate: challenger.errorRate,
    ...(isAlike ? { predictions: { kind: 'replaced', shape: ours } } : {}),
  };
}

/** A harmful scenario of the catalogue on another champion: what comes on top there comes on top here. */
function transferred(scenario: Scenario, plain: Scenario): readonly Scenario[] {
  const { errorRate, predictions, ...rest } = scenario.challenger;
  const shape = plain.champion.predictions;
  const canDrift = shape !== undefined && shape.kind !== 'classes' && predictions?.kind !== 'replaced';
  if (scenario.truth !== 'harmful' || scenario.traffic.requestsPerSecond !== USUAL_RATE) return [];
  if (predictions !== undefined && !canDrift) return [];
  const added = errorRate === undefined ? undefined : errorRate - scenario.champion.errorRate;
  const challenger: Deviation = {
    ...rest,
    ...(predictions === undefined ? {} : { predictions }),
    ...(added === undefined ? {} : { errorRate: Math.min(1, plain.champion.errorRate + added) }),
  };
  const points =
    added === undefined ? scenario.title : `${Number((added * 100).toPrecision(3))} points more errors (${scenario.title})`;
  return [{ ...plain, name: scenario.name, title: points, truth: 'harmful', challenger }];
}
