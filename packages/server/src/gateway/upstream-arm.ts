/** Calls a version that is a model server: the request goes out as it came, the answer comes back as it was. */
import type { ServerResponse } from 'node:http';
import { AppError, isAppError } from '@understudy/core/errors';
import type { Clock } from '../clock.ts';
import type { UpstreamRuntime } from '../runtimes/runtime.ts';
import type { AnswerFlow, AnswerHandler, AnswerHead } from '../runtimes/upstream-call.ts';
import { type ArmCall, type ArmOutcome, NO_PREDICTIONS, type Predictions } from './arm-outcome.ts';
import type { Failure } from './evidence-cell.ts';
import type { Exchange } from './exchange.ts';
import type { GatewayOptions } from './gateway-options.ts';
import { listOf } from './header-lines.ts';
import { understudyLines } from './reply.ts';
import type { Payload } from './request-payload.ts';
import type { AnswerReason } from './routing-decision.ts';
import type { Timers } from './timers.ts';
import { READABLE_ANSWER_BYTES, readingOf, readPredictions, verdictOfStatus } from './upstream-answer.ts';
import { forwardedHeaders, passedOnHeadersOf } from './upstream-headers.ts';
import { sendWhole } from './whole-answer.ts';

export interface UpstreamArmCall extends ArmCall {
  readonly runtime: UpstreamRuntime;
  readonly exchange: Exchange;
  readonly payload: Payload;
  readonly reason: AnswerReason;
  readonly revision: number;
  /** When our own time began to count. */
  readonly ownStartMs: number;
}

export interface UpstreamArmContext {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly options: Pick<GatewayOptions, 'maxInFlightPerUpstream'>;
}

/** Calls the server. Resolves when the answer went to the client as a whole, or when there is none. */
export function callUpstream(context: UpstreamArmContext, call: UpstreamArmCall): Promise<ArmOutcome> {
  const { runtime, exchange, seat } = call;
  if (runtime.protocol !== exchange.protocol.name) return Promise.resolve(otherProtocol(call));
  if (seat.loaded.inFlight > context.options.maxInFlightPerUpstream) return Promise.resolve(overloaded(call));
  return new Promise((resolve) => startCall(context, call, resolve));
}

/** A call in work. */
interface CallState {
  readonly call: UpstreamArmCall;
  readonly clock: Clock;
  readonly startMs: number;
  readonly requestId: string;
  readonly end: (outcome: ArmOutcome) => void;
  /** Gives the call up at the upstream. */
  readonly abort: () => void;
  head: AnswerHead | undefined;
  flow: AnswerFlow | undefined;
  /** When the answer was there: its end when it was checked first, its beginning when it streams. */
  answeredMs: number | undefined;
  /**
   * Nothing of the answer is sent yet although it does not say a length that could be waited for, as the champion could
   * still answer: until its first byte, or, when it is a prediction, until it is whole or too large to be read.
   */
  held: 'first-byte' | 'whole' | undefined;
  /** The answer so far, as long as it is to be read. */
  kept: Buffer[] | undefined;
  keptBytes: number;
}

function startCall({ clock, timers }: UpstreamArmContext, call: UpstreamArmCall, resolve: (outcome: ArmOutcome) => void): void {
  const { exchange, payload, runtime, seat } = call;
  const { req, res } = exchange;
  const startMs = clock.nowMs();
  let giveUp = (): void => {};
  let isOver = false;
  const end = (outcome: ArmOutcome): void => {
    if (isOver) return;
    isOver = true;
    cancelDeadline();
    res.off('close', onClientGone);
    resolve(outcome);
  };
  const requestId = seat.mintId(startMs);
  const abort = (): void => giveUp();
  const state: CallState = {
    call,
    clock,
    startMs,
    requestId,
    end,
    abort,
    head: undefined,
    flow: undefined,
    answeredMs: undefined,
    held: undefined,
    kept: [],
    keptBytes: 0,
  };
  const cancelDeadline = timers.after(call.budgetMs, () => {
    // An answer that has begun may take its time; the upstream's idle limit watches it.
    if (res.headersSent && state.answeredMs !== undefined) return;
    giveUp();
    end({ kind: 'failed', ms: clock.nowMs() - startMs, failure: 'timeout', error: tooSlow(call) });
  });
  const onClientGone = (): void => {
    giveUp();
    end({ kind: 'abandoned', ms: clock.nowMs() - startMs });
  };
  res.on('close', onClientGone);
  const headers = forwardedHeaders({
    rawHeaders: req.rawHeaders,
    connection: exchange.headers.connection,
    remoteAddress: req.socket.remoteAddress,
    requestId,
    keepsLength: payload.parsed === undefined,
  });
  try {
    giveUp = runtime.send({ headers, body: payload.body }, answerHandlerOf(state));
  } catch (error) {
    end({ kind: 'failed', ms: clock.nowMs() - startMs, failure: 'failed', error: unreachable(call, error) });
  }
}

