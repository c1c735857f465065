/** A gateway on a free port with time, chance and reports in the hands of a test. For the tests of this folder. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { fileURLToPath } from 'node:url';
import type { GatewayReport } from '@understudy/contract/report';
import { EMPTY_TALLY, type EvidenceBlock, mergeTallies, type Tally } from '@understudy/core/evidence';
import { DEFAULT_ROUTING } from '@understudy/core/model';
import type { Signature } from '@understudy/core/model-version';
import type { Snapshot, SnapshotModel, SnapshotVersion } from '@understudy/core/snapshot';
import type { SnapshotFacts, SnapshotFollower } from '@understudy/core/snapshot-follower';
import type { Scope, Token } from '@understudy/core/token';
import { request } from 'undici';
import { openOnnxRuntime } from '../runtimes/onnx-runtime.ts';
import { digestOf, formatToken } from '../token-secret.ts';
import type { OnnxRuntime, Runtime, Tensor } from '../runtimes/runtime.ts';
import { openUpstream } from '../runtimes/upstream-runtime.ts';
import { openGateway } from './gateway.ts';
import { GATEWAY_DEFAULTS, type GatewayOptions } from './gateway-options.ts';
import type { Gateway } from './gateway-ports.ts';
import type { LocalSwitch } from './local-switch.ts';
import type { OpenRuntime } from './ports.ts';
import type { Timers } from './timers.ts';

export const MODELS_FOLDER = fileURLToPath(new URL('../../../../examples/models/', import.meta.url));
export const REQUEST_ID_KEY = Buffer.alloc(32, 7);

/** Takes features of 3 numbers; one FP64 `prediction` for each row. */
const SUM_SIGNATURE: Signature = {
  inputs: [{ name: 'features', dataType: 'FP64', shape: [-1, 3] }],
  outputs: [{ name: 'prediction', dataType: 'FP64', shape: [-1] }],
  prediction: 'prediction',
};

/** Time that moves only when told to. */
export interface ManualTime extends Timers {
  nowMs(): number;
  /** Moves time and runs what is due, in order. */
  advance(ms: number): void;
  readonly waiting: number;
}

export function openManualTime(startMs = 1_000_000): ManualTime {
  let now = startMs;
  let order = 0;
  const timers = new Map<number, { readonly atMs: number; readonly run: () => void }>();
  return {
    nowMs: () => now,
    get waiting() {
      return timers.size;
    },
    after(ms, run) {
      const id = order++;
      timers.set(id, { atMs: now + ms, run });
      return () => timers.delete(id);
    },
    advance(ms) {
      const until = now + ms;
      for (;;) {
        const due = [...timers].filter(([, timer]) => timer.atMs <= until).toSorted((a, b) => a[1].atMs - b[1].atMs)[0];
        if (due === undefined) break;
        timers.delete(due[0]);
        now = Math.max(now, due[1].atMs);
        due[1].run();
      }
      now = until;
    },
  };
}

/** What a double does with its inputs. */
export type SumRun = (inputs: readonly Tensor[], deadlineMs: number) => Promise<readonly Tensor[]>;

/** A test double of the runtime port: adds the features of each row, unless told to do something else. */
export function sumRuntime(offset = 0, run: SumRun = (inputs) => Promise.resolve([sumOf(inputs, offset)])): OnnxRuntime {
  return {
    kind: 'onnx',
    signature: SUM_SIGNATURE,
    placement: 'inline',
    measuredMs: 0.01,
    run: async (inputs, deadlineMs) => ({ outputs: await run(inputs, deadlineMs), ms: 0 }),
    close: () => Promise.resolve(),
  };
}

export function sumOf(inputs: readonly Tensor[], offset: number): Tensor {
  const [features] = inputs;
  const rows = features?.shape[0] ?? 0;
  const data = new Float64Array(rows).fill(offset);
  features?.data.forEach((value, index) => {
    data[Math.floor(index / 3)] = (data[Math.floor(index / 3)] ?? 0) + Number(value);
  });
  return { name: 'prediction', dataType: 'FP64', shape: [rows], data };
}

