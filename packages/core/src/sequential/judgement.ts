/** The verdict of the policy `sequential` with everything a person wants to know about it. */
import { formatDuration } from '../duration.ts';
import { heldBackOf } from '../plan.ts';
import type { GuardReading, Judgement, Question, Verdict } from '../policy.ts';
import { type GuardConfig, nameOfGuard, type SequentialConfig } from './config.ts';
import { estimateOf, type Estimate } from './estimate.ts';
import { forecastOf } from './forecast.ts';
import { type GuardState, logHarmOfGuard, logSafetyOfGuard } from './guard.ts';
import { logHarmPartOf, logShareOf } from './harm.ts';
import { MIN_PAST } from './latency-threshold.ts';
import { pairedEstimateOf } from './paired-estimate.ts';
import { isWeighedIn } from './paired-guard.ts';
import { countScores } from './score-guard.ts';
import type { SequentialState } from './state.ts';
import { isAsked, logHarmBound, logSafetyBound, lopsidedGuard, sicknessOf, silentArm, verdictOf } from './verdict.ts';
import { countWords, oddsWords, valueWords } from './words.ts';

/** See {@link verdictOf} for the verdict, `estimate.ts` and `forecast.ts` for the numbers. */
export function judgeState(config: SequentialConfig, state: SequentialState, question: Question): Judgement {
  const verdict = verdictOf(config, state, question);
  const driver = driverOf(config, state);
  const guards = config.guards.map((_, index) =>
    readGuard(config, state, { question, index, isBlamed: verdict === 'harmful' && index === driver }),
  );
  const forecast = verdict === 'undecided' || verdict === 'healthy' ? forecastOf(config, state, question) : undefined;
  const reason = reasonOf(verdict, { config, state, question, guards, driver });
  return { verdict, reason, guards, ...(forecast === undefined ? {} : { forecast }) };
}

interface Asked {
  readonly question: Question;
  readonly index: number;
  readonly isBlamed: boolean;
}

function readGuard(config: SequentialConfig, state: SequentialState, { question, index, isBlamed }: Asked): GuardReading {
  const guard = config.guards[index];
  const guardState = state.guards[index];
  if (guard === undefined || guardState === undefined) throw new Error(`the policy has no guard ${index}`);
  const isShadow = question.shadowPercent !== undefined;
  const { what, harmLies, ...estimate } = isShadow
    ? pairedEstimateOf(guard, state.bins, question.seen.challenger)
    : estimateOf(guard, state.bins, question.seen);
  const logHarm = logHarmOfGuard(guardState);
  const logSafety = state.step === question.step ? logSafetyOfGuard(guardState) : 0;
  const [harmBound, safetyBound] = [logHarmBound(config), logSafetyBound(config, question)];
  const blindness = isWeighedIn(guard, isShadow) ? blindBecause(guardState) : notAskedBecause(guard, isShadow);
  const found = logSafety >= safetyBound ? 'healthy' : 'undecided';
  const known = estimate.samples === 0 || blindness !== undefined ? 'no-data' : found;
  const evidence = [harmWords(logHarm, harmBound - logShareOf(config, index)), safetyWords(logSafety, safetyBound)];
  const values = valuesSentence({ what, harmLies, ...estimate });
  const reason = [values, ...(blindness === undefined ? evidence : [blindness])].join('; ');
  const progress = {
    harm: shareOf(logHarmPartOf(config, state.guards, index), harmBound),
    safety: shareOf(logSafety, safetyBound),
  };
  return { guard: nameOfGuard(guard), verdict: isBlamed ? 'harmful' : known, ...estimate, progress, reason };
}

/** Why a guard has nothing to weigh with; undefined when it has. */
function blindBecause(state: GuardState): string | undefined {
  if (state.metric === 'latency' && state.threshold === undefined) {
    return `not weighed yet: what is slow is known after ${MIN_PAST} answers of the champion`;
  }
  if (state.metric === 'drift' && state.tests === undefined) {
    return 'not weighed: nobody knew what predictions look like when the rollout started';
  }
  return undefined;
}

/** What a step cannot tell is not held against anybody. */
function notAskedBecause({ metric }: SequentialConfig['guards'][number], isShadow: boolean): string {
  if (metric === 'agreement') return 'not weighed here: only a shadow gets the same requests as the champion';
  return isShadow ? 'not weighed here: nobody is given the answers of a shadow, so nobody can score them' : 'not weighed here';
}

function valuesSentence({ what, harmLies, champion, challenger, limit, unit, samples }: Estimate): string {
  if (champion === undefined || challenger === undefined) return `${what}: ${countWords(samples)} on the challenger so far`;
  const seen = `${what}: challenger ${valueWords(challenger, unit)}, champion ${valueWords(champion, unit)}`;
  return limit === undefined ? seen : `${seen}, harm begins ${harmLies} ${valueWords(limit, unit)}`;
}

