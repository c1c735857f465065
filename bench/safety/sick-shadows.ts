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
const WARM_UP_SECONDS = 4;
const ROUND_SECONDS = 1;
const BYTES_PER_MB = 1_000_000;

/** Bars of issue 5; F29 of the fault list. */
const MAXIMUM_P99_RATIO = 1.15;
const MINIMUM_THROUGHPUT_RATIO = 0.97;
const MAXIMUM_MEMORY_MB = 32;

/** A gateway, and what it showed in each round. */
interface Measured {
  readonly name: string;
  readonly process: RunningProcess;
  readonly url: string;
  readonly rounds: {
    readonly p99Ms: number;
    readonly requestsPerSecond: number;
    readonly cpuMicros: number;
    readonly failed: number;
    readonly residentMb: number;
  }[];
}

/**
 * All requests are copied. Rounds of a second alternate, as many as the options ask for seconds: on a shared machine the
 * speed of one process moves by a fifth from second to second, and many short pairs tell more than a few long ones.
 */
export async function measureSickShadows(options: SuiteOptions): Promise<readonly Row[]> {
  const upstream = await startUpstreamNginx();
  const targets = await startChild('sick targets', 'sick-targets.child.ts', [], LOAD_CORE);
  const started: RunningProcess[] = [upstream.process, targets];
  try {
    const urls = await targetUrls(targets);
    const bodiesFile = join(await cacheFolder('load'), 'bodies.txt');
    await writeFile(bodiesFile, `${bodiesOf(await readDigitSamples()).join('\n')}\n`);
    const open = async (name: string, args: readonly string[]): Promise<Measured> => {
      const port = await freePort();
      const all = ['--port', String(port), '--champion', upstream.origin, ...args];
      const process = await startChild(name, 'shadow-gateway.child.ts', all, SERVER_CORE);
      started.push(process);
      await waitForPort(port, process);
      const measured = { name, process, url: `http://127.0.0.1:${port}/predict/digits`, rounds: [] };
      await load(measured, bodiesFile, WARM_UP_SECONDS);
      return measured;
    };
    const rows: Row[] = [];
    // One pair at a time: what the others leave behind must not be measured with it.
    for (const sickness of [...SICKNESSES, 'control'] as const) {
      const isControl = sickness === 'control';
      const shadow = ['--shadow', urls.get(isControl ? 'hangs' : sickness) ?? '', ...(isControl ? ['--unbounded'] : [])];
      const [alone, shadowed] = [await open('without a shadow', []), await open(`the shadow ${sickness}`, shadow)];
      for (let round = 0; round < options.rounds * options.secondsPerRound; round += 1) {
        for (const measured of round % 2 === 0 ? [alone, shadowed] : [shadowed, alone]) {
          const figures = await load(measured, bodiesFile, ROUND_SECONDS);
          measured.rounds.push(figures);
          options.log(
            `${measured.name}: p99 ${figures.p99Ms.toFixed(2)} ms, ${Math.round(figures.requestsPerSecond)} rps, ${figures.cpuMicros.toFixed(1)} µs CPU, ${figures.residentMb.toFixed(0)} MB`,
          );
        }
      }
      rows.push(...(isControl ? [controlRow(alone, shadowed)] : rowsOf(sickness, alone, shadowed)));
      await Promise.all([alone.process.stop(), shadowed.process.stop()]);
    }
    return rows;
  } finally {
    for (const process of started) await process.stop();
  }
}

interface Compared {
  readonly p99Ratio: number;
  readonly throughputRatio: number;
  readonly cpuRatio: number;
  readonly memoryMb: number;
  /** Requests of users beside the shadow. */
  readonly failed: number;
}

/** Of rounds that were measured next to each other: a busy minute of the machine then falls on both. */
function compare(alone: Measured, shadowed: Measured): Compared {
  const ratio = (key: keyof Measured['rounds'][number]): number =>
    medianOf(shadowed.rounds.map((round, index) => round[key] / (alone.rounds[index]?.[key] ?? Number.NaN)));
  return {
    p99Ratio: ratio('p99Ms'),
    throughputRatio: ratio('requestsPerSecond'),
    cpuRatio: ratio('cpuMicros'),
    memoryMb: medianOf(
      shadowed.rounds.map(({ residentMb }, index) => residentMb - (alone.rounds[index]?.residentMb ?? Number.NaN)),
    ),
    failed: shadowed.rounds.reduce((sum, { failed }) => sum + failed, 0),
  };
}

function rowsOf(sickness: string, alone: Measured, shadowed: Measured): readonly Row[] {
  const { p99Ratio, throughputRatio, cpuRatio, memoryMb, failed } = compare(alone, shadowed);
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
    // Without a bar: it says on a busy machine what throughput says on an idle one.
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
function controlRow(alone: Measured, shadowed: Measured): Row {
  const { p99Ratio, throughputRatio, memoryMb } = compare(alone, shadowed);
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

async function load({ process, url }: Measured, bodiesFile: string, seconds: number): Promise<Measured['rounds'][number]> {
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
