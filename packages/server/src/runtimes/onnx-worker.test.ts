import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { afterEach, expect, it } from 'vitest';
import type { ThreadData } from './onnx-thread.ts';
import { type OnnxWorker, type OnnxWorkerOptions, openOnnxWorker } from './onnx-worker.ts';
import { loadOnnxruntime } from './onnx-session.ts';
import type { Tensor } from './runtime.ts';

const EXAMPLES = fileURLToPath(new URL('../../../../examples/models/', import.meta.url));
const DEADLINE_MS = 10_000;
const DEADLY = 99;
// A thread is back in 0.1 s on an idle machine.
const RESTART = { timeout: 10_000 };

const opened: OnnxWorker[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((worker) => worker.close()));
});

async function open(version: string, options: Partial<OnnxWorkerOptions> = {}): Promise<OnnxWorker> {
  const worker = await openOnnxWorker({ path: join(EXAMPLES, 'digits', `${version}.onnx`), ...options });
  opened.push(worker);
  return worker;
}

function filled(value: number): readonly Tensor[] {
  return [{ name: 'features', dataType: 'FP32', shape: [1, 64], data: new Float32Array(64).fill(value) }];
}

/** A thread that dies on a row of 99s, before the model sees it. */
function startMortal(data: ThreadData): Worker {
  const script = `
    const { parentPort } = require('node:worker_threads');
    parentPort.on('message', (request) => {
      if (request.kind === 'run' && request.inputs[0].data[0] === ${String(DEADLY)}) process.exit(3);
    });
    void import(${JSON.stringify(new URL('./onnx-worker.child.ts', import.meta.url).href)});`;
  return new Worker(script, { eval: true, workerData: data });
}

it('refuses a run when its queue is full, and serves those that wait', async () => {
  const worker = await open('v4', { queueLimit: 2 });
  // One runs, two wait.
  const served = [1, 2, 3].map((value) => worker.run(filled(value), DEADLINE_MS));
  await expect(worker.run(filled(4), DEADLINE_MS)).rejects.toMatchObject({
    code: 'request.overloaded',
    message: '2 runs already wait for this model: send fewer at a time, or serve it with a model server',
  });
  const answers = await Promise.all(served);
  expect(answers.map(([label]) => label?.shape)).toEqual([[1], [1], [1]]);
});

it('frees the place of a waiting run at its deadline', async () => {
  const worker = await open('v4', { queueLimit: 1 });
  const first = worker.run(filled(1), DEADLINE_MS);
  await expect(worker.run(filled(2), 0)).rejects.toMatchObject({ code: 'request.deadline_exceeded' });
  const third = worker.run(filled(3), DEADLINE_MS);
  expect((await Promise.all([first, third])).length).toBe(2);
});

it('answers runs in the order they came', async () => {
  const worker = await open('v1');
  const order: number[] = [];
  await Promise.all([1, 2, 3, 4].map((value) => worker.run(filled(value), DEADLINE_MS).then(() => order.push(value))));
  expect(order).toEqual([1, 2, 3, 4]);
});

it('fails what was under way when its thread dies, and comes back', async () => {
  const worker = await open('v1', { startWorker: startMortal });
  const before = await worker.run(filled(1), DEADLINE_MS);
  const results = await Promise.allSettled([worker.run(filled(DEADLY), DEADLINE_MS), worker.run(filled(1), DEADLINE_MS)]);
  expect(results).toMatchObject([
    { status: 'rejected', reason: { code: 'model.run_failed', message: "the model's worker crashed (it ended by itself)" } },
    { status: 'rejected', reason: { code: 'model.run_failed' } },
  ]);
  await expect.poll(() => worker.run(filled(1), DEADLINE_MS).catch(() => 'down'), RESTART).toEqual(before);
});

it('comes back again and again, and can be closed while it is down', async () => {
  const worker = await open('v1', { startWorker: startMortal, restartDelayMs: 1 });
  const before = await worker.run(filled(1), DEADLINE_MS);
  for (let crash = 0; crash < 3; crash += 1) {
    await expect(worker.run(filled(DEADLY), DEADLINE_MS)).rejects.toMatchObject({ code: 'model.run_failed' });
    await expect.poll(() => worker.run(filled(1), DEADLINE_MS).catch(() => 'down'), RESTART).toEqual(before);
  }
  await expect(worker.run(filled(DEADLY), DEADLINE_MS)).rejects.toMatchObject({ code: 'model.run_failed' });
  await worker.close();
  await expect(worker.run(filled(1), DEADLINE_MS)).rejects.toMatchObject({ message: expect.stringContaining('unloaded') });
});

it('gives up on a model that is not loaded in time', async () => {
  await expect(open('v1', { loadLimitMs: 0 })).rejects.toMatchObject({
    code: 'artifact.invalid',
    message: 'the model did not load and run once within 0 ms: make it smaller or faster',
  });
});

it('says how to install onnxruntime when it is missing', async () => {
  const missing = loadOnnxruntime(() => Promise.reject(new Error("Cannot find package 'onnxruntime-node'")));
  await expect(missing).rejects.toMatchObject({
    code: 'model.runtime_missing',
    message: expect.stringContaining('run `npm install onnxruntime-node`'),
  });
});
