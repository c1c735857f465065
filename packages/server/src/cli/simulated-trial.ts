/** One scenario with one plan, ready to be played; as plain data until then, so that it can be sent to a thread. */
import { EMPTY_TALLY } from '@understudy/core/evidence';
import type { Histogram } from '@understudy/core/histogram';
import { DEFAULT_ROUTING } from '@understudy/core/model';
import type { Plan } from '@understudy/core/plan';
import { startPolicy } from '@understudy/core/running-policy';
import { latencyDrawer } from '@understudy/core/simulation/latency-shape';
import { openingOf, type PreparedScenario, prepareScenario } from '@understudy/core/simulation/prepared-scenario';
import type { Scenario } from '@understudy/core/simulation/scenario';
import type { Trial } from '@understudy/core/simulation/simulate-rollout';
import { checkStart } from '@understudy/core/start-check';

/** What is to be played. */
export interface TrialOrder {
  readonly scenario: Scenario;
  readonly plan: Plan;
  /** Latencies of the challenger as they were recorded; without them they are the champion's, changed as the scenario says. */
  readonly challengerLatency?: Histogram;
}

/** What the check at the start of a rollout would find. */
export interface CheckedOrder {
  readonly order: TrialOrder;
  readonly remarks: readonly string[];
}

const SECOND_MS = 1000;
// The same for every seed, so that the remarks are those of the plan and not of a seed.
const CHECKED_SEED = 1;
const WATCHED_MS = 600_000;

/** Checks the plan as the server does at the start of a rollout: guards that have no data in the scenario are left out. */
export function checkOrder(order: TrialOrder): CheckedOrder {
  const prepared = preparedOf(order);
  const opening = openingOf(prepared, order.plan, CHECKED_SEED);
  const champion = opening.championBaseline;
  const { plan, problems } = checkStart({
    plan: order.plan,
    // Classes are known from traffic alone.
    baselines: champion === undefined ? {} : { champion },
    recent: { ...EMPTY_TALLY, ...opening.champion },
    recentMs: WATCHED_MS,
    deadlineMs: DEFAULT_ROUTING.deadlineMs,
  });
  return { order: { ...order, plan }, remarks: [...problems, ...unplayed(plan)] };
}

/** Nobody knows how numbers of somebody else would behave. */
function unplayed({ checks = [] }: Plan): readonly string[] {
  const names = checks.map(({ name }) => name).join(', ');
  return checks.length === 0
    ? []
    : [`guards from elsewhere are not played (${names}): with them a rollout can only take longer, or be rolled back`];
}

/** The order as the simulator takes it. Takes milliseconds, so do it once for many rollouts. */
export function trialOf(order: TrialOrder): Trial {
  const { plan } = order;
  return {
    prepared: preparedOf(order),
    // Simulated time goes by in seconds.
    plan: { ...plan, checkEveryMs: Math.ceil(plan.checkEveryMs / SECOND_MS) * SECOND_MS },
    openJudge(opening) {
      const running = startPolicy(plan.policy, opening);
      return { reads: 'tallies', see: (block) => running.absorb(block), verdict: (question) => running.verdict(question) };
    },
  };
}

function preparedOf({ scenario, challengerLatency }: TrialOrder): PreparedScenario {
  const prepared = prepareScenario(scenario);
  if (challengerLatency === undefined) return prepared;
  const drawLatency = latencyDrawer({ kind: 'empirical', histogram: challengerLatency });
  return { ...prepared, challenger: { ...prepared.challenger, drawLatency } };
}
