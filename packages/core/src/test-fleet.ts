/** A rollout in front of many gateways, some of which lie, played to its end through the ledger. Tests of many gateways use it. */
import type { EvidenceBlock, Tally } from './evidence.ts';
import { GRACE_MS, type StoredBlock } from './evidence-pool.ts';
import type { Plan, PolicyConfig } from './plan.ts';
import type { Judgement } from './policy.ts';
import { decideByEvidence, type Rollout } from './rollout.ts';
import { openRolloutLedger } from './rollout-ledger.ts';
import { type Behaviour, BINS, drawTally } from './sequential/test-traffic.ts';
import { DEFAULT_SEQUENTIAL } from './sequential/config.ts';
import { type Random, randomOf } from './simulation/random.ts';

/** Both arms of one gateway in one second. */
export interface GatewaySecond {
  readonly champion: Tally;
  readonly challenger: Tally;
}

/** What a gateway says instead of what it saw; `past` is what it has seen before. */
export type Lie = (truth: GatewaySecond, past: readonly GatewaySecond[]) => GatewaySecond;

export interface FleetGateway {
  readonly name: string;
  /** Requests a second, both arms together. */
  readonly rate: number;
  readonly champion?: Behaviour;
  readonly challenger?: Behaviour;
  readonly stratum?: string;
  readonly lie?: Lie;
  /** Seconds in which it reports; always unless said otherwise. */
  readonly isThere?: (second: number) => boolean;
}

export interface FleetPlay {
  readonly seed: number;
  readonly gateways: readonly FleetGateway[];
  readonly policy?: PolicyConfig;
  /** Whether reports carry the names of their gateways; without, there is nothing to compare. */
  readonly isNamed?: boolean;
  readonly seconds?: number;
  /** Called with every judgement; true asks for a step as a person does. */
  readonly onJudged?: (judgement: Judgement, second: number) => boolean;
}

export interface FleetEnd {
  readonly end: 'promoted' | 'rolled-back' | 'held';
  readonly seconds: number;
  /** Of the last decision. */
  readonly reason: string;
  /** The last judgement. */
  readonly judgement: Judgement;
  readonly reports: readonly StoredBlock[];
}

export const FLEET_START_MS = 10_000_000;

/** Steps of 10, 50 and 100 % as fast as evidence allows. */
export function fleetPlan(policy: PolicyConfig = { kind: 'sequential', ...DEFAULT_SEQUENTIAL }): Plan {
  const steps = [10, 50, 100].map((trafficPercent) => ({ trafficPercent, holdMs: 0, minSamples: 50 }));
  return {
    name: 'fleet',
    steps: steps.map((step) => (step.trafficPercent === 100 ? { ...step, minSamples: 0 } : step)),
    policy,
    checkEveryMs: 1000,
    startCheck: 'warn',
  };
}

/** The rollout that {@link playFleet} plays, on its first step. */
export function fleetRollout(plan: Plan): Rollout {
  const arms = { id: 'fraud-1', model: 'fraud', champion: 'v1', challenger: 'v2' };
  const state = { phase: 'stepping', step: 0, sinceMs: FLEET_START_MS } as const;
  return { ...arms, plan, bins: BINS, salt: 's', startedAtMs: FLEET_START_MS, startedBy: 'ann', state };
}

/** What the champion did before the rollout. */
function fleetPast(): StoredBlock {
  const startMs = FLEET_START_MS - 60_000;
  const block = {
    model: 'fraud',
    version: 'v1',
    arm: 'champion',
    startMs,
    tally: drawTally(randomOf(0, 'before'), 6000),
  } as const;
  return { block, seenAtMs: startMs + 1050 };
}

/** Plays until the rollout ends, or the time is over. The same seed gives every gateway the same traffic, whoever else is there. */
export function playFleet({ seed, gateways, policy, isNamed = true, seconds = 400, onJudged }: FleetPlay): FleetEnd {
  let rollout = fleetRollout(fleetPlan(policy));
  const ledger = openRolloutLedger(rollout);
  const sources = gateways.map((gateway) => sourceOf(gateway, seed, isNamed));
  const reports: StoredBlock[] = [];
  const add = (stored: StoredBlock): void => {
    reports.push(stored);
    ledger.add(stored);
  };
  add(fleetPast());
  let last = { reason: '', judgement: ledger.judge(rollout, FLEET_START_MS) };
  for (let second = 0; second < seconds; second += 1) {
    const step = 'step' in rollout.state ? rollout.state.step : 0;
    const percent = rollout.plan.steps[step]?.trafficPercent ?? 100;
    for (const source of sources) for (const stored of source({ second, step, percent })) add(stored);
    const atMs = FLEET_START_MS + (second + 1) * 1000 + GRACE_MS;
    const judgement = ledger.judge(rollout, atMs);
    const skipHold = onJudged?.(judgement, second) ?? false;
    const decision = decideByEvidence(rollout, { atMs, judgement, notReady: undefined, unhealthy: undefined, skipHold });
    last = { reason: decision.reason, judgement };
    const { phase } = decision.next;
    if (phase === 'promoted' || phase === 'rolled-back') return { end: phase, seconds: second + 1, ...last, reports };
    rollout = { ...rollout, state: decision.next };
  }
  return { end: 'held', seconds, ...last, reports };
}

interface When {
  readonly second: number;
  readonly step: number;
  /** Share of requests on the challenger. */
  readonly percent: number;
}

/** What a gateway reports, second by second. */
function sourceOf(gateway: FleetGateway, seed: number, isNamed: boolean): (when: When) => readonly StoredBlock[] {
  const random = randomOf(seed, gateway.name);
  const past: GatewaySecond[] = [];
  return ({ second, step, percent }) => {
    const truth = drawSecond(gateway, random, percent);
    past.push(truth);
    if (gateway.isThere?.(second) === false) return [];
    const told = gateway.lie === undefined ? truth : gateway.lie(truth, past);
    return reportsOf(told, { gateway, startMs: FLEET_START_MS + second * 1000, step, isNamed });
  };
}

function drawSecond({ rate, champion, challenger = champion }: FleetGateway, random: Random, percent: number): GatewaySecond {
  let toChallenger = 0;
  for (let request = 0; request < rate; request += 1) if (random.uniform() * 100 < percent) toChallenger += 1;
  return {
    champion: drawTally(random, rate - toChallenger, champion ?? {}),
    challenger: drawTally(random, toChallenger, challenger ?? {}),
  };
}

interface Where {
  readonly gateway: FleetGateway;
  readonly startMs: number;
  readonly step: number;
  readonly isNamed: boolean;
}

function reportsOf(told: GatewaySecond, { gateway, startMs, step, isNamed }: Where): readonly StoredBlock[] {
  return (['champion', 'challenger'] as const)
    .filter((arm) => told[arm].requests > 0)
    .map((arm) => {
      const block: EvidenceBlock = {
        model: 'fraud',
        version: arm === 'champion' ? 'v1' : 'v2',
        arm,
        rollout: 'fraud-1',
        step,
        startMs,
        ...(gateway.stratum === undefined ? {} : { stratum: gateway.stratum }),
        ...(isNamed ? { gateway: gateway.name } : {}),
        tally: told[arm],
      };
      return { block, seenAtMs: startMs + 1050 };
    });
}
