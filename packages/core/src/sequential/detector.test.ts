import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Detector, detect, logDetection, openDetector } from './detector.ts';
import { LIMIT_ALTERNATIVES, limitLogFactors } from './one-sample-test.ts';

fc.configureGlobal({ seed: 1 });

const factor = fc.double({ min: -50, max: 50, noNaN: true });

function watch(blocks: number, badOf200: number, from: Detector = openDetector(LIMIT_ALTERNATIVES)): Detector {
  let detector = from;
  for (let block = 0; block < blocks; block += 1) {
    detector = detect(detector, limitLogFactors(0.05, { count: 200, bad: badOf200 }));
  }
  return detector;
}

describe('detect', () => {
  it('follows R ← (R + 1) · e', () => {
    const once = detect(openDetector(2), [Math.log(3), Math.log(0.5)]);
    expect(Math.exp(logDetection(once))).toBeCloseTo(1.75, 3);
    const twice = detect(once, [Math.log(2), Math.log(2)]);
    expect(Math.exp(logDetection(twice))).toBeCloseTo((8 + 3) / 2, 3);
  });

  it('grows by one a block where evidence stands still, which is what the average run length rests on', () => {
    let detector = openDetector(3);
    for (let block = 0; block < 100; block += 1) detector = detect(detector, [0, 0, 0]);
    expect(Math.exp(logDetection(detector))).toBeCloseTo(100, 0);
    expect(Math.exp(logDetection(detector))).toBeLessThanOrEqual(100);
  });

  it('stays calm for a day within the limit and finds what breaks it at once, however long it was calm', () => {
    const calm = watch(8640, 6);
    expect(logDetection(calm)).toBeLessThan(Math.log(100));
    expect(logDetection(watch(11, 16, calm))).toBeGreaterThan(Math.log(1e6));
    expect(logDetection(watch(1, 40, calm))).toBeGreaterThan(Math.log(1e6));
  });

  it('survives JSON to the last bit, after any history', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(factor, factor), { maxLength: 30 }), (history) => {
        const detector = history.reduce((before, factors) => detect(before, factors), openDetector(2));
        const copy: Detector = JSON.parse(JSON.stringify(detector));
        expect(copy).toEqual(detector);
        expect(logDetection(copy)).toBe(logDetection(detector));
      }),
    );
  });

  it.each([{ factors: [1] }, { factors: [1, Number.NaN] }, { factors: [Infinity, 1] }])('refuses $factors', ({ factors }) => {
    expect(() => detect(openDetector(2), factors)).toThrow(RangeError);
  });
});

it('has seen nothing before the first block', () => {
  expect(logDetection(openDetector(2))).toBe(-Infinity);
  expect(() => openDetector(0)).toThrow(RangeError);
});
