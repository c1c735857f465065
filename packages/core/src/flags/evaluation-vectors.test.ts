// Answers that must never change; the SDK reads the same file.
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import type { Attributes } from './context.ts';
import { compileFlags, type FlagDocuments } from './evaluator.ts';

interface Vectors {
  readonly atMs: number;
  readonly documents: FlagDocuments;
  readonly users: readonly Attributes[];
  readonly cases: readonly { readonly flag: string; readonly answers: readonly string[] }[];
}

const file = new URL('../../../../test/vectors/flag-evaluation.json', import.meta.url);
const { atMs, documents, users, cases } = JSON.parse(readFileSync(file, 'utf8')) as Vectors;

it('has an answer of every flag for every user', () => {
  expect(cases.map(({ flag }) => flag)).toEqual(documents.flags.map(({ key }) => key));
  expect(cases.filter(({ answers }) => answers.length !== users.length)).toEqual([]);
});

// Core has no regular expressions of its own: that of this one pattern stands for the library that servers and SDK bring.
const evaluator = compileFlags(documents, {
  compileRegex: () => (text) => /^\p{L}+@example\.com$/iu.test(text),
});

it.each(cases)('gives for $flag what it always gave', ({ flag, answers }) => {
  const given = users.map((user) => {
    const { variant, reason } = evaluator.evaluate(flag, { user }, { atMs, random: () => 0.5 });
    return `${variant} ${reason}`;
  });
  expect(given).toEqual(answers);
});
