/**
 * Everything that is known about one rollout's evidence: what came before it, its closed blocks, what its policy makes of
 * them. Filled from stored evidence in the order of storage; the same evidence always gives the same answers, so the
 * engine and a replay years later say the same.
 */
import { openChecks } from './checks/checked-judgement.ts';
import { type Arm, EMPTY_TALLY, mergeTallies, type Tally } from './evidence.ts';
import { type ArmTotals, type EvidenceAccount, NO_TOTALS, openEvidenceAccount } from './evidence-account.ts';
import { closeUntil, EMPTY_POOL, type EvidencePool, intervalOf, pour, type StoredBlock } from './evidence-pool.ts';
import { type Ask, type GatewayFolds, openGatewayFolds } from './gateway-folds.ts';
import { openParts } from './gateway-parts.ts';
import { isLastStep, type Plan, type PolicyConfig, strictestStepOf } from './plan.ts';
import type { Judgement, Opening, Question, Verdict } from './policy.ts';
import { isOnTrial, type Rollout, shadowStepOf, stepOf } from './rollout.ts';
import { listen, openSilence, type ShadowSilence, silentForMs } from './shadow-silence.ts';
import { startPolicy } from './running-policy.ts';

/** Only closed intervals count in what is asked; see `evidence-pool.ts`. */
export interface RolloutLedger {
  /** Takes a stored block of any model; those that have nothing to do with the rollout change nothing. */
  add(stored: StoredBlock): void;
  /**
   * Takes in what is closed at a moment, as every judgement does: with a long past to read, memory stays bounded. The
   * moment must not be later than that of a judgement to come, nor later than a block to come was stored.
   */
  settle(atMs: number): void;
  /** What the policy says about the rollout as it stands at a moment. Moments must not go back. */
  judge(rollout: Rollout, atMs: number): Judgement;
  /** The verdict of {@link RolloutLedger.judge} alone. */
  verdict(rollout: Rollout, atMs: number): Verdict;
  totals(arm: Arm): ArmTotals;
  /** For how long a shadow should have been heard of and was not; undefined outside of steps of shadow, and when all is well. */
  silentMs(rollout: Rollout, atMs: number): number | undefined;
  /** Requests that came too late to count. */
  readonly lost: number;
}

/** The champion's traffic so long before a rollout tells its policy where to look. */
export const LOOK_BACK_MS = 3_600_000;

/**
 * Opens an empty ledger.
 * @param plan the rollout's own, or another one that is tried on its evidence
 */
export function openRolloutLedger(opened: Rollout, plan: Plan = opened.plan): RolloutLedger {
  let pool: EvidencePool = EMPTY_POOL;
  let before: Tally = EMPTY_TALLY;
  let judges: Judges | undefined;
  const parts = openParts();
  let silence: ShadowSilence = openSilence(opened.startedAtMs);
  const checks = openChecks(plan.checks ?? []);

  function settle(atMs: number): Judges {
    judges ??= openJudges(plan.policy, openingOf(opened, plan, before));
    const { pool: rest, closed } = closeUntil(pool, atMs);
    pool = rest;
    checks.settle(pool.closedUntilMs);
    for (const block of closed) {
      judges.folds.absorb(block, parts.take(block));
      judges.everything.absorb(block);
      silence = listen(silence, { startMs: block.startMs, ...block.arms });
    }
    return judges;
  }

  return {
    add(stored) {
      const { block, seenAtMs } = stored;
      if (block.model !== opened.model) return;
      if (block.measurement !== undefined) {
        if (block.rollout === opened.id) checks.add(stored);
      } else if (block.rollout === opened.id) {
        if (intervalOf(stored) >= pool.closedUntilMs) parts.add(stored);
        pool = pour(pool, stored);
      } else if (isBefore(opened, stored) && seenAtMs < opened.startedAtMs) {
        before = mergeTallies(before, block.tally);
      }
    },
    settle(atMs) {
      // Before its own first block a rollout's past may still be coming.
      if (pool.open.length > 0) settle(atMs);
    },
    judge(rollout, atMs) {
      const [{ folds, everything }, ask] = [settle(atMs), askOf(rollout, plan, atMs)];
      const judgement = folds.judge(ask);
      return isOnTrial(rollout) ? checks.join(judgement, ask(everything)) : judgement;
    },
    verdict(rollout, atMs) {
      const [{ folds, everything }, ask] = [settle(atMs), askOf(rollout, plan, atMs)];
      const verdict = folds.verdict(ask);
      return isOnTrial(rollout) ? checks.joinVerdict(verdict, ask(everything)) : verdict;
    },
    totals: (arm) => judges?.everything.totals(arm) ?? NO_TOTALS,
    silentMs(rollout, atMs) {
      settle(atMs);
      return silenceOf(rollout, silence, atMs);
    },
    get lost() {
      return pool.lost;
    },
  };
}

