/** A promise that is kept once: when there is something to say, or when nobody wants to wait any longer. */
import type { FeedPorts } from '@understudy/feed/ports';

export interface Readiness<Status> {
  /** Never rejects. */
  readonly ready: Promise<Status>;
  /** Says that the first attempt is over, however it went. */
  settle(): void;
}

export function openReadiness<Status>(
  status: () => Status,
  { withinMs, after }: Pick<FeedPorts, 'after'> & { readonly withinMs: number },
): Readiness<Status> {
  const { promise, resolve } = deferred<Status>();
  const settle = (): void => {
    cancel();
    resolve(status());
  };
  const cancel = after(withinMs, settle);
  return { ready: promise, settle };
}

/** `Promise.withResolvers` is not in Node 20. */
function deferred<T>(): { readonly promise: Promise<T>; readonly resolve: (value: T) => void } {
  const parts: { resolve?: (value: T) => void } = {};
  const promise = new Promise<T>((resolve) => {
    parts.resolve = resolve;
  });
  return { promise, resolve: (value) => parts.resolve?.(value) };
}
