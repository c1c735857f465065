/** Time that passes only when nobody has anything left to do. Everything in a simulation waits for it and for nothing else. */

/** A single thread of events. Two events at the same moment happen in the order in which they were planned. */
export interface VirtualTime {
  /** Milliseconds since the beginning. */
  nowMs(): number;
  /** Runs something so many milliseconds from now. */
  after(ms: number, run: () => void): void;
  sleep(ms: number): Promise<void>;
  /** The next pause between two events is a turn of the real event loop: for work that yields with `setImmediate`. */
  yieldOnce(): void;
  /** Lets time pass until there are no more events, or the next one is later than this. */
  runUntil(ms: number): Promise<void>;
}

interface Planned {
  readonly atMs: number;
  readonly sequence: number;
  readonly run: () => void;
}

export function openVirtualTime(): VirtualTime {
  const heap: Planned[] = [];
  let nowMs = 0;
  let planned = 0;
  let isYielding = false;

  const after = (ms: number, run: () => void): void => {
    planned += 1;
    push(heap, { atMs: nowMs + Math.max(0, ms), sequence: planned, run });
  };
  return {
    nowMs: () => nowMs,
    after,
    sleep: (ms) => new Promise((resolve) => after(ms, resolve)),
    yieldOnce() {
      isYielding = true;
    },
    async runUntil(ms) {
      await settle();
      for (let next = heap[0]; next !== undefined && next.atMs <= ms; next = heap[0]) {
        pop(heap);
        nowMs = next.atMs;
        next.run();
        await settle();
        if (isYielding) {
          isYielding = false;
          await turn();
        }
      }
      nowMs = Math.max(nowMs, ms);
    },
  };
}

/** Resolves when every promise that could settle without time has settled: Node empties its microtasks before each next tick. */
function settle(): Promise<void> {
  return new Promise((resolve) => process.nextTick(resolve));
}

/** Two turns of the real event loop: whoever waited for `setImmediate` goes on in the first. */
async function turn(): Promise<void> {
  for (let times = 0; times < 2; times += 1) await new Promise((resolve) => setImmediate(resolve));
}

function isBefore(one: Planned, other: Planned): boolean {
  return one.atMs < other.atMs || (one.atMs === other.atMs && one.sequence < other.sequence);
}

function push(heap: Planned[], event: Planned): void {
  let place = heap.length;
  heap.push(event);
  while (place > 0) {
    const parent = (place - 1) >> 1;
    const above = heap[parent];
    if (above === undefined || !isBefore(event, above)) break;
    heap[place] = above;
    place = parent;
  }
  heap[place] = event;
}

function pop(heap: Planned[]): void {
  const moved = heap.pop();
  if (moved === undefined || heap.length === 0) return;
  let place = 0;
  for (;;) {
    let child = 2 * place + 1;
    const [left, right] = [heap[child], heap[child + 1]];
    if (left === undefined) break;
    let least = left;
    if (right !== undefined && isBefore(right, left)) {
      least = right;
      child += 1;
    }
    if (!isBefore(least, moved)) break;
    heap[place] = least;
    place = child;
  }
  heap[place] = moved;
}
