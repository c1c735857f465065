/** What was said of requests in a PostgreSQL store: one row for each request and name, added up when a cohort is judged. */
import type { FeedbackMark, FeedbackSum } from '@understudy/core/feedback';
import { durable, type PostgresPlantedBugs } from './postgres-commit-sql.ts';
import type { PostgresConnection } from './postgres-connection.ts';
import { feedbackSumOfRow, rowOfMark } from './rows.ts';
import type { Store } from './store.ts';

// Some hundred kilobytes of JSON in one statement.
const MARKS_AT_ONCE = 1000;

export function openPostgresFeedback(
  { repeat, address: { schema } }: PostgresConnection,
  planted: PostgresPlantedBugs = {},
): Pick<Store, 'saveFeedback' | 'feedback'> {
  const table = `"${schema}".feedback`;
  // One row can be inserted only once by a statement, so of what is said twice in it the last goes in.
  const insert = `
    INSERT INTO ${table} AS known
    SELECT DISTINCT ON (model, cohort, request, name) (json_populate_record(NULL::${table}, said.row)).*
    FROM json_array_elements($1::json) WITH ORDINALITY AS said (row, nth),
      json_to_record(said.row) AS key (model text, cohort bigint, request text, name text, given_at_ms float8)
    WHERE ${durable(planted)} IS NOT NULL
    ORDER BY model, cohort, request, name, given_at_ms DESC, nth DESC
    ON CONFLICT (environment, model, cohort, request, name)
      DO UPDATE SET lag = excluded.lag, value = excluded.value, given_at_ms = excluded.given_at_ms
      WHERE excluded.given_at_ms >= known.given_at_ms`;
  const sums = `
    SELECT cohort::float8, version, arm, rollout, step, name, lag, count(*)::float8 AS count, sum(value) AS sum,
      sum(value * value) AS sum_squares
    FROM ${table} WHERE environment = $1 AND model = $2 AND cohort BETWEEN $3 AND $4
    GROUP BY cohort, version, arm, rollout, step, name, lag
    ORDER BY cohort, version, arm, rollout, step, name, lag`;
  return {
    // Said twice it counts once, so whatever was answered or not can simply be sent again.
    saveFeedback: async (environment, marks: readonly FeedbackMark[]) => {
      for (let start = 0; start < marks.length; start += MARKS_AT_ONCE) {
        const rows = marks.slice(start, start + MARKS_AT_ONCE).map((mark) => ({ environment, ...rowOfMark(mark) }));
        await repeat('store feedback', { text: insert, values: [JSON.stringify(rows)] });
      }
    },
    feedback: async (environment, { model, fromCohort, toCohort }): Promise<readonly FeedbackSum[]> => {
      const rows = await repeat('read feedback', { text: sums, values: [environment, model, fromCohort, toCohort] });
      return rows.map(feedbackSumOfRow);
    },
  };
}
