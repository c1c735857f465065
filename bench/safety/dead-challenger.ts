// A challenger that dies at 10 % of the traffic: what users notice, and how long it is still asked.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Row } from '../row.ts';
import type { SuiteOptions } from '../suite.ts';
import { startUnderstudy, type UnderstudyModel } from '../understudy-server.ts';
import { type Answered, openSender, sendAtRate } from './load.ts';
import { type Fault, type ModelServer, startModelServer } from './model-server.ts';

const RATE = 50;
const GOOD_SECONDS = 4;
const SECONDS = 12;
const CHALLENGER_PERCENT = 10;
const MOST_MS_UNTIL_OFF = 2000;

/** A hang is seen when its time is over: half of the deadline, five times. */
const CASES: readonly { readonly fault: Fault; readonly words: string; readonly mostMs?: number }[] = [
  { fault: 'dead', words: 'nobody listens', mostMs: MOST_MS_UNTIL_OFF },
  { fault: 'reset', words: 'connections reset', mostMs: MOST_MS_UNTIL_OFF },
  { fault: 'error', words: 'answers 500', mostMs: MOST_MS_UNTIL_OFF },
  { fault: 'hang', words: 'never answers' },
];

export async function measureDeadChallenger(options: SuiteOptions): Promise<readonly Row[]> {
  const champion = await startModelServer();
  const challengers = await Promise.all(CASES.map(() => startModelServer()));
  const models = CASES.map(({ fault }, index) => modelOf(fault, champion, challengers[index]));
  const [first, ...others] = models;
  if (first === undefined) throw new Error('there is nothing to measure');
  const server = await startUnderstudy({ models: [first, ...others] });
  try {
    const rows: Row[] = [];
    for (const [index, { fault, words, mostMs }] of CASES.entries()) {
      const challenger = challengers[index];
      if (challenger === undefined) continue;
      const sender = openSender({ url: `${server.gatewayOrigin}/predict/${fault}`, token: server.token });
      let diedAtMs = 0;
      const dying = sleep(GOOD_SECONDS * 1000).then(() => {
        diedAtMs = performance.now();
        return challenger.fail(fault);
      });
      const answers = await sendAtRate(sender, { perSecond: RATE, seconds: SECONDS });
      await dying;
      sender.close();
      rows.push(...rowsOf(answers, { words, mostMs, diedAtMs }));
      options.log(`challenger dies (${words}): ${summaryOf(answers)}`);
    }
    return rows;
  } finally {
    await server.stop();
    for (const each of [champion, ...challengers]) await each.close();
  }
}

function modelOf(name: string, champion: ModelServer, challenger: ModelServer | undefined): UnderstudyModel {
  if (challenger === undefined) throw new Error(`model "${name}" has no challenger`);
  const arm = (server: ModelServer) => ({ kind: 'http', origin: server.origin }) as const;
  return { name, champion: arm(champion), challenger: arm(challenger), challengerPercent: CHALLENGER_PERCENT };
}

interface Death {
  readonly words: string;
  readonly mostMs: number | undefined;
  readonly diedAtMs: number;
}

function rowsOf(answers: readonly Answered[], { words, mostMs, diedAtMs }: Death): readonly Row[] {
  const errors = answers.filter(({ status }) => status !== 200).length;
  const first = answers.find(({ reason }) => reason === 'breaker');
  // Off when the last request that was still sent there has come back.
  const last = answers.findLast(({ reason, sentAtMs }) => reason === 'rescued' && sentAtMs < (first?.sentAtMs ?? 0));
  const untilMs = last === undefined ? Infinity : last.sentAtMs + last.ms - diedAtMs;
  const asked = answers.filter(({ reason }) => reason === 'rescued').length;
  const bar = mostMs === undefined ? {} : { bar: `<= ${mostMs} ms`, holds: untilMs <= mostMs };
  return [
    { name: `challenger dies (${words}): users' errors`, value: errors, unit: 'requests', bar: '= 0', holds: errors === 0 },
    { name: `challenger dies (${words}): time until off`, value: untilMs, unit: 'ms', ...bar },
    { name: `challenger dies (${words}): requests rescued`, value: asked, unit: 'requests' },
  ];
}

function summaryOf(answers: readonly Answered[]): string {
  const counts = Map.groupBy(answers, ({ status, reason, problem }) => problem ?? `${status} ${reason}`);
  return [...counts].map(([name, { length }]) => `${length} ${name}`).join(', ');
}
