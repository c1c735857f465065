/** Takes in what services that decide by flag report, over our API and through flag protocols, and stores it as evidence. */
import { Name } from '@understudy/contract/documents';
import type {
  Observation,
  ObservationBatch,
  ObservationReceipt,
  ObservedCounts,
  PairObservation,
} from '@understudy/contract/observation-endpoints';
import { MAX_NAMES, SERVICE_PREFIX } from '@understudy/contract/report';
import { BUCKET_COUNT, bucketOf } from '@understudy/core/bucketing';
import type { Moments } from '@understudy/core/evidence';
import type { FlagDecision } from '@understudy/core/flags/rollout-flags';
import type { Clock } from '../clock.ts';
import type { Store } from '../storage/store.ts';
import { digestOf } from '../token-secret.ts';
import type { Pair, PairEnd } from '@understudy/core/pair-counter';
import { type BlockMaker, type Counts, type MadePair, openBlockMaker } from './observation-blocks.ts';
import {
  type Decided,
  type DecisionMade,
  type HistorySource,
  LATEST_MS,
  openHistory,
  type RolloutHistory,
} from './rollout-history.ts';

/** What the SDKs of a service report about one variant. */
export interface ReportedOutcome extends FlagDecision {
  /** The same for all that is reported together; a repeated one counts once. */
  readonly batch: string;
  readonly atMs: number;
  /** How often an SDK gave the variant. No evidence: nobody knows what came of it. */
  readonly exposures: number;
  /** Requests that ended, well or not. */
  readonly requests: number;
  readonly errors: number;
  readonly latencies: Counts['latencies'];
  readonly scores: Readonly<Record<string, Moments>>;
}

export interface Observations {
  /** @throws AppError `request.invalid` when a version has too many scores */
  take(batch: ObservationBatch): Promise<ObservationReceipt>;
  /** Takes what a flag protocol was told. Outcomes of flags that follow no model are left out. */
  report(outcomes: readonly ReportedOutcome[]): Promise<void>;
  /**
   * How often SDKs gave a version of a model since this process started, while they said of no request what came of it.
   * Undefined when they did, or gave none.
   */
  readonly unjudgedExposures: (model: string) => number | undefined;
}

export interface ObservationsContext extends HistorySource {
  readonly store: HistorySource['store'] & Pick<Store, 'appendReport'>;
  readonly clock: Clock;
}

// Reports of SDKs are told apart by their batch alone; the colon keeps other reporters from this name.
const SDK_REPORTER = 'sdk:outcomes';

/** Who says it, so that it counts once. */
interface Sender {
  readonly reporter: string;
  readonly boot: string;
  readonly sequence: number;
}

export function openObservations(context: ObservationsContext): Observations {
  const { store, environment, clock } = context;
  const readHistory = openHistory(context);
  const told = openExposures();

  async function save({ reporter, boot, sequence }: Sender, intake: Intake, nowMs: number): Promise<ObservationReceipt> {
    const blocks = intake.maker.blocks();
    const ignored = [...intake.ignored].map(([reason, requests]) => ({ reason, requests }));
    if (blocks.length === 0) return { outcome: 'nothing', counted: 0, ignored };
    const gateway = `${SERVICE_PREFIX}${reporter}`;
    const outcome = await store.appendReport(environment, { gateway, boot, sequence, blocks: [...blocks] }, nowMs);
    return { outcome, counted: intake.counted, ignored };
  }

  return {
    async take(batch) {
      const nowMs = clock.nowMs();
      const intake = openIntake(await readHistory(nowMs), nowMs, batch.stratum);
      for (const one of batch.observations) intake.add(decisionOf(one, nowMs), countsOfOne(one));
      for (const counted of batch.counts) intake.add(decisionOf(counted, nowMs), countsOf(counted));
      batch.pairs.forEach((pair, index) => {
        intake.addPair(pair, `${batch.reporter}/${batch.boot}/${batch.sequence}/${index}`);
      });
      return save(batch, intake, nowMs);
    },
    async report(outcomes) {
      const nowMs = clock.nowMs();
      const history = await readHistory(nowMs);
      for (const [batch, together] of Map.groupBy(outcomes, (outcome) => outcome.batch)) {
        const intake = openIntake(history, nowMs, undefined);
        for (const outcome of together) {
          const counts = countsOfOutcome(outcome);
          const model = intake.add({ decided: outcome, atMs: outcome.atMs }, counts);
          if (model !== undefined) told.add(model, { exposures: whole(outcome.exposures), requests: counts.requests });
        }
        await save({ reporter: SDK_REPORTER, boot: digestOf(batch), sequence: 0 }, intake, nowMs);
      }
    },
    unjudgedExposures: (model) => told.unjudged(model),
  };
}

