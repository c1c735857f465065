/** A worker that starts with its first run: most inline models never see a batch too large for the event loop. `onnx-runtime.ts` depends on it. */
import { settlesWithin } from './onnx-thread.ts';
import { deadlineError } from './onnx-queue.ts';
import { type OnnxWorker, type OnnxWorkerOptions, openOnnxWorker } from './onnx-worker.ts';

export function openLazyWorker(options: OnnxWorkerOptions): Pick<OnnxWorker, 'run' | 'close'> {
  let opening: Promise<OnnxWorker> | undefined;

  async function open(): Promise<OnnxWorker> {
    try {
      return await openOnnxWorker(options);
    } catch (error) {
      // The next run tries again.
      opening = undefined;
      throw error;
    }
  }

  return {
    async run(inputs, deadlineMs) {
      const startMs = performance.now();
      opening ??= open();
      if (!(await settlesWithin(deadlineMs, opening))) throw deadlineError(deadlineMs);
      const worker = await opening;
      return worker.run(inputs, deadlineMs - (performance.now() - startMs));
    },
    async close() {
      const worker = await opening?.catch(() => undefined);
      await worker?.close();
    },
  };
}