function answerHandlerOf(state: CallState): AnswerHandler {
  const { call } = state;
  const { res } = call.exchange;
  return {
    onStart(head, flow) {
      state.head = head;
      state.flow = flow;
      const { verdict, isReadable, isCheckable } = readingOf(head);
      if (verdict === 'failed' && !call.isLast) {
        state.abort();
        state.end({ kind: 'failed', ms: elapsed(state), failure: 'failed', error: badStatus(call, head.status) });
        return;
      }
      if (!isReadable) state.kept = undefined;
      if (isCheckable) return;
      if (call.isLast) beginStream(state, head);
      else state.held = isReadable ? 'whole' : 'first-byte';
    },
    onData(chunk) {
      if (state.held !== undefined) letGo(state, chunk);
      keep(state, chunk);
      if (state.answeredMs !== undefined && !res.write(chunk)) holdBack(res, state.flow);
    },
    onEnd() {
      if (state.held === 'first-byte' && state.head !== undefined) beginStream(state, state.head);
      if (state.answeredMs === undefined) finishChecked(state);
      else finishStream(state);
    },
    onError(error) {
      if (state.answeredMs === undefined) {
        state.end({ kind: 'failed', ms: elapsed(state), failure: 'failed', error: unreachable(call, error) });
        return;
      }
      // The client has half of an answer: closing the connection is the only way to say so.
      res.destroy();
      state.end({
        kind: 'sent',
        requestId: state.requestId,
        ms: state.answeredMs - state.startMs,
        predictions: NO_PREDICTIONS,
        verdict: 'failed',
      });
    },
  };
}

/** Begins to pass a held answer on when there is no more reason to wait, the part of it that is there already included. */
function letGo(state: CallState, { length }: Buffer): void {
  const { held, head, kept = [] } = state;
  if (head === undefined || (held === 'whole' && state.keptBytes + length <= READABLE_ANSWER_BYTES)) return;
  beginStream(state, head);
  const { res } = state.call.exchange;
  for (const chunk of kept) if (!res.write(chunk)) holdBack(res, state.flow);
}

/** Passes the answer on from here; a rescue is no longer possible. */
function beginStream(state: CallState, head: AnswerHead): void {
  state.answeredMs = state.clock.nowMs();
  state.held = undefined;
  const { req, res } = state.call.exchange;
  // Nobody reads the rest of a request that was answered early, so the next one could not be found behind it.
  if (!req.complete) res.shouldKeepAlive = false;
  res.writeHead(head.status, listOf(ourLines(state) + passedOnHeadersOf(head).lines));
}

function finishStream(state: CallState): void {
  const { call, head, answeredMs = 0, startMs } = state;
  call.exchange.res.end();
  const predictions =
    state.kept === undefined ? NO_PREDICTIONS : readPredictions(Buffer.concat(state.kept), call.exchange.protocol);
  const verdict: 'ok' | 'rejected' | Failure = predictions === undefined ? 'invalid' : verdictOfStatus(head?.status ?? 0);
  state.end({
    kind: 'sent',
    requestId: state.requestId,
    ms: answeredMs - startMs,
    predictions: predictions ?? NO_PREDICTIONS,
    verdict,
  });
}

