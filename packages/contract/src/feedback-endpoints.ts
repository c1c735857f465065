/** Endpoints of feedback: the truth about requests, told later by request id. */
import { z } from 'zod';
import { Name } from './documents.ts';
import { base, type Endpoint, OfModel } from './endpoint.ts';
import { MAX_NAMES } from './report.ts';

const Label = z.union([z.number(), z.boolean(), z.string().max(200)]);
const Unit = z.number().min(0).max(1);

/** What is said of one request. Every way to say whether the prediction was right gives the score `accuracy`. */
export const Feedback = z
  .strictObject({
    requestId: z.string().min(1).max(1024).meta({ description: 'From the header `x-understudy-request-id` of the answer.' }),
    atMs: z
      .number()
      .nonnegative()
      .exactOptional()
      .meta({ description: 'When it became known; the time of arrival when left out.' }),
    scores: z
      .record(Name, Unit)
      .refine((scores) => Object.keys(scores).length <= MAX_NAMES.scores, `at most ${MAX_NAMES.scores} scores`)
      .exactOptional()
      .meta({ description: 'Values in [0, 1], by name.' }),
    correct: z.boolean().exactOptional().meta({ description: 'Whether the prediction was right.' }),
    label: Label.exactOptional().meta({ description: 'What would have been right; give `predicted` with it.' }),
    correction: Label.exactOptional().meta({
      description: 'What a person put in place of the prediction, which was wrong unless `predicted` says that it is the same.',
    }),
    predicted: Label.exactOptional().meta({ description: 'What was predicted, as the answer said.' }),
  })
  .refine(
    ({ correct, label, correction }) => [correct, label, correction].filter((said) => said !== undefined).length <= 1,
    'say with one of correct, label and correction whether the prediction was right',
  )
  .refine(
    ({ label, predicted }) => label === undefined || predicted !== undefined,
    'give predicted with label: ids do not carry predictions',
  )
  .refine(
    ({ scores, correct, label, correction }) => scores !== undefined || (correct ?? label ?? correction) !== undefined,
    'says nothing: give correct, label, correction or scores',
  )
  .refine(
    ({ scores, correct, label, correction }) =>
      scores?.['accuracy'] === undefined || (correct ?? label ?? correction) === undefined,
    'correct, label and correction are the score accuracy; do not give both',
  );
export type Feedback = z.infer<typeof Feedback>;

/** What became of some feedback. */
export const FeedbackReceipt = z.strictObject({
  /** Requests that something was said of. Said twice it counts once. */
  accepted: z.int(),
  /** Of these, requests that were judged already: kept, but no evidence any more. */
  late: z.int(),
  /** What was left out: its place in the list, and why. */
  ignored: z.array(z.strictObject({ index: z.int(), reason: z.string() })),
});
export type FeedbackReceipt = z.infer<typeof FeedbackReceipt>;

/** What was said of a model's requests. */
export const FeedbackView = z.strictObject({
  model: z.string(),
  /** Milliseconds after which labels of a request are due. */
  labelsDueMs: z.number(),
  /** Requests since then are in here. */
  sinceMs: z.number(),
  /** Requests before are judged. */
  judgedUntilMs: z.number(),
  scores: z.array(
    z.strictObject({
      name: z.string(),
      version: z.string(),
      arm: z.enum(['champion', 'challenger', 'shadow']),
      rollout: z.string().exactOptional(),
      /** Requests, and the mean of what was said of them. */
      requests: z.int(),
      mean: z.number(),
      /** Of these, requests whose labels are due: what verdicts rest on. */
      judged: z.int(),
    }),
  ),
  /** Time within which half, nine in ten and 99 of a hundred labels came: upper ends of doubling classes. Absent without labels. */
  lag: z.strictObject({ p50Ms: z.number(), p90Ms: z.number(), p99Ms: z.number() }).exactOptional(),
});
export type FeedbackView = z.infer<typeof FeedbackView>;

export const FEEDBACK_ENDPOINTS = {
  giveFeedback: {
    ...base,
    method: 'POST',
    path: '/feedback',
    scope: 'feedback',
    summary: 'Tell the truth about requests, by request id: late, in batches, any number of times',
    body: z.strictObject({ feedback: z.array(Feedback).min(1).max(10_000) }),
    answer: FeedbackReceipt,
    maxBodyBytes: 8 * 1024 * 1024,
  },
  getFeedback: {
    ...base,
    method: 'GET',
    path: '/models/:model/feedback',
    scope: 'read',
    summary: 'What was said of the requests of a model, how late labels come, and what is judged',
    params: OfModel,
    query: z.strictObject({
      hours: z.coerce.number().int().min(1).max(2400).default(48).meta({ description: 'Of requests of so many hours.' }),
    }),
    answer: FeedbackView,
  },
} as const satisfies Record<string, Endpoint>;
