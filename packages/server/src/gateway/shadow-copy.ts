/**
 * A request's way to the shadow, beside its way to the champion. The user's answer waits for none of it: a copy is bounded in
 * number, bytes and time, dropped when there is no room, and compared when both have ended.
 */
import { isAppError } from '@understudy/core/errors';
import type { Pair, PairEnd } from '@understudy/core/pair-counter';
import { isCopied, isCopyOfAll } from '@understudy/core/routing';
import type { DropReason } from '@understudy/core/pairs';
import type { RequestField } from '@understudy/core/targeting';
import type { Clock } from '../clock.ts';
import type { ArmOutcome, Predictions } from './arm-outcome.ts';
import type { Exchange } from './exchange.ts';
import { callOnnx } from './onnx-arm.ts';
import { redacted } from './redaction.ts';
import type { ParsedBody, ProtocolRequest } from './request-fields.ts';
import type { Payload } from './request-payload.ts';
import { addPredictions } from './settlement.ts';
import type { ShadowSeat } from './shadow-seat.ts';
import { callShadowUpstream } from './shadow-upstream.ts';
import type { Timers } from './timers.ts';
import { forwardedHeaders } from './upstream-headers.ts';

/** Marks every copy, so that a model server can leave out what has effects beyond its answer. */
const SHADOW_HEADER = 'x-understudy-shadow';

export interface CopyContext {
  readonly clock: Clock;
  readonly timers: Timers;
  random(): number;
}

/** What is to be copied. */
export interface CopiedRequest {
  readonly target: ShadowSeat;
  readonly exchange: Exchange;
  readonly payload: Payload;
  /** Made when something of it has to be read. */
  readonly request: () => ProtocolRequest;
  readonly subject: readonly RequestField[];
  readonly champion: string;
  readonly atMs: number;
  readonly budgetMs: number;
}

/** How the champion ended the same request. */
export interface ChampionEnd {
  readonly outcome: ArmOutcome;
  readonly isCold: boolean;
  /** The id that the user was told. */
  readonly requestId: string;
}

export interface ShadowCopy {
  /** Must be told, once; a shadow that runs on the event loop begins now, as the user has the answer. */
  championEnded(end: ChampionEnd): void;
  /** Nobody will ever know how the champion would have ended. */
  abandon(): void;
}

/** Copies a request when the shadow is to get it; undefined when it is not, or there is no room. */
export function beginCopy(context: CopyContext, copied: CopiedRequest): ShadowCopy | undefined {
  const { target, payload, request, subject } = copied;
  const { shadow, lane, seat } = target;
  // A body that is no JSON has no fields; whether that is a mistake is the champion's to say.
  if (!isCopyOfAll(shadow) && known(() => isCopied(shadow, subject, request())) !== true) return undefined;
  const refusal = refusalOf(copied);
  const bytes = Buffer.isBuffer(payload.body) ? payload.body.length : 0;
  const reason = refusal ?? lane.enter(bytes, copied.atMs);
  if (reason !== undefined) {
    lane.countDrop(reason);
    seat.evidence.pairs?.drop(reason);
    return undefined;
  }
  return startCopy(context, copied, bytes);
}

/** Why a request cannot be copied whatever room there is. */
function refusalOf({ target, payload, exchange }: CopiedRequest): DropReason | undefined {
  // It streams past, and can be read once.
  if (payload.parsed === undefined) return 'too-large';
  const { runtime } = target.seat.loaded;
  return runtime?.kind === 'upstream' && runtime.protocol !== exchange.protocol.name ? 'protocol' : undefined;
}

/** What is known so far of both sides. */
interface Halves {
  shadow: ArmOutcome | undefined;
  champion: ChampionEnd | undefined;
}

function startCopy(context: CopyContext, copied: CopiedRequest, bytes: number): ShadowCopy {
  const { lane, seat } = copied.target;
  const { loaded } = seat;
  const isCold = loaded.coldStart.begin(copied.atMs);
  const halves: Halves = { shadow: undefined, champion: undefined };
  let isAbandoned = false;
  loaded.acquire();
  const compareBoth = (): void => {
    const { shadow, champion } = halves;
    if (shadow === undefined || champion === undefined || isAbandoned) return;
    record(context, copied, { shadow, champion, isCold });
  };
  const shadowEnded = (outcome: ArmOutcome, isCut = false): void => {
    loaded.release();
    lane.leave(bytes);
    halves.shadow = outcome;
    lane.countEnd(failureOf(outcome), isCut || outcome.kind === 'failed');
    compareBoth();
  };
  const begin = (): Promise<void> | undefined => {
    lane.countDelivery();
    return call(context, copied, { isCold, onEnd: shadowEnded });
  };
  const { runtime } = loaded;
  const waitsForUser = runtime?.kind === 'onnx' && runtime.placement === 'inline';
  if (!waitsForUser) void begin();
  return {
    championEnded(end) {
      halves.champion = end;
      if (waitsForUser) lane.defer(async () => begin());
      else compareBoth();
    },
    abandon() {
      isAbandoned = true;
      if (!waitsForUser) return;
      if (isCold) loaded.coldStart.takeBack();
      loaded.release();
      lane.leave(bytes);
    },
  };
}

