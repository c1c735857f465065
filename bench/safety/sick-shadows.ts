// What a sick shadow costs users: latency, throughput and memory of our gateway beside the same gateway without a shadow.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { bodiesOf, readDigitSamples } from '../digit-samples.ts';
import { cpuMicrosOf } from '../harness/cpu-time.ts';
import { cacheFolder, REPOSITORY_FOLDER } from '../harness/folders.ts';
import { startUpstreamNginx } from '../harness/nginx.ts';
import { LOAD_CORE, type RunningProcess, SERVER_CORE, startProcess } from '../harness/running-process.ts';
import { freePort, waitForPort } from '../harness/tcp-port.ts';
import { runWrk } from '../harness/wrk.ts';
import type { Row } from '../row.ts';
import { medianOf } from '../statistics.ts';
import type { SuiteOptions } from '../suite.ts';

const SICKNESSES = ['hangs', 'resets', 'trickles', 'oversized'] as const;
// Longer than the deadline of a copy: by then a shadow that hangs is known as sick. Long enough for the compiler, too.
const WARM_UP_SECONDS = 8;
const BYTES_PER_MB = 1_000_000;

/** Bars of issue 5; F29 of the fault list. */
const MAXIMUM_P99_RATIO = 1.15;
const MINIMUM_THROUGHPUT_RATIO = 0.97;
const MAXIMUM_MEMORY_MB = 32;

interface Gateway {
  readonly process: RunningProcess;
  readonly url: string;
}

/** What a gateway showed in a round. */
interface Round {
  readonly p99Ms: number;
  readonly requestsPerSecond: number;
  readonly cpuMicros: number;
  readonly failed: number;
  readonly residentMb: number;
}

/** The same round of a gateway without a shadow and of one with it. */
interface Pair {
  readonly alone: Round;
  readonly shadowed: Round;
}

interface Pairs {
  /** One after the other, each with the core to itself: what a user waits. */
  readonly inTurn: Pair[];
  /** At the same time, sharing the core: what each gets done, whatever else the machine does. */
  readonly together: Pair[];
}

/**
 * All requests are copied. Both gateways have both versions loaded, as they have before a shadow begins. On a shared machine the
 * speed of one process moves by a fifth from second to second, and two processes of the same program differ by some percent for
 * as long as they live, as they were compiled differently. So there are several fresh pairs of gateways, as many as the options
 * ask for rounds.
 */
export async function measureSickShadows(options: SuiteOptions): Promise<readonly Row[]> {
  const upstream = await startUpstreamNginx();
  const targets = await startChild('sick targets', 'sick-targets.child.ts', [], LOAD_CORE);
  const started: RunningProcess[] = [upstream.process, targets];
  try {
    const urls = await targetUrls(targets);
    const bodiesFile = join(await cacheFolder('load'), 'bodies.txt');
    await writeFile(bodiesFile, `${bodiesOf(await readDigitSamples()).join('\n')}\n`);
    const open = async (name: string, args: readonly string[]): Promise<Gateway> => {
      const port = await freePort();
      const all = ['--port', String(port), '--champion', upstream.origin, ...args];
      const process = await startChild(name, 'shadow-gateway.child.ts', all, SERVER_CORE);
      started.push(process);
      await waitForPort(port, process);
      return { process, url: `http://127.0.0.1:${port}/predict/digits` };
    };
    const rows: Row[] = [];
    for (const sickness of [...SICKNESSES, 'control'] as const) {
      const isControl = sickness === 'control';
      const second = ['--second', urls.get(isControl ? 'hangs' : sickness) ?? ''];
      const shadow = [...second, '--shadow', ...(isControl ? ['--unbounded'] : [])];
      const pairs: Pairs = { inTurn: [], together: [] };
      // Without its bounds one pair shows it.
      for (let round = 0; round < (isControl ? 1 : options.rounds); round += 1) {
        // One pair at a time: what the others leave behind must not be measured with it.
        const alone = await open('without a shadow', second);
        const shadowed = await open(`the shadow ${sickness}`, shadow);
        const measured = await measurePair({ alone, shadowed }, { bodiesFile, seconds: options.secondsPerRound });
        pairs.inTurn.push(...measured.inTurn);
        pairs.together.push(...measured.together);
        const { p99Ratio, throughputRatio } = compare(measured);
        options.log(`the shadow ${sickness}: p99 ${p99Ratio.toFixed(2)}×, throughput ${throughputRatio.toFixed(3)}×`);
        for (const { process } of [alone, shadowed]) await process.stop();
      }
      rows.push(...(isControl ? [controlRow(compare(pairs))] : rowsOf(sickness, compare(pairs))));
    }
    return rows;
  } finally {
    for (const process of started) await process.stop();
  }
}

