import { expect, it } from 'vitest';
import { type Answer, findingOf } from './measurement.ts';
import { DEFAULT_CHECK } from './config.ts';
import { queryCheck } from './test-checks.ts';

const value = (sample: number | '+Inf' | '-Inf', baseline?: number | '+Inf' | '-Inf'): Answer => ({
  outcome: 'value',
  value: sample,
  ...(baseline === undefined ? {} : { baseline }),
});
const line = { failAbove: { ratio: 1.5, plus: 0.01 }, warnAbove: { ratio: 1.2, plus: 0 }, baseline: 'y' };
const floor = { kind: 'prometheus', url: 'http://p', query: 'x', failBelow: 10, warnBelow: 20 } as const;

it.each([
  { name: 'below the limits', source: {}, answer: value(0.5), finding: 'pass' },
  { name: 'above where it warns', source: {}, answer: value(0.51), finding: 'warn' },
  { name: 'right on the limit', source: {}, answer: value(1), finding: 'warn' },
  { name: 'above the limit', source: {}, answer: value(1.01), finding: 'fail' },
  { name: 'more than any limit', source: {}, answer: value('+Inf'), finding: 'fail' },
  { name: 'less than any limit', source: {}, answer: value('-Inf'), finding: 'pass' },
  { name: 'within the line through the baseline', source: line, answer: value(0.12, 0.1), finding: 'pass' },
  { name: 'above the first line', source: line, answer: value(0.13, 0.1), finding: 'warn' },
  { name: 'above the second line', source: line, answer: value(0.17, 0.1), finding: 'fail' },
  { name: 'one error where the champion has none, within what is added', source: line, answer: value(0.01, 0), finding: 'warn' },
  { name: 'a line without its baseline', source: line, answer: value(0.13), finding: 'no-data' },
  {
    name: 'a line of no ratio through an infinite baseline',
    source: { failAbove: { ratio: 0, plus: 1 } },
    answer: value(2, '+Inf'),
    finding: 'no-data',
  },
  {
    name: 'a verdict where a number is asked for',
    source: {},
    answer: { outcome: 'verdict', verdict: 'fail', reason: '' },
    finding: 'no-data',
  },
  { name: 'no data', source: {}, answer: { outcome: 'no-data', reason: '' }, finding: 'no-data' },
  { name: 'an error', source: {}, answer: { outcome: 'error', reason: 'HTTP 500' }, finding: 'error' },
] satisfies readonly { name: string; source: object; answer: Answer; finding: string }[])(
  '$name is "$finding"',
  ({ source, answer, finding }) => {
    expect(findingOf(queryCheck({}, source), answer)).toBe(finding);
  },
);

it.each([
  { sample: 9, finding: 'fail' },
  { sample: 10, finding: 'warn' },
  { sample: 20, finding: 'pass' },
] as const)('$sample is "$finding" where it fails below 10 and warns below 20', ({ sample, finding }) => {
  expect(findingOf({ source: floor }, value(sample))).toBe(finding);
});

it.each(['pass', 'fail', 'undecided'] as const)('takes the verdict "%s" of a webhook as it is', (verdict) => {
  const source = { kind: 'webhook', url: 'http://desk' } as const;
  expect(findingOf({ ...DEFAULT_CHECK, source }, { outcome: 'verdict', verdict, reason: '' })).toBe(verdict);
  expect(findingOf({ ...DEFAULT_CHECK, source }, value(5))).toBe('no-data');
});
