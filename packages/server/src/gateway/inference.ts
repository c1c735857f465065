/** A prediction request from its headers to its answer: who may, which version, its call, the rescue, the counting. */
import { AppError } from '@understudy/core/errors';
import type { Clock } from '../clock.ts';
import type { ArmCall, ArmOutcome } from './arm-outcome.ts';
import { assertAllowed, type Authentication, type Caller } from '../authentication.ts';
import { type Exchange, isOpen } from './exchange.ts';
import type { GatewayCounts } from './gateway-counts.ts';
import type { GatewayOptions } from './gateway-options.ts';
import { callOnnx } from './onnx-arm.ts';
import { problemOf, replyPrediction, replyProblem, type ReplyFacts } from './reply.ts';
import { type BodyDemand, demandBody, type Payload, payloadOf } from './request-payload.ts';
import { type ProtocolRequest, routedRequestOf } from './request-fields.ts';
import { type AnswerReason, type Decision, decide, entryFor } from './routing-decision.ts';
import type { ModelEntry } from './model-entry.ts';
import type { RoutingTable } from './routing-table.ts';
import type { Seat } from './seat.ts';
import { beginCopy, type ShadowCopy } from './shadow-copy.ts';
import type { ShadowSeat } from './shadow-seat.ts';
import { settle, type Settlement } from './settlement.ts';
import type { Timers } from './timers.ts';
import { callUpstream } from './upstream-arm.ts';

export interface InferenceContext {
  readonly options: GatewayOptions;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly table: RoutingTable;
  readonly authentication: Authentication;
  readonly counts: GatewayCounts;
  random(): number;
}

/** A request that has its version. */
interface Inference {
  readonly exchange: Exchange;
  readonly entry: ModelEntry;
  readonly payload: Payload;
  /** The start of the request, moved by the wait for its body: waiting for the client is neither our time nor a version's. */
  readonly ownStartMs: number;
  readonly deadlineMs: number;
}

/** A request that was let in. */
interface Arrival {
  readonly caller: Caller;
  readonly forced: string | undefined;
  /** The model's. */
  readonly name: string;
  readonly demand: BodyDemand;
  readonly receivedMs: number;
}

/**
 * Serves one prediction. In one function with two waits, for the body and for the version: each further promise in this chain
 * costs a quarter of a microsecond.
 * @throws AppError for everything that is wrong before a version is called, {@link ClientGone}
 */
export async function serveInference(context: InferenceContext, exchange: Exchange): Promise<void> {
  const arrival = letIn(context, exchange);
  const payload = payloadOf(exchange, await exchange.req.gather(arrival.demand.limitBytes), arrival.demand);
  const readyMs = context.clock.nowMs();
  // The table may have changed while the body came in.
  const entry = inForce(entryFor(context.table, arrival.name), readyMs);
  const decision = decisionFor(context, { exchange, arrival, payload, entry });
  const deadlineMs = readyMs + entry.model.routing.deadlineMs;
  const ownStartMs = exchange.startMs + readyMs - arrival.receivedMs;
  const inference: Inference = { exchange, entry, payload, ownStartMs, deadlineMs };
  const { seat, reason, standIn } = decision;
  const nowMs = context.clock.nowMs();
  const isCold = seat.loaded.coldStart.begin(nowMs);
  let isReached = false;
  let copy: ShadowCopy | undefined;
  // Held for the whole request: a version that is swapped out meanwhile stays open for the rescue.
  seat.loaded.acquire();
  standIn?.loaded.acquire();
  try {
    const isLast = standIn === undefined || payload.parsed === undefined;
    const budgetMs = (deadlineMs - nowMs) * (isLast ? 1 : context.options.challengerShare);
    const call = { seat, isCold, budgetMs, isLast, reason };
    const calling = callSeat(context, inference, call);
    // After the champion was called: the user's request is on its way first.
    if (entry.shadow !== undefined && seat.arm === 'champion' && reason !== 'forced') {
      copy = copyOf(context, inference, { arrival, seat, target: entry.shadow, atMs: nowMs });
    }
    const outcome = await calling;
    isReached = hasReached(outcome);
    if (!isLast && needsStandIn(outcome)) await rescue(context, inference, { call, standIn, failed: outcome, decision });
    else {
      // What every version would refuse is the caller's mistake and nobody's evidence.
      const settlement: Settlement = reason === 'forced' || outcome.kind === 'refused' ? 'forced' : 'counted';
      settle(call, outcome, settlement);
      entry.trial?.ended(decision, outcome, context.clock.nowMs());
      const requestId = conclude(context, inference, { seat, reason, outcome });
      copy?.championEnded({ outcome, isCold, requestId });
      copy = undefined;
    }
  } finally {
    copy?.abandon();
    entry.trial?.release(decision, context.clock.nowMs());
    if (isCold && !isReached) seat.loaded.coldStart.takeBack();
    seat.loaded.release();
    standIn?.loaded.release();
  }
}

