/** Where a check stands when a rollout is judged, and the reading that people see. */
import { formatDuration } from '../duration.ts';
import type { GuardReading, Question, Verdict } from '../policy.ts';
import { valueWords } from '../sequential/words.ts';
import { type CheckConfig, staleAfterMs } from './config.ts';
import { type Answer, limitAt, type Measurement, numberOf, type Sample, type Valued } from './measurement.ts';
import type { CheckState } from './state.ts';

/** A check when it is asked about. */
export interface CheckStanding {
  readonly reading: GuardReading;
  /** Where it stands with its newest answer, to put into the reason of a judgement. */
  readonly brief: string;
  /** Keeps the step from being passed. */
  readonly isHolding: boolean;
}

/** What is asked of a check: when, and which step is held since when. */
export type CheckQuestion = Pick<Question, 'atMs' | 'sinceMs' | 'isLast'>;

interface Found {
  readonly verdict: Verdict;
  readonly words: string;
  readonly isHolding: boolean;
}

/** Most urgent first: failures, then not being able to ask, then whatever the newest answer lacks. */
export function standingOf(config: CheckConfig, state: CheckState, question: CheckQuestion): CheckStanding {
  const { verdict, words: found, isHolding } = findingNow(config, state, question);
  const valued = state.recent.map(({ answer }) => answer).findLast((answer) => answer.outcome === 'value');
  const values = valued === undefined ? {} : valuesOf(config, valued);
  const words = valued === undefined ? found : `${found} (${limitWords(config, valued)})`;
  const answers = state.recent.map((measurement) => measurementWords(measurement, question.atMs)).toReversed();
  const guard = nameOfCheck(config);
  const reason = [words, ...answers].join('; ');
  const reading = { guard, verdict, ...values, unit: 'number', samples: state.count, reason } as const;
  return { reading, brief: `${guard}: ${[words, ...answers.slice(0, 1)].join('; ')}`, isHolding };
}

/** What a check is called among the guards. */
function nameOfCheck({ name }: Pick<CheckConfig, 'name'>): string {
  return `check ${name}`;
}

function findingNow(config: CheckConfig, state: CheckState, question: CheckQuestion): Found {
  return failingNow(config, state, question) ?? blindNow(config, state, question) ?? answeredNow(config, state, question);
}

/** Failures hold every step, also one that needs no proof: nobody climbs while a check is going bad. */
function failingNow(config: CheckConfig, { failures, failedAtMs = 0 }: CheckState, { atMs }: CheckQuestion): Found | undefined {
  if (failures >= config.failures) {
    const verdict = config.onFailure === 'roll-back' ? 'harmful' : 'undecided';
    return { verdict, words: `failed ${timesWords(failures)} in a row`, isHolding: true };
  }
  // A row that was begun and not gone on with is none any more.
  if (failures === 0 || atMs - failedAtMs > staleAfterMs(config)) return undefined;
  return { verdict: 'undecided', words: `failed ${failures} of ${config.failures} times in a row`, isHolding: true };
}

/** Nobody can be asked: that says nothing about the metric. */
function blindNow(config: CheckConfig, state: CheckState, { atMs, sinceMs, isLast }: CheckQuestion): Found | undefined {
  const isHolding = config.onError === 'hold' && isNeeded(config, isLast);
  const then = isHolding ? 'the rollout holds' : 'ignored, as the plan says';
  const { errors, errorSinceMs, recent } = state;
  if (errors >= config.errors && errorSinceMs !== undefined) {
    const words = `provider error since ${agoWords(errorSinceMs, atMs)}, ${timesWords(errors)} in a row; ${then}`;
    return { verdict: 'no-data', words, isHolding };
  }
  const heardMs = Math.max(recent.at(-1)?.atMs ?? sinceMs, sinceMs);
  if (atMs - heardMs <= staleAfterMs(config)) return undefined;
  return { verdict: 'no-data', words: `not asked for ${formatDuration(atMs - heardMs)}; ${then}`, isHolding };
}

