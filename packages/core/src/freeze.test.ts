import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { freezeAt, type FreezeTimes, type FreezeWindow, isWithin, type ReadLocalTime, WEEKDAYS } from './freeze.ts';

/** Local time by the runtime's own database, written another way than the server's: from the parts of a date. */
const localTime: ReadLocalTime = (atMs, timezone) => {
  const text = new Date(atMs).toLocaleString('sv-SE', { timeZone: timezone });
  const [date = '', clock = ''] = text.split(' ');
  const [hours = '', minutes = ''] = clock.split(':');
  const day = (new Date(`${date}T00:00:00Z`).getUTCDay() + 6) % 7;
  return { weekday: WEEKDAYS[day] ?? 'mon', minute: Number(hours) * 60 + Number(minutes) };
};

const at = (text: string): number => Date.parse(text);
const clock = (text: string): number => Number(text.slice(0, 2)) * 60 + Number(text.slice(3));

function weekly(days: string, hours: string, timezone = 'Europe/Berlin'): FreezeTimes {
  const [from = '', to = ''] = hours.split('-');
  const wanted = WEEKDAYS.filter((day) => days.includes(day));
  return { kind: 'weekly', days: wanted, fromMinute: clock(from), toMinute: clock(to), timezone };
}

function windowOf(times: FreezeTimes, more: Partial<FreezeWindow> = {}): FreezeWindow {
  return { name: 'w', times, reason: 'because', setBy: 'ana', setAtMs: 0, ...more };
}

const FRIDAY = weekly('fri sat', '16:00-24:00');
const NIGHT = weekly('fri', '22:00-06:00');
const CHRISTMAS: FreezeTimes = { kind: 'dates', fromMs: at('2026-12-24T00:00Z'), untilMs: at('2026-12-27T00:00Z') };

it.each([
  { name: 'is open before the window', times: FRIDAY, when: '2026-11-20T14:59Z', expected: false },
  { name: 'is closed from its first minute', times: FRIDAY, when: '2026-11-20T15:00Z', expected: true },
  { name: 'is closed in its last second', times: FRIDAY, when: '2026-11-20T22:59:59.999Z', expected: true },
  { name: 'is open again at midnight', times: FRIDAY, when: '2026-11-20T23:00Z', expected: false },
  { name: 'is open on other days', times: FRIDAY, when: '2026-11-22T17:00Z', expected: false },
  { name: 'follows summer time', times: FRIDAY, when: '2026-07-03T14:00Z', expected: true },
  { name: 'goes on after midnight', times: NIGHT, when: '2026-11-21T04:59Z', expected: true },
  { name: 'ends in the morning of the day after', times: NIGHT, when: '2026-11-21T05:00Z', expected: false },
  { name: 'does not begin on the day after', times: NIGHT, when: '2026-11-21T22:00Z', expected: false },
  {
    name: 'knows the day of the zone, not of UTC',
    times: weekly('sat', '00:00-24:00', 'Pacific/Auckland'),
    when: '2026-11-20T12:00Z',
    expected: true,
  },
  { name: 'closes between dates', times: CHRISTMAS, when: '2026-12-24T00:00Z', expected: true },
  { name: 'opens at the end of dates', times: CHRISTMAS, when: '2026-12-27T00:00Z', expected: false },
])('$name', ({ times, when, expected }) => {
  expect(isWithin(times, at(when), localTime)).toBe(expected);
});

