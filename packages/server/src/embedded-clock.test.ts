import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Clock } from './clock.ts';
import { openEmbeddedClock } from './embedded-clock.ts';
import { bootIdOf, openTimeNote } from './time-note.ts';

const HOUR_MS = 3_600_000;
const YEAR_MS = 365 * 24 * HOUR_MS;
const BEGAN_MS = 1_700_000_000_000;

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'understudy-time-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** A machine that counts, with a clock that can be set, and a store that remembers what it was told. */
function openMachine() {
  const machine = { passedMs: 0, bootedAtMs: 0, boots: 1, setByMs: 0, newestMs: -Infinity, isOnTrial: true };
  const warned: string[] = [];
  const start = async (): Promise<Clock> =>
    openEmbeddedClock({
      note: openTimeNote(join(folder, 'time'), machine.boots === 0 ? undefined : `boot ${machine.boots}`),
      machine: { nowMs: () => machine.passedMs - machine.bootedAtMs },
      wall: { nowMs: () => BEGAN_MS + machine.passedMs + machine.setByMs },
      newestMs: async () => machine.newestMs,
      isAnythingOnTrial: async () => machine.isOnTrial,
      log: { warn: (fields, event) => warned.push(`${event} ${JSON.stringify(fields)}`) },
    });
  const boot = (): void => {
    machine.boots += 1;
    machine.bootedAtMs = machine.passedMs;
  };
  return { machine, warned, start, boot };
}

const SET = [
  { name: 'an hour ahead', byMs: HOUR_MS },
  { name: 'an hour back', byMs: -HOUR_MS },
  { name: 'a year ahead', byMs: YEAR_MS },
  { name: 'a year back', byMs: -YEAR_MS },
];

describe('the clock of a store that is a file', () => {
  it('says what the machine says at first', async () => {
    const { start, warned } = openMachine();
    expect((await start()).nowMs()).toBe(BEGAN_MS);
    expect(warned).toEqual([]);
  });

  it.each(SET)('goes on by what really passed when it is set $name while nobody runs, and says so', async ({ byMs }) => {
    const { machine, warned, start } = openMachine();
    await start();
    machine.passedMs += 5000;
    machine.setByMs = byMs;
    const clock = await start();
    expect(clock.nowMs()).toBe(BEGAN_MS + 5000);
    expect(warned).toEqual([`clock.not_followed {"setByMs":${byMs}}`]);
    machine.passedMs += 1000;
    expect((await start()).nowMs()).toBe(BEGAN_MS + 6000);
    // Set while a process runs: not its business.
    machine.setByMs = 0;
    expect(clock.nowMs()).toBe(BEGAN_MS + 6000);
  });

  it('goes on although it stands still', async () => {
    const { machine, start } = openMachine();
    await start();
    machine.passedMs += 90_000;
    machine.setByMs = -90_000;
    expect((await start()).nowMs()).toBe(BEGAN_MS + 90_000);
  });

  it('follows the machine ahead when nothing is on trial, and never back', async () => {
    const { machine, warned, start } = openMachine();
    await start();
    machine.isOnTrial = false;
    machine.setByMs = HOUR_MS;
    expect((await start()).nowMs()).toBe(BEGAN_MS + HOUR_MS);
    expect(warned).toEqual([]);
    machine.setByMs = 0;
    expect((await start()).nowMs()).toBe(BEGAN_MS + HOUR_MS);
  });

  it.each([
    { name: 'back', byMs: -HOUR_MS, expected: 20_000 },
    { name: 'right', byMs: 0, expected: 60_000 },
  ])('goes on with what is stored after the machine booted with a clock that is $name', async ({ byMs, expected }) => {
    const { machine, start, boot } = openMachine();
    await start();
    machine.newestMs = BEGAN_MS + 20_000;
    machine.passedMs += 60_000;
    boot();
    machine.setByMs = byMs;
    expect((await start()).nowMs()).toBe(BEGAN_MS + expected);
    machine.passedMs += 1000;
    expect((await start()).nowMs()).toBe(BEGAN_MS + expected + 1000);
  });

  it('is never before what is stored, where the system does not tell when it booted', async () => {
    const { machine, start } = openMachine();
    machine.boots = 0;
    await start();
    expect(() => readFileSync(join(folder, 'time'))).toThrow('ENOENT');
    machine.newestMs = BEGAN_MS + 3000;
    machine.setByMs = -HOUR_MS;
    expect((await start()).nowMs()).toBe(BEGAN_MS + 3000);
  });

  it.each(['', '{"bootId":"boot 1"', '{"bootId":"boot 1","offsetMs":"x"}'])(
    'reads the machine’s clock when its note is %j',
    async (text) => {
      const { machine, start } = openMachine();
      await start();
      writeFileSync(join(folder, 'time'), text);
      machine.setByMs = 2000;
      expect((await start()).nowMs()).toBe(BEGAN_MS + 2000);
    },
  );

  it.runIf(process.platform === 'linux')('knows one start of the machine from another', () => {
    expect(bootIdOf()).toMatch(/^[0-9a-f-]{36}$/);
  });

  it('never goes back, and is at most a second ahead of what passed for each start on trial', async () => {
    const step = fc.record({
      passesMs: fc.nat({ max: 100_000 }),
      setByMs: fc.oneof(fc.integer({ min: -2 * YEAR_MS, max: 2 * YEAR_MS }), fc.integer({ min: -3000, max: 3000 })),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 20 }), async (steps) => {
        rmSync(join(folder, 'time'), { force: true });
        const { machine, start } = openMachine();
        let before = { atMs: (await start()).nowMs(), passedMs: 0 };
        for (const { passesMs, setByMs } of steps) {
          machine.passedMs += passesMs;
          machine.setByMs = setByMs;
          const atMs = (await start()).nowMs();
          const tookMs = atMs - before.atMs;
          const reallyMs = machine.passedMs - before.passedMs;
          expect(tookMs).toBeGreaterThanOrEqual(reallyMs);
          expect(tookMs).toBeLessThanOrEqual(reallyMs + 1000);
          before = { atMs, passedMs: machine.passedMs };
        }
      }),
      { seed: 16, numRuns: 200 },
    );
  });
});
