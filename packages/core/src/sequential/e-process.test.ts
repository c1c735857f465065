import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  bet,
  type EProcess,
  logEvidence,
  logSumExp,
  openEProcess,
  RESTARTABLE_FUND,
  restart,
  softplus,
  WHOLE_FUND,
} from './e-process.ts';

fc.configureGlobal({ seed: 1 });

const factor = fc.double({ min: -1e6, max: 1e6, noNaN: true });
const history = fc.array(fc.oneof(fc.constant('restart' as const), fc.tuple(factor, factor, factor)), { maxLength: 40 });

function replay(events: readonly ('restart' | readonly number[])[]): EProcess {
  const opened = openEProcess(3, RESTARTABLE_FUND);
  return events.reduce<EProcess>((process, event) => (event === 'restart' ? restart(process) : bet(process, event)), opened);
}

describe('openEProcess', () => {
  it.each([
    { name: 'its whole fund', fund: WHOLE_FUND },
    { name: 'the part that restarts leave', fund: RESTARTABLE_FUND },
  ])('begins with $name', ({ fund }) => {
    expect(Math.exp(logEvidence(openEProcess(7, fund)))).toBeCloseTo(fund, 4);
  });

  it.each([
    { alternatives: 0, fund: 1 },
    { alternatives: 1.5, fund: 1 },
    { alternatives: 1, fund: 0 },
    { alternatives: 1, fund: 1.1 },
    { alternatives: 1, fund: Number.NaN },
  ])('refuses $alternatives alternatives with a fund of $fund', ({ alternatives, fund }) => {
    expect(() => openEProcess(alternatives, fund)).toThrow(RangeError);
  });
});

describe('bet', () => {
  it('multiplies wealth alternative by alternative and averages it', () => {
    const process = bet(openEProcess(2, WHOLE_FUND), [Math.log(3), Math.log(0.5)]);
    expect(process.logWealth.map(Math.exp)).toEqual([expect.closeTo(3, 4), expect.closeTo(0.5, 4)]);
    expect(Math.exp(logEvidence(process))).toBeCloseTo(1.75, 4);
  });

  it('rounds wealth down, by less than 1e-5 nat a bet', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: -5, max: 5, noNaN: true }), { maxLength: 50 }), (factors) => {
        const process = factors.reduce((before, logFactor) => bet(before, [logFactor]), openEProcess(1, WHOLE_FUND));
        const lost = factors.reduce((sum, logFactor) => sum + logFactor, 0) - (process.logWealth[0] ?? Number.NaN);
        expect(lost).toBeGreaterThan(-1e-9);
        expect(lost).toBeLessThan(1e-5 * factors.length + 1e-9);
      }),
    );
  });

  it('changes nothing by betting nothing', () => {
    fc.assert(
      fc.property(history, (events) => {
        const process = replay(events);
        expect(bet(process, [0, 0, -0])).toEqual(process);
      }),
    );
  });

  it.each([{ factors: [1] }, { factors: [1, Number.NaN] }, { factors: [1, -Infinity] }])('refuses $factors', ({ factors }) => {
    expect(() => bet(openEProcess(2, WHOLE_FUND), factors)).toThrow(RangeError);
  });
});

describe('restart', () => {
  it('puts in 0.2 · (6/π²) / j² at the j-th restart', () => {
    const dead = bet(openEProcess(1, RESTARTABLE_FUND), [-1000]);
    const once = restart(dead);
    expect(Math.exp(logEvidence(once))).toBeCloseTo(0.121585, 5);
    expect(Math.exp(logEvidence(restart(bet(once, [-1000]))))).toBeCloseTo(0.121585 / 4, 5);
    expect(restart(once).restarts).toBe(2);
  });

  it('never puts in more than 1, however often', () => {
    let process = openEProcess(1, RESTARTABLE_FUND);
    for (let round = 0; round < 5000; round += 1) process = restart(process);
    expect(Math.exp(logEvidence(process))).toBeLessThanOrEqual(1);
    expect(Math.exp(logEvidence(process))).toBeGreaterThan(0.98);
  });

  it('does not lower wealth', () => {
    fc.assert(
      fc.property(history, (events) => {
        const process = replay(events);
        expect(logEvidence(restart(process))).toBeGreaterThanOrEqual(logEvidence(process));
      }),
    );
  });
});

it('survives JSON to the last bit, after any history', () => {
  fc.assert(
    fc.property(history, (events) => {
      const process = replay(events);
      const copy: EProcess = JSON.parse(JSON.stringify(process));
      expect(copy).toEqual(process);
      expect(logEvidence(copy)).toBe(logEvidence(process));
    }),
  );
});

describe('logSumExp', () => {
  it.each([
    { values: [], sum: -Infinity },
    { values: [0, 0], sum: Math.LN2 },
    { values: [1e9, 0], sum: 1e9 },
    { values: [-1e9, -1e9], sum: -1e9 + Math.LN2 },
    { values: [-Infinity, 3], sum: 3 },
    { values: [-Infinity], sum: -Infinity },
  ])('of $values is $sum', ({ values, sum }) => {
    expect(logSumExp(values)).toBe(sum);
  });
});

describe('softplus', () => {
  it.each([
    { x: 0, expected: Math.LN2 },
    { x: 1000, expected: 1000 },
    { x: -1000, expected: 0 },
    { x: -20, expected: 2.061_153_620_314_381e-9 },
  ])('of $x is $expected', ({ x, expected }) => {
    expect(softplus(x)).toBeCloseTo(expected, 15);
  });
});