interface Copying {
  readonly arrival: Arrival;
  readonly seat: Seat;
  readonly target: ShadowSeat;
  readonly atMs: number;
}

function copyOf(
  context: InferenceContext,
  inference: Inference,
  { arrival, seat, target, atMs }: Copying,
): ShadowCopy | undefined {
  const { exchange, payload, entry } = inference;
  const { routing } = entry.model;
  return beginCopy(context, {
    target,
    exchange,
    payload,
    request: () => requestOf(context, { exchange, arrival, payload }),
    subject: routing.subject,
    champion: seat.version,
    atMs,
    budgetMs: routing.deadlineMs,
  });
}

/** Whether the version was called: a request that it cannot read does not warm it up. */
function hasReached({ kind }: ArmOutcome): boolean {
  return kind !== 'refused' && kind !== 'other-protocol';
}

/** The entry as it is served now: with the safe share only while the lease of the challenger's is over. */
function inForce(entry: ModelEntry, nowMs: number): ModelEntry {
  const { trial, cautious, model } = entry;
  if (trial === undefined || cautious === undefined || model.rollout === undefined) return entry;
  return trial.leaseOverSinceMs(model.rollout, nowMs) === undefined ? entry : cautious;
}

/** Everything that can be refused before the body is there. */
function letIn({ authentication, clock, table, options }: InferenceContext, exchange: Exchange): Arrival {
  const caller = authentication.authenticate(exchange.headers.authorization, 'predict');
  const forced = forcedVersionOf(exchange, caller, clock);
  assertJson(exchange.headers.contentType);
  const name = modelNameOf(exchange, table);
  const receivedMs = clock.nowMs();
  return { caller, forced, name, demand: demandBody(exchange, entryFor(table, name), options), receivedMs };
}

interface Undecided extends Pick<Inference, 'exchange' | 'payload' | 'entry'> {
  readonly arrival: Arrival;
}

function decisionFor(context: InferenceContext, { exchange, arrival, payload, entry }: Undecided): Decision {
  const decision = decide(entry, arrival.forced, requestOf(context, { exchange, arrival, payload }));
  if (decision.reason === 'random') context.counts.noSubject++;
  const isChance = decision.reason === 'split' || decision.reason === 'random';
  const told = entry.isCautious && isChance ? { ...decision, reason: 'lease' as const } : decision;
  return entry.trial?.review(told, context.clock.nowMs(), payload.parsed !== undefined) ?? told;
}

function requestOf(context: InferenceContext, { exchange, arrival, payload }: Omit<Undecided, 'entry'>): ProtocolRequest {
  return routedRequestOf({
    protocol: exchange.protocol.name,
    rawHeaders: exchange.req.rawHeaders,
    body: payload.parsed,
    tokenId: arrival.caller.token?.id,
    random: () => context.random(),
  });
}

function needsStandIn({ kind }: ArmOutcome): boolean {
  return kind === 'failed' || kind === 'refused' || kind === 'other-protocol';
}

interface Rescue {
  readonly call: ArmCall;
  readonly standIn: Seat;
  readonly failed: ArmOutcome;
  readonly decision: Decision;
}