/** A small answer is whole before a byte of it is sent, so one that makes no sense can still be rescued. */
function finishChecked(state: CallState): void {
  const { call, head, startMs } = state;
  const { kept = [] } = state;
  const [first] = kept;
  const body = first !== undefined && kept.length === 1 ? first : Buffer.concat(kept);
  const predictions: Predictions | undefined = readPredictions(body, call.exchange.protocol);
  const ms = state.clock.nowMs() - startMs;
  if (predictions === undefined || head === undefined) {
    state.end({ kind: 'failed', ms, failure: 'invalid', error: badBody(call) });
    return;
  }
  state.answeredMs = startMs + ms;
  const { lines: passedOn, isDated } = passedOnHeadersOf(head);
  const lines = state.held === 'whole' ? `${passedOn}content-length: ${body.length}\r\n` : passedOn;
  // As a text, head and body are one write; Latin-1 keeps every byte as it is.
  const text = body.toString('latin1');
  sendWhole(call.exchange, { status: head.status, lines: ourLines(state) + lines, body: text, encoding: 'latin1', isDated });
  state.end({ kind: 'sent', requestId: state.requestId, ms, predictions, verdict: 'ok' });
}

/** What we say about the answer. */
function ourLines({ call, clock, requestId, startMs, answeredMs = startMs }: CallState): string {
  const { seat, exchange, reason, revision, ownStartMs } = call;
  const ownMs = Math.max(0, clock.nowMs() - ownStartMs - (answeredMs - startMs));
  return understudyLines(exchange, { seat, reason, revision, requestId, ownMs });
}

/** Keeps what is to be read at the end, up to a limit. */
function keep(state: CallState, chunk: Buffer): void {
  if (state.kept === undefined) return;
  state.keptBytes += chunk.length;
  if (state.keptBytes > READABLE_ANSWER_BYTES) state.kept = undefined;
  else state.kept.push(chunk);
}

function holdBack(res: ServerResponse, flow: AnswerFlow | undefined): void {
  flow?.pause();
  res.once('drain', () => flow?.resume());
}

function elapsed({ clock, startMs }: CallState): number {
  return clock.nowMs() - startMs;
}

function otherProtocol({ seat, runtime, exchange }: UpstreamArmCall): ArmOutcome {
  const message = `version "${seat.version}" of "${seat.model}" is a model server that speaks "${runtime.protocol}", the request is ${exchange.protocol.title}. Send it in the protocol "${runtime.protocol}"`;
  return { kind: 'other-protocol', ms: 0, error: new AppError('protocol.unsupported', message) };
}

function overloaded({ seat }: UpstreamArmCall): ArmOutcome {
  const error = new AppError(
    'request.overloaded',
    `version "${seat.version}" of "${seat.model}" has all the requests it may have. Try again in a moment`,
  );
  return { kind: 'failed', ms: 0, failure: 'failed', error };
}

function tooSlow({ seat, budgetMs }: UpstreamArmCall): AppError {
  return new AppError(
    'request.deadline_exceeded',
    `version "${seat.version}" of "${seat.model}" did not answer within ${Math.round(budgetMs)} ms`,
  );
}

function unreachable({ seat }: UpstreamArmCall, error: unknown): AppError {
  if (isAppError(error)) return error;
  const text = error instanceof Error ? error.message : String(error);
  return new AppError(
    'upstream.unreachable',
    `the model server of version "${seat.version}" of "${seat.model}" failed: ${text}`,
    { cause: error },
  );
}

function badStatus({ seat }: UpstreamArmCall, status: number): AppError {
  return new AppError(
    'upstream.bad_response',
    `the model server of version "${seat.version}" of "${seat.model}" answered ${status}`,
  );
}

function badBody({ seat, runtime }: UpstreamArmCall): AppError {
  return new AppError(
    'upstream.bad_response',
    `the model server of version "${seat.version}" of "${seat.model}" answered 200 with a body that is no answer of "${runtime.protocol}"`,
  );
}