interface Exposures {
  add(model: string, counts: { readonly exposures: number; readonly requests: number }): void;
  unjudged(model: string): number | undefined;
}

/** One entry for each model that was ever placed, so there are as many as models. */
function openExposures(): Exposures {
  const models = new Map<string, { exposures: number; requests: number }>();
  return {
    add(model, { exposures, requests }) {
      const sums = models.get(model) ?? { exposures: 0, requests: 0 };
      models.set(model, { exposures: sums.exposures + exposures, requests: sums.requests + requests });
    },
    unjudged(model) {
      const { exposures, requests } = models.get(model) ?? { exposures: 0, requests: 0 };
      return exposures > 0 && requests === 0 ? exposures : undefined;
    },
  };
}

interface Intake {
  /** @returns the model that it counts for */
  add(decision: DecisionMade, counts: Counts): string | undefined;
  /** @param name of the pair, when it came without a request id */
  addPair(pair: PairObservation, name: string): void;
  readonly maker: BlockMaker;
  readonly counted: number;
  /** Requests by the reason for which they were left out. */
  readonly ignored: ReadonlyMap<string, number>;
}

function openIntake(history: RolloutHistory, nowMs: number, stratum: string | undefined): Intake {
  const maker = openBlockMaker(stratum);
  const ignored = new Map<string, number>();
  let counted = 0;
  const ignore = (reason: string, requests: number): void => {
    ignored.set(reason, (ignored.get(reason) ?? 0) + requests);
  };
  return {
    maker,
    ignored,
    addPair(observed, name) {
      const atMs = Math.min(observed.atMs ?? nowMs, nowMs);
      const place =
        atMs < nowMs - LATEST_MS
          ? ({ outcome: 'unplaced', reason: 'it is more than an hour old' } as const)
          : history.placeOfPair({ ...observed, atMs });
      if (place.outcome === 'unplaced') return ignore(place.reason, 1);
      const { champion, version } = place;
      const made = madePairOf(observed, { requestId: observed.requestId ?? name, atMs, versions: [champion, version] });
      if (made === undefined) return ignore("the champion rejected it, which is the caller's mistake", 1);
      counted += 1;
      maker.addPair(place, atMs, made);
    },
    get counted() {
      return counted;
    },
    add(decision, counts) {
      // A clock that is ahead must not make evidence that stays the newest for good.
      const atMs = Math.min(decision.atMs, nowMs);
      const place =
        atMs < nowMs - LATEST_MS
          ? ({ outcome: 'unplaced', reason: 'it is more than an hour old' } as const)
          : history.placeOf({ ...decision, atMs });
      if (place.outcome === 'unplaced') {
        ignore(place.reason, counts.requests);
        return undefined;
      }
      counted += counts.requests;
      if (!isNothing(counts)) maker.add(place, atMs, counts);
      return place.model;
    },
  };
}

function isNothing({ requests, latencies, predictions, classes, scores }: Counts): boolean {
  return requests + latencies.length + predictions.length + Object.keys(classes).length + Object.keys(scores).length === 0;
}

/** Reasons that leave it open whether a split decided. Everything else is a decision that no chance made. */
const MAYBE_SPLIT: ReadonlySet<string | undefined> = new Set([undefined, 'SPLIT', 'CACHED', 'UNKNOWN']);

