/** Which states of a rollout may follow each other, and who may make them. Written from the documentation, not from the state machine. */
import { isLive, type Rollout, type RolloutState } from '@understudy/core/rollout';
import { canonicalJson } from '../../packages/server/src/storage/canonical-json.ts';
import type { Commit, Json } from '../../packages/server/src/storage/store.ts';
import type { Violation } from './history.ts';

const ENDS: Readonly<Record<string, readonly string[]>> = {
  promoted: ['rollout.promoted'],
  'rolled-back': ['rollout.rolled-back'],
  aborted: ['rollout.aborted', 'model.rolled-back'],
  killed: ['model.killed'],
};

/** What is wrong with a change of a rollout; undefined when it was allowed. */
export function problemOfTransition(before: Rollout | undefined, after: Rollout, commit: Commit): Violation | undefined {
  const { action, actor, decision } = commit;
  const isEngine = actor === 'engine';
  const to = after.state;
  if (before === undefined) {
    return action === 'rollout.started' && to.phase === 'preparing' && !isEngine ? undefined : steps(`it began as ${to.phase}`);
  }
  const from = before.state;
  if (isSame(from, to)) return undefined;
  const words = `${actor} did ${action}, from ${nameOf(from)} to ${nameOf(to)}`;
  if (!isLive(from)) return { invariant: 'ends absorb', detail: words };
  if (isEngine && isClimb(action)) {
    if (from.phase === 'paused') return { invariant: 'people win', detail: words };
    const verdict = decision?.decision.verdict;
    if (verdict !== 'healthy')
      return { invariant: 'healthy before up', detail: `${words} on the verdict ${verdict ?? 'nothing'}` };
  }
  return isAllowed(from, to, action) ? undefined : steps(words);
}

function isAllowed(from: RolloutState, to: RolloutState, action: string): boolean {
  if (!isLive(to)) return ENDS[to.phase]?.includes(action) === true;
  if (from.phase === 'preparing') return action === 'rollout.began' && to.phase === 'stepping' && to.step === 0;
  if (from.phase === 'stepping' && to.phase === 'stepping') return action === 'rollout.advanced' && to.step === from.step + 1;
  if (from.phase === 'stepping' && to.phase === 'paused') return action === 'rollout.paused' && to.step === from.step;
  if (from.phase === 'paused' && to.phase === 'stepping') return action === 'rollout.resumed' && to.step === from.step;
  return false;
}

function isClimb(action: string): boolean {
  return action === 'rollout.advanced' || action === 'rollout.promoted';
}

function steps(detail: string): Violation {
  return { invariant: 'steps in order', detail };
}

function isSame(one: RolloutState, other: RolloutState): boolean {
  return canonicalJson(one as unknown as Json) === canonicalJson(other as unknown as Json);
}

function nameOf(state: RolloutState): string {
  return 'step' in state ? `${state.phase} at step ${state.step}` : state.phase;
}