/** @param logAlone what this guard's evidence must reach to roll back without any other; ∞ at a weight of 0 */
function harmWords(logHarm: number, logAlone: number): string {
  if (logHarm <= 0) return 'no evidence of harm';
  const found = `evidence of harm ${oddsWords(logHarm)}`;
  return logAlone === Infinity ? `${found}, which rolls nothing back at weight 0` : `${found}, ${oddsWords(logAlone)} rolls back`;
}

function safetyWords(logSafety: number, bound: number): string {
  if (logSafety >= bound) return `proven safe, ${oddsWords(logSafety)}`;
  if (logSafety <= 0) return `no evidence of safety yet, ${oddsWords(bound)} is proof`;
  return `evidence of safety ${oddsWords(logSafety)}, ${oddsWords(bound)} is proof`;
}

interface Reasoned {
  readonly config: SequentialConfig;
  readonly state: SequentialState;
  readonly question: Question;
  readonly guards: readonly GuardReading[];
  readonly driver: number;
}

function reasonOf(verdict: Verdict, { config, state, question, guards, driver }: Reasoned): string {
  const { champion, challenger } = question.seen;
  switch (verdict) {
    case 'harmful':
      return `${firstSentence(guards[driver])}; the evidence of harm reached ${oddsWords(state.peak)} over all guards, ${oddsWords(logHarmBound(config))} rolls back`;
    case 'invalid': {
      const lopsided = lopsidedGuard(state);
      if (lopsided !== undefined) return lopsidedWords(config.guards[lopsided], question);
      const share = challenger.requests / Math.max(1, challenger.requests + champion.requests);
      return `the challenger got ${valueWords(share, 'share')} of the requests in this step where ${question.trafficPercent} % was planned, so the arms cannot be compared; look for lost or repeated requests`;
    }
    case 'champion-sick': {
      const { errorRate, slowMs, slowShare } = config.sick;
      const limits = {
        fails: `more than ${valueWords(errorRate, 'share')} of its requests fail`,
        'is slow': `more than ${valueWords(slowShare, 'share')} of its answers take over ${valueWords(slowMs, 'ms')}`,
      };
      return `the champion itself is not well (${limits[sicknessOf(state) ?? 'fails']}), so nobody is blamed and nobody advances`;
    }
    case 'no-data': {
      const arm = silentArm(config, state, question) ?? 'challenger';
      const silentMs = question.atMs - Math.max(state.heardMs[arm], question.sinceMs);
      return `the ${arm} was not heard of for ${formatDuration(silentMs)}; the rollout holds until it is`;
    }
    case 'undecided':
      return undecidedBecause({ config, question, guards });
    case 'healthy': {
      if (question.isBake === true) return bakedWords(question);
      const requests = countWords(challenger.requests);
      return question.shadowPercent === undefined
        ? `every guard is proven safe after ${requests} requests to the challenger in this step`
        : `the shadow has passed: every guard is proven safe on ${requests} copied requests`;
    }
  }
}

function bakedWords(question: Question): string {
  return `no harm found in ${countWords(question.seen.challenger.requests)} requests with ${heldBackOf(question)} % held back`;
}

function lopsidedWords(guard: GuardConfig | undefined, { seen }: Question): string {
  const sums = guard?.metric === 'feedback' ? countScores(guard, seen) : undefined;
  const [ours, theirs] = [sums?.challenger.count ?? 0, sums?.champion.count ?? 0];
  const name = guard === undefined ? 'feedback' : nameOfGuard(guard);
  return `labels do not come for both arms alike: ${countWords(ours)} of ${countWords(ours + theirs)} labels of ${name} are of the challenger's requests, which is not its share; what they say cannot be compared`;
}

function undecidedBecause({ config, question, guards }: Pick<Reasoned, 'config' | 'question' | 'guards'>): string {
  const { seen, minSamples } = question;
  const { requests } = seen.challenger;
  if (requests < minSamples) return `${countWords(requests)} of ${countWords(minSamples)} requests that this step asks for`;
  const open = guards.filter(({ verdict }, index) => verdict !== 'healthy' && isAsked(config, index, question));
  const names = open.map(({ guard, progress }) => `${guard} ${Math.floor((progress?.safety ?? 0) * 100)} %`);
  return `no harm found, and not proven safe yet; of the proof there is: ${names.join(', ')}`;
}

/** The guard with most of the evidence against the challenger. */
function driverOf(config: SequentialConfig, state: SequentialState): number {
  const parts = config.guards.map((_, index) => logHarmPartOf(config, state.guards, index));
  return parts.indexOf(Math.max(...parts));
}

function firstSentence(reading: GuardReading | undefined): string {
  return reading?.reason.split(';')[0] ?? 'harm was found';
}

function shareOf(part: number, whole: number): number {
  return Math.min(1, Math.max(0, part / whole));
}
