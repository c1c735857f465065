/**
 * Decides a recorded rollout again from its stored evidence: to prove that its decisions follow from it bit for bit, or to
 * see where another plan would have decided otherwise. The API's replay depends on it.
 */
import type { StoredBlock } from './evidence-pool.ts';
import type { Plan } from './plan.ts';
import type { Judgement, Verdict } from './policy.ts';
import { type Action, decideByEvidence, type Decision, isLive, type Rollout, type RolloutState } from './rollout.ts';
import { openRolloutLedger, type RolloutLedger } from './rollout-ledger.ts';

/** A state that the rollout had from a revision on. */
export interface RecordedState {
  readonly revision: number;
  readonly atMs: number;
  readonly state: RolloutState;
}

/** A decision that was stored. */
export interface RecordedDecision {
  readonly revision: number;
  /** Number of the engine's check; negative for what a person asked for. */
  readonly window: number;
  readonly atMs: number;
  readonly decision: Decision;
}

/** Everything that was stored about a rollout. */
export interface Recording {
  readonly rollout: Rollout;
  /** Oldest first, beginning with the state it was started in. */
  readonly states: readonly RecordedState[];
  /** Oldest first. */
  readonly decisions: readonly RecordedDecision[];
  /** In the order of storage. */
  readonly evidence: readonly StoredBlock[];
}

/** A stored decision beside what the same evidence says now. */
export interface ReplayedDecision {
  readonly atMs: number;
  readonly action: Action;
  readonly recorded: Verdict;
  readonly replayed: Verdict;
  /** Verdict and every number of every guard are the same. */
  readonly isSame: boolean;
}

/** The first moment at which another plan would have decided otherwise; afterwards its traffic would have been another. */
export interface Divergence {
  readonly atMs: number;
  readonly recorded: Action;
  readonly other: Action;
  readonly verdict: Verdict;
  readonly reason: string;
  /** Requests that the challenger had answered by then. */
  readonly challengerRequests: number;
}

/** Decides again, at the moment of each stored decision and with the rollout's own plan. Yields so that callers can pause. */
export function* replayDecisions({
  rollout,
  states,
  decisions,
  evidence,
}: Recording): Generator<undefined, readonly ReplayedDecision[]> {
  const reader = openReader(openRolloutLedger(rollout), evidence);
  const replayed: ReplayedDecision[] = [];
  // By when they were made: with several control planes one that was made earlier may have been stored later.
  for (const { revision, atMs, decision } of decisions.toSorted((left, right) => left.atMs - right.atMs)) {
    yield* reader.readUntil(atMs);
    // A hold changes nothing, so it may be stored after another control plane's step; it carries the state it was made on.
    const state = decision.action === 'hold' ? decision.next : states.findLast((one) => one.revision < revision)?.state;
    if (state === undefined) continue;
    const judgement = reader.ledger.judge({ ...rollout, state }, atMs);
    // A decision to begin rests on no guard, so none is stored with it.
    const guards = decision.action === 'begin' ? [] : judgement.guards;
    const isSame = judgement.verdict === decision.verdict && canonical(guards) === canonical(decision.guards);
    replayed.push({ atMs, action: decision.action, recorded: decision.verdict, replayed: judgement.verdict, isSame });
  }
  return replayed;
}

/**
 * Asks another plan at each of its checks. It is put on the staircase that was recorded: its policy, holds and minimum
 * samples count, its shares do not, as nobody was served by them.
 * @returns undefined when it would have decided the same to the end
 */
