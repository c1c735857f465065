import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EMPTY_TALLY, mergeTallies } from './evidence.ts';
import { addToWindow, EMPTY_WINDOW, newestOf, type SampleWindow, type WindowBlock } from './sample-window.ts';

fc.configureGlobal({ seed: 1 });

function blockOf(startMs: number, requests: number, errors = 0): WindowBlock {
  const tally = { ...EMPTY_TALLY, requests, errors, latency: requests === 0 ? [] : [[startMs % 1024, requests] as const] };
  return { startMs, tally };
}

function windowOf(blocks: readonly WindowBlock[], capacity: number): SampleWindow {
  return blocks.reduce((window, block) => addToWindow(window, block, capacity), EMPTY_WINDOW);
}

const requestsOf = (window: SampleWindow) => window.map(({ startMs, tally }) => [startMs, tally.requests]);
const capacities = fc.integer({ min: 1, max: 200 });
/** Few distinct times, so that several gateways report the same interval. */
const blocks = fc.array(
  fc.tuple(fc.nat(40), fc.nat(60)).map(([second, requests]) => blockOf(second * 1000, requests, requests % 3)),
  { maxLength: 60 },
);
const inTwoOrders = blocks.chain((list) =>
  fc.tuple(fc.constant(list), fc.shuffledSubarray(list, { minLength: list.length, maxLength: list.length })),
);

describe('addToWindow', () => {
  it.each([
    {
      name: 'keeps everything below its capacity',
      add: [
        [1, 3],
        [2, 4],
      ],
      kept: [
        [1, 3],
        [2, 4],
      ],
    },
    {
      name: 'keeps whole blocks',
      add: [
        [1, 8],
        [2, 9],
      ],
      kept: [
        [1, 8],
        [2, 9],
      ],
    },
    {
      name: 'drops what is not needed any more',
      add: [
        [1, 8],
        [2, 10],
      ],
      kept: [[2, 10]],
    },
    {
      name: 'keeps a block larger than its capacity',
      add: [
        [1, 5],
        [2, 500],
      ],
      kept: [[2, 500]],
    },
    {
      name: 'ignores blocks without a request',
      add: [
        [1, 5],
        [2, 0],
      ],
      kept: [[1, 5]],
    },
    {
      name: 'puts a late block into its place',
      add: [
        [1, 2],
        [3, 2],
        [2, 5],
      ],
      kept: [
        [1, 2],
        [2, 5],
        [3, 2],
      ],
    },
    {
      name: 'drops a late block that is too old',
      add: [
        [2, 4],
        [3, 6],
        [1, 5],
      ],
      kept: [
        [2, 4],
        [3, 6],
      ],
    },
    {
      name: 'drops old blocks when a late one fills it',
      add: [
        [1, 2],
        [3, 4],
        [2, 6],
      ],
      kept: [
        [2, 6],
        [3, 4],
      ],
    },
    {
      name: 'keeps all that gateways saw in one interval',
      add: [
        [1, 10],
        [1, 10],
      ],
      kept: [[1, 20]],
    },
  ])('$name (capacity 10)', ({ add, kept }) => {
    const window = windowOf(
      add.map(([startMs = 0, requests = 0]) => blockOf(startMs, requests)),
      10,
    );
    expect(requestsOf(window)).toEqual(kept);
  });

  it('holds its capacity, or everything when less was seen', () => {
    fc.assert(
      fc.property(blocks, capacities, (list, capacity) => {
        const seen = list.reduce((sum, block) => sum + block.tally.requests, 0);
        const held = newestOf(windowOf(list, capacity), capacity).requests;
        expect(held).toBeGreaterThanOrEqual(Math.min(seen, capacity));
      }),
    );
  });

  it('does not depend on the order in which blocks arrive', () => {
    fc.assert(
      fc.property(inTwoOrders, capacities, ([inOrder, shuffled], capacity) => {
        expect(windowOf(shuffled, capacity)).toEqual(windowOf(inOrder, capacity));
      }),
    );
  });

  it('is what the newest blocks of all would be', () => {
    fc.assert(
      fc.property(blocks, capacities, (list, capacity) => {
        const everything = windowOf(list, Number.MAX_SAFE_INTEGER);
        expect(newestOf(windowOf(list, capacity), capacity)).toEqual(newestOf(everything, capacity));
      }),
    );
  });

  it('never holds more blocks than its capacity, however many were seen', () => {
    fc.assert(
      fc.property(blocks, fc.integer({ min: 1, max: 10 }), (list, capacity) => {
        expect(windowOf(list, capacity).length).toBeLessThanOrEqual(capacity);
      }),
    );
    const many = Array.from({ length: 5000 }, (_, index) => blockOf(index, 1));
    expect(windowOf(many, 100)).toHaveLength(100);
  });

  it('stays in order of time', () => {
    fc.assert(
      fc.property(blocks, capacities, (list, capacity) => {
        const times = windowOf(list, capacity).map(({ startMs }) => startMs);
        expect(times).toEqual(times.toSorted((a, b) => a - b));
      }),
    );
  });

  it('leaves the window it adds to as it was', () => {
    const before = windowOf([blockOf(2, 5)], 10);
    addToWindow(before, blockOf(1, 5), 10);
    addToWindow(before, blockOf(2, 5), 10);
    expect(requestsOf(before)).toEqual([[2, 5]]);
  });

  it('survives JSON unchanged', () => {
    const window = windowOf([blockOf(3, 5), blockOf(1, 2)], 10);
    expect(JSON.parse(JSON.stringify(window))).toEqual(window);
  });
});

describe('newestOf', () => {
  const window = windowOf([blockOf(1, 10, 1), blockOf(2, 10, 2), blockOf(3, 10, 4)], 30);

  it.each([
    { capacity: 1, requests: 10, errors: 4 },
    { capacity: 10, requests: 10, errors: 4 },
    { capacity: 11, requests: 20, errors: 6 },
    { capacity: 30, requests: 30, errors: 7 },
    { capacity: 1000, requests: 30, errors: 7 },
  ])('sums the newest blocks that hold $capacity requests', ({ capacity, requests, errors }) => {
    expect(newestOf(window, capacity)).toMatchObject({ requests, errors });
  });

  it('is the empty tally of an empty window', () => {
    expect(newestOf(EMPTY_WINDOW, 10)).toEqual(EMPTY_TALLY);
  });

  it('is the sum of all blocks when they are needed', () => {
    fc.assert(
      fc.property(blocks, (list) => {
        const sum = list.reduce((total, block) => mergeTallies(total, block.tally), EMPTY_TALLY);
        expect(newestOf(windowOf(list, 1_000_000), 1_000_000)).toEqual(sum);
      }),
    );
  });
});
