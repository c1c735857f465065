/** A rollout's ledger that is filled from the store, and caught up after a restart by reading the evidence again. */
import { type Arm, EMPTY_TALLY, latencyOf, type Tally } from '@understudy/core/evidence';
import { quantileOf } from '@understudy/core/histogram';
import type { Judgement, Verdict } from '@understudy/core/policy';
import { isLive, type Rollout, stepOf } from '@understudy/core/rollout';
import { LOOK_BACK_MS, openRolloutLedger } from '@understudy/core/rollout-ledger';
import type { ArmCounts } from '@understudy/contract/views';
import type { CommandContext } from '../commands/command.ts';
import { readEvidence } from '../commands/evidence-reader.ts';
import type { EvidenceSeal } from './evidence-seal.ts';

/** A rollout's shadow, as far as evidence was read. */
export interface ShadowSeen {
  readonly tally: Tally;
  readonly silentMs: number | undefined;
}

/** The evidence of one rollout. */
export interface StoredLedger {
  /** Reads what was stored since. Calls overlap safely. */
  catchUp(): Promise<void>;
  /** The judgement as of the moment up to which evidence was read: a replay at that moment comes to the same. */
  judge(rollout: Rollout): { readonly atMs: number; readonly judgement: Judgement };
  /** The verdict of that judgement alone. */
  verdict(rollout: Rollout): Verdict;
  /** Counts of the present step, or of the whole rollout when it has ended. */
  arms(rollout: Rollout): readonly ArmCounts[];
  /** What the shadow did in the newest step that had one, and for how long it was silent; undefined when no step has one. */
  shadow(rollout: Rollout): ShadowSeen | undefined;
}

/** Opens an empty ledger; {@link StoredLedger.catchUp} fills it. */
export function openStoredLedger(context: CommandContext, seal: EvidenceSeal, opened: Rollout): StoredLedger {
  const ledger = openRolloutLedger(opened);
  const source = { model: opened.model, sinceMs: opened.startedAtMs - LOOK_BACK_MS };
  let cursor = 0;
  let readUntilMs = opened.startedAtMs;
  let reading: Promise<void> = Promise.resolve();

  async function readOn(): Promise<void> {
    // Taken before reading: what is stored meanwhile may be missed, and must not belong to a time that was judged.
    const atMs = context.clock.nowMs();
    await seal.until(atMs);
    await readEvidence(context, { ...source, afterCursor: cursor }, (stored, read) => {
      // Days of evidence may have to be read after a restart: what is closed is taken in on the way.
      ledger.settle(Math.min(stored.seenAtMs, atMs));
      ledger.add(stored);
      cursor = read;
    });
    readUntilMs = atMs;
  }

  function countsOf(arm: Arm, rollout: Rollout): readonly ArmCounts[] {
    const { step, inStep, inAll } = ledger.totals(arm);
    if (inAll.requests === 0) return [];
    const ofStep = step === stepOf(rollout.state) ? inStep : EMPTY_TALLY;
    const tally = isLive(rollout.state) ? ofStep : inAll;
    const p50 = quantileOf(latencyOf(tally), 0.5);
    const p99 = quantileOf(latencyOf(tally), 0.99);
    return [
      {
        arm,
        version: arm === 'champion' ? rollout.champion : rollout.challenger,
        requests: tally.requests,
        errors: tally.errors,
        rescued: tally.rescued,
        ...(p50 === undefined ? {} : { p50Ms: p50 }),
        ...(p99 === undefined ? {} : { p99Ms: p99 }),
      },
    ];
  }

  return {
    catchUp() {
      // One after the other: two readers from the same cursor would count blocks twice.
      reading = reading.then(readOn, readOn);
      return reading;
    },
    verdict: (rollout) => ledger.verdict(rollout, readUntilMs),
    judge: (rollout) => ({ atMs: readUntilMs, judgement: ledger.judge(rollout, readUntilMs) }),
    shadow(rollout) {
      const { steps } = rollout.plan;
      if (!steps.some(({ shadowPercent }) => shadowPercent !== undefined)) return undefined;
      return { tally: ledger.totals('shadow').inStep, silentMs: ledger.silentMs(rollout, readUntilMs) };
    },
    arms: (rollout) => (['champion', 'challenger', 'shadow'] as const).flatMap((arm) => countsOf(arm, rollout)),
  };
}
