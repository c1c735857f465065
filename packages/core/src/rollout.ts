/** The life of a rollout as a pure state machine: what the engine should do now, and what a person may do. The engine and the API depend on it. */
import { type Approval, approvalNeedOf } from './approval.ts';
import { boundaryOf } from './bucketing.ts';
import { formatDuration } from './duration.ts';
import { AppError } from './errors.ts';
import { asksForNothing, heldBackOf, isLastStep, type Plan, type PlanStep, shareWords } from './plan.ts';
import type { Baseline } from './model-version.ts';
import type { PredictionBins } from './prediction-bins.ts';
import type { GuardReading, Judgement, Verdict } from './policy.ts';

/** `promoted`, `rolled-back`, `aborted` and `killed` absorb: nothing leaves them. A retry is a new rollout. */
export type RolloutState =
  | { readonly phase: 'preparing'; readonly sinceMs: number }
  | { readonly phase: 'stepping'; readonly step: number; readonly sinceMs: number }
  | {
      readonly phase: 'paused';
      readonly step: number;
      /** How long the step had been held when it was paused; resuming goes on from there. */
      readonly heldMs: number;
      readonly atMs: number;
      readonly by: string;
      readonly reason: string;
    }
  | { readonly phase: 'promoted'; readonly atMs: number; readonly by: string; readonly reason: string }
  | Ended<'rolled-back'>
  | Ended<'aborted'>
  | Ended<'killed'>;

interface Ended<Phase extends string> {
  readonly phase: Phase;
  /** The step the rollout stood on; −1 when it had not begun to climb. */
  readonly step: number;
  readonly atMs: number;
  readonly by: string;
  readonly reason: string;
}

/** Registered baselines of both sides, where there are any. */
export interface Baselines {
  readonly champion?: Baseline;
  readonly challenger?: Baseline;
}

/** One challenger on trial against one champion. */
export interface Rollout {
  readonly id: string;
  readonly model: string;
  readonly champion: string;
  readonly challenger: string;
  readonly plan: Plan;
  /** What predictions were expected to look like when the rollout started; later changes of a version's baseline are for later. */
  readonly baselines?: Baselines;
  /** In which predictions of both arms are counted, fixed at the start; absent when nobody knew what they look like. */
  readonly bins?: PredictionBins;
  /** What the check at the start found: guards left out, and what may take too long. */
  readonly remarks?: readonly string[];
  /** Fixes every subject's bucket; a retry inherits it, so that nobody changes sides. */
  readonly salt: string;
  readonly startedAtMs: number;
  readonly startedBy: string;
  /** The rollout that this one retries. */
  readonly retryOf?: string;
  /** Of the step that it stands on; older ones have lapsed. */
  readonly approvals?: readonly Approval[];
  readonly state: RolloutState;
}

/** What the engine did, or why it waits. */
export type Action = 'begin' | 'hold' | 'advance' | 'promote' | 'roll-back';

/** What a rollout waits for when the evidence does not hold it back: people, or a time that they fixed. */
export type Restraint = 'approval' | 'freeze' | 'time-box' | 'dry-run';

/** A decision with everything a person needs to understand it. */
export interface Decision {
  readonly action: Action;
  readonly verdict: Verdict;
  readonly reason: string;
  readonly guards: readonly GuardReading[];
  /** The rollout's state afterwards; unchanged by `hold`. */
  readonly next: RolloutState;
  /** Held by {@link Situation.cutOff}, whatever the evidence says. */
  readonly isCutOff?: true;
  /** Of a `hold`: who or what keeps the engine from acting, and what it would have done. */
  readonly heldFor?: Restraint;
  readonly would?: Exclude<Action, 'hold'>;
}

/** What the engine knows when it decides. */
export interface Situation {
  readonly atMs: number;
  readonly judgement: Judgement;
  /** Why the challenger may not get traffic yet; undefined when every gateway has it loaded, warmed up and probed. */
  readonly notReady: string | undefined;
  /** Gateways do not serve the challenger: a service of its users does, and flags tell it how many get it. */
  readonly isExternal?: boolean;
  /** Which gateways have taken the challenger's traffic away by themselves, and why: while one has, nothing climbs. */
  readonly cutOff?: string | undefined;
  /** Why nobody will know more: every gateway has cut the challenger off, and its tries have led to nothing. */
  readonly givenUp?: string | undefined;
  /** Why the challenger is unfit, when a person marked it unhealthy meanwhile. */
  readonly unhealthy: string | undefined;
  /**
   * Passes the present step's hold, as asked by a person; guards still apply. To pass its minimum sample too, ask for the
   * judgement with `minSamples` 0.
   */
  readonly skipHold?: boolean;
  /** Why nothing may go forward now, and until when; rollbacks do not ask. */
  readonly frozen?: string;
}

