/** Takes in what is said of requests by their ids, and shows what was said. The engine turns it into evidence when it is due. */
import type { Feedback, FeedbackReceipt, FeedbackView } from '@understudy/contract/feedback-endpoints';
import {
  COHORT_MS,
  cohortOf,
  type FeedbackMark,
  type FeedbackSum,
  lagQuantileOf,
  newestDueCohort,
  type RequestPlace,
} from '@understudy/core/feedback';
import { mergeMoments } from '@understudy/core/evidence';
import { labelsDueMsOf, type Model } from '@understudy/core/model';
import type { Clock } from '../clock.ts';
import { getModel, listBodies } from '../commands/queries.ts';
import type { Store } from '../storage/store.ts';
import { digestOf } from '../token-secret.ts';

/** What an id says of its request. */
export interface KnownRequest extends RequestPlace {
  readonly environment: string;
  readonly atMs: number;
}

/** @returns undefined for anything that this installation did not sign */
export type OpenRequestId = (id: string) => KnownRequest | undefined;

export interface FeedbackIntake {
  take(given: readonly Feedback[]): Promise<FeedbackReceipt>;
  /** @throws AppError `model.not_found` */
  look(model: string, sinceMs: number): Promise<FeedbackView>;
}

export interface FeedbackContext {
  readonly store: Pick<Store, 'saveFeedback' | 'feedback' | 'read' | 'list' | 'readAll'>;
  readonly environment: string;
  readonly clock: Clock;
  readonly openId: OpenRequestId;
}

/** The score of every way to say whether a prediction was right. */
const ACCURACY = 'accuracy';

export function openFeedbackIntake(context: FeedbackContext): FeedbackIntake {
  const { store, environment, clock } = context;

  return {
    async take(given) {
      const nowMs = clock.nowMs();
      const models = new Map((await listBodies(context, 'model')).map((model) => [model.name, model]));
      const [marks, ignored] = [[] as FeedbackMark[], [] as FeedbackReceipt['ignored']];
      let late = 0;
      for (const [index, one] of given.entries()) {
        const request = placeOf(context, models, one.requestId);
        if ('reason' in request) {
          ignored.push({ index, reason: request.reason });
          continue;
        }
        marks.push(...marksOf(one, request.place, nowMs));
        if (cohortOf(request.place.atMs) <= newestDueCohort(nowMs, labelsDueMsOf(request.model))) late += 1;
      }
      await store.saveFeedback(environment, marks);
      return { accepted: given.length - ignored.length, late, ignored };
    },
    async look(name, sinceMs) {
      const model = await getModel(context, name);
      const nowMs = clock.nowMs();
      const query = { model: name, fromCohort: cohortOf(sinceMs), toCohort: cohortOf(nowMs) };
      return viewOf(model, { sinceMs, nowMs }, await store.feedback(environment, query));
    },
  };
}

type Placed = { readonly place: KnownRequest; readonly model: Model } | { readonly reason: string };

function placeOf({ openId, environment }: FeedbackContext, models: ReadonlyMap<string, Model>, id: string): Placed {
  const place = openId(id);
  if (place === undefined) {
    return { reason: 'this id was not given by a gateway of this installation; send it exactly as the answer had it' };
  }
  if (place.environment !== environment) {
    return { reason: `the request was answered in environment "${place.environment}", and this is "${environment}"` };
  }
  const model = models.get(place.model);
  return model === undefined ? { reason: `model "${place.model}" does not exist any more` } : { place, model };
}

function marksOf(
  given: Feedback,
  { environment: _ours, atMs: requestAtMs, ...place }: KnownRequest,
  nowMs: number,
): readonly FeedbackMark[] {
  const { model, version, arm, rollout, step } = place;
  const trial = rollout === undefined || step === undefined ? {} : { rollout, step };
  const isRight = isRightBy(given);
  const scores = { ...given.scores, ...(isRight === undefined ? {} : { [ACCURACY]: isRight ? 1 : 0 }) };
  const request = digestOf(given.requestId);
  // A clock that is ahead must not make what it says the last word for good.
  const givenAtMs = Math.min(given.atMs ?? nowMs, nowMs);
  return Object.entries(scores).map(([name, value]) => ({
    model,
    version,
    arm,
    ...trial,
    request,
    requestAtMs,
    name,
    value,
    givenAtMs,
  }));
}

function isRightBy({ correct, label, correction, predicted }: Feedback): boolean | undefined {
  if (correct !== undefined) return correct;
  if (label !== undefined) return label === predicted;
  return correction === undefined ? undefined : correction === predicted;
}

function viewOf(
  model: Model,
  { sinceMs, nowMs }: { readonly sinceMs: number; readonly nowMs: number },
  sums: readonly FeedbackSum[],
): FeedbackView {
  const labelsDueMs = labelsDueMsOf(model);
  const newest = newestDueCohort(nowMs, labelsDueMs);
  const places = Map.groupBy(sums, ({ name, version, arm, rollout }) => JSON.stringify([name, version, arm, rollout]));
  const scores = [...places.values()].flatMap((together) => {
    const [first] = together;
    if (first === undefined) return [];
    const { name, version, arm, rollout } = first;
    const all = together.map(({ moments }) => moments).reduce(mergeMoments);
    const judged = together.reduce((sum, { cohort, moments }) => sum + (cohort <= newest ? moments.count : 0), 0);
    const trial = rollout === undefined ? {} : { rollout };
    return [{ name, version, arm, ...trial, requests: all.count, mean: all.sum / all.count, judged }];
  });
  const [p50Ms, p90Ms, p99Ms] = [0.5, 0.9, 0.99].map((share) => lagQuantileOf(sums, share));
  const isKnown = p50Ms !== undefined && p90Ms !== undefined && p99Ms !== undefined;
  const lag = isKnown ? { lag: { p50Ms, p90Ms, p99Ms } } : {};
  return { model: model.name, labelsDueMs, sinceMs, judgedUntilMs: (newest + 1) * COHORT_MS, scores, ...lag };
}
