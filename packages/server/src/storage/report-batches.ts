/** Reports that arrive while others are being stored wait and are stored together: a hundred gateways cost a few transactions. */
import type { GatewayReport, ServiceReport } from '@understudy/contract/report';
import { AppError } from '@understudy/core/errors';

/** A report and when it came. */
export interface PendingReport {
  readonly report: GatewayReport | ServiceReport;
  readonly seenAtMs: number;
}

/** Stores reports of different gateways together and gives the places of those that were new. */
export type AppendBatch = (environment: string, reports: readonly PendingReport[]) => Promise<ReadonlySet<number>>;

export interface ReportBatches {
  add(environment: string, pending: PendingReport): Promise<'stored' | 'duplicate'>;
}

interface Waiting extends PendingReport {
  readonly done: PromiseWithResolvers<'stored' | 'duplicate'>;
}

const MOST_IN_BATCH = 64;
// Some seconds of reports from a thousand gateways; more of them means that the store does not keep up.
const MOST_WAITING = 5000;

export function openReportBatches(append: AppendBatch): ReportBatches {
  const queues = new Map<string, Waiting[]>();

  async function work(environment: string, queue: Waiting[]): Promise<void> {
    while (queue.length > 0) {
      const batch = takeBatch(queue);
      try {
        const stored = await append(environment, batch);
        for (const [place, { done }] of batch.entries()) done.resolve(stored.has(place) ? 'stored' : 'duplicate');
      } catch (error) {
        for (const { done } of batch) done.reject(error);
      }
    }
    queues.delete(environment);
  }

  return {
    add(environment, pending) {
      const done = Promise.withResolvers<'stored' | 'duplicate'>();
      const queue = queues.get(environment);
      if (queue === undefined) {
        const opened = [{ ...pending, done }];
        queues.set(environment, opened);
        void work(environment, opened);
      } else if (queue.length < MOST_WAITING) queue.push({ ...pending, done });
      else done.reject(new AppError('store.busy', `cannot store a report: ${MOST_WAITING} wait already; nothing was changed`));
      return done.promise;
    },
  };
}

/** The oldest reports, at most one of each gateway, so that its reports are stored one after the other. */
function takeBatch(queue: Waiting[]): readonly Waiting[] {
  const batch: Waiting[] = [];
  const gateways = new Set<string>();
  const left = queue.filter((waiting) => {
    if (batch.length >= MOST_IN_BATCH || gateways.has(waiting.report.gateway)) return true;
    gateways.add(waiting.report.gateway);
    batch.push(waiting);
    return false;
  });
  queue.splice(0, queue.length, ...left);
  return batch;
}