function answeredNow(config: CheckConfig, { standing, errors }: CheckState, question: CheckQuestion): Found {
  const isRequired = isNeeded(config, question.isLast);
  const failing = errors > 0 ? `, then ${errors === 1 ? 'a provider error' : `${errors} provider errors`}` : '';
  if (standing === undefined) return { verdict: 'no-data', words: `no answer yet${failing}`, isHolding: isRequired };
  switch (standing.finding) {
    case 'no-data':
      return { verdict: 'no-data', words: `no data${failing}`, isHolding: isRequired && config.onNoData === 'hold' };
    case 'pass': {
      const isFresh = standing.atMs >= question.sinceMs + config.afterMs;
      if (isFresh) return { verdict: 'healthy', words: `passed${failing}`, isHolding: false };
      const wait = config.afterMs === 0 ? 'of this step' : `${formatDuration(config.afterMs)} into this step`;
      return { verdict: 'undecided', words: `waits for an answer ${wait}${failing}`, isHolding: isRequired };
    }
    case 'warn':
      return { verdict: 'undecided', words: `warns${failing}`, isHolding: isRequired };
    case 'undecided':
      return { verdict: 'undecided', words: `cannot say yet${failing}`, isHolding: isRequired };
    case 'fail':
      return { verdict: 'undecided', words: `failed before${failing}`, isHolding: isRequired };
  }
}

function isNeeded({ needed }: CheckConfig, isLast: boolean): boolean {
  return needed === 'each-step' || (needed === 'promotion' && isLast);
}

/** Numbers for the table; what is not finite is in the words alone. */
function valuesOf({ source }: CheckConfig, { value, baseline }: Valued): Partial<GuardReading> {
  const limits = source.kind === 'prometheus' ? [source.failAbove, source.failBelow] : [];
  const [limit] = limits.flatMap((one) => (one === undefined ? [] : (limitAt(one, baseline) ?? [])));
  return { ...finite('challenger', value), ...finite('champion', baseline), ...finite('limit', limit) };
}

/** `fails above 0.02, and below 0` */
function limitWords({ source }: CheckConfig, { baseline }: Valued): string {
  if (source.kind === 'webhook') return 'another kind of answer is asked for';
  const { failAbove, failBelow } = source;
  const words = (['above', 'below'] as const).flatMap((side) => {
    const limit = side === 'above' ? failAbove : failBelow;
    const at = limit === undefined ? undefined : limitAt(limit, baseline);
    return at === undefined ? [] : [`${side} ${valueWords(at, 'number')}`];
  });
  return words.length === 0 ? 'nothing to compare with' : `fails ${words.join(', and ')}`;
}

function finite(field: 'challenger' | 'champion' | 'limit', sample: Sample | undefined): Partial<GuardReading> {
  const value = sample === undefined ? Number.NaN : numberOf(sample);
  return Number.isFinite(value) ? { [field]: value } : {};
}

function measurementWords({ atMs, answer }: Measurement, nowMs: number): string {
  return `${answerWords(answer)}, ${agoWords(atMs, nowMs)}`;
}

function answerWords(answer: Answer): string {
  switch (answer.outcome) {
    case 'value': {
      const against = answer.baseline === undefined ? '' : ` (baseline ${sampleWords(answer.baseline)})`;
      return `${sampleWords(answer.value)}${against}`;
    }
    case 'verdict':
      return answer.reason === '' ? answer.verdict : `${answer.verdict} (${answer.reason})`;
    case 'no-data':
      return `no data (${answer.reason})`;
    case 'error':
      return `error (${answer.reason})`;
  }
}

function sampleWords(sample: Sample): string {
  return typeof sample === 'number' ? valueWords(sample, 'number') : sample;
}

function timesWords(count: number): string {
  return count === 1 ? 'once' : `${count} times`;
}

function agoWords(thenMs: number, nowMs: number): string {
  return `${formatDuration(Math.max(0, nowMs - thenMs))} ago`;
}
