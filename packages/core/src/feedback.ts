/**
 * The truth about requests, told later by request id: who said what of which request, and which requests are judged when.
 *
 * Requests of one minute are a cohort. A cohort is judged once, when its labels are due: before, the labels that are there
 * are those that come early, which are not like the others. What was said of a request last counts.
 */
import { type Arm, EMPTY_TALLY, type EvidenceBlock, mergeMoments, type Moments } from './evidence.ts';
import { INTERVAL_MS } from './evidence-pool.ts';

/** Where a request counts, as its id says. `rollout` and `step` are absent for requests that are no part of a comparison. */
export interface RequestPlace {
  readonly model: string;
  readonly version: string;
  readonly arm: Arm;
  readonly rollout?: string;
  readonly step?: number;
}

/** One thing that was said of one request. */
export interface FeedbackMark extends RequestPlace {
  /** Tells the requests of an environment apart. */
  readonly request: string;
  readonly requestAtMs: number;
  /** What is told, such as `accuracy`. */
  readonly name: string;
  /** In [0, 1]. */
  readonly value: number;
  readonly givenAtMs: number;
}

/** Everything of one name that was last said about the requests of one cohort in one place, told so late. */
export interface FeedbackSum extends Omit<RequestPlace, 'model'> {
  /** Number of the cohort since 1970. */
  readonly cohort: number;
  readonly name: string;
  /** See {@link lagClassOf}. */
  readonly lag: number;
  readonly moments: Moments;
}

/** Length of a cohort. */
export const COHORT_MS = 60_000;

/** Labels are due so long after the request, unless the model says otherwise. */
export const DEFAULT_LABELS_DUE_MS = 3_600_000;

/** The cohort of a request. */
export function cohortOf(requestAtMs: number): number {
  return Math.floor(requestAtMs / COHORT_MS);
}

/** The newest cohort whose last request is so old that its labels are due. */
export function newestDueCohort(atMs: number, dueMs: number): number {
  return cohortOf(atMs - dueMs) - 1;
}

/** Class of a lag in doubling steps: 0 below a second, k from 2^k − 1 to 2^(k+1) − 1 seconds. */
export function lagClassOf(lagMs: number): number {
  return Math.floor(Math.log2(1 + Math.max(0, lagMs) / 1000));
}

/** The longest lag of a class, in milliseconds. */
export function longestLagOf(lagClass: number): number {
  return (2 ** (lagClass + 1) - 1) * 1000;
}

/** The evidence of one cohort: a block for each place, all of the moment at which it is judged. */
export function blocksOfCohort(model: string, sums: readonly FeedbackSum[], judgedAtMs: number): readonly EvidenceBlock[] {
  const startMs = Math.floor(judgedAtMs / INTERVAL_MS) * INTERVAL_MS;
  const places = Map.groupBy(sums, ({ version, arm, rollout, step }) => JSON.stringify([version, arm, rollout, step]));
  return [...places.values()].flatMap((together) => {
    const [first] = together;
    if (first === undefined) return [];
    const { version, arm, rollout, step } = first;
    const trial = rollout === undefined || step === undefined ? {} : { rollout, step };
    return [{ model, version, arm, ...trial, startMs, tally: { ...EMPTY_TALLY, labels: labelsOf(together) } }];
  });
}

/** The lag within which a share of all labels came, in milliseconds: the upper end of a class. Undefined without labels. */
export function lagQuantileOf(sums: readonly Pick<FeedbackSum, 'lag' | 'moments'>[], share: number): number | undefined {
  const total = sums.reduce((sum, { moments }) => sum + moments.count, 0);
  let seen = 0;
  for (const { lag, moments } of sums.toSorted((a, b) => a.lag - b.lag)) {
    seen += moments.count;
    if (seen >= share * total && total > 0) return longestLagOf(lag);
  }
  return undefined;
}

function labelsOf(sums: readonly FeedbackSum[]): Readonly<Record<string, Moments>> {
  const byName = Map.groupBy(sums, ({ name }) => name);
  return Object.fromEntries(
    [...byName].map(([name, some]) => [
      name,
      some.reduce((all, { moments }) => mergeMoments(all, moments), { count: 0, sum: 0, sumSquares: 0 }),
    ]),
  );
}
