/** The inside of a model's thread: loads, probes, then answers one run after another until told to close. Started by `onnx-thread.ts`. */
import { parentPort, workerData } from 'node:worker_threads';
import { failureOf } from './onnx-failure.ts';
import { probeOnnx } from './onnx-probe.ts';
import { type OnnxSession, loadOnnxruntime, openOnnxSession } from './onnx-session.ts';
import type { LoadedModel, ThreadData, ThreadReply, ThreadRequest } from './onnx-thread.ts';
import type { Tensor } from './runtime.ts';

if (parentPort === null) throw new Error('onnx-worker.child.ts runs in a worker thread only');
const port = parentPort;

await main(workerData);

async function main(data: ThreadData): Promise<void> {
  const session = await loadOrReport(data);
  if (session === undefined) return;
  port.on('message', (request: ThreadRequest) => void handle(session, request));
}

async function loadOrReport({ path, probeBudgetMs }: ThreadData): Promise<OnnxSession | undefined> {
  try {
    // onnxruntime itself is loaded once per process and is not this model's cost.
    await loadOnnxruntime();
    const before = process.threadCpuUsage();
    const session = await openOnnxSession(path);
    const { user, system } = process.threadCpuUsage(before);
    const loadMs = (user + system) / 1000;
    const probe = await probeOnnx(session, { budgetMs: probeBudgetMs });
    const model: LoadedModel = { signature: session.signature, axisNames: session.axisNames, loadMs, probe };
    reply({ kind: 'loaded', model });
    return session;
  } catch (error) {
    reply({ kind: 'failed', failure: failureOf(error) });
    return undefined;
  }
}

async function handle(session: OnnxSession, request: ThreadRequest): Promise<void> {
  if (request.kind === 'close') {
    await session.close();
    port.close();
    return;
  }
  try {
    const outputs = await session.run(request.inputs);
    reply({ kind: 'answered', outputs }, buffersOf(outputs));
  } catch (error) {
    reply({ kind: 'failed', failure: failureOf(error) });
  }
}

/** Two outputs may share one buffer, and a buffer can be handed over only once. */
function buffersOf(outputs: readonly Tensor[]): ArrayBuffer[] {
  const buffers = new Set<ArrayBuffer>();
  for (const { data } of outputs) if (ArrayBuffer.isView(data) && data.buffer instanceof ArrayBuffer) buffers.add(data.buffer);
  return [...buffers];
}

function reply(message: ThreadReply, transfer: ArrayBuffer[] = []): void {
  port.postMessage(message, transfer);
}
