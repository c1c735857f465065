/** A model server behind a pool of connections. Opened for a version whose source is an upstream; the gateway sends requests to it. */
import { AppError } from '@understudy/core/errors';
import type { VersionSource } from '@understudy/core/model-version';
import { type Http1Pool, openHttp1Pool } from './http1-pool.ts';
import type { UpstreamRuntime } from './runtime.ts';
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
const UPSTREAM_DEFAULTS: UpstreamOptions = {
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
  const path = `${prefix}${paths.predict}`;
  const pool = openHttp1Pool(base, options);
  const assertThere = (): Promise<void> =>
    probe(pool, `${prefix}${paths.probe}`, { ...options, isBinding: paths.isProbeBinding, url: source.url });
  try {
    await assertThere();
  } catch (error) {
    pool.close();
    throw error;
  }
  return {
    kind: 'upstream',
    protocol: source.protocol,
    url: source.url,
    remoteModel: source.remoteModel,
    send: ({ headers, body }, handler) => pool.send({ method: 'POST', path, headers, body }, handler),
    assertThere,
    close() {
      pool.close();
      return Promise.resolve();
    },
  };
}

interface Probe extends Pick<UpstreamOptions, 'probeTimeoutMs'> {
  readonly isBinding: boolean;
  readonly url: string;
}

async function probe(pool: Http1Pool, path: string, { probeTimeoutMs, isBinding, url }: Probe): Promise<void> {
  let status: number;
  try {
    status = await statusOf(pool, path, probeTimeoutMs);
  } catch (error) {
    if (error instanceof AppError) throw error;
    throw new AppError('upstream.unreachable', `cannot reach the model server ${url}: ${messageOf(error)}`, { cause: error });
  }
  if (isBinding && status !== 200) {
    throw new AppError('upstream.bad_response', `the model server ${url} answers ${status} at ${path}: its model is not ready`);
  }
}

/** Waits for the whole answer, so that its connection can be used again. */
function statusOf(pool: Http1Pool, path: string, timeoutMs: number): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  let status = 0;
  const request = { method: 'GET', path, headers: [], body: Buffer.alloc(0) } as const;
  const giveUp = pool.send(request, {
    onStart: (head) => {
      status = head.status;
    },
    onData: () => {},
    onEnd: () => resolve(status),
    onError: reject,
  });
  const timer = setTimeout(() => {
    giveUp();
    reject(new Error(`no answer within ${timeoutMs} ms`));
  }, timeoutMs);
  return promise.finally(() => clearTimeout(timer));
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