/** Who acts, when and why. */
export interface Act {
  readonly atMs: number;
  readonly by: string;
  readonly reason: string;
}

/** Whether the rollout still decides anything. At most one rollout of a model is live. */
export function isLive(state: RolloutState): boolean {
  return state.phase === 'preparing' || state.phase === 'stepping' || state.phase === 'paused';
}

/** Whether the challenger is being tried: what checks of the plan are asked about. */
export function isOnTrial({ state }: Pick<Rollout, 'state'>): boolean {
  return state.phase === 'stepping' || state.phase === 'paused';
}

/** The step a live rollout stands on; −1 before the first and −1 for an ended one without. */
export function stepOf(state: RolloutState): number {
  return 'step' in state ? state.step : -1;
}

/**
 * Buckets below this number are on the challenger. Computed from the state and never stored beside it. A paused rollout
 * keeps its share; an ended one has none.
 */
export function boundaryOfRollout(rollout: Pick<Rollout, 'plan' | 'state'>): number {
  const { state, plan } = rollout;
  if (state.phase !== 'stepping' && state.phase !== 'paused') return 0;
  return boundaryOf(plan.steps[state.step]?.trafficPercent ?? 0);
}

/**
 * Buckets below this number stay on the challenger where nobody can be asked any more: the share of the last step that was
 * judged safe, or what the plan pins if that is more, and never more than the present share.
 */
export function safeBoundaryOfRollout(rollout: Pick<Rollout, 'plan' | 'state'>): number {
  const { state, plan } = rollout;
  const passed = plan.steps[stepOf(state) - 1]?.trafficPercent ?? 0;
  return Math.min(boundaryOfRollout(rollout), boundaryOf(Math.max(passed, plan.pinnedPercent ?? 0)));
}

/** The step of shadow that a rollout stands on; undefined when users get its challenger, or nothing does. */
export function shadowStepOf({ plan, state }: Pick<Rollout, 'plan' | 'state'>): PlanStep | undefined {
  if (state.phase !== 'stepping' && state.phase !== 'paused') return undefined;
  const step = plan.steps[state.step];
  return step?.shadowPercent === undefined ? undefined : step;
}

/** What should happen to a live rollout now. Ended rollouts hold. */
export function decide(rollout: Rollout, situation: Situation): Decision {
  return restrain(rollout, situation, decideByEvidence(rollout, situation));
}

/** What evidence, readiness and time alone ask for, whatever people have frozen or still have to approve. Replays ask this. */
export function decideByEvidence(rollout: Rollout, situation: Situation): Decision {
  const { state } = rollout;
  if (!isLive(state)) return hold(rollout, situation.judgement, `the rollout is ${state.phase}`);
  if (situation.unhealthy !== undefined) {
    return rollBack(rollout, situation, `${rollout.challenger} was marked unhealthy: ${situation.unhealthy}`);
  }
  const hasTraffic = state.phase !== 'preparing';
  if (hasTraffic && situation.judgement.verdict === 'harmful') return rollBack(rollout, situation, situation.judgement.reason);
  if (hasTraffic && situation.givenUp !== undefined) {
    return { ...rollBack(rollout, situation, situation.givenUp), isCutOff: true };
  }
  const decision = decideUnharmed(rollout, situation);
  const isClimbing = decision.action === 'advance' || decision.action === 'promote';
  if (!isClimbing && (decision.action !== 'hold' || state.phase !== 'stepping')) return decision;
  if (situation.cutOff === undefined) return decision;
  return { ...hold(rollout, situation.judgement, situation.cutOff), isCutOff: true };
}

/** What time and evidence allow where nothing speaks against the challenger. */
function decideUnharmed(rollout: Rollout, situation: Situation): Decision {
  const { state } = rollout;
  if (isTimeBoxOver(rollout, situation.atMs)) return decideTimeBox(rollout, situation);
  if (state.phase === 'preparing') return decideStart(rollout, situation);
  if (state.phase === 'paused') return hold(rollout, situation.judgement, `paused by ${state.by}: ${state.reason}`);
  if (state.phase === 'stepping') return decideStep(rollout, state, situation);
  return hold(rollout, situation.judgement, `the rollout is ${state.phase}`);
}

