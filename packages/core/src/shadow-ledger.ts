/** Everything that is known about a standing shadow: its pairs, and what the default policy makes of them. The engine keeps one a model. */
import { type Arm, EMPTY_TALLY, mergeTallies, type Tally } from './evidence.ts';
import { closeUntil, EMPTY_POOL, type EvidencePool, pour, type StoredBlock } from './evidence-pool.ts';
import type { StandingShadow } from './model.ts';
import type { Judgement } from './policy.ts';
import { binCountOf, distributionOfClasses, type PredictionBins } from './prediction-bins.ts';
import { LOOK_BACK_MS } from './rollout-ledger.ts';
import { type RunningPolicy, startPolicy } from './running-policy.ts';
import { DEFAULT_SEQUENTIAL } from './sequential/config.ts';
import { listen, openSilence, type ShadowSilence, silentForMs } from './shadow-silence.ts';

export interface ShadowLedger {
  /** Takes a stored block; those that have nothing to do with the shadow change nothing. */
  add(stored: StoredBlock): void;
  /** What is known at a moment. Moments must not go back. */
  lookAt(atMs: number): ShadowFinding;
}

/** What came of a shadow so far. */
export interface ShadowFinding {
  readonly atMs: number;
  /** `harmful` means "would have been rolled back": nobody ever got an answer of a shadow, so nothing is done about it. */
  readonly judgement: Judgement;
  readonly tally: Tally;
  /** Milliseconds for which it should have been heard of and was not. */
  readonly silentMs: number | undefined;
}

/** Whose ledger it is. */
export interface ShadowLedgerOptions {
  readonly model: string;
  readonly champion: string;
  readonly shadow: Pick<StandingShadow, 'version' | 'percent' | 'sinceMs'>;
  /** In which predictions are counted, when it is known. */
  readonly bins: PredictionBins | undefined;
}

/** Opens an empty ledger. Traffic of rollouts is left to theirs. */
export function openShadowLedger({ model, champion, shadow, bins }: ShadowLedgerOptions): ShadowLedger {
  const { version, percent, sinceMs } = shadow;
  let pool: EvidencePool = EMPTY_POOL;
  let before: Tally = EMPTY_TALLY;
  let seen: Tally = EMPTY_TALLY;
  let championSeen: Tally = EMPTY_TALLY;
  let silence: ShadowSilence = openSilence(sinceMs);
  let policy: RunningPolicy | undefined;

  const versions: Readonly<Partial<Record<Arm, string>>> = { champion, shadow: version };

  return {
    add(stored) {
      const { block, seenAtMs } = stored;
      if (block.model !== model || block.rollout !== undefined || versions[block.arm] !== block.version) return;
      if (seenAtMs >= sinceMs) pool = pour(pool, { ...stored, block: { ...block, step: 0 } });
      else if (block.arm === 'champion' && block.startMs >= sinceMs - LOOK_BACK_MS) before = mergeTallies(before, block.tally);
    },
    lookAt(atMs) {
      policy ??= begin(sinceMs, before, bins ?? classesOf(before));
      const { pool: rest, closed } = closeUntil(pool, atMs);
      pool = rest;
      for (const block of closed) {
        policy.absorb(block);
        silence = listen(silence, { startMs: block.startMs, ...block.arms });
        seen = mergeTallies(seen, block.arms.shadow);
        championSeen = mergeTallies(championSeen, block.arms.champion);
      }
      const question = {
        atMs,
        step: 0,
        sinceMs,
        trafficPercent: 0,
        shadowPercent: percent,
        isStrictest: true,
        isLast: false,
        minSamples: 0,
        seen: { champion: championSeen, challenger: seen },
      };
      return { atMs, judgement: policy.judge(question), tally: seen, silentMs: silentForMs(silence, percent, atMs) };
    },
  };
}

/** A guard that nobody knows the bins for could never be proven safe, and is left out. */
function begin(startedAtMs: number, champion: Tally, bins: PredictionBins | undefined): RunningPolicy {
  const guards = DEFAULT_SEQUENTIAL.guards.filter(({ metric }) => metric !== 'drift' || bins !== undefined);
  const opening = { startedAtMs, champion, percents: [0], ...(bins === undefined ? {} : { bins }) };
  return startPolicy({ kind: 'sequential', ...DEFAULT_SEQUENTIAL, guards }, opening);
}

/** The classes that the champion was seen to predict before; of a single one every distribution is the same. */
function classesOf({ classes }: Tally): PredictionBins | undefined {
  const { bins } = distributionOfClasses(classes);
  return Object.keys(classes).length > 1 && binCountOf(bins) > 1 ? bins : undefined;
}