interface Calling {
  readonly isCold: boolean;
  readonly onEnd: (outcome: ArmOutcome, isCut?: boolean) => void;
}

/** Calls whatever kind of version it is; `onEnd` hears of it in any case, and a promise never rejects. */
function call(context: CopyContext, copied: CopiedRequest, { isCold, onEnd }: Calling): Promise<void> | undefined {
  const { exchange, payload, budgetMs, target } = copied;
  const { seat } = target;
  const { runtime } = seat.loaded;
  const { clock, timers } = context;
  const { parsed, body } = payload;
  if (runtime === undefined || parsed === undefined || !Buffer.isBuffer(body)) {
    onEnd({ kind: 'abandoned', ms: 0 });
    return undefined;
  }
  if (runtime.kind === 'upstream') {
    const headers = headersOf(exchange, seat.mintId(clock.nowMs()));
    callShadowUpstream({ runtime, protocol: exchange.protocol, headers, body, budgetMs, clock, timers }, onEnd);
    return undefined;
  }
  const arm = { seat, isCold, budgetMs, isLast: true, runtime, protocol: exchange.protocol, body: parsed, clock };
  // A body that no version can read is nobody's fault.
  return callOnnx(arm).then(
    (outcome) => onEnd(outcome),
    () => onEnd({ kind: 'abandoned', ms: 0 }),
  );
}

function headersOf({ req, headers }: Exchange, requestId: string): string[] {
  const forwarded = forwardedHeaders({
    rawHeaders: req.rawHeaders,
    connection: headers.connection,
    remoteAddress: req.socket.remoteAddress,
    requestId,
    keepsLength: false,
  });
  forwarded.push(SHADOW_HEADER, 'true');
  return forwarded;
}

interface Both {
  readonly shadow: ArmOutcome;
  readonly champion: ChampionEnd;
  readonly isCold: boolean;
}

/** Counts a pair; what the caller did wrong, and what nobody knows the end of, is none. */
function record(context: CopyContext, copied: CopiedRequest, { shadow, champion, isCold }: Both): void {
  const { seat, shadow: setting } = copied.target;
  const theirs = endOf(champion.outcome, champion.isCold);
  if (theirs === undefined || theirs === 'rejected') return;
  const ours = endOf(shadow, isCold);
  if (ours === undefined) return;
  // The champion could read it: who does not take what clients send has failed.
  const failed: PairEnd = ours === 'rejected' ? { ...NOTHING, failure: 'failed', ms: shadow.ms, isCold } : ours;
  const { evidence } = seat;
  evidence.addRequest(failed.ms, isCold);
  if (failed.failure !== undefined) evidence.addError(failed.failure, false);
  else addPredictions(evidence.predictions, predictionsOf(shadow));
  const { segment, keepRequests, redact } = setting.comparison;
  const { parsed } = copied.payload;
  const pair: Pair = {
    champion: theirs,
    shadow: failed,
    segment: segment === undefined ? undefined : known(() => copied.request().read(segment)),
    lot: context.random(),
    example: () => ({
      requestId: champion.requestId,
      atMs: copied.atMs,
      versions: [copied.champion, seat.version],
      ...(keepRequests ? requestOf(parsed, redact) : {}),
    }),
  };
  evidence.pairs?.add(pair);
}

function requestOf(body: ParsedBody | undefined, redact: readonly string[]): { readonly request?: string } {
  const request = body === undefined ? undefined : known(() => redacted(body.json(), redact));
  return request === undefined ? {} : { request };
}

/** What can be read of a body that may be no JSON; undefined when nothing can. */
function known<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (isAppError(error, 'request.invalid')) return undefined;
    throw error;
  }
}

const NOTHING = { prediction: undefined, isClass: false } as const;

/** `rejected`: it did not take the request; undefined: it was never told how it ended. */
function endOf(outcome: ArmOutcome, isCold: boolean): PairEnd | 'rejected' | undefined {
  const { kind, ms } = outcome;
  switch (kind) {
    case 'answered':
      return { failure: undefined, ms, isCold, ...firstOf(outcome.predictions) };
    case 'sent':
      if (outcome.verdict === 'rejected') return 'rejected';
      if (outcome.verdict !== 'ok') return { failure: outcome.verdict, ms, isCold, ...NOTHING };
      return { failure: undefined, ms, isCold, ...firstOf(outcome.predictions) };
    case 'failed':
      return { failure: outcome.failure, ms, isCold, ...NOTHING };
    case 'refused':
    case 'other-protocol':
      return 'rejected';
    case 'abandoned':
      return undefined;
  }
}

function firstOf({ values, isClass }: Predictions): Pick<PairEnd, 'prediction' | 'isClass'> {
  const first = values[0];
  if (first === undefined) return NOTHING;
  return { prediction: typeof first === 'bigint' ? Number(first) : first, isClass };
}

function predictionsOf(outcome: ArmOutcome): Predictions {
  return 'predictions' in outcome ? outcome.predictions : { values: [], isClass: false };
}

/** What a copy's end is on the metrics page. */
function failureOf(outcome: ArmOutcome): PairEnd['failure'] {
  const end = endOf(outcome, false);
  return end === 'rejected' ? 'failed' : end?.failure;
}