/**
 * Freezes the share; guards stay armed.
 * @throws AppError `rollout.invalid_transition` unless the rollout is on a step
 */
export function pause(rollout: Rollout, act: Act): RolloutState {
  const { state } = rollout;
  if (state.phase !== 'stepping') throw invalid(rollout, 'pause', 'only a rollout that is on a step can be paused');
  // Another control plane may have begun the step, by a clock that is ahead.
  return { phase: 'paused', step: state.step, heldMs: Math.max(0, act.atMs - state.sinceMs), ...act };
}

/**
 * Goes on from where the rollout was paused.
 * @throws AppError `rollout.invalid_transition` unless it is paused
 */
export function resume(rollout: Rollout, act: Act): RolloutState {
  const { state } = rollout;
  if (state.phase !== 'paused') throw invalid(rollout, 'resume', 'it is not paused');
  return { phase: 'stepping', step: state.step, sinceMs: act.atMs - state.heldMs };
}

/**
 * Ends a live rollout for a reason outside of the evidence.
 * @throws AppError `rollout.invalid_transition` when it has ended already
 */
export function end(rollout: Rollout, phase: 'promoted' | 'rolled-back' | 'aborted' | 'killed', act: Act): RolloutState {
  const { state } = rollout;
  const verbs = { promoted: 'promote', 'rolled-back': 'roll back', aborted: 'abort', killed: 'kill' } as const;
  if (!isLive(state)) {
    throw invalid(
      rollout,
      verbs[phase],
      `it is ${state.phase} already; start the next with \`understudy rollout retry ${rollout.id}\``,
    );
  }
  return phase === 'promoted' ? { phase, ...act } : { phase, step: stepOf(state), ...act };
}

/** Freezes and missing approvals turn going forward into waiting; nothing but a dry run keeps from rolling back. */
function restrain(rollout: Rollout, situation: Situation, wish: Decision): Decision {
  const { action } = wish;
  if (action === 'hold') return wish;
  const wait = (heldFor: Restraint, reason: string): Decision => {
    const { verdict, guards } = wish;
    return { action: 'hold', verdict, reason, guards, next: rollout.state, heldFor, would: action };
  };
  if (action === 'roll-back') {
    const isSimulated = rollout.plan.dryRun === true && situation.unhealthy === undefined;
    return isSimulated ? wait('dry-run', `dry run, it would roll back: ${wish.reason}`) : wish;
  }
  if (situation.frozen !== undefined) return wait('freeze', `${situation.frozen}; then: ${wish.reason}`);
  const need = action === 'begin' ? undefined : approvalNeedOf(rollout, action === 'promote' ? 'promotion' : 'next');
  if (need !== undefined && need.missing > 0) return wait('approval', `${need.sentence}; then: ${wish.reason}`);
  if (rollout.plan.dryRun === true && action !== 'begin') {
    return wait('dry-run', `dry run, it would ${action}: ${wish.reason}`);
  }
  return wish;
}

function decideStart(rollout: Rollout, situation: Situation): Decision {
  const first = rollout.plan.steps[0];
  if (first === undefined) return hold(rollout, situation.judgement, 'the plan has no step');
  if (situation.notReady !== undefined)
    return hold(rollout, situation.judgement, `waiting for the challenger: ${situation.notReady}`);
  return {
    action: 'begin',
    verdict: situation.judgement.verdict,
    reason: `${rollout.challenger} ${readinessOf(situation)}; it gets ${shareWords(first)}`,
    guards: [],
    next: { phase: 'stepping', step: 0, sinceMs: situation.atMs },
  };
}

function readinessOf({ isExternal = false }: Situation): string {
  return isExternal ? 'is served by your own service, which flags tell' : 'is loaded, warmed up and probed on every gateway';
}

