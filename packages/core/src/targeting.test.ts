import { describe, expect, it } from 'vitest';
import { type Condition, isMet, matchRule, type RequestField, type RoutingRule } from './targeting.ts';

const field: RequestField = { from: 'header', name: 'x-country' };

describe('isMet', () => {
  it.each<{ readonly is: Pick<Condition, 'operator' | 'values'>; readonly text: string | undefined; readonly expected: boolean }>(
    [
      { is: { operator: 'in', values: ['de', 'fr'] }, text: 'de', expected: true },
      { is: { operator: 'in', values: ['de', 'fr'] }, text: 'DE', expected: false },
      { is: { operator: 'in', values: ['de', 'fr'] }, text: 'd', expected: false },
      { is: { operator: 'in', values: [] }, text: 'de', expected: false },
      { is: { operator: 'in', values: ['undefined', ''] }, text: undefined, expected: false },
      { is: { operator: 'in', values: [''] }, text: '', expected: true },
      { is: { operator: 'not-in', values: ['de', 'fr'] }, text: 'us', expected: true },
      { is: { operator: 'not-in', values: ['de', 'fr'] }, text: 'de', expected: false },
      { is: { operator: 'not-in', values: ['de'] }, text: undefined, expected: true },
      { is: { operator: 'not-in', values: [] }, text: 'de', expected: true },
      { is: { operator: 'starts-with', values: ['staff-', 'bot-'] }, text: 'bot-7', expected: true },
      { is: { operator: 'starts-with', values: ['staff-'] }, text: 'my-staff-', expected: false },
      { is: { operator: 'starts-with', values: [] }, text: 'staff-', expected: false },
      { is: { operator: 'starts-with', values: [''] }, text: undefined, expected: false },
      { is: { operator: 'ends-with', values: ['@example.org'] }, text: 'ann@example.org', expected: true },
      { is: { operator: 'ends-with', values: ['@example.org'] }, text: '@example.org.evil', expected: false },
      { is: { operator: 'ends-with', values: [''] }, text: undefined, expected: false },
      { is: { operator: 'contains', values: ['beta'] }, text: 'a-beta-b', expected: true },
      { is: { operator: 'contains', values: ['beta'] }, text: 'bet', expected: false },
      { is: { operator: 'contains', values: ['.*'] }, text: 'anything', expected: false },
      { is: { operator: 'contains', values: ['a'] }, text: undefined, expected: false },
      { is: { operator: 'present', values: [] }, text: '', expected: true },
      { is: { operator: 'present', values: [] }, text: 'x', expected: true },
      { is: { operator: 'present', values: [] }, text: undefined, expected: false },
      { is: { operator: 'absent', values: [] }, text: undefined, expected: true },
      { is: { operator: 'absent', values: [] }, text: '', expected: false },
    ],
  )('$is.operator $is.values of $text is $expected', ({ is, text, expected }) => {
    expect(isMet({ field, ...is }, text)).toBe(expected);
  });
});

describe('matchRule', () => {
  const country = (...values: readonly string[]): Condition => ({ field, operator: 'in', values });
  const beta: Condition = { field: { from: 'cookie', name: 'beta' }, operator: 'present', values: [] };
  const ruleOf = (id: string, all: readonly Condition[]): RoutingRule => ({ id, all, serve: 'challenger' });
  const rules = [ruleOf('both', [country('de'), beta]), ruleOf('country', [country('de', 'fr')]), ruleOf('beta', [beta])];

  it.each([
    { name: 'the first of several', header: 'de', cookie: '1', id: 'both' },
    { name: 'one that asks for less', header: 'de', cookie: undefined, id: 'country' },
    { name: 'a later one', header: 'us', cookie: '', id: 'beta' },
    { name: 'none', header: 'us', cookie: undefined, id: undefined },
  ])('finds $name', ({ header, cookie, id }) => {
    expect(matchRule(rules, (asked) => (asked.from === 'header' ? header : cookie))?.id).toBe(id);
  });

  it('finds nothing without rules', () => {
    expect(matchRule([], () => 'x')).toBeUndefined();
  });
});
