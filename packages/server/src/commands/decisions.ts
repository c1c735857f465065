/** Committing what the engine decided: the decision, and everything that follows from it, in one atomic change. */
import type { FreezeRules } from '@understudy/core/freeze';
import type { Decision, Restraint, Rollout } from '@understudy/core/rollout';
import type { Write } from '../storage/store.ts';
import type { Caller, CommandContext } from './command.ts';
import { guardFreezes } from './freezes.ts';
import { type Held, replace } from './queries.ts';
import { writesOfEnd } from './rollouts.ts';

/**
 * `outdated`: somebody changed the rollout since it was read; look again. `already-decided`: in this window. `replayed`:
 * the same call was applied before.
 */
export type Applied = 'applied' | 'outdated' | 'already-decided' | 'replayed';

/** Waiting for people goes by names of its own, so that people can be told. */
const WAITS = {
  approval: 'rollout.waits-for-approval',
  freeze: 'rollout.frozen',
  'time-box': 'rollout.time-box-over',
  'dry-run': 'rollout.would-act',
} as const satisfies Record<Restraint, string>;

const ACTIONS = {
  begin: 'rollout.began',
  hold: 'rollout.held',
  advance: 'rollout.advanced',
  promote: 'rollout.promoted',
  'roll-back': 'rollout.rolled-back',
} as const satisfies Record<Decision['action'], string>;

/** One decision on a rollout as it was read. */
export interface DecidedRollout {
  readonly rollout: Held<Rollout>;
  readonly decision: Decision;
  /** Number of the evaluation window; a rollout is decided at most once in each. */
  readonly window: number;
  readonly atMs: number;
  /** Freezes as they were when it was decided; nothing goes forward when they have changed since. */
  readonly freezes?: Held<FreezeRules>;
  /** People know already that the rollout waits for them. */
  readonly isTold?: boolean;
}

/** Commits a decision against the very state that it was made on; it is never applied to another one. */
export async function applyDecision(context: CommandContext, caller: Caller, decided: DecidedRollout): Promise<Applied> {
  const { rollout, window, atMs } = decided;
  const decision = beginningNow(decided.decision, context.clock.nowMs());
  const result = await context.store.commit({
    environment: context.environment,
    writes: [...(await writesOf(context, { ...decided, decision })), ...guardsOf(decided)],
    actor: caller.actor,
    atMs,
    action: actionOf(decided),
    reason: decision.reason,
    decision: { rollout: rollout.id, window, decision },
    ...(caller.idempotency === undefined ? {} : { idempotency: { ...caller.idempotency, answer: decision.reason } }),
  });
  switch (result.outcome) {
    case 'committed':
      return 'applied';
    case 'already-decided':
    case 'replayed':
      return result.outcome;
    case 'conflict':
      return 'outdated';
  }
}

/** A step is held from its commit on. The look that led to it may be older: a process can stand still in between. */
function beginningNow(decision: Decision, nowMs: number): Decision {
  const { action, next } = decision;
  if (next.phase !== 'stepping' || (action !== 'begin' && action !== 'advance')) return decision;
  return { ...decision, next: { ...next, sinceMs: Math.max(next.sinceMs, nowMs) } };
}

function guardsOf({ decision, freezes }: DecidedRollout): readonly Write[] {
  const goesForward = decision.action === 'begin' || decision.action === 'advance' || decision.action === 'promote';
  return goesForward && freezes !== undefined ? [guardFreezes(freezes)] : [];
}

function actionOf({ decision, isTold = false }: DecidedRollout): string {
  return decision.heldFor === undefined || isTold ? ACTIONS[decision.action] : WAITS[decision.heldFor];
}

async function writesOf(
  context: CommandContext,
  { rollout, decision, isTold = false }: DecidedRollout,
): Promise<readonly Write[]> {
  // Written unchanged where people are told, so that the journal's entry names the rollout.
  const isTelling = decision.heldFor !== undefined && !isTold;
  if (decision.action === 'hold') return isTelling ? [replace('rollout', rollout, rollout.body)] : [];
  if (decision.action === 'promote' || decision.action === 'roll-back') return writesOfEnd(context, rollout, decision.next);
  return [replace('rollout', rollout, { ...rollout.body, state: decision.next })];
}