function decideStep(rollout: Rollout, state: Extract<RolloutState, { phase: 'stepping' }>, situation: Situation): Decision {
  const step = rollout.plan.steps[state.step];
  if (step === undefined) return hold(rollout, situation.judgement, `the plan has no step ${state.step + 1}`);
  const heldMs = situation.atMs - state.sinceMs;
  // Only the last step may ask for nothing at all; before it, evidence decides even without hold and minimum sample.
  const isFree = asksForNothing(step) && rollout.plan.steps[state.step + 1] === undefined;
  if (situation.judgement.verdict !== 'healthy' && !isFree && !isGoneOnWithout(situation)) {
    return hold(rollout, situation.judgement, situation.judgement.reason);
  }
  if (step.isBake === true && heldMs < step.holdMs && situation.skipHold !== true) {
    const left = formatDuration(step.holdMs - heldMs);
    const baking = `baking, ${heldBackOf(step)} % are held back on ${rollout.champion} for ${left} more`;
    return hold(rollout, situation.judgement, `${baking}: ${situation.judgement.reason}`);
  }
  if (heldMs < step.holdMs && situation.skipHold !== true) {
    const left = formatDuration(step.holdMs - heldMs);
    return hold(rollout, situation.judgement, `${situation.judgement.reason}; the step is held for ${left} more`);
  }
  return climb(rollout, state.step, situation);
}

/** A person who asks for a step takes the word of the other gateways. */
function isGoneOnWithout({ judgement, skipHold }: Situation): boolean {
  return skipHold === true && judgement.ifAsked === 'healthy';
}

function climb(rollout: Rollout, from: number, situation: Situation): Decision {
  const { verdict, guards, reason } = situation.judgement;
  const next: PlanStep | undefined = rollout.plan.steps[from + 1];
  if (next === undefined || isLastStep(rollout.plan.steps, from)) return promote(rollout, situation, reason);
  return {
    action: 'advance',
    verdict,
    reason: `from ${shareWords(rollout.plan.steps[from] ?? NO_SHARE)} to ${shareWords(next)}${next.isBake === true ? ' to bake' : ''}: ${reason}`,
    guards,
    next: { phase: 'stepping', step: from + 1, sinceMs: situation.atMs },
  };
}

const NO_SHARE = { trafficPercent: 0 };

function decideTimeBox(rollout: Rollout, situation: Situation): Decision {
  const box = rollout.plan.timeBox;
  const after = formatDuration(box?.afterMs ?? 0);
  if (box?.onExpiry === 'roll-back') return rollBack(rollout, situation, `not promoted within the time box of ${after}`);
  const isOnStep = rollout.state.phase === 'stepping';
  const { verdict, barred } = situation.judgement;
  if (box?.onExpiry === 'promote' && isOnStep && speaksForNobody(verdict) && barred === undefined) {
    return promote(
      rollout,
      situation,
      `the time box of ${after} is over and nothing speaks against it: ${statementOf(situation.judgement)}`,
    );
  }
  const reason = `the time box of ${after} is over; a person decides now (promote, abort or roll back)`;
  return { ...hold(rollout, situation.judgement, reason), heldFor: 'time-box' };
}

/** Verdicts on which a time box may promote: the evidence can be trusted, and none of it is against the challenger. */
function speaksForNobody(verdict: Verdict): boolean {
  return verdict === 'healthy' || verdict === 'undecided';
}

/** What a promotion without proof rests on. */
function statementOf({ reason, forecast }: Judgement): string {
  return forecast === undefined ? reason : `${reason}; ${forecast.sentence}`;
}

function isTimeBoxOver(rollout: Rollout, atMs: number): boolean {
  const box = rollout.plan.timeBox;
  return box !== undefined && atMs - rollout.startedAtMs >= box.afterMs;
}

function promote(rollout: Rollout, { atMs, judgement }: Situation, reason: string): Decision {
  const { verdict, guards } = judgement;
  const next: RolloutState = { phase: 'promoted', atMs, by: 'engine', reason };
  return { action: 'promote', verdict, reason: `${rollout.challenger} becomes champion: ${reason}`, guards, next };
}

function rollBack(rollout: Rollout, situation: Situation, reason: string): Decision {
  const { verdict, guards } = situation.judgement;
  const next: RolloutState = { phase: 'rolled-back', step: stepOf(rollout.state), atMs: situation.atMs, by: 'engine', reason };
  return { action: 'roll-back', verdict, reason, guards, next };
}

function hold(rollout: Rollout, judgement: Judgement, reason: string): Decision {
  return { action: 'hold', verdict: judgement.verdict, reason, guards: judgement.guards, next: rollout.state };
}

function invalid(rollout: Rollout, verb: string, problem: string): AppError {
  return new AppError(
    'rollout.invalid_transition',
    `cannot ${verb} rollout "${rollout.id}", which is ${rollout.state.phase}: ${problem}`,
  );
}
