import fc from 'fast-check';
import { expect, it } from 'vitest';
import { openOutcomeWindow, type PairedOutcomes } from './outcome-window.ts';

const SLOT_MS = 100;
const SLOTS = 10;

const event = fc.record({
  waitMs: fc.integer({ min: 0, max: 400 }),
  arm: fc.constantFrom('champion' as const, 'challenger' as const),
  isFailure: fc.boolean(),
});

/** The same by keeping everything: slow, and plainly right. */
function countedByHand(events: readonly { atMs: number; arm: keyof PairedOutcomes; isFailure: boolean }[], nowMs: number) {
  const first = Math.floor(nowMs / SLOT_MS) - SLOTS + 1;
  const of = (arm: keyof PairedOutcomes) => {
    const inside = events.filter((each) => each.arm === arm && Math.floor(each.atMs / SLOT_MS) >= first);
    return { requests: inside.length, failures: inside.filter((each) => each.isFailure).length };
  };
  return { champion: of('champion'), challenger: of('challenger') };
}

it('counts what ended within its slots, whatever the gaps', () => {
  fc.assert(
    fc.property(fc.array(event, { maxLength: 100 }), fc.integer({ min: 0, max: 2000 }), (steps, restMs) => {
      const window = openOutcomeWindow(SLOT_MS, SLOTS);
      let atMs = 1_000_000;
      const events = steps.map(({ waitMs, ...rest }) => ({ ...rest, atMs: (atMs += waitMs) }));
      for (const each of events) window.add(each.atMs, each.arm, each.isFailure);
      expect(window.seen(atMs + restMs)).toEqual(countedByHand(events, atMs + restMs));
    }),
  );
});

it('counts time that goes back in the newest slot, and forgets all when cleared', () => {
  const window = openOutcomeWindow(SLOT_MS, SLOTS);
  window.add(5000, 'challenger', true);
  window.add(1000, 'challenger', false);
  expect(window.seen(5000).challenger).toEqual({ requests: 2, failures: 1 });
  window.clear();
  expect(window.seen(5000).challenger).toEqual({ requests: 0, failures: 0 });
});
