/** A policy at work beside the sums of what it was shown. A ledger keeps one of everything, and one without each group of gateways. */
import { type Arm, EMPTY_TALLY, mergeTallies, type Tally } from './evidence.ts';
import type { ConcurrentBlock } from './evidence-pool.ts';
import type { RunningPolicy } from './running-policy.ts';

/** What an arm did, in the newest step that it was used in and over all. */
export interface ArmTotals {
  readonly step: number;
  readonly inStep: Tally;
  readonly inAll: Tally;
}

export interface EvidenceAccount {
  readonly policy: Omit<RunningPolicy, 'absorb' | 'fork'>;
  /** Blocks come oldest first. */
  absorb(block: ConcurrentBlock): void;
  totals(arm: Arm): ArmTotals;
  /** What an arm did in a step; labels are those of the whole rollout, as those of a step come while another one is held. */
  seenIn(arm: Arm, step: number): Tally;
  /** Another one that goes on from here. */
  fork(): EvidenceAccount;
}

/** Of an arm that nobody was sent to. */
export const NO_TOTALS: ArmTotals = { step: -1, inStep: EMPTY_TALLY, inAll: EMPTY_TALLY };

/** Opens an account of nothing, or one that goes on from known sums. */
export function openEvidenceAccount(policy: RunningPolicy, known: Iterable<readonly [Arm, ArmTotals]> = []): EvidenceAccount {
  const totals = new Map<Arm, ArmTotals>(known);
  return {
    policy,
    absorb(block) {
      policy.absorb(block);
      for (const arm of ['champion', 'challenger', 'shadow'] as const) totals.set(arm, addBlock(totals.get(arm), block, arm));
    },
    totals: (arm) => totals.get(arm) ?? NO_TOTALS,
    seenIn: (arm, step) => seenIn(totals.get(arm), step),
    fork: () => openEvidenceAccount(policy.fork(), totals),
  };
}

function addBlock(total: ArmTotals | undefined, { step, arms }: ConcurrentBlock, arm: Arm): ArmTotals {
  const tally = arms[arm];
  const known = total ?? NO_TOTALS;
  // Scores and labels come when the world has answered, often without a request beside them.
  const { requests, scores, labels, pairs } = tally;
  if (requests === 0 && Object.keys(scores).length === 0 && labels === undefined && pairs === undefined) return known;
  const inStep = step > known.step ? tally : step < known.step ? known.inStep : mergeTallies(known.inStep, tally);
  return { step: Math.max(step, known.step), inStep, inAll: mergeTallies(known.inAll, tally) };
}

function seenIn(total: ArmTotals | undefined, step: number): Tally {
  const { labels: _ofStep, ...tally } = total?.step === step ? total.inStep : EMPTY_TALLY;
  const labels = total?.inAll.labels;
  return labels === undefined ? tally : { ...tally, labels };
}
