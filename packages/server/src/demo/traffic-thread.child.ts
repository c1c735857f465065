/** The load generator: sends at a fixed rate from a thread of its own, so that it does not slow what it measures. Started by `traffic.ts`. */
import { parentPort, workerData } from 'node:worker_threads';
import { Pool } from 'undici';
import { z } from 'zod';
import type { ModelTraffic, TrafficOrder, TrafficPlan, TrafficReport, World } from './traffic.ts';
import { beginSchedule, type Schedule, takeDue } from './traffic-schedule.ts';
import { type Answer, openTracker, type Tracker } from './traffic-tracker.ts';

if (parentPort === null) throw new Error('traffic-thread.child.ts runs in a worker thread only');
const port = parentPort;

const TICK_MS = 4;
const REPORT_EVERY_MS = 150;
// Far more than a healthy server needs at these rates, far less than what would hurt a sick one.
const MAX_IN_FLIGHT = 256;
const CONNECTIONS = 32;
// Longer than the gateway's own deadline of 5 s, so that it is the gateway that says what went wrong.
const ANSWER_WITHIN_MS = 8000;

const Prediction = z.object({ prediction: z.number(), version: z.string() });
const Problem = z.object({ error: z.object({ code: z.string() }) });

main(workerData);

function main(plan: TrafficPlan): void {
  const pool = new Pool(plan.gatewayUrl, {
    connections: CONNECTIONS,
    headersTimeout: ANSWER_WITHIN_MS,
    bodyTimeout: ANSWER_WITHIN_MS,
  });
  const generators = new Map(plan.models.map((model) => [model.model, openGenerator(model, { pool, token: plan.token })]));
  setInterval(() => {
    for (const generator of generators.values()) generator.tick();
  }, TICK_MS);
  setInterval(() => {
    const report: TrafficReport = [...generators].map(([model, generator]) => ({
      model,
      measure: generator.tracker().measure(),
    }));
    port.postMessage(report);
  }, REPORT_EVERY_MS);
  port.on('message', (order: TrafficOrder) => generators.get(order.model)?.obey(order));
}

interface Generator {
  tick(): void;
  obey(order: TrafficOrder): void;
  tracker(): Tracker;
}

interface Line {
  readonly pool: Pool;
  readonly token: string;
}

function openGenerator(model: ModelTraffic, line: Line): Generator {
  const bodies: Readonly<Record<World, readonly string[]>> = {
    usual: model.rows.usual.map((features) => JSON.stringify({ features })),
    shifted: model.rows.shifted.map((features) => JSON.stringify({ features })),
  };
  let tracker = openTracker(model.task, 0);
  let schedule: Schedule = beginSchedule(model.perSecond, performance.now());
  let world: World = 'usual';
  let inFlight = 0;
  let order = 0;

  async function send(): Promise<void> {
    // A late answer belongs to the story in which it was asked for.
    const mine = tracker;
    const user = Math.floor(Math.random() * model.users);
    const row = user % model.labels.length;
    const asked = { user, order: order++, truth: model.labels[row] ?? Number.NaN, body: bodies[world][row] ?? '' };
    inFlight += 1;
    try {
      mine.add(await ask(line, model.model, asked));
    } finally {
      inFlight -= 1;
    }
  }

  return {
    tick() {
      const due = takeDue(schedule, performance.now(), MAX_IN_FLIGHT - inFlight);
      schedule = due.next;
      tracker.addSent(due.send, due.skipped);
      for (let index = 0; index < due.send; index += 1) void send();
    },
    obey(next) {
      if (next.perSecond !== undefined) schedule = beginSchedule(next.perSecond, performance.now());
      if (next.world !== undefined) world = next.world;
      if (next.mark !== undefined) tracker = openTracker(model.task, next.mark);
    },
    tracker: () => tracker,
  };
}

interface Asked {
  readonly user: number;
  readonly order: number;
  readonly truth: number;
  readonly body: string;
}

async function ask({ pool, token }: Line, model: string, asked: Asked): Promise<Answer> {
  const headers = {
    authorization: `Bearer ${token}`,
    'content-type': 'application/json',
    'x-user-id': `user-${asked.user}`,
  };
  try {
    const {
      statusCode,
      headers: told,
      body,
    } = await pool.request({
      method: 'POST',
      path: `/predict/${model}`,
      headers,
      body: asked.body,
    });
    const text = await body.text();
    const atMs = nowMs();
    if (statusCode !== 200) return { kind: 'failed', user: asked.user, atMs, problem: problemOf(statusCode, text) };
    const { prediction, version } = Prediction.parse(JSON.parse(text));
    const isRescued = told['x-understudy-reason'] === 'rescued';
    return { kind: 'answered', user: asked.user, atMs, order: asked.order, version, isRescued, prediction, truth: asked.truth };
  } catch (error) {
    return { kind: 'failed', user: asked.user, atMs: nowMs(), problem: error instanceof Error ? error.name : String(error) };
  }
}

function problemOf(status: number, text: string): string {
  try {
    return `${status} ${Problem.parse(JSON.parse(text)).error.code}`;
  } catch {
    return String(status);
  }
}

/** On the scale of the server's clock, as far as two threads of one process share it. */
function nowMs(): number {
  return performance.timeOrigin + performance.now();
}