function decisionOf(reported: Observation | ObservedCounts, nowMs: number): DecisionMade {
  const decided: Decided =
    'model' in reported
      ? { model: reported.model, version: reported.version }
      : { flag: reported.flag, variant: reported.variant };
  const atMs = reported.atMs ?? nowMs;
  if (!('subject' in reported || 'reason' in reported)) return { decided, atMs };
  return { decided, atMs, subject: reported.subject, isByRule: !MAYBE_SPLIT.has(reported.reason) };
}

/** One request of one version. */
function countsOfOne({
  error,
  latencyMs,
  prediction,
  scores = {},
}: Pick<Observation, 'error' | 'latencyMs' | 'prediction' | 'scores'>): Counts {
  const one = (isSo: boolean): number => (isSo ? 1 : 0);
  return {
    requests: 1,
    errors: one(error !== undefined && error !== 'rejected'),
    timeouts: one(error === 'timeout'),
    invalid: one(error === 'invalid'),
    rejected: one(error === 'rejected'),
    latencies: latencyMs === undefined ? [] : [[latencyMs, 1]],
    predictions: typeof prediction === 'number' ? [[prediction, 1]] : [],
    classes: typeof prediction === 'string' ? { [prediction]: 1 } : {},
    scores: Object.fromEntries(
      Object.entries(scores).map(([name, value]) => [name, { count: 1, sum: value, sumSquares: value * value }]),
    ),
  };
}

/** Undefined for what is no pair. */
function madePairOf({ champion, shadow, segment }: PairObservation, example: ReturnType<Pair['example']>): MadePair | undefined {
  if (champion.error === 'rejected') return undefined;
  // The champion could read it: who does not take what clients send has failed.
  const ours = shadow.error === 'rejected' ? { ...shadow, error: 'failed' as const } : shadow;
  const pair: Pair = {
    champion: pairEndOf(champion),
    shadow: pairEndOf(ours),
    segment,
    // The same for the same request, however often it is sent, and spread evenly over all of them.
    lot: bucketOf('pairs', example.requestId) / BUCKET_COUNT,
    example: () => example,
  };
  return { pair, counts: countsOfOne(ours) };
}

function pairEndOf({ latencyMs, error, prediction }: PairObservation['champion']): PairEnd {
  const failure = error === 'rejected' ? 'failed' : error;
  return { failure, ms: latencyMs, isCold: false, prediction: failure === undefined ? prediction : undefined, isClass: false };
}

function countsOf({
  requests,
  errors,
  timeouts,
  invalid,
  rejected,
  latencies,
  predictions,
  classes,
  scores,
}: ObservedCounts): Counts {
  return { requests, errors, timeouts, invalid, rejected, latencies, predictions, classes, scores };
}

/** SDKs round; what is stored has to make sense all the same. Exposures are left out: they are no requests. */
function countsOfOutcome({ requests, errors, latencies, scores }: ReportedOutcome): Counts {
  const failed = whole(errors);
  const known = Object.entries(scores).filter(([name, { count }]) => whole(count) > 0 && Name.safeParse(name).success);
  return {
    requests: Math.max(whole(requests), failed),
    errors: failed,
    timeouts: 0,
    invalid: 0,
    rejected: 0,
    latencies: latencies.map(([ms, count]) => [ms, whole(count)]),
    predictions: [],
    classes: {},
    scores: Object.fromEntries(known.slice(0, MAX_NAMES.scores).map(([name, moments]) => [name, sane(moments)])),
  };
}

function whole(count: number): number {
  return Number.isFinite(count) ? Math.max(0, Math.round(count)) : 0;
}

/** Sums that values in [0, 1] can have. */
function sane({ count, sum, sumSquares }: Moments): Moments {
  const counted = whole(count);
  const total = Number.isFinite(sum) ? Math.min(Math.max(0, sum), counted) : 0;
  return {
    count: counted,
    sum: total,
    sumSquares: Number.isFinite(sumSquares) ? Math.min(Math.max(0, sumSquares), total) : total,
  };
}
