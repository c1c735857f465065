/** Decides a stored rollout again, in turns with everything else that the process does. The engine offers it to the API. */
import { setImmediate } from 'node:timers/promises';
import { type Arm, mergeTallies, type Tally } from '@understudy/core/evidence';
import { INTERVAL_MS } from '@understudy/core/evidence-pool';
import { AppError } from '@understudy/core/errors';
import type { Plan } from '@understudy/core/plan';
import { compareWithPlan, replayDecisions } from '@understudy/core/replay';
import type { Rollout } from '@understudy/core/rollout';
import { viewOfTally } from '@understudy/contract/tally-view';
import type { ReplayView, RolloutEvidenceView } from '@understudy/contract/views';
import { evidenceOf, missingEvidence, MOST_BLOCKS, readRecording, type RecordingSource } from './rollout-recording.ts';

/** Work on what is stored about rollouts. It takes seconds, so there is one at a time. */
export interface RolloutReplay {
  /**
   * Decides again; with another plan, also looks for the first moment at which that one would have decided otherwise.
   * @throws AppError `request.overloaded` while another one is under way
   */
  replay(rollout: Rollout, other: Plan | undefined): Promise<ReplayView>;
  /**
   * What the arms did in each step.
   * @throws AppError `request.overloaded`
   */
  evidenceOf(rollout: Rollout): Promise<RolloutEvidenceView>;
}

export function openRolloutReplay(source: RecordingSource): RolloutReplay {
  let isBusy = false;

  async function alone<Result>(rollout: Rollout, work: () => Promise<Result>): Promise<Result> {
    if (isBusy) {
      throw new AppError(
        'request.overloaded',
        `cannot read the evidence of "${rollout.id}": that of a rollout is being read already, one at a time; try again in some seconds`,
      );
    }
    isBusy = true;
    try {
      return await work();
    } finally {
      isBusy = false;
    }
  }

  return {
    replay: (rollout, other) => alone(rollout, async () => replay(source, rollout, other)),
    evidenceOf: (rollout) => alone(rollout, async () => addUp(source, rollout)),
  };
}

async function replay(source: RecordingSource, rollout: Rollout, other: Plan | undefined): Promise<ReplayView> {
  const recording = await readRecording(source, rollout);
  if (recording === undefined) return { outcome: 'too-much-evidence', mostBlocks: MOST_BLOCKS };
  const decisions = await inTurns(replayDecisions(recording));
  const isFaithful = decisions.every(({ isSame }) => isSame);
  // Only a difference asks for a cause: evidence that no decision needed may be gone without harm.
  const missing = isFaithful ? false : await missingEvidence(source, rollout);
  if (missing !== false) return { outcome: 'evidence-deleted', ...missing };
  const replayed: ReplayView = { outcome: 'replayed', decisions: [...decisions], isFaithful };
  if (other === undefined) return replayed;
  const divergence = await inTurns(compareWithPlan(recording, paced(other)));
  return { ...replayed, otherPlan: other.name, ...(divergence === undefined ? {} : { divergence }) };
}

/** Evidence is closed once a second, so there is nothing new to ask about more often. */
function paced(plan: Plan): Plan {
  return { ...plan, checkEveryMs: Math.max(plan.checkEveryMs, INTERVAL_MS) };
}

async function inTurns<Result>(work: Generator<undefined, Result>): Promise<Result> {
  for (;;) {
    const turn = work.next();
    if (turn.done === true) return turn.value;
    await setImmediate();
  }
}

interface ArmSum {
  readonly arm: Arm;
  readonly version: string;
  readonly step: number;
  readonly tally: Tally;
}

async function addUp(source: RecordingSource, rollout: Rollout): Promise<RolloutEvidenceView> {
  const sums = new Map<string, ArmSum>();
  let span: RolloutEvidenceView['span'];
  for await (const { block } of evidenceOf(source, rollout)) {
    // An answer of a check is no request of an arm.
    if (block.rollout !== rollout.id || block.measurement !== undefined) continue;
    const { arm, version, step = -1, startMs, tally } = block;
    const key = `${step} ${arm}`;
    const sum = sums.get(key);
    sums.set(key, { arm, version, step, tally: sum === undefined ? tally : mergeTallies(sum.tally, tally) });
    const untilMs = startMs + INTERVAL_MS;
    span = { fromMs: Math.min(span?.fromMs ?? startMs, startMs), untilMs: Math.max(span?.untilMs ?? untilMs, untilMs) };
  }
  const ordered = [...sums.values()].toSorted((a, b) => a.step - b.step || (a.arm < b.arm ? -1 : 1));
  const arms = ordered.map(({ tally, ...rest }) => ({ ...rest, tally: viewOfTally(tally) }));
  return { arms, ...(span === undefined ? {} : { span }) };
}
