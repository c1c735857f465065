import { describe, expect, it } from 'vitest';
import { readFlagFile, readSegmentFile } from './flag-file.ts';

const SHORT = { key: 'f', type: 'boolean', on: true, variants: [{ name: 'yes', value: true }], fallthrough: { variant: 'yes' } };

describe('readFlagFile', () => {
  it('fills in what is usual', () => {
    expect(readFlagFile(SHORT)).toEqual({
      document: { ...SHORT, prerequisites: [], pins: [], rules: [], bucketing: { profile: 'unleash', salt: 'f' } },
      revision: undefined,
    });
  });

  it('takes what `flag get` prints, in each of its forms', () => {
    const view = { flag: SHORT, revision: 7, neededBy: [], notes: [] };
    expect(readFlagFile(view)).toEqual({ ...readFlagFile(SHORT), revision: 7 });
  });

  it.each([
    { name: 'an unknown field', input: { ...SHORT, fallThrough: {} }, says: 'unknown field "fallThrough"' },
    { name: 'no flag at all', input: [], says: 'the flag cannot be used' },
    { name: 'an unknown variant', input: { ...SHORT, offVariant: 'no' }, says: 'offVariant: there is no variant "no"' },
  ])('refuses $name', ({ input, says }) => {
    expect(() => readFlagFile(input)).toThrow(says);
  });
});

describe('readSegmentFile', () => {
  it('fills in what is usual, and takes what `segment get` prints', () => {
    const whole = { key: 's', included: [], excluded: [], rules: [] };
    expect(readSegmentFile({ key: 's' })).toEqual({ document: whole, revision: undefined });
    expect(readSegmentFile({ segment: { key: 's' }, revision: 3, usedBy: [] })).toEqual({ document: whole, revision: 3 });
    expect(() => readSegmentFile({ key: 's', rule: [] })).toThrow('unknown field "rule"');
  });
});
