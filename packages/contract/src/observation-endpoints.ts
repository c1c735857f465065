/** The endpoint where services that decide by flag say what came of it. */
import { z } from 'zod';
import { Name } from './documents.ts';
import { base, type Endpoint } from './endpoint.ts';
import { MAX_NAMES } from './report.ts';

const AtMs = z
  .number()
  .nonnegative()
  .exactOptional()
  .meta({ description: 'When it was decided; the time of arrival when left out. At most an hour ago.' });
const Count = z.int().min(0).max(1_000_000_000);
const Ms = z.number().min(0).max(86_400_000);
const ClassName = z.string().max(200);
const manyScores = 'at most 32 scores';
const hasFewScores = (scores: object): boolean => Object.keys(scores).length <= MAX_NAMES.scores;

/** What was decided: a version of a model, or a variant of a flag that follows one. */
const DECISIONS = [
  { model: Name, version: Name },
  { flag: z.string().min(1).max(200), variant: z.string().min(1).max(200) },
] as const;

const outcome = {
  atMs: AtMs,
  latencyMs: Ms.exactOptional(),
  error: z
    .enum(['failed', 'timeout', 'invalid', 'rejected'])
    .exactOptional()
    .meta({ description: 'Absent when all went well. `rejected`: the caller’s mistake, which counts against nobody.' }),
  prediction: z.union([z.number(), ClassName]).exactOptional().meta({ description: 'A number, or the name of a class.' }),
  scores: z.record(Name, z.number().min(0).max(1)).refine(hasFewScores, manyScores).exactOptional(),
  subject: z
    .string()
    .min(1)
    .max(1000)
    .exactOptional()
    .meta({ description: 'The key that the flag was asked for. A version that its bucket does not give is no evidence.' }),
  reason: z
    .enum(['STATIC', 'DEFAULT', 'TARGETING_MATCH', 'SPLIT', 'CACHED', 'DISABLED', 'UNKNOWN', 'STALE', 'ERROR'])
    .exactOptional()
    .meta({ description: 'Why the flag gave it, as OpenFeature tells: what no split decided is no evidence.' }),
};

const counts = {
  atMs: AtMs,
  requests: Count,
  errors: Count.default(0).meta({ description: 'Charged to the version, timeouts and invalid answers included.' }),
  timeouts: Count.default(0),
  invalid: Count.default(0),
  rejected: Count.default(0),
  latencies: z
    .array(z.tuple([Ms, Count]))
    .max(1024)
    .default([])
    .meta({ description: 'Milliseconds and how often.' }),
  predictions: z
    .array(z.tuple([z.number(), Count]))
    .max(1000)
    .default([])
    .meta({ description: 'A number and how often.' }),
  classes: z.record(ClassName, Count).default({}),
  scores: z
    .record(Name, z.strictObject({ count: Count, sum: z.number().nonnegative(), sumSquares: z.number().nonnegative() }))
    .refine(hasFewScores, manyScores)
    .default({}),
};

const [ofVersion, ofVariant] = DECISIONS;

export const Observation = z.union([z.strictObject({ ...ofVersion, ...outcome }), z.strictObject({ ...ofVariant, ...outcome })]);
export type Observation = z.infer<typeof Observation>;

export const ObservedCounts = z
  .union([z.strictObject({ ...ofVersion, ...counts }), z.strictObject({ ...ofVariant, ...counts })])
  .refine(({ requests, errors, rejected }) => errors + rejected <= requests, 'errors and rejected are parts of requests')
  .refine(({ errors, timeouts, invalid }) => timeouts + invalid <= errors, 'timeouts and invalid are parts of errors')
  .refine(
    ({ scores }) => Object.values(scores).every(({ count, sum, sumSquares }) => sum <= count && sumSquares <= sum * (1 + 1e-9)),
    'a score lies in [0, 1], so its sum is at most its count and its sum of squares at most its sum',
  );
export type ObservedCounts = z.infer<typeof ObservedCounts>;

const side = z.strictObject({
  latencyMs: Ms,
  error: outcome.error,
  prediction: outcome.prediction,
});

/** One request that a service asked both versions about; the champion's answer was the user's. */
export const PairObservation = z.strictObject({
  model: Name,
  version: Name.meta({ description: 'The shadow.' }),
  atMs: AtMs,
  requestId: z
    .string()
    .min(1)
    .max(300)
    .exactOptional()
    .meta({ description: 'To find the request again when it is kept as an example.' }),
  segment: z.string().max(200).exactOptional().meta({ description: 'Pairs are counted apart by it, such as a region.' }),
  champion: side,
  shadow: side,
});
export type PairObservation = z.infer<typeof PairObservation>;

/** Counts once for each reporter, boot and sequence, however often it is sent. */
export const ObservationBatch = z.strictObject({
  reporter: Name.meta({ description: 'Name of the process that reports, such as a host name.' }),
  boot: z.string().min(1).max(64).meta({ description: 'Chosen when the process starts, so that it may count from 0 again.' }),
  sequence: z.int().nonnegative(),
  stratum: Name.exactOptional().meta({ description: 'Told apart from services whose users differ, such as a region.' }),
  observations: z.array(Observation).max(10_000).default([]),
  counts: z.array(ObservedCounts).max(1000).default([]),
  pairs: z.array(PairObservation).max(10_000).default([]),
});
export type ObservationBatch = z.infer<typeof ObservationBatch>;

/** What became of a batch. */
export const ObservationReceipt = z.strictObject({
  /** `duplicate`: it was counted before. `nothing`: all of it was left out. */
  outcome: z.enum(['stored', 'duplicate', 'nothing']),
  /** Requests that count as evidence of a version, in a rollout or outside of one. */
  counted: z.int(),
  /** What was left out, and why. */
  ignored: z.array(z.strictObject({ reason: z.string(), requests: z.int() })),
});
export type ObservationReceipt = z.infer<typeof ObservationReceipt>;

export const OBSERVATION_ENDPOINTS = {
  reportObservations: {
    ...base,
    method: 'POST',
    path: '/observations',
    scope: 'feedback',
    summary: 'What came of requests that a service decided by flag; it becomes evidence like a gateway’s',
    body: ObservationBatch,
    answer: ObservationReceipt,
    maxBodyBytes: 4 * 1024 * 1024,
  },
} as const satisfies Record<string, Endpoint>;
