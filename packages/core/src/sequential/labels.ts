/** How feedback is taken in: labels tell of requests of the past, whichever step the rollout has come to since. */
import type { ConcurrentBlock } from '../evidence-pool.ts';
import type { Question } from '../policy.ts';
import type { GuardConfig, SequentialConfig } from './config.ts';
import { addPending, type Pending } from './pending.ts';
import { countScores, weighLabelSplit } from './score-guard.ts';
import type { GuardState } from './guard.ts';
import type { SequentialState } from './state.ts';

/** Whether a block tells the truth about requests of the past. */
function hasLabels({ arms }: ConcurrentBlock): boolean {
  return arms.champion.labels !== undefined || arms.challenger.labels !== undefined;
}

/**
 * The state with the labels of a block counted for their guards. Within a step the shares of the arms are the same all the
 * time, so labels of one step may be added up for as long as it takes until both arms have some.
 */
export function countLabels(config: SequentialConfig, state: SequentialState, block: ConcurrentBlock): SequentialState {
  if (!hasLabels(block)) return state;
  const { step, stratum, startMs, arms } = block;
  const share = (state.percents[step] ?? 100) / 100;
  let { pending } = state;
  const guards = state.guards.map((guardState, index): GuardState => {
    const guard = config.guards[index];
    if (guard?.metric !== 'feedback' || guardState.metric !== 'feedback') return guardState;
    const sums = countScores(guard, arms);
    const counts = { kind: 'score', arms: sums } as const;
    if (sums.champion.count + sums.challenger.count === 0) return guardState;
    pending = addPending(pending, { guard: index, step, stratum, sinceMs: startMs, counts });
    if (!(share > 0 && share < 1)) return guardState;
    return weighLabelSplit(guardState, { share, tolerance: config.splitTolerance }, sums);
  });
  return { ...state, guards, pending };
}

/** Whether counts are of feedback. They are never too old: see {@link countLabels}. */
export function isOfLabels(config: SequentialConfig, { guard }: Pending): boolean {
  return config.guards[guard]?.metric === 'feedback';
}

/**
 * Whether a guard has to be proven safe before the step may be passed. A bake asks again for nothing that earlier steps have
 * proven: with few subjects on the champion that would take several times as long, and harm is found all the same.
 */
export function isNeededIn(guard: GuardConfig, { isLast, isBake }: Pick<Question, 'isLast' | 'isBake'>): boolean {
  if (guard.metric !== 'feedback') return isBake !== true;
  return guard.needed === 'each-step' || (guard.needed === 'promotion' && isLast);
}
