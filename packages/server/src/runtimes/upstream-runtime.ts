/** A model server behind a pool of connections. Opened for a version whose source is an upstream; the gateway sends requests to it. */
import { AppError } from '@understudy/core/errors';
import type { VersionSource } from '@understudy/core/model-version';
import { type Dispatcher, Pool } from 'undici';
import type { UpstreamRuntime } from './runtime.ts';
import { openGuardedConnector } from './upstream-address.ts';
import type { AnswerHandler, UpstreamCall } from './upstream-call.ts';
import { pathsOf } from './upstream-path.ts';

export interface UpstreamOptions {
  /** Connections at most; as many as the gateway lets requests in, so that none waits in a queue. */
  readonly connections: number;
  readonly connectTimeoutMs: number;
  /** An answer that has begun may pause for so long. */
  readonly idleTimeoutMs: number;
  /** Time for the probe at opening. */
  readonly probeTimeoutMs: number;
}

/** A connection inside a data centre takes milliseconds; 2 s is two lost SYN packets. */
export const UPSTREAM_DEFAULTS: UpstreamOptions = {
  connections: 256,
  connectTimeoutMs: 2000,
  idleTimeoutMs: 60_000,
  probeTimeoutMs: 5000,
};

/**
 * Opens a model server and asks whether it is there.
 * @throws AppError `upstream.unreachable` or `upstream.bad_response` when it cannot be used, `upstream.forbidden_address`
 */
export async function openUpstream(
  source: Extract<VersionSource, { kind: 'upstream' }>,
  options: UpstreamOptions = UPSTREAM_DEFAULTS,
): Promise<UpstreamRuntime> {
  const base = new URL(source.url);
  const prefix = base.pathname.endsWith('/') ? base.pathname.slice(0, -1) : base.pathname;
  const paths = pathsOf(source.protocol, source.remoteModel);
  const pool = new Pool(base.origin, {
    connections: options.connections,
    pipelining: 1,
    // The deadline of a request is the gateway's; a second one here would only race with it.
    headersTimeout: 0,
    bodyTimeout: options.idleTimeoutMs,
    connect: openGuardedConnector(options.connectTimeoutMs),
    allowH2: false,
  });
  try {
    await probe(pool, `${prefix}${paths.probe}`, { ...options, isBinding: paths.isProbeBinding, url: source.url });
  } catch (error) {
    await pool.destroy();
    throw error;
  }
  return {
    kind: 'upstream',
    protocol: source.protocol,
    url: source.url,
    remoteModel: source.remoteModel,
    send: (call, handler) => dispatch(pool, { path: `${prefix}${paths.predict}`, call, handler }),
    close: () => pool.destroy(),
  };
}

interface Probe extends Pick<UpstreamOptions, 'probeTimeoutMs'> {
  readonly isBinding: boolean;
  readonly url: string;
}

async function probe(pool: Pool, path: string, { probeTimeoutMs, isBinding, url }: Probe): Promise<void> {
  let status: number;
  try {
    const answer = await pool.request({ path, method: 'GET', signal: AbortSignal.timeout(probeTimeoutMs) });
    status = answer.statusCode;
    await answer.body.dump();
  } catch (error) {
    if (error instanceof AppError) throw error;
    throw new AppError('upstream.unreachable', `cannot reach the model server ${url}: ${messageOf(error)}`, { cause: error });
  }
  if (isBinding && status !== 200) {
    throw new AppError('upstream.bad_response', `the model server ${url} answers ${status} at ${path}: its model is not ready`);
  }
}

interface Dispatch {
  readonly path: string;
  readonly call: UpstreamCall;
  readonly handler: AnswerHandler;
}

/** Sends a request; the function returned gives it up, also while the connection is still being made. */
function dispatch(pool: Pool, { path, call, handler }: Dispatch): () => void {
  let isOver = false;
  let controller: Dispatcher.DispatchController | undefined;
  pool.dispatch(
    { path, method: 'POST', headers: [...call.headers], body: call.body },
    {
      onRequestStart(started) {
        controller = started;
        if (isOver) started.abort(new Error('given up before it was sent'));
      },
      onResponseStart(flow, status, headers) {
        if (!isOver && status >= 200) handler.onStart({ status, headers }, flow);
      },
      onResponseData(_flow, chunk) {
        if (!isOver) handler.onData(chunk);
      },
      onResponseEnd() {
        if (!isOver) handler.onEnd();
        isOver = true;
      },
      onResponseError(_flow, error) {
        if (!isOver) handler.onError(error);
        isOver = true;
      },
    },
  );
  return () => {
    if (isOver) return;
    isOver = true;
    controller?.abort(new Error('given up'));
  };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