/** Seconds in turn, three times as many as asked for, as the p99 of one second says little; and twice as many together. */
async function measurePair(
  { alone, shadowed }: { readonly alone: Gateway; readonly shadowed: Gateway },
  { bodiesFile, seconds }: { readonly bodiesFile: string; readonly seconds: number },
): Promise<Pairs> {
  const loadOf = (gateway: Gateway, lasts: number): Promise<Round> => load(gateway, bodiesFile, lasts);
  const loadBoth = async (lasts: number): Promise<Pair> => {
    const [left, right] = await Promise.all([loadOf(alone, lasts), loadOf(shadowed, lasts)]);
    return { alone: left, shadowed: right };
  };
  await loadBoth(WARM_UP_SECONDS);
  const inTurn: Pair[] = [];
  for (let round = 0; round < 3 * seconds; round += 1) {
    if (round % 2 === 0) inTurn.push({ alone: await loadOf(alone, 1), shadowed: await loadOf(shadowed, 1) });
    else {
      const first = await loadOf(shadowed, 1);
      inTurn.push({ alone: await loadOf(alone, 1), shadowed: first });
    }
  }
  return { inTurn, together: [await loadBoth(2 * seconds)] };
}

interface Compared {
  readonly p99Ratio: number;
  readonly throughputRatio: number;
  readonly cpuRatio: number;
  readonly memoryMb: number;
  /** Requests of users beside the shadow. */
  readonly failed: number;
}

/** Of rounds that were measured together or next to each other: a busy minute of the machine then falls on both. */
function compare({ inTurn, together }: Pairs): Compared {
  const ratio = (pairs: readonly Pair[], key: keyof Round): number =>
    medianOf(pairs.map(({ alone, shadowed }) => shadowed[key] / alone[key]));
  return {
    p99Ratio: ratio(inTurn, 'p99Ms'),
    throughputRatio: ratio(together, 'requestsPerSecond'),
    cpuRatio: ratio(together, 'cpuMicros'),
    memoryMb: medianOf(inTurn.map(({ alone, shadowed }) => shadowed.residentMb - alone.residentMb)),
    failed: [...inTurn, ...together].reduce((sum, { shadowed }) => sum + shadowed.failed, 0),
  };
}

function rowsOf(sickness: string, { p99Ratio, throughputRatio, cpuRatio, memoryMb, failed }: Compared): readonly Row[] {
  const against = 'the same gateway without a shadow';
  return [
    {
      name: `shadow ${sickness}: p99 of users`,
      value: p99Ratio,
      unit: '×',
      against,
      bar: `≤ ${MAXIMUM_P99_RATIO}×`,
      holds: p99Ratio <= MAXIMUM_P99_RATIO,
    },
    {
      name: `shadow ${sickness}: throughput`,
      value: throughputRatio,
      unit: '×',
      against,
      bar: `≥ ${MINIMUM_THROUGHPUT_RATIO}×`,
      holds: throughputRatio >= MINIMUM_THROUGHPUT_RATIO,
    },
    { name: `shadow ${sickness}: failed requests of users`, value: failed, unit: 'requests', bar: '0', holds: failed === 0 },
    { name: `shadow ${sickness}: CPU per request`, value: cpuRatio, unit: '×', against },
    {
      name: `shadow ${sickness}: memory`,
      value: memoryMb,
      unit: 'MB more',
      against,
      bar: `≤ ${MAXIMUM_MEMORY_MB} MB`,
      holds: memoryMb <= MAXIMUM_MEMORY_MB,
    },
  ];
}

/** Holds when the planted bug breaks a bar: a measure that cannot fail measures nothing. */
function controlRow({ p99Ratio, throughputRatio, memoryMb }: Compared): Row {
  const isBroken = p99Ratio > MAXIMUM_P99_RATIO || throughputRatio < MINIMUM_THROUGHPUT_RATIO || memoryMb > MAXIMUM_MEMORY_MB;
  return {
    name: 'control: shadow hangs, bounds taken away',
    value: memoryMb,
    unit: 'MB more',
    against: `p99 ${p99Ratio.toFixed(2)}×, throughput ${throughputRatio.toFixed(2)}×`,
    bar: 'must break a bar',
    holds: isBroken,
  };
}

async function load({ process, url }: Gateway, bodiesFile: string, seconds: number): Promise<Round> {
  const before = await cpuMicrosOf([process.pid]);
  const report = await runWrk({ url, headers: {}, bodiesFile, seconds });
  const after = await cpuMicrosOf([process.pid]);
  return {
    failed: report.badStatus + report.socketErrors,
    cpuMicros: (after - before) / report.requests,
    p99Ms: report.p99Micros / 1000,
    requestsPerSecond: report.requests / (report.durationMicros / 1_000_000),
    residentMb: await residentMbOf(process.pid),
  };
}

async function residentMbOf(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const [, kilobytes] = /^VmRSS:\s+(\d+) kB/m.exec(status) ?? [];
  if (kilobytes === undefined) throw new Error(`process ${pid} does not say how much memory it has`);
  return (Number(kilobytes) * 1024) / BYTES_PER_MB;
}

// oxlint-disable-next-line max-params -- what it is called, what it runs, and where
function startChild(name: string, file: string, args: readonly string[], core: number): Promise<RunningProcess> {
  const path = join(REPOSITORY_FOLDER, 'bench/safety', file);
  return startProcess({ name, command: process.execPath, args: [path, ...args], core });
}

/** Each says its name and address in a line. */
async function targetUrls(targets: RunningProcess): Promise<ReadonlyMap<string, string>> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const found = [...targets.output().matchAll(/^(\w+) (http:\S+)$/gm)].map(([, name = '', url = '']) => [name, url] as const);
    if (found.length === SICKNESSES.length) return new Map(found);
    await sleep(100);
  }
  throw new Error(`the sick targets did not start: ${targets.output()}`);
}
