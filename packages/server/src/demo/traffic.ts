/** Real traffic on the gateway, from a thread of its own: rates, what the world sends, and what users got. Stories depend on it. */
import { Worker } from 'node:worker_threads';
import { emptyMeasure, type Measure, type Task } from './traffic-tracker.ts';

/** `usual` is what the models were made for; `shifted` is the same after a change upstream. */
export type World = 'usual' | 'shifted';

/** One model's users. User number `n` always asks with row `n` modulo the number of rows. */
export interface ModelTraffic {
  readonly model: string;
  readonly task: Task;
  readonly users: number;
  /** Requests a second to begin with. */
  readonly perSecond: number;
  readonly rows: Readonly<Record<World, readonly (readonly number[])[]>>;
  /** The true answer of each row. */
  readonly labels: readonly number[];
}

export interface TrafficPlan {
  readonly gatewayUrl: string;
  readonly token: string;
  readonly models: readonly ModelTraffic[];
}

/** What the thread is told. */
export interface TrafficOrder {
  readonly model: string;
  readonly perSecond?: number;
  readonly world?: World;
  /** Counts from nothing under this number. */
  readonly mark?: number;
}

/** What the thread tells, several times a second. */
export type TrafficReport = readonly { readonly model: string; readonly measure: Measure }[];

export interface Traffic {
  set(model: string, change: { readonly perSecond?: number; readonly world?: World }): void;
  /** Begins to count anew. */
  mark(model: string): void;
  /** Everything since the last mark, a fraction of a second old. */
  measureOf(model: string): Measure;
  /** Ends the thread; requests under way are given up. */
  close(): Promise<void>;
}

/**
 * Opens the load generator; it begins to send at once.
 * @param onFailure told once when the thread dies
 * @throws Error unless the gateway is on this machine: the demo never loads another
 */
export function openTraffic(plan: TrafficPlan, onFailure: (error: Error) => void): Traffic {
  assertOnThisMachine(plan.gatewayUrl);
  const thread = new Worker(new URL('traffic-thread.child.ts', import.meta.url), { workerData: plan });
  const marks = new Map(plan.models.map(({ model }) => [model, 0]));
  const measures = new Map<string, Measure>();
  thread.on('message', (report: TrafficReport) => {
    for (const { model, measure } of report) if (measure.mark === marks.get(model)) measures.set(model, measure);
  });
  thread.on('error', (error) => onFailure(new Error('the load generator failed', { cause: error })));

  const tell = (order: TrafficOrder): void => thread.postMessage(order);
  return {
    set: (model, change) => tell({ model, ...change }),
    mark(model) {
      const mark = (marks.get(model) ?? 0) + 1;
      marks.set(model, mark);
      measures.set(model, emptyMeasure(mark));
      tell({ model, mark });
    },
    measureOf: (model) => measures.get(model) ?? emptyMeasure(0),
    async close() {
      await thread.terminate();
    },
  };
}

function assertOnThisMachine(url: string): void {
  const { hostname } = new URL(url);
  if (['127.0.0.1', 'localhost', '[::1]'].includes(hostname)) return;
  throw new Error(`cannot send the demo's traffic to ${hostname}: it is meant for a gateway on this machine`);
}
