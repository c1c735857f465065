import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readEvents, type ServerEvent } from './event-stream.ts';

interface Read {
  readonly events: readonly ServerEvent[];
  readonly retries: readonly number[];
  readonly error: unknown;
}

/** Reads pieces of bytes; time passes only when a test says so. */
async function read(
  pieces: readonly Uint8Array[],
  more: { maxLength?: number; isOpen?: boolean; isIdle?: boolean } = {},
): Promise<Read> {
  const events: ServerEvent[] = [];
  const retries: number[] = [];
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const piece of pieces) controller.enqueue(piece);
      if (more.isOpen !== true) controller.close();
    },
  });
  const error = await readEvents(body, {
    signal: new AbortController().signal,
    idleMs: 45_000,
    maxLength: more.maxLength ?? 1000,
    after(_ms, call) {
      if (more.isIdle === true) setTimeout(call);
      return () => undefined;
    },
    onEvent: (event) => void events.push(event),
    onBytes: () => undefined,
    onRetry: (ms) => void retries.push(ms),
  }).then(
    () => undefined,
    (problem: unknown) => problem,
  );
  return { events, retries, error };
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

it.each([
  {
    name: 'reads an event with its id',
    text: 'id: 7\nevent: snapshot\ndata: {}\n\n',
    events: [{ event: 'snapshot', data: '{}', id: '7' }],
  },
  { name: 'takes lines that end in CR LF', text: 'event: a\r\ndata: x\r\n\r\n', events: [{ event: 'a', data: 'x', id: '' }] },
  { name: 'joins lines of data', text: 'data: a\ndata: b\n\n', events: [{ event: 'message', data: 'a\nb', id: '' }] },
  {
    name: 'keeps the id for events without one',
    text: 'id: 1\ndata: a\n\ndata: b\n\n',
    events: [
      { event: 'message', data: 'a', id: '1' },
      { event: 'message', data: 'b', id: '1' },
    ],
  },
  {
    name: 'passes over comments and unknown fields',
    text: ':\n\n: hi\nother: 1\ndata:a\n\n',
    events: [{ event: 'message', data: 'a', id: '' }],
  },
  { name: 'gives nothing for an event that has not ended', text: 'data: a\n', events: [] },
  { name: 'gives nothing for an event without data', text: 'event: a\n\n', events: [] },
])('$name', async ({ text, events }) => {
  expect((await read([bytes(text)])).events).toEqual(events);
});

it('reads the same wherever the bytes are cut, also inside of a character', async () => {
  const text = 'retry: 700\n\nid: 1\nevent: snapshot\ndata: {"a":"blå 🙂"}\n\n:\n\nid: 2\r\ndata: x\r\n\r\n';
  const whole = await read([bytes(text)]);
  expect(whole.events).toHaveLength(2);
  expect(whole.retries).toEqual([700]);
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(bytes(text).length), { maxLength: 8 }), async (cuts) => {
      const all = bytes(text);
      const places = [0, ...cuts.toSorted((a, b) => a - b), all.length];
      const pieces = places.slice(1).map((end, index) => all.slice(places[index], end));
      expect((await read(pieces)).events).toEqual(whole.events);
    }),
    { numRuns: 100 },
  );
});

describe('a stream that cannot be read', () => {
  it('is given up when an event is too long', async () => {
    const { error } = await read([bytes(`data: ${'x'.repeat(600)}`), bytes('x'.repeat(600))]);
    expect(String(error)).toContain('longer than 1000');
  });

  it('is given up when nothing comes for too long', async () => {
    const { error } = await read([], { isOpen: true, isIdle: true });
    expect(String(error)).toContain('nothing came for 45000 ms');
  });
});
