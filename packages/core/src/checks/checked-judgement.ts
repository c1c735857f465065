/** A policy's judgement together with what the plan's checks say. The ledger of a rollout depends on it. */
import type { StoredBlock } from '../evidence-pool.ts';
import type { Judgement, Question, Verdict } from '../policy.ts';
import type { CheckConfig } from './config.ts';
import { type CheckStanding, standingOf } from './standing.ts';
import { absorbMeasurement, type CheckState, NEVER_ASKED } from './state.ts';

/** The checks of a plan at work. Filled with stored blocks in the order of storage. */
export interface RunningChecks {
  /** Takes a block that carries a measurement. */
  add(stored: StoredBlock): void;
  /** Takes in what was stored before a moment; moments must not go back. */
  settle(untilMs: number): void;
  /** What the policy and the checks say together. */
  join(judgement: Judgement, question: Question): Judgement;
  joinVerdict(verdict: Verdict, question: Question): Verdict;
}

/** Opens checks that were never asked. */
export function openChecks(configs: readonly CheckConfig[]): RunningChecks {
  const states = new Map<string, CheckState>();
  let waiting: StoredBlock[] = [];

  const standings = (question: Question): readonly CheckStanding[] =>
    configs.map((config) => standingOf(config, states.get(config.name) ?? NEVER_ASKED, question));

  return {
    add(stored) {
      waiting.push(stored);
    },
    settle(untilMs) {
      const due = waiting.filter(({ seenAtMs }) => seenAtMs < untilMs);
      if (due.length === 0) return;
      waiting = waiting.filter(({ seenAtMs }) => seenAtMs >= untilMs);
      for (const { block } of due) {
        const config = configs.find(({ name }) => name === block.measurement?.check);
        if (config === undefined || block.measurement === undefined) continue;
        states.set(config.name, absorbMeasurement(config, states.get(config.name) ?? NEVER_ASKED, block.measurement));
      }
    },
    join: (judgement, question) => joinStandings(judgement, standings(question)),
    joinVerdict: (verdict, question) => joinVerdicts(verdict, standings(question)),
  };
}

/**
 * A check can only make a verdict worse: to `harmful`, or from `healthy` to `undecided`. It never excuses harm, and evidence
 * that cannot be trusted stays so.
 */
export function joinStandings(judgement: Judgement, standings: readonly CheckStanding[]): Judgement {
  const guards = [...judgement.guards, ...standings.map(({ reading }) => reading)];
  const verdict = joinVerdicts(judgement.verdict, standings);
  const failed = standings.find(({ reading }) => reading.verdict === 'harmful');
  const holding = standings.filter(({ isHolding }) => isHolding);
  const held = holding.map(({ brief }) => `the ${brief}`).join('; ');
  const barred = holding.length === 0 ? {} : { barred: held };
  if (judgement.verdict === 'harmful') return { ...judgement, guards, ...barred };
  if (failed !== undefined) return { verdict, reason: `the ${failed.brief}`, guards, ...barred };
  if (holding.length === 0) return { ...judgement, guards };
  // The policy's forecast, and what it would say without some gateways, are verdicts that the checks now stand in the way of.
  const { forecast, ifAsked: _ifAsked, ...rest } = judgement;
  const outlook = forecast === undefined || judgement.verdict === 'healthy' ? {} : { forecast };
  const reason = judgement.verdict === 'healthy' ? held : `${judgement.reason}; ${held}`;
  return { ...rest, verdict, reason, guards, ...outlook, ...barred };
}

function joinVerdicts(verdict: Verdict, standings: readonly CheckStanding[]): Verdict {
  if (verdict === 'harmful' || standings.some(({ reading }) => reading.verdict === 'harmful')) return 'harmful';
  return verdict === 'healthy' && standings.some(({ isHolding }) => isHolding) ? 'undecided' : verdict;
}