describe('until when', () => {
  // Berlin turns clocks forward on 2026-03-29 at 01:00Z (02:00 → 03:00) and back on 2026-10-25 at 01:00Z (03:00 → 02:00).
  it.each([
    { name: 'says when the window ends', times: [FRIDAY], when: '2026-11-20T15:00:30Z', until: '2026-11-20T23:00Z' },
    { name: 'goes on over midnight', times: [NIGHT], when: '2026-11-20T21:30Z', until: '2026-11-21T05:00Z' },
    {
      name: 'puts windows one after another together',
      times: [weekly('fri', '16:00-24:00'), weekly('sat sun', '00:00-24:00')],
      when: '2026-11-20T16:00Z',
      until: '2026-11-22T23:00Z',
    },
    {
      name: 'is an hour shorter when clocks go forward',
      times: [weekly('sat', '20:00-06:00')],
      when: '2026-03-28T20:00Z',
      until: '2026-03-29T04:00Z',
    },
    {
      name: 'is an hour longer when clocks go back',
      times: [weekly('sat', '20:00-06:00')],
      when: '2026-10-24T20:00Z',
      until: '2026-10-25T05:00Z',
    },
    {
      name: 'ends where clocks jump over its end',
      times: [weekly('sun', '00:30-02:30')],
      when: '2026-03-29T00:00Z',
      until: '2026-03-29T01:00Z',
    },
    {
      name: 'ends the first time that clocks show its end',
      times: [weekly('sun', '00:30-02:30')],
      when: '2026-10-25T00:00Z',
      until: '2026-10-25T00:30Z',
    },
    {
      name: 'holds again when clocks show it a second time',
      times: [weekly('sun', '00:30-02:30')],
      when: '2026-10-25T01:10Z',
      until: '2026-10-25T01:30Z',
    },
    {
      name: 'goes on from dates into a window',
      times: [CHRISTMAS, weekly('sun', '00:00-12:00', 'UTC')],
      when: '2026-12-26T12:00Z',
      until: '2026-12-27T12:00Z',
    },
  ])('$name', ({ times, when, until }) => {
    const freeze = freezeAt({ windows: times.map((one) => windowOf(one)) }, { model: 'm', atMs: at(when) }, localTime);
    expect(freeze?.untilMs === undefined ? undefined : new Date(freeze.untilMs).toISOString()).toBe(
      new Date(at(until)).toISOString(),
    );
  });

  it('is not known of a week without a gap', () => {
    const always = windowOf(weekly(WEEKDAYS.join(), '00:00-24:00'));
    expect(freezeAt({ windows: [always] }, { model: 'm', atMs: at('2026-11-20T15:00Z') }, localTime)).toEqual({
      name: 'w',
      reason: 'because',
    });
  });

  it('is the first free minute, whatever the window, the zone and the moment', () => {
    const minute = fc.integer({ min: 0, max: 1439 });
    const zone = fc.constantFrom('Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe', 'Asia/Kathmandu', 'UTC');
    const moment = fc.integer({ min: at('2026-03-01T00:00Z'), max: at('2026-11-30T00:00Z') });
    fc.assert(
      fc.property(fc.tuple(minute, minute), zone, moment, ([fromMinute, to], timezone, atMs) => {
        const times: FreezeTimes = { kind: 'weekly', days: ['sat', 'sun'], fromMinute, toMinute: to + 1, timezone };
        const freeze = freezeAt({ windows: [windowOf(times)] }, { model: 'm', atMs }, localTime);
        expect(freeze !== undefined).toBe(isWithin(times, atMs, localTime));
        if (freeze?.untilMs === undefined) return;
        expect(isWithin(times, freeze.untilMs, localTime)).toBe(false);
        expect(isWithin(times, freeze.untilMs - 60_000, localTime)).toBe(true);
      }),
      { numRuns: 150 },
    );
  });
});

describe('who is frozen', () => {
  const atMs = at('2026-12-25T00:00Z');
  it.each([
    { name: 'every model, unless models are named', models: undefined, model: 'fraud', expected: 'w' },
    { name: 'a model that is named', models: ['fraud'], model: 'fraud', expected: 'w' },
    { name: 'no other model', models: ['fraud'], model: 'churn', expected: undefined },
  ])('$name', ({ models, model, expected }) => {
    const window = windowOf(CHRISTMAS, models === undefined ? {} : { models });
    expect(freezeAt({ windows: [window] }, { model, atMs }, localTime)?.name).toBe(expected);
  });

  it('everybody while the line is stopped, until somebody lifts it', () => {
    const rules = { windows: [], stopped: { atMs: 1, by: 'token:ana', reason: 'incident' } };
    expect(freezeAt(rules, { model: 'any', atMs }, localTime)).toEqual({
      name: 'stop-the-line',
      reason: 'token:ana stopped the line: incident',
    });
  });
});
