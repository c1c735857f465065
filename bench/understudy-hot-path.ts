// Opens routing and recording in this process, without HTTP and without a model: what the gateway adds to a request.

export interface HotPath {
  /** Chooses the arm for a subject and records a finished request, as the gateway does once per request. */
  readonly handle: (subject: string) => void;
  readonly close: () => Promise<void>;
}

export function openHotPath(): Promise<HotPath> {
  return Promise.reject(new Error('cannot open the hot path: bench/understudy-hot-path.ts is not connected yet'));
}
