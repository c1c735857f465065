/** What was said of requests in a SQLite store: one row for each request and name, added up when a cohort is judged. */
import type { FeedbackMark, FeedbackSum } from '@understudy/core/feedback';
import { feedbackSumOfRow, rowOfMark } from './rows.ts';
import type { Connection } from './sqlite-connection.ts';
import type { Store } from './store.ts';

export function openFeedbackTable({ database, read, write }: Connection): Pick<Store, 'saveFeedback' | 'feedback'> {
  const insert = database.prepare(
    `INSERT INTO feedback VALUES
       (@environment, @model, @cohort, @request, @name, @version, @arm, @rollout, @step, @lag, @value, @given_at_ms)
     ON CONFLICT DO UPDATE SET lag = excluded.lag, value = excluded.value, given_at_ms = excluded.given_at_ms
     WHERE excluded.given_at_ms >= feedback.given_at_ms`,
  );
  const sums = database.prepare(
    `SELECT cohort, version, arm, rollout, step, name, lag, count(*) AS count, sum(value) AS sum, sum(value * value) AS sum_squares
     FROM feedback WHERE environment = @environment AND model = @model AND cohort BETWEEN @fromCohort AND @toCohort
     GROUP BY cohort, version, arm, rollout, step, name, lag
     ORDER BY cohort, version, arm, rollout, step, name, lag`,
  );
  const saveAll = database.transaction((environment: string, marks: readonly FeedbackMark[]): void => {
    for (const mark of marks) insert.run({ environment, ...rowOfMark(mark) });
  });
  return {
    saveFeedback: async (environment, marks) => write('store feedback', 'durable', () => saveAll(environment, marks)),
    feedback: async (environment, query): Promise<readonly FeedbackSum[]> =>
      read('read feedback', () => sums.all({ environment, ...query }).map(feedbackSumOfRow)),
  };
}