export function onnxVersion(version: string): SnapshotVersion {
  return { version, source: { kind: 'onnx', sha256: '0'.repeat(64), bytes: 1, signature: SUM_SIGNATURE } };
}

export function modelOf(overrides: Partial<SnapshotModel> = {}): SnapshotModel {
  return {
    name: 'sum',
    champion: 'v1',
    isKilled: false,
    routing: DEFAULT_ROUTING,
    versions: [onnxVersion('v1'), onnxVersion('v2')],
    ...overrides,
  };
}

/** A model with a rollout of v2 against v1 at a boundary in 0..100 000. */
export function rolloutOf(boundary: number, overrides: Partial<SnapshotModel> = {}): SnapshotModel {
  return modelOf({ rollout: { id: 'sum-1', challenger: 'v2', step: 0, boundary, salt: 'sum-1' }, ...overrides });
}

export function snapshotOf(revision: number, models: readonly SnapshotModel[], tokens: readonly Token[] = []): Snapshot {
  return { schema: 1, environment: 'production', revision, models, tokens };
}

export function tokenOf(id: string, scopes: readonly Scope[], expiresAtMs?: number): { token: Token; text: string } {
  const secret = `secret-of-the-token_${id}`;
  const token = {
    id,
    name: id,
    sha256: digestOf(secret),
    scopes,
    createdAtMs: 0,
    createdBy: 'test',
    ...(expiresAtMs === undefined ? {} : { expiresAtMs }),
  };
  return { token, text: `Bearer ${formatToken(id, secret)}` };
}

/** A real model of examples/models as a version of a snapshot. */
export function exampleVersion(model: 'digits' | 'diabetes', version: string): SnapshotVersion {
  const features = model === 'digits' ? 64 : 10;
  const signature: Signature = {
    inputs: [{ name: 'features', dataType: 'FP32', shape: [-1, features] }],
    outputs:
      model === 'digits'
        ? [
            { name: 'label', dataType: 'INT64', shape: [-1] },
            { name: 'probabilities', dataType: 'FP32', shape: [-1, 10] },
          ]
        : [{ name: 'prediction', dataType: 'FP32', shape: [-1, 1] }],
    prediction: model === 'digits' ? 'label' : 'prediction',
  };
  return { version, source: { kind: 'onnx', sha256: '0'.repeat(64), bytes: 1, signature } };
}

/** Opens real models by their file, and upstreams by their address. */
export const openExample: OpenRuntime = (model, { version, source }) =>
  source.kind === 'upstream'
    ? openUpstream(source)
    : openOnnxRuntime({ path: `${MODELS_FOLDER}${model}/${version}.onnx`, signature: source.signature });

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly text: string;
  readonly json: unknown;
}

export interface Rig extends AsyncDisposable {
  readonly gateway: Gateway;
  readonly time: ManualTime;
  readonly url: string;
  readonly reports: GatewayReport[];
  readonly logged: { readonly event: string; readonly fields: Readonly<Record<string, unknown>> }[];
  /** What the next reports meet; resolves unless set. */
  sink: (report: GatewayReport) => Promise<void>;
  /** @returns why it was refused */
  apply(snapshot: Snapshot, facts?: SnapshotFacts): string | undefined;
  /** Something comes that is no snapshot. */
  refuse(reason: string): void;
  /** The control plane says that a revision is the present one. */
  present(revision: number): void;
  post(path: string, body: unknown, headers?: Readonly<Record<string, string>>): Promise<Answer>;
  get(path: string, headers?: Readonly<Record<string, string>>): Promise<Answer>;
  /** Sends bytes as they are and returns everything that comes back until the connection closes. */
  raw(text: string): Promise<string>;
  /** Everything reported so far for a version on an arm. */
  tally(version: string, arm: string): Promise<Tally>;
  /** Requests reported so far, by version, arm and rollout: `v1 champion sum-1`, `v1 champion outside`. */
  counts(): Promise<Readonly<Record<string, number>>>;
}

export interface RigOptions {
  readonly options?: Partial<GatewayOptions>;
  readonly openRuntime?: OpenRuntime;
  readonly random?: () => number;
  readonly snapshot?: Snapshot;
  readonly localSwitch?: LocalSwitch;
}

