/** Time that passes when a test says so, and a network of functions. Tests of what keeps a connection depend on it. */
import type { FeedPorts } from '@understudy/feed/ports';

export interface TestPorts extends FeedPorts {
  /** Lets time pass, and everything that it sets off happen. */
  pass(ms: number): Promise<void>;
  /** Requests as they came. */
  readonly asked: readonly { readonly path: string; readonly headers: Headers; readonly body: string }[];
}

export type Serve = (path: string, init: RequestInit, asked: number) => Response | Promise<Response>;

export function testPorts(serve: Serve): TestPorts {
  let nowMs = 1_800_000_000_000;
  const timers = new Set<{ readonly atMs: number; readonly call: () => void }>();
  const asked: { path: string; headers: Headers; body: string }[] = [];
  return {
    asked,
    nowMs: () => nowMs,
    random: () => 0.5,
    after(ms, call) {
      const timer = { atMs: nowMs + ms, call };
      timers.add(timer);
      return () => void timers.delete(timer);
    },
    async fetch(input, init = {}) {
      const { pathname } = new URL(input instanceof Request ? input.url : input);
      asked.push({ path: pathname, headers: new Headers(init.headers), body: typeof init.body === 'string' ? init.body : '' });
      return await serve(pathname, init, asked.length);
    },
    async pass(ms) {
      const endMs = nowMs + ms;
      await settle();
      for (;;) {
        const [next] = [...timers].filter(({ atMs }) => atMs <= endMs).toSorted((a, b) => a.atMs - b.atMs);
        if (next === undefined) break;
        timers.delete(next);
        nowMs = Math.max(nowMs, next.atMs);
        next.call();
        await settle();
      }
      nowMs = endMs;
      await settle();
    },
  };
}

/** Lets promises and streams run. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

/** A stream that a test writes into. */
export function openTestStream(init: RequestInit): { readonly response: Response; send(text: string): void; end(): void } {
  let controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  const body = new ReadableStream<Uint8Array>({
    start(opened) {
      controller = opened;
    },
  });
  let isOver = false;
  const over = (act: () => void): void => {
    if (!isOver) act();
    isOver = true;
  };
  init.signal?.addEventListener('abort', () => over(() => controller?.error(new Error('aborted'))));
  return {
    response: new Response(body, { status: 200, headers: { 'content-type': 'text/event-stream' } }),
    send: (text) => controller?.enqueue(new TextEncoder().encode(text)),
    end: () => over(() => controller?.close()),
  };
}
