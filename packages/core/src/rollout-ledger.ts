/**
 * Everything that is known about one rollout's evidence: what came before it, its closed blocks, what its policy makes of
 * them. Filled from stored evidence in the order of storage; the same evidence always gives the same answers, so the
 * engine and a replay years later say the same.
 */
import { openChecks } from './checks/checked-judgement.ts';
import { type Arm, EMPTY_TALLY, mergeTallies, type Tally } from './evidence.ts';
import { closeUntil, type ConcurrentBlock, EMPTY_POOL, type EvidencePool, pour, type StoredBlock } from './evidence-pool.ts';
import { isLastStep, type Plan, strictestStepOf } from './plan.ts';
import type { Judgement, Opening, Question, Verdict } from './policy.ts';
import { isOnTrial, type Rollout, shadowStepOf, stepOf } from './rollout.ts';
import { listen, openSilence, type ShadowSilence, silentForMs } from './shadow-silence.ts';
import { type RunningPolicy, startPolicy } from './running-policy.ts';

/** What an arm did, in the newest step that it was used in and over all. */
export interface ArmTotals {
  readonly step: number;
  readonly inStep: Tally;
  readonly inAll: Tally;
}

/** Only closed intervals count in what is asked; see `evidence-pool.ts`. */
export interface RolloutLedger {
  /** Takes a stored block of any model; those that have nothing to do with the rollout change nothing. */
  add(stored: StoredBlock): void;
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

const NOTHING: ArmTotals = { step: -1, inStep: EMPTY_TALLY, inAll: EMPTY_TALLY };

/**
 * Opens an empty ledger.
 * @param plan the rollout's own, or another one that is tried on its evidence
 */
export function openRolloutLedger(opened: Rollout, plan: Plan = opened.plan): RolloutLedger {
  let pool: EvidencePool = EMPTY_POOL;
  let before: Tally = EMPTY_TALLY;
  let policy: RunningPolicy | undefined;
  const totals = new Map<Arm, ArmTotals>();
  let silence: ShadowSilence = openSilence(opened.startedAtMs);
  const checks = openChecks(plan.checks ?? []);

  function settle(atMs: number): RunningPolicy {
    policy ??= startPolicy(plan.policy, openingOf(opened, plan, before));
    const { pool: rest, closed } = closeUntil(pool, atMs);
    pool = rest;
    checks.settle(pool.closedUntilMs);
    for (const block of closed) {
      policy.absorb(block);
      silence = listen(silence, { startMs: block.startMs, ...block.arms });
      for (const arm of ['champion', 'challenger', 'shadow'] as const) totals.set(arm, addBlock(totals.get(arm), block, arm));
    }
    return policy;
  }

  const ask = (rollout: Rollout, atMs: number): Question =>
    questionOf(rollout, plan, atMs, (arm, step) => seenIn(totals.get(arm), step));

  return {
    add(stored) {
      const { block, seenAtMs } = stored;
      if (block.model !== opened.model) return;
      if (block.measurement !== undefined) {
        if (block.rollout === opened.id) checks.add(stored);
      } else if (block.rollout === opened.id) pool = pour(pool, stored);
      else if (isBefore(opened, stored) && seenAtMs < opened.startedAtMs) {
        before = mergeTallies(before, block.tally);
      }
    },
    judge(rollout, atMs) {
      const [running, question] = [settle(atMs), ask(rollout, atMs)];
      const judgement = running.judge(question);
      return isOnTrial(rollout) ? checks.join(judgement, question) : judgement;
    },
    verdict(rollout, atMs) {
      const [running, question] = [settle(atMs), ask(rollout, atMs)];
      const verdict = running.verdict(question);
      return isOnTrial(rollout) ? checks.joinVerdict(verdict, question) : verdict;
    },
    totals: (arm) => totals.get(arm) ?? NOTHING,
    silentMs(rollout, atMs) {
      const percent = shadowStepOf(rollout)?.shadowPercent;
      settle(atMs);
      // The clock of a step begins with it: before, no copy was due.
      const heardMs = Math.max(silence.heardMs, sinceOf(rollout, atMs));
      return percent === undefined ? undefined : silentForMs({ ...silence, heardMs }, percent, atMs);
    },
    get lost() {
      return pool.lost;
    },
  };
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

function addBlock(total: ArmTotals | undefined, { step, arms }: ConcurrentBlock, arm: Arm): ArmTotals {
  const tally = arms[arm];
  const known = total ?? NOTHING;
  // Scores and labels come when the world has answered, often without a request beside them.
  const { requests, scores, labels, pairs } = tally;
  if (requests === 0 && Object.keys(scores).length === 0 && labels === undefined && pairs === undefined) return known;
  const inStep = step > known.step ? tally : step < known.step ? known.inStep : mergeTallies(known.inStep, tally);
  return { step: Math.max(step, known.step), inStep, inAll: mergeTallies(known.inAll, tally) };
}

/** Labels are those of the whole rollout: those of a step come while another one is held. */
function seenIn(total: ArmTotals | undefined, step: number): Tally {
  const { labels: _ofStep, ...tally } = total?.step === step ? total.inStep : EMPTY_TALLY;
  const labels = total?.inAll.labels;
  return labels === undefined ? tally : { ...tally, labels };
}
