/** What was said of requests in a Redis store: one hash for each cohort of a model, added up when the cohort is judged. */
import type { FeedbackSum } from '@understudy/core/feedback';
import { z } from 'zod';
import { byBytes } from './byte-order.ts';
import { cohortPartsOf } from './redis-forget.ts';
import { type EnvironmentKeys, keysOf } from './redis-keys.ts';
import type { RedisLink, ScriptRun } from './redis-link.ts';
import type { ReplicaWait } from './redis-replicas.ts';
import { hashOf, parseReply, scoreOf, textsOf } from './redis-replies.ts';
import { FEEDBACK_SCRIPT } from './redis-scripts.ts';
import { feedbackSumOfRow, JsonText, rowOfMark } from './rows.ts';
import type { FeedbackQuery, Store } from './store.ts';

// Some milliseconds of the server's time.
const MARKS_AT_ONCE = 500;

const Field = JsonText.pipe(z.tuple([z.string(), z.string()]));
const Rest = JsonText.pipe(z.tuple([z.string(), z.string(), z.string(), z.int(), z.int(), z.number()]));

/** One thing that was said of one request of a cohort. */
export interface FeedbackRow {
  readonly request: string;
  readonly name: string;
  readonly version: string;
  readonly arm: string;
  readonly rollout: string;
  readonly step: number;
  readonly lag: number;
  readonly value: number;
  readonly given_at_ms: number;
}

export function openFeedback(link: RedisLink, untilReplicated: ReplicaWait): Pick<Store, 'saveFeedback' | 'feedback'> {
  return {
    // Said twice it counts once, so whatever was answered or not can simply be sent again.
    saveFeedback: async (environment, marks) => {
      const keys = keysOf(environment);
      const rows = marks.map(rowOfMark);
      for (let start = 0; start < rows.length; start += MARKS_AT_ONCE) {
        await link.run('store feedback', feedbackRun(keys, rows.slice(start, start + MARKS_AT_ONCE)));
      }
      if (rows.length > 0) await untilReplicated('store feedback', keys.fence);
    },
    feedback: async (environment, query) => {
      const keys = keysOf(environment);
      const sums: FeedbackSum[] = [];
      for (const cohort of await cohortsOf(link, keys, query)) {
        sums.push(...sumsOf(cohort, await readCohort(link, keys.feedback(query.model, cohort))));
      }
      return sums;
    },
  };
}

/** What the script of feedback is sent, also by whoever copies a store. */
export function feedbackRun(
  keys: EnvironmentKeys,
  rows: readonly (FeedbackRow & { readonly model: string; readonly cohort: number })[],
): ScriptRun {
  return {
    script: FEEDBACK_SCRIPT,
    keys: [keys.activity, keys.feedbackCohorts, ...rows.map(({ model, cohort }) => keys.feedback(model, cohort))],
    args: rows.flatMap((row) => {
      const { version, arm, rollout, step, lag, value } = row;
      const [field, rest] = [JSON.stringify([row.request, row.name]), JSON.stringify([version, arm, rollout, step, lag, value])];
      return [String(row.cohort), `${row.cohort} ${row.model}`, field, scoreOf(row.given_at_ms), rest];
    }),
  };
}

/** Everything that was last said of the requests of one cohort, by request and name. */
export async function readCohort(link: RedisLink, key: string): Promise<readonly FeedbackRow[]> {
  const [reply] = await link.send('read feedback', [['hgetall', key]]);
  return hashOf(reply)
    .map(([field, text]) => {
      const space = text.indexOf(' ');
      const [request, name] = parseReply(Field, field);
      const [version, arm, rollout, step, lag, value] = parseReply(Rest, text.slice(space + 1));
      return { request, name, version, arm, rollout, step, lag, value, given_at_ms: Number(text.slice(0, space)) };
    })
    .toSorted((a, b) => byBytes(a.request, b.request) || byBytes(a.name, b.name));
}

async function cohortsOf(link: RedisLink, keys: EnvironmentKeys, query: FeedbackQuery): Promise<readonly number[]> {
  const bounds = [scoreOf(query.fromCohort), scoreOf(query.toCohort)] as const;
  const [reply] = await link.send('read feedback', [['zrangebyscore', keys.feedbackCohorts, ...bounds]]);
  const known = textsOf(reply).map(cohortPartsOf);
  return known.filter(({ model }) => model === query.model).map(({ cohort }) => cohort);
}

function sumsOf(cohort: number, rows: readonly FeedbackRow[]): readonly FeedbackSum[] {
  const places = Map.groupBy(rows, ({ version, arm, rollout, step, name, lag }) =>
    JSON.stringify([version, arm, rollout, step, name, lag]),
  );
  return [...places.values()].flatMap((together) => {
    const [first] = together;
    if (first === undefined) return [];
    const { version, arm, rollout, step, name, lag } = first;
    const sum = together.reduce((total, { value }) => total + value, 0);
    const squares = together.reduce((total, { value }) => total + value * value, 0);
    const row = { cohort, version, arm, rollout, step, name, lag, count: together.length, sum, sum_squares: squares };
    return [feedbackSumOfRow(row)];
  });
}
