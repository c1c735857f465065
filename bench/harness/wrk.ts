// Runs the load generator `wrk` against one server and reads its report.
import { join } from 'node:path';
import { LOAD_CORE, runCommand } from './running-process.ts';
import { ensureTool } from './system-tool.ts';

const CONNECTIONS = 32;
// Enough different users for sticky routing to be real work, few enough to build their requests before the start.
const SUBJECTS = 20_000;
const START_AND_STOP_MS = 15_000;

export interface WrkRequest {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** One JSON body per line; requests take them in turn. */
  readonly bodiesFile: string;
  readonly seconds: number;
}

export interface WrkReport {
  readonly requests: number;
  readonly durationMicros: number;
  readonly p50Micros: number;
  readonly p99Micros: number;
  /** Answers of status 400 and above; the rest is ruled out by the check before the measurement. */
  readonly badStatus: number;
  /** Connections refused, reads and writes broken, answers that did not come within 2 s. */
  readonly socketErrors: number;
}

const REPORT_KEYS = ['requests', 'durationMicros', 'p50Micros', 'p99Micros', 'badStatus', 'socketErrors'] as const;

/** @throws Error for an address that is not on this machine: the load must never leave it */
export async function runWrk({ url, headers, bodiesFile, seconds }: WrkRequest): Promise<WrkReport> {
  if (new URL(url).hostname !== '127.0.0.1') throw new Error(`refusing to load ${url}: only 127.0.0.1 may be measured`);
  const wrk = await ensureTool({ program: 'wrk', aptPackage: 'wrk' });
  const script = join(import.meta.dirname, 'wrk-predict.lua');
  const load = ['--threads', '1', '--connections', String(CONNECTIONS), '--duration', `${seconds}s`, '--latency'];
  const headerArgs = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  const args = [...load, '--script', script, url, '--', bodiesFile, String(SUBJECTS), ...headerArgs];
  const output = await runCommand({ name: 'wrk', command: wrk, args, core: LOAD_CORE }, seconds * 1_000 + START_AND_STOP_MS);
  return parseReport(output);
}

function parseReport(output: string): WrkReport {
  const line = output.split('\n').find((each) => each.startsWith('{'));
  const report: unknown = line === undefined ? undefined : JSON.parse(line);
  if (!isReport(report)) throw new Error(`wrk gave no report: ${output}`);
  return report;
}

function isReport(value: unknown): value is WrkReport {
  if (typeof value !== 'object' || value === null) return false;
  const fields = new Map<string, unknown>(Object.entries(value));
  return REPORT_KEYS.every((key) => typeof fields.get(key) === 'number');
}
