import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { beginSchedule, takeDue } from './traffic-schedule.ts';

describe('takeDue', () => {
  it.each([
    { name: 'sends nothing before the first request is due', perSecond: 100, afterMs: 9, room: 10, send: 0, skipped: 0 },
    { name: 'sends what has come due', perSecond: 100, afterMs: 20, room: 10, send: 2, skipped: 0 },
    { name: 'skips what has no room', perSecond: 100, afterMs: 50, room: 3, send: 3, skipped: 2 },
    { name: 'skips everything when nothing more may be in flight', perSecond: 100, afterMs: 50, room: -1, send: 0, skipped: 5 },
    {
      name: 'sends a quarter of a second at most after a long pause',
      perSecond: 100,
      afterMs: 10_000,
      room: 999,
      send: 25,
      skipped: 975,
    },
    { name: 'sends nothing at rate 0', perSecond: 0, afterMs: 10_000, room: 10, send: 0, skipped: 0 },
  ])('$name', ({ perSecond, afterMs, room, send, skipped }) => {
    expect(takeDue(beginSchedule(perSecond, 5000), 5000 + afterMs, room)).toMatchObject({ send, skipped });
  });

  it('settles every request once, however often it is asked', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1000 }),
        fc.array(fc.integer({ min: 0, max: 400 }), { minLength: 1 }),
        (perSecond, pauses) => {
          let schedule = beginSchedule(perSecond, 0);
          let [atMs, settled] = [0, 0];
          for (const pauseMs of pauses) {
            atMs += pauseMs;
            const due = takeDue(schedule, atMs, 50);
            settled += due.send + due.skipped;
            schedule = due.next;
          }
          expect(settled).toBe(Math.floor((atMs * perSecond) / 1000));
        },
      ),
    );
  });
});
