/** Calls a shadow that is a model server. Nobody waits for the answer and nobody gets it: it is read as far as it can be compared. */
import { AppError } from '@understudy/core/errors';
import type { Clock } from '../clock.ts';
import type { UpstreamRuntime } from '../runtimes/runtime.ts';
import type { AnswerHead } from '../runtimes/upstream-call.ts';
import { type ArmOutcome, NO_PREDICTIONS } from './arm-outcome.ts';
import type { Timers } from './timers.ts';
import { READABLE_ANSWER_BYTES, readingOf, readPredictions, verdictOfStatus } from './upstream-answer.ts';
import type { WireProtocol } from './wire/protocol.ts';

export interface ShadowUpstreamCall {
  readonly runtime: UpstreamRuntime;
  readonly protocol: WireProtocol;
  readonly headers: string[];
  readonly body: Buffer;
  readonly budgetMs: number;
  readonly clock: Clock;
  readonly timers: Timers;
}

/** A copy on its way. */
interface CopyState {
  readonly call: ShadowUpstreamCall;
  readonly startMs: number;
  head: AnswerHead | undefined;
  /** When the answer was there by the rule that holds for answers to users: its head, where it streams. */
  answeredMs: number | undefined;
  bytes: number;
  readonly kept: Buffer[];
  readonly end: (outcome: ArmOutcome) => void;
}

/**
 * Calls `onEnd` once: at the end of the answer, when as much of it came as is read (it was cut), at an error, or at the deadline.
 */
export function callShadowUpstream(call: ShadowUpstreamCall, onEnd: (outcome: ArmOutcome, isCut: boolean) => void): void {
  const { clock, timers, runtime, headers, body, budgetMs } = call;
  const startMs = clock.nowMs();
  let giveUp = (): void => {};
  let isOver = false;
  const end = (outcome: ArmOutcome): void => {
    if (isOver) return;
    isOver = true;
    cancelDeadline();
    onEnd(outcome, state.bytes > READABLE_ANSWER_BYTES);
  };
  const state: CopyState = { call, startMs, head: undefined, answeredMs: undefined, bytes: 0, kept: [], end };
  const cancelDeadline = timers.after(budgetMs, () => {
    giveUp();
    // A stream of events may last; a document that is not whole by now never helped anybody.
    if (state.head !== undefined && !readingOf(state.head).isReadable) endUnread(state);
    else end({ kind: 'failed', ms: clock.nowMs() - startMs, failure: 'timeout', error: tooSlow(budgetMs) });
  });
  try {
    giveUp = runtime.send(
      { headers, body },
      {
        onStart(head) {
          state.head = head;
          if (!readingOf(head).isCheckable) state.answeredMs = clock.nowMs();
        },
        onData(chunk) {
          state.bytes += chunk.length;
          if (state.bytes <= READABLE_ANSWER_BYTES) {
            state.kept.push(chunk);
            return;
          }
          giveUp();
          endUnread(state);
        },
        onEnd: () => endWhole(state),
        onError: (cause) => endBroken(state, cause),
      },
    );
  } catch (error) {
    endBroken(state, error);
  }
}

/** The whole answer is there. */
function endWhole(state: CopyState): void {
  const { head, call, kept, end } = state;
  if (head === undefined || !readingOf(head).isReadable) {
    endUnread(state);
    return;
  }
  const predictions = readPredictions(Buffer.concat(kept), call.protocol);
  const ms = elapsedMs(state);
  if (predictions === undefined) end({ kind: 'sent', ms, predictions: NO_PREDICTIONS, verdict: 'invalid' });
  else end({ kind: 'sent', ms, predictions, verdict: 'ok' });
}

/** There is nothing in the answer that could be compared, or no more of it is read. */
function endUnread(state: CopyState): void {
  const verdict = verdictOfStatus(state.head?.status ?? 0);
  state.end({ kind: 'sent', ms: elapsedMs(state), predictions: NO_PREDICTIONS, verdict });
}

function endBroken(state: CopyState, cause: unknown): void {
  const error = new AppError('upstream.unreachable', `the shadow's model server failed: ${String(cause)}`, { cause });
  state.end({ kind: 'failed', ms: elapsedMs(state), failure: 'failed', error });
}

function elapsedMs({ call, startMs, answeredMs }: CopyState): number {
  return (answeredMs ?? call.clock.nowMs()) - startMs;
}

function tooSlow(budgetMs: number): AppError {
  return new AppError('request.deadline_exceeded', `the shadow did not answer within ${Math.round(budgetMs)} ms`);
}
