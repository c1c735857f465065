/** Deletes from a Redis store what is older than asked, a little at a time. */
import { cohortOf } from '@understudy/core/feedback';
import { type EnvironmentKeys, keysOf } from './redis-keys.ts';
import type { RedisLink } from './redis-link.ts';
import { numberOf, scoreOf, textsOf } from './redis-replies.ts';
import {
  FORGET_EVIDENCE_SCRIPT,
  FORGET_FEEDBACK_SCRIPT,
  FORGET_IDEMPOTENCY_SCRIPT,
  FORGET_REPORTS_SCRIPT,
} from './redis-scripts.ts';
import type { Store } from './store.ts';

const ATTEMPT = 'delete what is old';
// Some milliseconds of the server's time, after which other commands get their turn.
const ROWS_PER_TURN = 500;

export function openForgetting(link: RedisLink): Pick<Store, 'prune'> {
  return {
    prune: async (environment, before) => {
      const keys = keysOf(environment);
      await forgetReports(link, keys, before.evidenceMs);
      await forgetFeedback(link, keys, cohortOf(before.feedbackMs));
      return {
        evidence: await forgetEvidence(link, keys, before.evidenceMs),
        idempotency: await forgetIdempotency(link, keys, before.idempotencyMs),
      };
    },
  };
}

async function forgetReports(link: RedisLink, keys: EnvironmentKeys, beforeMs: number): Promise<void> {
  const run = { script: FORGET_REPORTS_SCRIPT, keys: [keys.activity, keys.reports], args: [scoreOf(beforeMs)] };
  await link.run(ATTEMPT, run);
}

/** Names in a sorted set whose score lies below a limit: some of them, the lowest first. */
async function oldIn(link: RedisLink, key: string, limit: number): Promise<readonly string[]> {
  const range = ['-inf', `(${scoreOf(limit)}`, 'LIMIT', '0', String(ROWS_PER_TURN)] as const;
  const [reply] = await link.send(ATTEMPT, [['zrangebyscore', key, ...range]]);
  return textsOf(reply);
}

async function forgetFeedback(link: RedisLink, keys: EnvironmentKeys, beforeCohort: number): Promise<void> {
  for (;;) {
    const old = await oldIn(link, keys.feedbackCohorts, beforeCohort);
    if (old.length === 0) return;
    const hashes = old.map((name) => {
      const { cohort, model } = cohortPartsOf(name);
      return keys.feedback(model, cohort);
    });
    const run = { script: FORGET_FEEDBACK_SCRIPT, keys: [keys.activity, keys.feedbackCohorts, ...hashes], args: old };
    await link.run(ATTEMPT, run);
  }
}

async function forgetEvidence(link: RedisLink, keys: EnvironmentKeys, beforeMs: number): Promise<number> {
  let total = 0;
  for (;;) {
    const old = await oldIn(link, keys.evidenceStarts, beforeMs);
    if (old.length === 0) return total;
    const parts = old.map((name) => ({ name, ...partsOf(name) }));
    const { answer } = await link.run(ATTEMPT, {
      script: FORGET_EVIDENCE_SCRIPT,
      keys: [keys.activity, keys.evidenceStarts, keys.evidenceSeen, ...parts.map(({ second }) => keys.evidence(second))],
      args: parts.flatMap(({ name, first }) => [name, first]),
    });
    total += numberOf(answer);
  }
}

async function forgetIdempotency(link: RedisLink, keys: EnvironmentKeys, beforeMs: number): Promise<number> {
  let total = 0;
  for (;;) {
    const { answer } = await link.run(ATTEMPT, {
      script: FORGET_IDEMPOTENCY_SCRIPT,
      keys: [keys.activity, keys.idempotency, keys.idempotencyAges],
      args: [scoreOf(beforeMs), String(ROWS_PER_TURN)],
    });
    const gone = numberOf(answer);
    total += gone;
    if (gone < ROWS_PER_TURN) return total;
  }
}

/** A cohort and its model, as the set of cohorts names them. */
export function cohortPartsOf(name: string): { readonly cohort: number; readonly model: string } {
  const { first, second } = partsOf(name);
  return { cohort: Number(first), model: second };
}

function partsOf(name: string): { readonly first: string; readonly second: string } {
  const space = name.indexOf(' ');
  return { first: name.slice(0, space), second: name.slice(space + 1) };
}
