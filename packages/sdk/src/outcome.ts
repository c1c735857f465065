/** What came of one request, checked and written as the server takes it. Nothing here throws at whoever reports. */

/** What a request was decided by: a version of a model, or a variant of a flag that follows one. */
export type Decided = { readonly model: string; readonly version: string } | { readonly flag: string; readonly variant: string };

/** How a request went. All of it may be left out: then it is a request that went well. */
export interface OutcomeFacts {
  /** From asking the version to its answer. */
  readonly latencyMs?: number;
  /**
   * True or `failed`, `timeout`, `invalid`: charged to the version. `rejected`: the caller's mistake, which counts against
   * nobody.
   */
  readonly failed?: boolean | 'failed' | 'timeout' | 'invalid' | 'rejected';
  /** A number, or the name of a class of at most 200 characters. */
  readonly prediction?: number | string;
  /** Values in [0, 1] by name, at most 32. */
  readonly scores?: Readonly<Record<string, number>>;
  /** When, in milliseconds since 1970; now when left out. */
  readonly atMs?: number;
}

/** One request that was decided by a flag or a version. */
export type Outcome = Decided &
  OutcomeFacts & {
    /** The key that the flag was asked for. */
    readonly subject?: string | undefined;
    /** Why the flag gave it. Only what a split decided is compared. */
    readonly reason?: string;
  };

/** A score that comes after its request was reported. */
export type LateScore = Decided & { readonly name: string; readonly value: number; readonly atMs?: number };

/** An entry of a batch as JSON, or why there is none. */
export type EntryReading =
  | { readonly outcome: 'written'; readonly text: string; readonly atMs: number }
  | { readonly outcome: 'invalid'; readonly problem: string };

const NAME = /^[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?$/i;
const ERRORS = ['failed', 'timeout', 'invalid', 'rejected'] as const;
const REASONS = ['STATIC', 'DEFAULT', 'TARGETING_MATCH', 'SPLIT', 'CACHED', 'DISABLED', 'UNKNOWN', 'STALE', 'ERROR'];
const MAX = { latencyMs: 86_400_000, className: 200, subject: 1000, scores: 32, flag: 200 } as const;

/** Writes one request. */
export function writeOutcome(outcome: Outcome, nowMs: number): EntryReading {
  const { latencyMs, failed, prediction, scores = {}, atMs = nowMs, subject, reason } = outcome;
  const error = failed === true ? 'failed' : failed === false ? undefined : failed;
  const isLatency = latencyMs === undefined || (latencyMs >= 0 && latencyMs <= MAX.latencyMs);
  const isClass = typeof prediction === 'string' && prediction.length <= MAX.className;
  const problem =
    decidedProblem(outcome) ??
    timeProblem(atMs) ??
    unless(isLatency, `latencyMs is ${latencyMs}, not in [0, ${MAX.latencyMs}]`) ??
    unless(error === undefined || ERRORS.includes(error), `failed is "${String(error)}", none of ${ERRORS.join(', ')}`) ??
    unless(prediction === undefined || isClass || Number.isFinite(prediction), `the prediction is no number and no short text`) ??
    unless(Object.keys(scores).length <= MAX.scores, `there are more than ${MAX.scores} scores`) ??
    Object.entries(scores).reduce<string | undefined>((found, [name, value]) => found ?? scoreProblem(name, value), undefined);
  if (problem !== undefined) return { outcome: 'invalid', problem };
  const isSubject = subject !== undefined && subject !== '' && subject.length <= MAX.subject;
  const known = reason !== undefined && REASONS.includes(reason) ? { reason } : {};
  const who = isSubject ? { subject } : {};
  const text = JSON.stringify({ ...decidedOf(outcome), atMs, latencyMs, error, prediction, scores, ...who, ...known });
  return { outcome: 'written', text, atMs };
}

/** Writes a score that stands alone. */
export function writeLateScore(score: LateScore, nowMs: number): EntryReading {
  const { name, value, atMs = nowMs } = score;
  const problem = decidedProblem(score) ?? timeProblem(atMs) ?? scoreProblem(name, value);
  if (problem !== undefined) return { outcome: 'invalid', problem };
  const scores = { [name]: { count: 1, sum: value, sumSquares: value * value } };
  return { outcome: 'written', text: JSON.stringify({ ...decidedOf(score), atMs, requests: 0, scores }), atMs };
}

function decidedOf(decided: Decided): Decided {
  if ('model' in decided) return { model: decided.model, version: decided.version };
  return { flag: decided.flag, variant: decided.variant };
}

function decidedProblem(decided: Decided): string | undefined {
  if ('model' in decided) {
    return unless(NAME.test(decided.model) && NAME.test(decided.version), 'the model or the version is no name');
  }
  const isText = [decided.flag, decided.variant].every(
    (part) => typeof part === 'string' && part !== '' && part.length <= MAX.flag,
  );
  return unless(isText, 'it names neither a model and its version nor a flag and its variant');
}

function timeProblem(atMs: number): string | undefined {
  return unless(Number.isFinite(atMs) && atMs >= 0, `atMs is ${atMs}, no time in milliseconds since 1970`);
}

function scoreProblem(name: string, value: number): string | undefined {
  if (!NAME.test(name)) return `"${name}" is no name of a score`;
  return unless(value >= 0 && value <= 1, `the score "${name}" is ${value}, not in [0, 1]`);
}

function unless(isGood: boolean, problem: string): string | undefined {
  return isGood ? undefined : problem;
}
