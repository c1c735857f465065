/** The first thing that sees a request: what it asks for, whether there is room, and what an exception becomes. */
import type { ServerResponse } from 'node:http';
import { AppError } from '@understudy/core/errors';
import type { Admission } from './admission.ts';
import { type Endpoint, endpointOf } from './endpoint.ts';
import type { Exchange } from './exchange.ts';
import type { GatewayPorts } from './gateway-ports.ts';
import { pathOrRefusal } from './http-policy.ts';
import { type InferenceContext, serveInference } from './inference.ts';
import { type InformationContext, serveInformation } from './information.ts';
import { problemOf, replyProblem } from './reply.ts';
import { ClientGone, type GatheringRequest } from './gathering-request.ts';
import { readHeaders } from './request-headers.ts';
import { predictProtocol } from './wire/predict.ts';

export interface HandlerContext {
  readonly inference: InferenceContext;
  readonly information: InformationContext;
  readonly admission: Admission;
  readonly log: GatewayPorts['log'];
  /** Whether answers say `Connection: close`. */
  isClosing(): boolean;
  readonly fallbackId: () => string;
}

const UNNAMED: Pick<Exchange, 'model' | 'version'> = { model: undefined, version: undefined };

/** Makes the server's request handler. */
export function openRequestHandler(context: HandlerContext): (req: GatheringRequest, res: ServerResponse) => void {
  const { clock } = context.inference;
  return (req, res) => {
    const startMs = clock.nowMs();
    const headers = readHeaders(req.rawHeaders);
    if (context.isClosing()) res.shouldKeepAlive = false;
    // A client that goes away in mid-answer is no failure of ours, and without a listener it would end the process.
    res.on('error', ignore);
    const path = pathOrRefusal(req, headers);
    const { fallbackId } = context;
    if (typeof path !== 'string') {
      res.shouldKeepAlive = false;
      context.inference.counts.refused++;
      const exchange = {
        req,
        res,
        headers,
        protocol: predictProtocol,
        model: undefined,
        version: undefined,
        startMs,
        fallbackId,
      };
      replyProblem(exchange, { ...path, code: 'request.invalid' });
      return;
    }
    const endpoint = endpointOf(req.method ?? '', path);
    const { protocol } = endpoint;
    const { model, version } = endpoint.kind === 'infer' ? endpoint : UNNAMED;
    const exchange: Exchange = { req, res, headers, protocol, model, version, startMs, fallbackId };
    if (endpoint.kind === 'infer') startInference(context, exchange);
    else serveOther(context, exchange, endpoint).catch((error: unknown) => fail(context, exchange, error));
  };
}

function startInference(context: HandlerContext, exchange: Exchange): void {
  const { admission } = context;
  if (!admission.enter()) {
    const error = new AppError('request.overloaded', 'this gateway has all the requests it can take. Try again in a moment');
    replyProblem(exchange, problemOf(error));
    return;
  }
  serveInference(context.inference, exchange).then(
    () => admission.leave(),
    (error: unknown) => {
      admission.leave();
      fail(context, exchange, error);
    },
  );
}

async function serveOther(
  context: HandlerContext,
  exchange: Exchange,
  endpoint: Exclude<Endpoint, { kind: 'infer' }>,
): Promise<void> {
  switch (endpoint.kind) {
    case 'unknown':
      throw new AppError(
        'request.not_found',
        'there is nothing here; predictions are at POST /predict/{model}, /v2/models/{model}/infer, /v1/models/{model}:predict and /invocations',
      );
    case 'wrong-method':
      throw new AppError('request.method_not_allowed', `this address takes ${endpoint.allow} only`);
    case 'models':
    case 'model':
    case 'model-ready':
      context.inference.authentication.authenticate(exchange.headers.authorization, 'predict');
      break;
    case 'metrics':
      if (!context.inference.options.publicMetrics)
        context.inference.authentication.authenticate(exchange.headers.authorization, 'read');
      break;
    case 'live':
    case 'ready':
    case 'server':
    case 'version':
  }
  await serveInformation(context.information, exchange, endpoint);
}

/** What an exception becomes: nothing when the client has gone, an answer when somebody is wrong, a log line when we are. */
function fail(context: HandlerContext, exchange: Exchange, error: unknown): void {
  if (error instanceof ClientGone) return;
  const problem = problemOf(error);
  const { counts } = context.inference;
  if (problem.code === 'internal.unexpected') {
    counts.bugs++;
    context.log('gateway.request_failed', { error, path: exchange.req.url });
  } else counts.refused++;
  replyProblem(exchange, problem);
}

function ignore(): void {}
