/** Asks one version a golden request, or whether it still runs when there is none. The standby probes are made of these. */
import { isAppError } from '@understudy/core/errors';
import { type GoldenRequest, type GoldenSet, mismatchOf } from '@understudy/core/golden';
import type { UpstreamProtocol } from '@understudy/core/model-version';
import type { Probe } from '@understudy/core/standby';
import { singleRowOf } from '../runtimes/onnx-probe.ts';
import type { OnnxRuntime, Runtime, UpstreamRuntime } from '../runtimes/runtime.ts';
import { predictionsOf } from './onnx-arm.ts';
import type { Prediction } from './prediction-counts.ts';
import type { Timers } from './timers.ts';
import { READABLE_ANSWER_BYTES, readPredictions, verdictOfStatus } from './upstream-answer.ts';
import { mlflowProtocol } from './wire/mlflow.ts';
import { openInferenceProtocol } from './wire/open-inference.ts';
import { predictProtocol } from './wire/predict.ts';
import type { WireProtocol } from './wire/protocol.ts';
import { tensorflowProtocol } from './wire/tensorflow.ts';

/** What is asked, and for how long at most. */
export interface GoldenCall {
  readonly golden: GoldenSet | undefined;
  /** Which of the requests. */
  readonly place: number;
  readonly budgetMs: number;
  readonly timers: Timers;
}

/** What an answer is worth; undefined when the version was too busy to be asked. */
export type Finding = Omit<Probe, 'atMs'> | undefined;

const PROTOCOLS: Readonly<Record<UpstreamProtocol, WireProtocol>> = {
  predict: predictProtocol,
  'open-inference': openInferenceProtocol,
  tensorflow: tensorflowProtocol,
  mlflow: mlflowProtocol,
};

/** Never throws but for bugs. */
export async function askGolden(runtime: Runtime, call: GoldenCall): Promise<Finding> {
  const { golden, place, budgetMs } = call;
  const request = golden?.requests[place];
  try {
    if (golden === undefined || request === undefined) return await askAnything(runtime, budgetMs);
    if (runtime.kind === 'upstream' && runtime.protocol !== golden.protocol) {
      const alive = await askAnything(runtime, budgetMs);
      const why = `golden requests are in "${golden.protocol}" and the model server speaks "${runtime.protocol}"`;
      return { outcome: 'unproven', detail: `${why}; ${alive.detail}` };
    }
    const asked = { request, protocol: PROTOCOLS[golden.protocol], ...call };
    const predictions = await (runtime.kind === 'onnx' ? runOnnx(runtime, asked) : askUpstream(runtime, asked));
    const problem = predictions === undefined ? 'no valid answer' : mismatchOf(request, predictions);
    const what = `golden request ${place + 1} of ${golden.requests.length}`;
    return problem === undefined ? { outcome: 'ok', detail: what } : { outcome: 'failed', detail: `${what}: ${problem}` };
  } catch (error) {
    if (isAppError(error, 'request.overloaded')) return undefined;
    const about = request === undefined ? '' : `golden request ${place + 1}: `;
    return { outcome: 'failed', detail: about + (error instanceof Error ? error.message : String(error)) };
  }
}

/** Without golden requests: what was tried at load is tried again. */
async function askAnything(runtime: Runtime, budgetMs: number): Promise<Omit<Probe, 'atMs'>> {
  if (runtime.kind === 'upstream') {
    await runtime.assertThere();
    return { outcome: 'ok', detail: 'the model server is there; without golden requests its answers are not checked' };
  }
  for (const fill of [0, 1] as const) {
    try {
      await runtime.run(singleRowOf(runtime.signature.inputs, fill), budgetMs);
      return { outcome: 'ok', detail: 'runs on a made-up row; without golden requests its answers are not checked' };
    } catch (error) {
      if (!isAppError(error, 'model.run_failed', 'request.invalid')) throw error;
    }
  }
  // An encoder of categories refuses every made-up row and serves real ones well.
  return { outcome: 'unproven', detail: 'refuses made-up rows, which says nothing about real ones: give golden requests' };
}

interface Asked extends Pick<GoldenCall, 'budgetMs' | 'timers'> {
  readonly request: GoldenRequest;
  readonly protocol: WireProtocol;
}

async function runOnnx(runtime: OnnxRuntime, { request, protocol, budgetMs }: Asked): Promise<readonly Prediction[]> {
  const { inputs } = protocol.decode(request.body, runtime.signature);
  const { outputs } = await runtime.run(inputs, budgetMs);
  return [...predictionsOf(outputs, runtime.signature).values];
}

function askUpstream(
  runtime: UpstreamRuntime,
  { request, protocol, budgetMs, timers }: Asked,
): Promise<readonly Prediction[] | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<readonly Prediction[] | undefined>();
  // Servers that count or store what they are asked can tell these from users.
  const headers = ['content-type', 'application/json', 'x-understudy-golden', '1'];
  const chunks: Buffer[] = [];
  let [bytes, status] = [0, 0];
  const giveUp = runtime.send(
    { headers, body: Buffer.from(JSON.stringify(request.body)) },
    {
      onStart: (head) => {
        status = head.status;
      },
      onData(chunk) {
        bytes += chunk.length;
        if (bytes <= READABLE_ANSWER_BYTES) chunks.push(chunk);
        else {
          giveUp();
          reject(new Error(`an answer of more than ${READABLE_ANSWER_BYTES} bytes, which is not read`));
        }
      },
      onEnd() {
        if (verdictOfStatus(status) !== 'ok') reject(new Error(`answered ${status}`));
        else resolve(valuesOf(readPredictions(Buffer.concat(chunks), protocol)?.values));
      },
      onError: reject,
    },
  );
  const cancel = timers.after(budgetMs, () => {
    giveUp();
    reject(new Error(`no answer within ${budgetMs} ms`));
  });
  return promise.finally(cancel);
}

function valuesOf(values: Iterable<Prediction> | undefined): readonly Prediction[] | undefined {
  return values === undefined ? undefined : [...values];
}