interface Judges {
  readonly everything: EvidenceAccount;
  readonly folds: GatewayFolds;
}

function openJudges(policy: PolicyConfig, opening: Opening): Judges {
  const everything = openEvidenceAccount(startPolicy(policy, opening));
  return { everything, folds: openGatewayFolds(opening, everything) };
}

function askOf(rollout: Rollout, plan: Plan, atMs: number): Ask {
  return (account) => questionOf(rollout, plan, atMs, (arm, step) => account.seenIn(arm, step));
}

function silenceOf(rollout: Rollout, silence: ShadowSilence, atMs: number): number | undefined {
  const percent = shadowStepOf(rollout)?.shadowPercent;
  // The clock of a step begins with it: before, no copy was due.
  const heardMs = Math.max(silence.heardMs, sinceOf(rollout, atMs));
  return percent === undefined ? undefined : silentForMs({ ...silence, heardMs }, percent, atMs);
}

function isBefore(rollout: Rollout, { block }: StoredBlock): boolean {
  return block.arm === 'champion' && block.version === rollout.champion && block.startMs >= rollout.startedAtMs - LOOK_BACK_MS;
}

function openingOf(rollout: Rollout, plan: Plan, champion: Tally): Opening {
  const { startedAtMs, bins, baselines } = rollout;
  return {
    startedAtMs,
    champion,
    percents: plan.steps.map(({ trafficPercent }) => trafficPercent),
    ...(bins === undefined ? {} : { bins }),
    ...baselinesOf(baselines),
  };
}

// oxlint-disable-next-line max-params -- the rollout, the plan it is judged by, when, and what was seen
function questionOf(rollout: Rollout, plan: Plan, atMs: number, seen: (arm: Arm, step: number) => Tally): Question {
  const step = stepOf(rollout.state);
  const planned = plan.steps[step];
  return {
    atMs,
    step,
    sinceMs: sinceOf(rollout, atMs),
    trafficPercent: planned?.trafficPercent ?? 0,
    isStrictest: step === strictestStepOf(plan.steps),
    isLast: isLastStep(plan.steps, step),
    ...(planned?.isBake === true ? { isBake: true } : {}),
    minSamples: planned?.minSamples ?? 0,
    ...(planned?.shadowPercent === undefined ? {} : { shadowPercent: planned.shadowPercent }),
    seen: {
      champion: seen('champion', step),
      challenger: seen(planned?.shadowPercent === undefined ? 'challenger' : 'shadow', step),
    },
    ...baselinesOf(rollout.baselines),
  };
}

function baselinesOf(baselines: Rollout['baselines']): Pick<Question, 'championBaseline' | 'challengerBaseline'> {
  return {
    ...(baselines?.champion === undefined ? {} : { championBaseline: baselines.champion }),
    ...(baselines?.challenger === undefined ? {} : { challengerBaseline: baselines.challenger }),
  };
}

/** When the rollout came to its step, as if it had never been paused. */
function sinceOf({ state, startedAtMs }: Rollout, atMs: number): number {
  if (state.phase === 'stepping' || state.phase === 'preparing') return state.sinceMs;
  return state.phase === 'paused' ? atMs - state.heldMs : startedAtMs;
}
