/** Several servers that say the same: whichever answers is asked, and it stays the one until it does not. */
import type { Attempt, Upstream } from '@understudy/feed/upkeep';

/** @param upstreams at least one */
export function rotating(upstreams: readonly Upstream[]): Upstream {
  let present = 0;
  async function ask(signal: AbortSignal, one: (upstream: Upstream) => Promise<Attempt>): Promise<Attempt> {
    let last: Attempt = { outcome: 'failed' };
    for (const _each of upstreams) {
      const upstream = upstreams[present];
      if (upstream === undefined) break;
      last = await one(upstream);
      if (last.outcome === 'heard' || signal.aborted) return last;
      present = (present + 1) % upstreams.length;
    }
    return last;
  }
  return {
    stream: (signal) => ask(signal, (upstream) => upstream.stream(signal)),
    poll: (signal) => ask(signal, (upstream) => upstream.poll(signal)),
    lost: () => upstreams[present]?.lost(),
  };
}
