// Twice the load that the model server can take: how much of what it could do still reaches users in time.
import { fileURLToPath } from 'node:url';
import { type RunningProcess, startProcess } from '../harness/running-process.ts';
import { freePort, waitForPort } from '../harness/tcp-port.ts';
import type { Row } from '../row.ts';
import type { SuiteOptions } from '../suite.ts';
import { startUnderstudy } from '../understudy-server.ts';
import { type Answered, openSender, sendAtRate, sendInTurn } from './load.ts';

// Some 700 requests a second: far below what gateway and sender can do, so that nothing else is the limit.
const CAPACITY = { workers: 4, serviceMs: 5 } as const;
/** What is set for such a server: four times what it works on at once, so that nobody waits for more than four turns. */
const MAX_IN_FLIGHT = 4 * CAPACITY.workers;
const USERS = 12;
const SECONDS = 8;
const IN_TIME_MS = 1000;
const LEAST_GOODPUT = 0.8;

export async function measureOverload(options: SuiteOptions): Promise<readonly Row[]> {
  const model = await startLimited();
  const arm = { kind: 'http', origin: model.origin } as const;
  const digits = { name: 'digits', champion: arm, challenger: arm, challengerPercent: 10 };
  const server = await startUnderstudy({ models: [digits], settings: { maxInFlight: MAX_IN_FLIGHT } });
  const sender = openSender({ url: server.predictUrl, token: server.token });
  try {
    const startMs = performance.now();
    const endMs = startMs + SECONDS * 1000;
    const closed = await sendInTurn(sender, { users: USERS, isOver: () => performance.now() >= endMs });
    const capacity = goodOf(closed).length / ((performance.now() - startMs) / 1000);
    options.log(`capacity in a closed loop of ${USERS}: ${Math.round(capacity)} requests/s`);
    const answers = await sendAtRate(sender, { perSecond: 2 * capacity, seconds: SECONDS });
    const lastMs = Math.max(...answers.map(({ sentAtMs, ms }) => sentAtMs + ms));
    const firstMs = Math.min(...answers.map(({ sentAtMs }) => sentAtMs));
    const goodput = goodOf(answers).length / ((lastMs - firstMs) / 1000) / capacity;
    return rowsOf(answers, capacity, goodput);
  } finally {
    sender.close();
    await server.stop();
    await model.process.stop();
  }
}

async function startLimited(): Promise<{ readonly origin: string; readonly process: RunningProcess }> {
  const port = await freePort();
  const file = fileURLToPath(new URL('./model-server.child.ts', import.meta.url));
  const args = [file, port, CAPACITY.workers, CAPACITY.serviceMs].map(String);
  const started = await startProcess({ name: 'model server', command: process.execPath, args });
  await waitForPort(port, started);
  return { origin: `http://127.0.0.1:${port}`, process: started };
}

function goodOf(answers: readonly Answered[]): readonly Answered[] {
  return answers.filter(({ status, ms }) => status === 200 && ms <= IN_TIME_MS);
}

function rowsOf(answers: readonly Answered[], capacity: number, goodput: number): readonly Row[] {
  const refused = answers.filter(({ status }) => status === 503).length;
  const taken = answers
    .filter(({ status }) => status === 200)
    .map(({ ms }) => ms)
    .toSorted((a, b) => a - b);
  const bad = answers.length - refused - taken.length;
  const bar = { bar: `>= ${LEAST_GOODPUT}`, holds: goodput >= LEAST_GOODPUT };
  return [
    { name: 'overload: capacity, closed loop', value: capacity, unit: 'requests/s' },
    { name: 'overload at 2x: goodput within 1 s, of the capacity', value: goodput, unit: 'share', ...bar },
    { name: 'overload at 2x: refused with 503', value: refused / answers.length, unit: 'share' },
    { name: 'overload at 2x: p99 of what was taken', value: taken[Math.floor(taken.length * 0.99)] ?? Infinity, unit: 'ms' },
    { name: 'overload at 2x: neither answered nor refused', value: bad, unit: 'requests', bar: '= 0', holds: bad === 0 },
  ];
}
