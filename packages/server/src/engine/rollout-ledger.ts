/** What the engine knows of one rollout's evidence: the policy's state, and the arms' tallies. Rebuilt from the store after a restart. */
import { EMPTY_TALLY, type Arm, type EvidenceBlock, mergeTallies, type Tally } from '@understudy/core/evidence';
import { quantileOf } from '@understudy/core/histogram';
import type { Baseline } from '@understudy/core/model-version';
import type { Judgement } from '@understudy/core/policy';
import { isLive, type Rollout, stepOf } from '@understudy/core/rollout';
import { thresholds } from '@understudy/core/thresholds';
import type { ArmCounts } from '@understudy/contract/views';
import type { CommandContext } from '../commands/command.ts';
import { readEvidence } from './evidence-reader.ts';

/** The evidence of one rollout. */
export interface RolloutLedger {
  /** Reads what was stored since. Calls overlap safely. */
  catchUp(): Promise<void>;
  judge(rollout: Rollout, baselines: Baselines): Judgement;
  /** Counts of the present step, or of the whole rollout when it has ended. */
  arms(rollout: Rollout): readonly ArmCounts[];
}

/** Registered baselines of both sides, where there are any. */
export interface Baselines {
  readonly champion: Baseline | undefined;
  readonly challenger: Baseline | undefined;
}

interface ArmTotals {
  readonly version: string;
  readonly step: number;
  readonly inStep: Tally;
  readonly inAll: Tally;
}

/** Opens an empty ledger; {@link RolloutLedger.catchUp} fills it. */
export function openRolloutLedger(context: CommandContext, opened: Rollout): RolloutLedger {
  const { policy } = opened.plan;
  let state = thresholds.open(policy);
  let cursor = 0;
  let reading: Promise<void> = Promise.resolve();
  const totals = new Map<Arm, ArmTotals>();

  function absorb(block: EvidenceBlock): void {
    if (block.rollout !== opened.id) return;
    state = thresholds.absorb(policy, state, block);
    totals.set(block.arm, addBlock(totals.get(block.arm), block));
  }

  async function readOn(): Promise<void> {
    cursor = await readEvidence(context, { model: opened.model, sinceMs: opened.startedAtMs, afterCursor: cursor }, absorb);
  }

  return {
    catchUp() {
      // One after the other: two readers from the same cursor would count blocks twice.
      reading = reading.then(readOn, readOn);
      return reading;
    },
    judge(rollout, baselines) {
      const step = stepOf(rollout.state);
      const { champion, challenger } = baselines;
      return thresholds.judge(policy, state, {
        step,
        minSamples: rollout.plan.steps[step]?.minSamples ?? 0,
        ...(champion === undefined ? {} : { championBaseline: champion }),
        ...(challenger === undefined ? {} : { challengerBaseline: challenger }),
      });
    },
    arms: (rollout) =>
      [...totals].map(([arm, total]) => countsOf(arm, total, isLive(rollout.state) ? stepOf(rollout.state) : undefined)),
  };
}

function addBlock(total: ArmTotals | undefined, block: EvidenceBlock): ArmTotals {
  const step = block.step ?? -1;
  const before = total ?? { version: block.version, step, inStep: EMPTY_TALLY, inAll: EMPTY_TALLY };
  const inStep = step > before.step ? block.tally : step < before.step ? before.inStep : mergeTallies(before.inStep, block.tally);
  return { version: block.version, step: Math.max(step, before.step), inStep, inAll: mergeTallies(before.inAll, block.tally) };
}

function countsOf(arm: Arm, total: ArmTotals, step: number | undefined): ArmCounts {
  const tally = step === undefined ? total.inAll : total.step === step ? total.inStep : EMPTY_TALLY;
  const p50 = quantileOf(tally.latency, 0.5);
  const p99 = quantileOf(tally.latency, 0.99);
  return {
    arm,
    version: total.version,
    requests: tally.requests,
    errors: tally.errors,
    rescued: tally.rescued,
    ...(p50 === undefined ? {} : { p50Ms: p50 }),
    ...(p99 === undefined ? {} : { p99Ms: p99 }),
  };
}
