// Two processes behind a balancer that retries nothing, ended and started one after the other while requests run.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Row } from '../row.ts';
import type { SuiteOptions } from '../suite.ts';
import { type RunningUnderstudy, startUnderstudy } from '../understudy-server.ts';
import { type Balancer, startBalancer } from './balancer.ts';
import { type Answered, openSender, sendInTurn } from './load.ts';
import { startModelServer } from './model-server.ts';

const LEAST_REQUESTS = 100_000;
const LEAST_RESTARTS = 4;
const USERS = 16;
// Ten looks of the balancer; the default of 5 s is for those that look once a second.
const DRAIN_GRACE_MS = 500;
const POLL_MS = 50;
const MOST_POLLS = 600;

export async function measureRollingRestart(options: SuiteOptions): Promise<readonly Row[]> {
  const model = await startModelServer();
  const servers = await Promise.all([startOne(model.origin), startOne(model.origin)]);
  const balancer = await startBalancer(servers.map(({ gatewayOrigin }) => gatewayOrigin));
  // Each process has its own store, so a token of one is unknown to the other: anonymous requests, as behind a private balancer.
  const sender = openSender({ url: `${balancer.origin}/predict/digits` }, USERS);
  try {
    await untilReady(balancer, servers.length);
    let asked = 0;
    let restarts = 0;
    let isRolling = true;
    const rolling = (async (): Promise<void> => {
      for (; isRolling; restarts += 1) {
        const server = servers[restarts % servers.length];
        await server?.restart();
        await untilReady(balancer, servers.length);
        options.log(`rolling restart: restart ${restarts + 1} done after ${asked} requests`);
      }
    })();
    // Awaited below; meanwhile it ends the load.
    let failure: unknown;
    rolling.catch((error: unknown) => {
      failure = error;
    });
    const isOver = (sent: number): boolean => {
      asked = sent;
      return failure !== undefined || (sent >= LEAST_REQUESTS && restarts >= LEAST_RESTARTS);
    };
    const answers = await sendInTurn(sender, { users: USERS, isOver });
    isRolling = false;
    await rolling;
    const problems = [...balancer.problems].map(([problem, count]) => `${count} times ${problem}`);
    options.log([`rolling restart: ${answers.length} requests, ${restarts} restarts`, ...problems].join('; '));
    return rowsOf(answers, restarts);
  } finally {
    sender.close();
    await balancer.close();
    for (const server of servers) await server.stop();
    await model.close();
  }
}

function startOne(origin: string): Promise<RunningUnderstudy> {
  const arm = { kind: 'http', origin } as const;
  const model = { name: 'digits', champion: arm, challenger: arm, challengerPercent: 10 };
  return startUnderstudy({ models: [model], settings: { drainGraceMs: DRAIN_GRACE_MS, isAnonymous: true } });
}

async function untilReady(balancer: Balancer, count: number): Promise<void> {
  for (let poll = 0; balancer.ready().length < count; poll += 1) {
    if (poll > MOST_POLLS) throw new Error(`only ${balancer.ready().length} of ${count} gateways became ready`);
    await sleep(POLL_MS);
  }
}

function rowsOf(answers: readonly Answered[], restarts: number): readonly Row[] {
  const bad = answers.filter(({ status }) => status !== 200);
  return [
    {
      name: 'rolling restart: errors',
      value: bad.length,
      unit: `of ${answers.length} requests`,
      bar: '= 0',
      holds: bad.length === 0,
    },
    { name: 'rolling restart: restarts meanwhile', value: restarts, unit: 'restarts' },
  ];
}
