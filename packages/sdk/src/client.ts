/** The published client: sends predictions to a gateway. Zero dependencies; runs wherever there is `fetch`. */

/** Where the gateway is, and how to get in. */
export interface UnderstudyOptions {
  /** Base address of the gateway, such as `http://127.0.0.1:7071`. */
  readonly gatewayUrl: string;
  /** A token with the scope `predict`; left out when the gateway takes anonymous requests. */
  readonly token?: string;
  /** Milliseconds after which a prediction is given up; 10 s when left out. */
  readonly timeoutMs?: number;
}

/** What is known of one request besides its features. */
export interface PredictOptions {
  /** The sticky key, such as a user id: the same subject stays on the same version. */
  readonly subject?: string;
  readonly signal?: AbortSignal;
}

/** An answer of the gateway. Keep `requestId`: feedback that comes days later is attributed by it. */
export interface Prediction {
  /** One value per row of features. */
  readonly predictions: readonly (number | string | boolean)[];
  readonly version: string;
  readonly arm: 'champion' | 'challenger';
  readonly requestId: string;
}

/** The gateway refused or could not be reached. `code` is one of the documented error codes. */
export class UnderstudyError extends Error {
  readonly code: string;
  readonly status: number | undefined;

  constructor(code: string, message: string, options: { readonly status?: number; readonly cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.name = 'UnderstudyError';
    this.code = code;
    this.status = options.status;
  }
}

/** Sends rows of features to a model. Throws {@link UnderstudyError}. */
export type Predict = (model: string, features: readonly (readonly number[])[], options?: PredictOptions) => Promise<Prediction>;

/** Opens a client; it holds no connection of its own and needs no closing. */
export function createUnderstudy(options: UnderstudyOptions): { readonly predict: Predict } {
  return {
    async predict(model, features, { subject, signal } = {}) {
      const headers: Record<string, string> = { 'content-type': 'application/json' };
      if (options.token !== undefined) headers['authorization'] = `Bearer ${options.token}`;
      if (subject !== undefined) headers['x-user-id'] = subject;
      const timeout = AbortSignal.timeout(options.timeoutMs ?? 10_000);
      const response = await post(`${options.gatewayUrl.replace(/\/+$/, '')}/predict/${encodeURIComponent(model)}`, {
        headers,
        body: JSON.stringify({ features }),
        signal: signal === undefined ? timeout : AbortSignal.any([timeout, signal]),
      });
      const answer = await response.json().catch(() => undefined);
      return readAnswer(response.status, answer);
    },
  };
}

async function post(url: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(url, { ...init, method: 'POST' });
  } catch (error) {
    throw new UnderstudyError('upstream.unreachable', `no answer from ${url}: ${String(error)}`, { cause: error });
  }
}

function readAnswer(status: number, answer: unknown): Prediction {
  if (!isRecord(answer))
    throw new UnderstudyError('upstream.bad_response', `the gateway answered ${status} without JSON`, { status });
  const { error, predictions, version, arm, requestId } = answer;
  if (isRecord(error)) throw new UnderstudyError(String(error['code']), String(error['message']), { status });
  const isWhole = Array.isArray(predictions) && typeof version === 'string' && typeof requestId === 'string';
  if (!isWhole || (arm !== 'champion' && arm !== 'challenger')) {
    throw new UnderstudyError('upstream.bad_response', `the gateway answered ${status} with something that is not a prediction`, {
      status,
    });
  }
  return { predictions: predictions.map(readValue), version, arm, requestId };
}

function readValue(value: unknown): number | string | boolean {
  return typeof value === 'number' || typeof value === 'boolean' ? value : String(value);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