export function* compareWithPlan(recording: Recording, other: Plan): Generator<undefined, Divergence | undefined> {
  const { rollout, states, decisions, evidence } = recording;
  const plan = onRecordedStairs(other, rollout.plan);
  const reader = openReader(openRolloutLedger(rollout, plan), evidence);
  const endMs = states.findLast(({ state }) => !isLive(state))?.atMs ?? evidence.at(-1)?.seenAtMs ?? rollout.startedAtMs;
  const acted = decisions.filter(({ decision }) => decision.action !== 'hold' && decision.action !== 'begin');
  // Checks of the engine fall between ours, so the same plan may have done the same a check later.
  const slackMs = Math.max(plan.checkEveryMs, rollout.plan.checkEveryMs);
  let asked = 0;
  for (const atMs of momentsOf(rollout.startedAtMs, endMs, { everyMs: plan.checkEveryMs, acted })) {
    yield* reader.readUntil(atMs);
    asked += 1;
    if (asked % CHECKS_PER_TURN === 0) yield;
    const recorded = acted.find((one) => one.atMs === atMs);
    const standing = states.findLast((state) =>
      recorded === undefined ? state.atMs <= atMs : state.revision < recorded.revision,
    );
    if (standing === undefined || standing.state.phase !== 'stepping') continue;
    const onTrial = { ...rollout, plan, state: standing.state };
    const verdict = reader.ledger.verdict(onTrial, atMs);
    const theirs = decideOther(onTrial, verdict, { atMs, ledger: reader.ledger });
    const ours = recorded?.decision.action ?? 'hold';
    if (theirs === ours || (recorded !== undefined && !followsFromEvidence(rollout, recorded))) continue;
    // Held by a gateway's breaker, which is no evidence: another plan would have been held as well.
    if (recorded === undefined && theirs !== 'roll-back' && isCutOffAt(decisions, atMs)) continue;
    // People held the rollout back then, and would have held back the other plan as well.
    if (recorded === undefined && wishHeldBack(decisions, atMs) === theirs) continue;
    const isSoon = (one: RecordedDecision): boolean => one.atMs > atMs && one.atMs <= atMs + slackMs;
    if (recorded === undefined && acted.some((one) => isSoon(one) && one.decision.action === theirs)) continue;
    const { reason } = reader.ledger.judge(onTrial, atMs);
    const challengerRequests = reader.ledger.totals('challenger').inAll.requests;
    return { atMs, recorded: ours, other: theirs, verdict, reason, challengerRequests };
  }
  return undefined;
}

/** What the engine would have done at a moment but for people; undefined when nothing but evidence held it. */
function wishHeldBack(decisions: readonly RecordedDecision[], atMs: number): Action | undefined {
  return decisions.findLast((one) => one.atMs <= atMs)?.decision.would;
}

/** Whether evidence and time alone led to a decision: not a person, and not the mark of a person on the challenger. */
function followsFromEvidence({ plan, startedAtMs }: Rollout, { atMs, window, decision }: RecordedDecision): boolean {
  if (window < 0) return false;
  const isTimeUp = plan.timeBox !== undefined && atMs - startedAtMs >= plan.timeBox.afterMs;
  return decision.action !== 'roll-back' || decision.verdict === 'harmful' || isTimeUp;
}

/** Whether gateways had cut the challenger off: a hold is stored when that begins, and another decision when it ends. */
function isCutOffAt(decisions: readonly RecordedDecision[], atMs: number): boolean {
  return decisions.findLast((one) => one.atMs <= atMs)?.decision.isCutOff === true;
}

/** JSON with sorted keys: what came back from a store may have its keys in another order. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}

/** Only a promotion may be barred by more than the verdict, and is rare enough to ask for everything. */
function decideOther(rollout: Rollout, verdict: Verdict, { atMs, ledger }: { atMs: number; ledger: RolloutLedger }): Action {
  const action = decideBy(rollout, { verdict, reason: '', guards: [] }, atMs);
  return action === 'promote' ? decideBy(rollout, ledger.judge(rollout, atMs), atMs) : action;
}

/** What a plan does on a judgement, when nothing but evidence and time is in its way. */
function decideBy(rollout: Rollout, judgement: Judgement, atMs: number): Action {
  return decideByEvidence(rollout, { atMs, judgement, notReady: undefined, unhealthy: undefined }).action;
}

function onRecordedStairs(other: Plan, recorded: Plan): Plan {
  const steps = recorded.steps.map((step, index) => {
    const { holdMs, minSamples } = other.steps[Math.min(index, other.steps.length - 1)] ?? step;
    return { ...step, holdMs, minSamples };
  });
  return { ...other, steps };
}

/** The checks of a plan, and the moments at which something was decided, in order and each once. */
function momentsOf(
  startMs: number,
  endMs: number,
  { everyMs, acted }: { readonly everyMs: number; readonly acted: readonly RecordedDecision[] },
): readonly number[] {
  const moments = new Set(acted.map(({ atMs }) => atMs));
  for (let atMs = startMs; atMs <= endMs; atMs += everyMs) moments.add(atMs);
  return [...moments].toSorted((a, b) => a - b);
}

interface Reader {
  readonly ledger: RolloutLedger;
  readUntil(atMs: number): Generator<undefined, void>;
}

// A check is some microseconds.
const CHECKS_PER_TURN = 500;

// A pause after so many blocks keeps a server answering while a long rollout is replayed.
const BLOCKS_PER_TURN = 50;

function openReader(ledger: RolloutLedger, evidence: readonly StoredBlock[]): Reader {
  let next = 0;
  return {
    ledger,
    *readUntil(atMs) {
      for (let stored = evidence[next]; stored !== undefined && stored.seenAtMs <= atMs; stored = evidence[next]) {
        ledger.settle(stored.seenAtMs);
        ledger.add(stored);
        next += 1;
        if (next % BLOCKS_PER_TURN === 0) yield;
      }
    },
  };
}