/** Waits for something that other turns of the event loop bring about. */
export async function until(isSo: () => boolean, what: string): Promise<void> {
  const limit = Date.now() + 10_000;
  while (!isSo()) {
    if (Date.now() > limit) throw new Error(`never came about: ${what}`);
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
  }
}

/** Opens a rig; with a snapshot it waits until every version is loaded. */
export async function openRig({ options, openRuntime, random, snapshot, localSwitch }: RigOptions = {}): Promise<Rig> {
  const time = openManualTime();
  const reports: GatewayReport[] = [];
  const logged: { event: string; fields: Readonly<Record<string, unknown>> }[] = [];
  let follower: SnapshotFollower | undefined;
  const doubles: OpenRuntime = (_model, { version }) => Promise.resolve<Runtime>(sumRuntime(version === 'v1' ? 0 : 1000));
  const gateway = await openGateway(
    {
      ...GATEWAY_DEFAULTS,
      port: 0,
      gateway: 'g1',
      boot: 'b1',
      release: '0.1.0',
      requestIdKey: REQUEST_ID_KEY,
      allowAnonymous: true,
      ...options,
    },
    {
      snapshots: {
        subscribe(next) {
          follower = next;
          return () => {};
        },
      },
      reports: (report) => rig.sink(report),
      openRuntime: openRuntime ?? doubles,
      clock: time,
      timers: time,
      random: random ?? (() => 0.5),
      ...(localSwitch === undefined ? {} : { localSwitch }),
      log: (event, fields) => logged.push({ event, fields }),
    },
  );
  const url = `http://127.0.0.1:${gateway.address.port}`;
  const reported = async (): Promise<readonly EvidenceBlock[]> => {
    const before = reports.length;
    time.advance(GATEWAY_DEFAULTS.flushEveryMs);
    await until(() => reports.length > before, 'a report');
    return reports.flatMap((report) => report.blocks);
  };
  const rig: Rig = {
    gateway,
    time,
    url,
    reports,
    logged,
    sink: (report) => {
      reports.push(report);
      return Promise.resolve();
    },
    apply: (next, facts) => follower?.take(next, facts),
    present: (revision) => follower?.present(revision),
    refuse: (reason) => follower?.refuse(reason),
    post: (path, body, headers) =>
      send(`${url}${path}`, {
        method: 'POST',
        body: typeof body === 'string' ? body : JSON.stringify(body),
        headers: { 'content-type': 'application/json', ...headers },
      }),
    get: (path, headers) => send(`${url}${path}`, { method: 'GET', headers: { ...headers } }),
    raw: (text) => sendRaw(gateway.address.port, text),
    async tally(version, arm) {
      const blocks = (await reported()).filter((block) => block.version === version && block.arm === arm);
      return blocks.reduce((sum, block) => mergeTallies(sum, block.tally), EMPTY_TALLY);
    },
    async counts() {
      const counts = new Map<string, number>();
      for (const { version, arm, rollout = 'outside', tally } of await reported()) {
        const name = `${version} ${arm} ${rollout}`;
        counts.set(name, (counts.get(name) ?? 0) + tally.requests);
      }
      return Object.fromEntries(counts);
    },
    async [Symbol.asyncDispose]() {
      rig.sink = () => Promise.resolve();
      await gateway.close();
    },
  };
  if (snapshot !== undefined) {
    rig.apply(snapshot);
    await until(() => gateway.readiness().every(({ state }) => state !== 'loading'), 'loaded versions');
  }
  return rig;
}

async function send(
  url: string,
  options: { method: 'GET' | 'POST'; body?: string; headers: Record<string, string> },
): Promise<Answer> {
  const answer = await request(url, { ...options, headersTimeout: 10_000 });
  const text = await answer.body.text();
  const isJson = String(answer.headers['content-type']).startsWith('application/json');
  return {
    status: answer.statusCode,
    headers: answer.headers as Answer['headers'],
    text,
    json: isJson ? JSON.parse(text) : undefined,
  };
}

async function sendRaw(port: number, text: string): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  socket.on('error', () => {});
  socket.write(text, 'latin1');
  await once(socket, 'close');
  return Buffer.concat(chunks).toString('latin1');
}
