/** Calls a version that runs in this process: body to tensors, tensors to an answer. */
import { AppError, isAppError } from '@understudy/core/errors';
import { isLabelType, type Signature } from '@understudy/core/model-version';
import type { Clock } from '../clock.ts';
import type { OnnxRuntime, Tensor } from '../runtimes/runtime.ts';
import { type ArmCall, type ArmOutcome, NO_PREDICTIONS, type Predictions } from './arm-outcome.ts';
import type { Failure } from './evidence-cell.ts';
import type { ParsedBody } from './request-fields.ts';
import type { DecodedRequest, WireProtocol } from './wire/protocol.ts';
import { assertFinite, rowLengthOf } from './wire/tensor-encode.ts';

export interface OnnxCall extends ArmCall {
  readonly runtime: OnnxRuntime;
  readonly protocol: WireProtocol;
  readonly body: ParsedBody;
  readonly clock: Clock;
}

/** Never throws but for bugs; a body that is not JSON is thrown, as no version could read it. */
export async function callOnnx(call: OnnxCall): Promise<ArmOutcome> {
  const { runtime, clock } = call;
  const document = call.body.json();
  let decoded: DecodedRequest;
  try {
    decoded = call.protocol.decode(document, runtime.signature);
  } catch (error) {
    if (isAppError(error, 'request.invalid')) return { kind: 'refused', ms: 0, error };
    throw error;
  }
  const startMs = clock.nowMs();
  try {
    const { outputs, ms } = await runtime.run(decoded.inputs, call.budgetMs);
    assertFinite(outputs);
    return answered(call, { outputs, ms, form: decoded.form });
  } catch (error) {
    const ms = clock.nowMs() - startMs;
    if (isAppError(error, 'request.invalid')) return { kind: 'refused', ms, error };
    const known = isAppError(error) ? error : new AppError('model.run_failed', 'the model failed', { cause: error });
    return { kind: 'failed', ms, failure: failureOf(known), error: known };
  }
}

interface Run {
  readonly outputs: readonly Tensor[];
  readonly ms: number;
  readonly form: DecodedRequest['form'];
}

function answered({ seat, protocol, runtime: { signature } }: OnnxCall, { outputs, ms, form }: Run): ArmOutcome {
  const { model, version, arm } = seat;
  return {
    kind: 'answered',
    ms,
    predictions: predictionsOf(outputs, signature),
    body: (requestId) => protocol.encode({ model, version, arm, requestId, latencyMs: ms, signature, outputs, form }),
  };
}

/** One prediction for each row; an output with several values in a row has none that could be counted. */
export function predictionsOf(outputs: readonly Tensor[], signature: Signature): Predictions {
  const predicted = outputs.find((output) => output.name === signature.prediction);
  if (predicted === undefined || rowLengthOf(predicted) !== 1) return NO_PREDICTIONS;
  return { values: predicted.data, isClass: isLabelType(predicted.dataType) };
}

function failureOf(error: AppError): Failure {
  if (error.code === 'request.deadline_exceeded') return 'timeout';
  return error.code === 'model.invalid_output' ? 'invalid' : 'failed';
}
