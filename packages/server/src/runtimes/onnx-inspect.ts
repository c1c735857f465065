/** Finds out what an uploaded ONNX file is, without trusting it. Registering a version depends on it; see docs/decisions/0004. */
import { type ChildProcess, fork } from 'node:child_process';
import { ERROR_STATUS, AppError, type ErrorCode } from '@understudy/core/errors';
import type { Signature } from '@understudy/core/model-version';
import { z } from 'zod';

export interface InspectOnnxOptions {
  /** The file must have loaded and run once by then; 30 s unless told. */
  readonly timeLimitMs?: number;
}

// A 2 GB file from a slow disk fits; a person waits for the answer.
const TIME_LIMIT_MS = 30_000;
// For JavaScript only; the model's own memory is outside it.
const CHILD_HEAP_MB = 128;

const Spec = z.strictObject({
  name: z.string(),
  dataType: z.enum(['BOOL', 'UINT8', 'INT8', 'INT16', 'INT32', 'INT64', 'FP32', 'FP64', 'BYTES']),
  shape: z.array(z.int().min(-1)).readonly(),
});

// The child holds whatever the file did to it, so its answer is outside data.
const Report = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('inspected'),
    signature: z.strictObject({ inputs: z.array(Spec).readonly(), outputs: z.array(Spec).readonly(), prediction: z.string() }),
  }),
  z.strictObject({ kind: z.literal('refused'), code: z.string().exactOptional(), message: z.string().max(2000) }),
]);
export type InspectReport = z.infer<typeof Report>;

/**
 * Loads the file and tries it once, in a process of its own: onnxruntime is native code, so a hostile file can crash, hang or fill
 * the memory of whatever process loads it, and only a process can be stopped.
 * @throws AppError `artifact.invalid`, `artifact.unsupported_format` or `model.runtime_missing`
 */
export async function inspectOnnx(path: string, { timeLimitMs = TIME_LIMIT_MS }: InspectOnnxOptions = {}): Promise<Signature> {
  const child = fork(new URL('./onnx-inspect.child.ts', import.meta.url), [path], {
    execArgv: [`--max-old-space-size=${String(CHILD_HEAP_MB)}`],
    // No secrets of ours in a process that runs a stranger's file.
    env: {},
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), timeLimitMs);
  try {
    const report = await reportOf(child, timeLimitMs);
    if (report.kind === 'inspected') return report.signature;
    throw report.code === undefined || !isErrorCode(report.code)
      ? new Error(report.message)
      : new AppError(report.code, report.message);
  } finally {
    clearTimeout(timer);
    child.kill('SIGKILL');
  }
}

function reportOf(child: ChildProcess, timeLimitMs: number): Promise<InspectReport> {
  return new Promise((resolve, reject) => {
    child.once('message', (message) => {
      const report = Report.safeParse(message);
      if (report.success) resolve(report.data);
      else
        reject(
          new AppError('artifact.invalid', 'the model disturbed the process that inspected it: do not serve it', {
            cause: report.error,
          }),
        );
    });
    child.once('error', reject);
    child.once('exit', (code, signal) => reject(endedError({ code, signal, timeLimitMs, isOurs: child.killed })));
  });
}

interface End {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly timeLimitMs: number;
  readonly isOurs: boolean;
}

function endedError({ code, signal, timeLimitMs, isOurs }: End): Error {
  // Node's own code for an uncaught exception: the file did not do this.
  if (code === 1) return new Error('the inspection of a model ended with exit code 1');
  if (isOurs) {
    return new AppError(
      'artifact.invalid',
      `the model did not load and run once within ${String(timeLimitMs)} ms: make it smaller or faster`,
    );
  }
  const how = signal ?? `exit code ${String(code)}`;
  return new AppError(
    'artifact.invalid',
    `the model crashed the process that tried it (${how}): check that it runs with onnxruntime in Python`,
  );
}

function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(ERROR_STATUS, code);
}
