// Shows that memory stays flat: ten million requests of a million subjects, with a sample after each million.
import { setImmediate as nextTurn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Row } from './row.ts';
import { slopeOf } from './statistics.ts';
import { openHotPath } from './understudy-hot-path.ts';

const REQUESTS = 10_000_000;
const REQUESTS_PER_SAMPLE = 1_000_000;
const SUBJECTS = 1_000_000;
// Often enough for the gateway's own timers to run as they do between real requests.
const REQUESTS_PER_TURN = 10_000;
const MAXIMUM_SLOPE_MB = 1;
const BYTES_PER_MB = 1_000_000;

export interface MemorySample {
  readonly requests: number;
  readonly residentBytes: number;
  /** After garbage collection: objects, and the buffers they own outside the heap. */
  readonly heapBytes: number;
}

export interface MemoryRequest {
  readonly handle: (subject: string) => void;
  readonly log: (message: string) => void;
}

export async function measureMemory(log: (message: string) => void): Promise<readonly MemorySample[]> {
  const hotPath = await openHotPath();
  try {
    return await sampleMemory({ handle: hotPath.handle, log });
  } finally {
    await hotPath.close();
  }
}

/** @returns one sample per million requests; the first is taken after the first million */
export async function sampleMemory({ handle, log }: MemoryRequest): Promise<readonly MemorySample[]> {
  const collectGarbage = garbageCollector();
  const samples: MemorySample[] = [];
  for (let requests = 1; requests <= REQUESTS; requests += 1) {
    handle(`user-${requests % SUBJECTS}`);
    if (requests % REQUESTS_PER_TURN === 0) await nextTurn();
    if (requests % REQUESTS_PER_SAMPLE !== 0) continue;
    collectGarbage();
    const { rss, heapUsed, external } = process.memoryUsage();
    samples.push({ requests, residentBytes: rss, heapBytes: heapUsed + external });
    log(`memory after ${requests} requests: resident ${megabytes(rss)} MB, heap ${megabytes(heapUsed + external)} MB`);
  }
  return samples;
}

/** The last half only: caches fill and code is compiled in the first. */
export function memoryRows(samples: readonly MemorySample[]): readonly Row[] {
  const lastHalf = samples.slice(Math.floor(samples.length / 2));
  const resident = lastHalf.map((sample) => sample.residentBytes / BYTES_PER_MB);
  const heap = lastHalf.map((sample) => sample.heapBytes / BYTES_PER_MB);
  return [growthRow('resident memory growth', resident), growthRow('heap growth', heap)];
}

function growthRow(name: string, megabytesPerSample: readonly number[]): Row {
  const value = slopeOf(megabytesPerSample);
  const bar = `<= ${MAXIMUM_SLOPE_MB} MB`;
  return { name, value, unit: 'MB per million requests', bar, holds: value <= MAXIMUM_SLOPE_MB };
}

function garbageCollector(): () => void {
  // The collector is only visible with this flag; set here, the benchmark needs no special command line.
  setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('gc');
  if (typeof collect !== 'function') throw new Error('this Node does not let a program collect garbage');
  return () => {
    collect();
  };
}

function megabytes(bytes: number): string {
  return (bytes / BYTES_PER_MB).toFixed(1);
}