/** The champion answers for a challenger within what is left of the deadline. */
async function rescue(
  context: InferenceContext,
  inference: Inference,
  { call, standIn, failed, decision }: Rescue,
): Promise<void> {
  // The challenger was never called, so nothing was rescued: the champion answers a request of its own.
  const isOwn = failed.kind === 'other-protocol';
  const reason: AnswerReason = isOwn ? 'protocol' : 'rescued';
  const nowMs = context.clock.nowMs();
  const budgetMs = Math.max(1, inference.deadlineMs - nowMs);
  // Chance did not send the request to the champion: neither its evidence nor its id may be of the rollout.
  const seat = standIn.outside();
  const isCold = seat.loaded.coldStart.begin(nowMs);
  const rescuing = { seat, isCold, budgetMs, isLast: true, reason };
  const outcome = await callSeat(context, inference, rescuing);
  if (isCold && !hasReached(outcome)) seat.loaded.coldStart.takeBack();
  if (isOwn) context.counts.otherProtocol++;
  else if (!(failed.kind === 'refused' && outcome.kind === 'refused')) {
    const isGood = outcome.kind === 'answered' || (outcome.kind === 'sent' && outcome.verdict === 'ok');
    settle(call, failed, isGood ? 'rescued' : 'counted');
  }
  settle(rescuing, outcome, isOwn ? 'counted' : 'rescuing');
  const { trial } = inference.entry;
  if (isOwn) trial?.ended({ seat, reason }, outcome, context.clock.nowMs());
  else trial?.rescued(decision, outcome, context.clock.nowMs());
  conclude(context, inference, { seat, reason, outcome, lostMs: failed.ms });
}

/** Calls whatever kind of version sits there. */
function callSeat(
  context: InferenceContext,
  { exchange, payload, entry, ownStartMs }: Inference,
  call: ArmCall & { readonly reason: AnswerReason },
): Promise<ArmOutcome> {
  const { clock } = context;
  const { runtime } = call.seat.loaded;
  if (runtime === undefined) {
    const error = new AppError('model.loading', `version "${call.seat.version}" is being closed. Try again in a moment`);
    return Promise.resolve({ kind: 'failed', ms: 0, failure: 'failed', error });
  }
  if (runtime.kind === 'onnx') {
    if (payload.parsed === undefined) throw new Error('a body is passed on unread only where every version is an upstream');
    return callOnnx({ ...call, runtime, protocol: exchange.protocol, body: payload.parsed, clock });
  }
  return callUpstream(context, { ...call, runtime, exchange, payload, revision: entry.revision, ownStartMs });
}

interface Conclusion {
  readonly seat: Seat;
  readonly reason: AnswerReason;
  readonly outcome: ArmOutcome;
  /** Time of a call that failed before. */
  readonly lostMs?: number;
}

/** Sends what is not sent yet. @returns the id that the user was told; empty when nobody was there to be told */
function conclude(context: InferenceContext, inference: Inference, { seat, reason, outcome, lostMs = 0 }: Conclusion): string {
  const { exchange, entry, ownStartMs } = inference;
  if (outcome.kind === 'sent') return outcome.requestId ?? '';
  if (outcome.kind === 'abandoned' || !isOpen(exchange)) return '';
  const nowMs = context.clock.nowMs();
  const facts: ReplyFacts = {
    seat,
    reason,
    revision: entry.revision,
    requestId: seat.mintId(nowMs),
    ownMs: Math.max(0, nowMs - ownStartMs - outcome.ms - lostMs),
  };
  if (outcome.kind === 'answered') replyPrediction(exchange, outcome.body(facts.requestId, outcome.ms), facts);
  else replyProblem(exchange, problemOf(outcome.error), facts);
  return facts.requestId;
}

/** A version named in the path or by header; both are for people who may operate. */
function forcedVersionOf({ version, headers }: Exchange, caller: Caller, clock: Clock): string | undefined {
  const forced = version ?? headers.forcedVersion;
  if (forced !== undefined) assertAllowed(caller, 'operate', clock.nowMs());
  return forced;
}

function modelNameOf({ model, headers }: Exchange, table: RoutingTable): string {
  const name = model ?? headers.model ?? table.onlyModel;
  if (name !== undefined) return name;
  throw new AppError('model.name_required', 'cannot tell which model is meant: name it in the header "x-understudy-model"');
}

function assertJson(contentType: string | undefined): void {
  if (contentType === 'application/json') return;
  const end = contentType?.indexOf(';') ?? -1;
  const bare = (end < 0 ? contentType : contentType?.slice(0, end))?.trim().toLowerCase();
  if (bare === 'application/json') return;
  const came = bare === undefined ? 'without a content type' : `"${bare.slice(0, 60)}"`;
  throw new AppError(
    'request.unsupported_media_type',
    `cannot read the body: it is ${came}. Send "Content-Type: application/json"`,
  );
}
