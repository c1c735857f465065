import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Signature } from '@understudy/core/model-version';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { type OpenOnnxRuntimeOptions, type OpenedOnnxRuntime, openOnnxRuntime } from './onnx-runtime.ts';
import { type OnnxGraph, writeOnnx } from './onnx-writer.ts';
import type { OnnxRuntime, Tensor } from './runtime.ts';

async function outputsOf(runtime: OnnxRuntime, inputs: readonly Tensor[], deadlineMs: number): Promise<readonly Tensor[]> {
  return (await runtime.run(inputs, deadlineMs)).outputs;
}

const EXAMPLES = fileURLToPath(new URL('../../../../examples/models/', import.meta.url));
const Requests = z.object({ features: z.array(z.array(z.number())) });
const DEADLINE_MS = 10_000;
const ALWAYS_WORKER = { inlineLimitMs: 0 };

const DIGITS: Signature = {
  inputs: [{ name: 'features', dataType: 'FP32', shape: [-1, 64] }],
  outputs: [
    { name: 'label', dataType: 'INT64', shape: [-1] },
    { name: 'probabilities', dataType: 'FP32', shape: [-1, 10] },
  ],
  prediction: 'label',
};

let folder = '';
let digits: readonly (readonly number[])[] = [];
const opened: OpenedOnnxRuntime[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'understudy-runtime-'));
  digits = Requests.parse(JSON.parse(await readFile(join(EXAMPLES, 'digits/requests.json'), 'utf8'))).features;
});
afterEach(async () => {
  await Promise.all(opened.splice(0).map((runtime) => runtime.close()));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

async function open(options: OpenOnnxRuntimeOptions): Promise<OpenedOnnxRuntime> {
  const runtime = await openOnnxRuntime(options);
  opened.push(runtime);
  return runtime;
}

function openDigits(version: string, options: Partial<OpenOnnxRuntimeOptions> = {}): Promise<OpenedOnnxRuntime> {
  return open({ path: join(EXAMPLES, 'digits', `${version}.onnx`), signature: DIGITS, ...options });
}

async function openGraph(graph: OnnxGraph, signature: Signature): Promise<OpenedOnnxRuntime> {
  const path = join(folder, 'graph.onnx');
  await writeFile(path, writeOnnx(graph));
  return open({ path, signature });
}

function rows(values: readonly (readonly number[])[]): readonly Tensor[] {
  return [{ name: 'features', dataType: 'FP32', shape: [values.length, 64], data: Float32Array.from(values.flat()) }];
}

function filled(value: number): readonly Tensor[] {
  return rows([Array.from({ length: 64 }, () => value)]);
}

it.each([
  { name: 'v1 inline: it runs in microseconds', version: 'v1', options: {}, expected: 'inline' },
  { name: 'v4 in a worker: it runs for milliseconds', version: 'v4', options: {}, expected: 'worker' },
  { name: 'v1 in a worker when nothing may hold the event loop', version: 'v1', options: ALWAYS_WORKER, expected: 'worker' },
])('puts $name', async ({ version, options, expected }) => {
  const runtime = await openDigits(version, options);
  expect(runtime.placement).toBe(expected);
  expect(runtime.measuredMs < 0.5).toBe(version === 'v1');
  expect(runtime.probe).toEqual({ outcome: 'ran', medianMs: runtime.measuredMs });
});

it.each(['v1', 'v2', 'v3', 'v5'])('answers the same inline and in a worker: digits %s', async (version) => {
  const [inline, worker] = await Promise.all([openDigits(version), openDigits(version, ALWAYS_WORKER)]);
  expect([inline.placement, worker.placement]).toEqual(['inline', 'worker']);
  const inputs = rows(digits.slice(0, 8));
  const answer = await outputsOf(inline, inputs, DEADLINE_MS);
  expect(answer.map(({ name, dataType, shape }) => ({ name, dataType, shape }))).toEqual([
    { name: 'label', dataType: 'INT64', shape: [8] },
    { name: 'probabilities', dataType: 'FP32', shape: [8, 10] },
  ]);
  expect(await outputsOf(worker, inputs, DEADLINE_MS)).toEqual(answer);
  // The caller may need its inputs again, for a rescue or a shadow.
  expect(inputs).toEqual(rows(digits.slice(0, 8)));
});

it('answers a batch too large for the event loop, the same as its rows one by one', async () => {
  const runtime = await openDigits('v1');
  const batch = await outputsOf(runtime, rows([...digits, ...digits, ...digits]), DEADLINE_MS);
  const single = await Promise.all(digits.map((row) => outputsOf(runtime, rows([row]), DEADLINE_MS)));
  const labels = single.flatMap(([label]) => [...(label?.data ?? [])]);
  expect([...(batch[0]?.data ?? [])]).toEqual([...labels, ...labels, ...labels]);
});

it.each([
  { placement: 'inline', options: {} },
  { placement: 'worker', options: ALWAYS_WORKER },
])('survives a model that throws ($placement)', async ({ placement, options }) => {
  const runtime = await openDigits('v5', options);
  expect(runtime.placement).toBe(placement);
  const before = await outputsOf(runtime, filled(16), DEADLINE_MS);
  await expect(runtime.run(filled(17), DEADLINE_MS)).rejects.toMatchObject({
    code: 'model.run_failed',
    message:
      'the model failed on this input: Gather node: indices element out of data bounds, ' +
      'idx=17 must be within the inclusive range [-17,16]',
  });
  expect(await outputsOf(runtime, filled(16), DEADLINE_MS)).toEqual(before);
});

it.each([{ options: {} }, { options: ALWAYS_WORKER }])('keeps wrong inputs from the model: $options', async ({ options }) => {
  const runtime = await openDigits('v1', options);
  const inputs: readonly Tensor[] = [{ name: 'features', dataType: 'FP32', shape: [1, 63], data: new Float32Array(63) }];
  await expect(runtime.run(inputs, DEADLINE_MS)).rejects.toMatchObject({
    code: 'request.invalid',
    message: 'input "features" has shape [1, 63], but the model expects [any, 64]: dimension 2 must be 64',
  });
});

it('reads a view into a larger buffer', async () => {
  const [inline, worker] = await Promise.all([openDigits('v2'), openDigits('v2', ALWAYS_WORKER)]);
  const shared = Float32Array.from(digits.slice(0, 3).flat());
  const view: readonly Tensor[] = [{ name: 'features', dataType: 'FP32', shape: [1, 64], data: shared.subarray(64, 128) }];
  const expected = await outputsOf(inline, rows(digits.slice(1, 2)), DEADLINE_MS);
  expect(await outputsOf(inline, view, DEADLINE_MS)).toEqual(expected);
  expect(await outputsOf(worker, view, DEADLINE_MS)).toEqual(expected);
});

it('gives up a worker’s run at its deadline and answers the next one', async () => {
  const runtime = await openDigits('v4');
  await expect(runtime.run(filled(1), 1)).rejects.toMatchObject({
    code: 'request.deadline_exceeded',
    message: 'the model did not answer within 1 ms',
  });
  const [label] = await outputsOf(runtime, rows(digits.slice(0, 1)), DEADLINE_MS);
  expect(label).toEqual({ name: 'label', dataType: 'INT64', shape: [1], data: BigInt64Array.of(5n) });
});

it.each([{ options: {} }, { options: ALWAYS_WORKER }])(
  'ends runs under way on close, and refuses later ones: $options',
  async ({ options }) => {
    const runtime = await openDigits('v1', options);
    const last = runtime.run(filled(1), DEADLINE_MS);
    await Promise.all([runtime.close(), runtime.close()]);
    expect((await last).outputs[0]?.shape).toEqual([1]);
    await expect(runtime.run(filled(1), DEADLINE_MS)).rejects.toMatchObject({
      code: 'model.run_failed',
      message: 'the version was unloaded meanwhile: send the request again',
    });
  },
);

it('refuses a file that is not what was registered', async () => {
  const path = join(EXAMPLES, 'diabetes/v1.onnx');
  await expect(open({ path, signature: DIGITS })).rejects.toMatchObject({ code: 'artifact.invalid' });
  await expect(open({ path: fileURLToPath(import.meta.url), signature: DIGITS })).rejects.toMatchObject({
    code: 'artifact.invalid',
    message: expect.stringContaining('(Protobuf parsing failed)'),
  });
});

const TYPES = [
  { type: 'float32', dataType: 'FP32', data: Float32Array.of(1.5, -2) },
  { type: 'float64', dataType: 'FP64', data: Float64Array.of(0.1, -2) },
  { type: 'int8', dataType: 'INT8', data: Int8Array.of(1, -128) },
  { type: 'int16', dataType: 'INT16', data: Int16Array.of(1, -32_768) },
  { type: 'int32', dataType: 'INT32', data: Int32Array.of(1, -2) },
  { type: 'int64', dataType: 'INT64', data: BigInt64Array.of(2n ** 62n, -1n) },
  { type: 'uint8', dataType: 'UINT8', data: Uint8Array.of(1, 255) },
  { type: 'bool', dataType: 'BOOL', data: Uint8Array.of(1, 0) },
  { type: 'string', dataType: 'BYTES', data: ['Bonn', 'Köln'] },
] as const;

it.each([{ options: {} }, ALWAYS_WORKER])('carries every data type unchanged: %o', async (options) => {
  const graph: OnnxGraph = {
    inputs: TYPES.map(({ type }) => ({ name: type, type, shape: ['rows'] })),
    outputs: TYPES.map(({ type }) => ({ name: `${type}_out`, type, shape: ['rows'] })),
    nodes: TYPES.map(({ type }) => ({ operator: 'Identity', inputs: [type], outputs: [`${type}_out`] })),
  };
  const path = join(folder, 'types.onnx');
  await writeFile(path, writeOnnx(graph));
  const specOf = (suffix: string) => TYPES.map(({ type, dataType }) => ({ name: type + suffix, dataType, shape: [-1] }));
  const runtime = await open({
    path,
    signature: { inputs: specOf(''), outputs: specOf('_out'), prediction: 'float32_out' },
    ...options,
  });
  const inputs: Tensor[] = TYPES.map(({ type, dataType, data }) => ({ name: type, dataType, shape: [2], data }));
  expect(await outputsOf(runtime, inputs, DEADLINE_MS)).toEqual(inputs.map((input) => ({ ...input, name: `${input.name}_out` })));
  const [first, ...others] = inputs;
  const oneRow = { name: 'float32', dataType: 'FP32', shape: [1], data: Float32Array.of(1) } as const;
  expect(first?.name).toBe('float32');
  await expect(runtime.run([oneRow, ...others], DEADLINE_MS)).rejects.toMatchObject({
    code: 'request.invalid',
    message: 'dimension "rows" is 1 in "float32" and 2 in "float64", but the model wants it equal everywhere',
  });
});

it('serves an encoder that refuses every made-up row, off the event loop', async () => {
  const graph: OnnxGraph = {
    inputs: [{ name: 'town', type: 'int64', shape: ['', 1] }],
    outputs: [{ name: 'output', type: 'float32', shape: ['', 1, 2] }],
    nodes: [
      {
        operator: 'OneHotEncoder',
        domain: 'ai.onnx.ml',
        inputs: ['town'],
        outputs: ['output'],
        attributes: { cats_int64s: [10, 20], zeros: 0 },
      },
    ],
  };
  const runtime = await openGraph(graph, {
    inputs: [{ name: 'town', dataType: 'INT64', shape: [-1, 1] }],
    outputs: [{ name: 'output', dataType: 'FP32', shape: [-1, 1, 2] }],
    prediction: 'output',
  });
  expect(runtime.placement).toBe('worker');
  expect(runtime.probe).toMatchObject({ outcome: 'failed', reason: expect.stringContaining('OneHotEncoder node') });
  const answer = await outputsOf(
    runtime,
    [{ name: 'town', dataType: 'INT64', shape: [1, 1], data: BigInt64Array.of(20n) }],
    DEADLINE_MS,
  );
  expect(answer).toEqual([{ name: 'output', dataType: 'FP32', shape: [1, 1, 2], data: Float32Array.of(0, 1) }]);
});

it('keeps a large file off the event loop, however fast it runs', async () => {
  const graph: OnnxGraph = {
    inputs: [{ name: 'x', type: 'float32', shape: ['', 1] }],
    outputs: [{ name: 'output', type: 'float32', shape: ['', 1] }],
    nodes: [{ operator: 'Identity', inputs: ['x'], outputs: ['output'] }],
    constants: [{ name: 'unused', type: 'uint8', shape: [6_000_000], bytes: new Uint8Array(6_000_000) }],
  };
  const runtime = await openGraph(graph, {
    inputs: [{ name: 'x', dataType: 'FP32', shape: [-1, 1] }],
    outputs: [{ name: 'output', dataType: 'FP32', shape: [-1, 1] }],
    prediction: 'output',
  });
  expect(runtime.measuredMs).toBeLessThan(0.5);
  expect(runtime.placement).toBe('worker');
});

describe('a process that opened, ran and closed models', () => {
  it.each([{ options: {} }, { options: ALWAYS_WORKER }])('ends by itself: $options', async ({ options }) => {
    const script = `
      const { openOnnxRuntime } = await import(${JSON.stringify(new URL('./onnx-runtime.ts', import.meta.url).href)});
      const options = ${JSON.stringify({ path: join(EXAMPLES, 'digits/v1.onnx'), signature: DIGITS, ...options })};
      const runtime = await openOnnxRuntime(options);
      const row = (count) => [{ name: 'features', dataType: 'FP32', shape: [count, 64], data: new Float32Array(count * 64) }];
      const answers = [await runtime.run(row(1), 10_000), await runtime.run(row(5000), 10_000)];
      await runtime.close();
      console.log(answers.map(({ outputs: [label] }) => label.data.length).join(' '), process.getActiveResourcesInfo().filter((name) => name !== 'PipeWrap').length);`;
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], { timeout: 12_000 });
    expect(stdout).toBe('1 5000 0\n');
  });
});

it('does not charge a run on the event loop for the turns of others', async () => {
  // On a busy machine a model may look too heavy for the event loop; here it is about those that run on it.
  const inline = { inlineLimitMs: Infinity };
  const [fast, slow] = [await openDigits('v1', inline), await openDigits('v1', inline)];
  const many = rows(Array.from({ length: 40 }, (_, index) => digits[index % digits.length] ?? []));
  const startMs = performance.now();
  const runs = await Promise.all([
    ...Array.from({ length: 30 }, () => slow.run(many, DEADLINE_MS)),
    fast.run(rows(digits.slice(0, 1)), DEADLINE_MS),
  ]);
  const wholeMs = performance.now() - startMs;
  const sumMs = runs.reduce((sum, run) => sum + run.ms, 0);
  // All turns together are no longer than the time that went by; waiting would count it many times over.
  expect(sumMs).toBeLessThanOrEqual(wholeMs);
  expect(runs.every((run) => run.ms >= 0)).toBe(true);
});
