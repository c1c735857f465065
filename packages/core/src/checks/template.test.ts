import fc from 'fast-check';
import { expect, it } from 'vitest';
import { fillTemplate, templateProblems } from './template.ts';

fc.configureGlobal({ seed: 1 });

const SUBJECT = { model: 'fraud', champion: 'v1', challenger: 'v2', rollout: 'fraud-3', step: 2 };

it.each([
  { template: 'x{version="{{challenger}}"}', filled: 'x{version="v2"}' },
  { template: 'x{a="{{ champion }}",b="{{model}}",c="{{rollout}}"} > {{step}}', filled: 'x{a="v1",b="fraud",c="fraud-3"} > 2' },
  { template: 'sum(x{a="b"}) by (c)', filled: 'sum(x{a="b"}) by (c)' },
])('fills $template', ({ template, filled }) => {
  expect(fillTemplate(template, SUBJECT)).toBe(filled);
  expect(templateProblems(template)).toEqual([]);
});

it.each([
  { template: 'x{a="{{version}}"}', problem: '{{version}}' },
  { template: 'x{a="{{}}"}', problem: '{{}}' },
  { template: 'x{a="{{challenger"}', problem: 'a {{ without its }}' },
])('refuses $template', ({ template, problem }) => {
  expect(templateProblems(template).join()).toContain(problem);
});

it('lets no value end the string that it is in, whatever quotes it is in', () => {
  const parts = fc.constantFrom('"', "'", '`', '\\', '\n', '}', '{{model}}', 'a', '\u0000', '\\"');
  fc.assert(
    fc.property(fc.array(parts), fc.constantFrom('"', "'", '`'), (value, quote) => {
      const filled = fillTemplate(`${quote}{{challenger}}${quote}`, { ...SUBJECT, challenger: value.join('') });
      expect(endOfString(filled, quote)).toBe(filled.length);
    }),
  );
});

/** Where PromQL would see the end of the string that begins the text. */
function endOfString(text: string, quote: string): number {
  for (let index = 1; index < text.length; index += 1) {
    const char = text[index];
    if (char === quote) return index + 1;
    if (char === '\n' && quote !== '`') return -1;
    if (char === '\\' && quote !== '`') index += 1;
  }
  return -1;
}
