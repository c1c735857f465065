import { expect, it } from 'vitest';
import { boundedText } from './bounded-text.ts';

it.each([
  { name: 'reads a body as it is', body: 'blå 🙂', text: 'blå 🙂', isWhole: true },
  { name: 'reads no body as no text', body: null, text: '', isWhole: true },
  { name: 'reads a body of just the limit', body: 'x'.repeat(10), text: 'x'.repeat(10), isWhole: true },
  { name: 'reads no further than the limit', body: 'x'.repeat(11), text: 'x'.repeat(10), isWhole: false },
])('$name', async ({ body, text, isWhole }) => {
  expect(await boundedText(new Response(body), 10)).toEqual({ text, isWhole });
});

it('lets go of a body without an end', async () => {
  let isCancelled = false;
  const endless = new ReadableStream<Uint8Array>({
    pull: (controller) => controller.enqueue(new TextEncoder().encode('blå🙂'.repeat(100))),
    cancel: () => void (isCancelled = true),
  });
  const { text, isWhole } = await boundedText(new Response(endless), 5000);
  expect([text.length, isWhole, isCancelled]).toEqual([5000, false, true]);
});
