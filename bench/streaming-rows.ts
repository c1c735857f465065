// A thousand streaming clients on one server: how fast a kill switch reaches them, and how they come back after all were cut at once.
import { join } from 'node:path';
import { REPOSITORY_FOLDER } from './harness/folders.ts';
import { LOAD_CORE, type RunningProcess, startProcess } from './harness/running-process.ts';
import type { Row } from './row.ts';
import { quantileOf } from './statistics.ts';
import { type ClientsRequest, FAMILIES, monotonicMs, type Order, type Report } from './streaming/messages.ts';
import { type FlagServer, startFlagServer } from './streaming/flag-server.ts';

const PROCESSES = 2;
const CLIENTS = 1000;
const KILLS = 25;
const BREAKS = 12;
const DEADLINE_MS = 60_000;

const MOST_KILL_MS = 250;
// LaunchDarkly's clients are told to come back within 4 s of losing the server; the others sooner.
const MOST_RETURN_MS = 5000;
const MOST_GROWTH_MB = 5;

export async function streamingRows(log: (message: string) => void): Promise<readonly Row[]> {
  const server = await startFlagServer();
  const audience = await startAudience(server);
  try {
    log(`${CLIENTS} streaming clients: ${KILLS} kill switches`);
    await audience.await({ on: true, streams: 'open' });
    const cpuBefore = await server.cpuMs();
    const kills = await measureKills(server, audience);
    const cpuMs = ((await server.cpuMs()) - cpuBefore) / (2 * KILLS);
    log('reconnect storms: the server is restarted, then all streams break at once');
    const cpu: Row = { name: 'server CPU of one change for 1,000 streaming clients', value: cpuMs, unit: 'ms' };
    return [...killRows(kills), cpu, ...(await stormRows(server, audience)), problemsRow(audience.problems(), log)];
  } finally {
    await audience.stop();
    await server.stop();
  }
}

type Seen = Report['seen'];

/** All clients, whichever process plays them. */
interface Audience {
  /** @returns when each client had the state @throws Error when one has not got it after a minute */
  await(order: Order, act?: () => Promise<unknown>): Promise<Seen>;
  problems(): readonly string[];
  stop(): Promise<void>;
}

async function startAudience({ origin, flag, keys }: FlagServer): Promise<Audience> {
  const request: ClientsRequest = { origin, flag, keys, clientsPerFamily: CLIENTS / PROCESSES / FAMILIES.length };
  const args = [join(REPOSITORY_FOLDER, 'bench/streaming/clients.ts'), JSON.stringify(request)];
  const problems: string[] = [];
  const reports: Report[] = [];
  let complete = Promise.withResolvers<void>();
  const processes: RunningProcess[] = [];
  const onMessage = (message: unknown): void => {
    reports.push(message as Report);
    if (reports.length === PROCESSES) complete.resolve();
  };
  for (let number = 0; number < PROCESSES; number += 1) {
    processes.push(await startProcess({ name: 'clients', command: process.execPath, args, core: LOAD_CORE, onMessage }));
  }
  return {
    problems: () => problems,
    async await(order, act) {
      reports.length = 0;
      complete = Promise.withResolvers();
      for (const one of processes) one.send(order);
      const timer = setTimeout(() => {
        const output = processes.map((one) => one.output()).join('\n');
        complete.reject(new Error(`after ${DEADLINE_MS} ms some clients are without the state: ${output}`));
      }, DEADLINE_MS);
      try {
        await Promise.all([complete.promise, act?.()]);
      } finally {
        clearTimeout(timer);
      }
      problems.push(...reports.flatMap((report) => report.problems));
      return reports.flatMap(({ seen }) => seen);
    },
    async stop() {
      for (const one of processes) await one.stop();
    },
  };
}

/** Milliseconds from before the command is sent until a client has the new state, by family. */
type Delays = readonly { readonly family: string; readonly ms: number }[];

async function measureKills({ admin, flag }: FlagServer, audience: Audience): Promise<Delays> {
  const delays: { family: string; ms: number }[] = [];
  const turn = (on: boolean) => admin('switchFlag', { params: { flag }, body: { on, reason: 'benchmark' } });
  for (let kill = 0; kill < KILLS; kill += 1) {
    let sentAtMs = 0;
    const seen = await audience.await({ on: false, streams: 'stay' }, async () => {
      sentAtMs = monotonicMs();
      await turn(false);
    });
    delays.push(...seen.map(({ family, atMs }) => ({ family, ms: atMs - sentAtMs })));
    await audience.await({ on: true, streams: 'stay' }, () => turn(true));
  }
  return delays;
}

function killRows(delays: Delays): readonly Row[] {
  const all = delays.map(({ ms }) => ms);
  const name = 'kill switch to 1,000 streaming clients';
  const p99 = quantileOf(all, 0.99);
  return [
    { name: `${name}, p50`, value: quantileOf(all, 0.5), unit: 'ms' },
    { name: `${name}, p99`, value: p99, unit: 'ms', bar: `<= ${MOST_KILL_MS} ms`, holds: p99 <= MOST_KILL_MS },
    { name: `${name}, last of all`, value: Math.max(...all), unit: 'ms' },
    ...FAMILIES.map((family): Row => {
      const own = delays.filter((delay) => delay.family === family).map(({ ms }) => ms);
      return { name: `kill switch to ${family} clients, p99`, value: quantileOf(own, 0.99), unit: 'ms' };
    }),
  ];
}

async function stormRows(server: FlagServer, audience: Audience): Promise<readonly Row[]> {
  let listeningAtMs = 0;
  const restarted = await audience.await({ on: true, streams: 'stay' }, async () => {
    await server.restart();
    listeningAtMs = monotonicMs();
  });
  const afterRestart = Math.max(...restarted.map(({ atMs }) => atMs)) - listeningAtMs;
  const times: number[] = [];
  const memory: number[] = [];
  for (let count = 0; count < BREAKS; count += 1) {
    const brokenAtMs = monotonicMs();
    const back = await audience.await({ on: true, streams: 'break' });
    times.push(Math.max(...back.map(({ atMs }) => atMs)) - brokenAtMs);
    memory.push(await server.liveMegabytes());
  }
  // The first storm fills what is kept for so many clients; from then on nothing may grow.
  const growth = (memory.at(-1) ?? NaN) - (memory[0] ?? NaN);
  const slowest = Math.max(...times);
  const name = 'reconnect storm';
  return [
    { name: `${name} after a restart`, value: afterRestart, unit: 'ms', ...upTo(afterRestart, MOST_RETURN_MS, 'ms') },
    { name: `${name}, all in one moment`, value: slowest, unit: 'ms', ...upTo(slowest, MOST_RETURN_MS, 'ms') },
    { name: `memory growth over ${BREAKS - 1} storms`, value: growth, unit: 'MB', ...upTo(growth, MOST_GROWTH_MB, 'MB') },
    { name: `server with 1,000 clients, resident`, value: await server.residentMegabytes(), unit: 'MB' },
  ];
}

function upTo(value: number, most: number, unit: string): Pick<Row, 'bar' | 'holds'> {
  return { bar: `<= ${most} ${unit}`, holds: value <= most };
}

function problemsRow(problems: readonly string[], log: (message: string) => void): Row {
  for (const problem of new Set(problems)) log(`a client saw: ${problem}`);
  const value = problems.length;
  return { name: 'streaming clients, errors other than the cut', value, unit: 'errors', bar: '= 0', holds: value === 0 };
}
