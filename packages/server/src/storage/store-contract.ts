/** What every backend must do. A backend is done when this passes for it; its own test file calls it. */
import { describe } from 'vitest';
import { testCommits } from './commits.contract.ts';
import { testEvidence } from './evidence.contract.ts';
import { testFeedback } from './feedback.contract.ts';
import { testJournal } from './journal.contract.ts';
import { testAgainstModel } from './model.contract.ts';
import type { OpenStore } from './samples.contract.ts';

// Enough to meet every outcome many times over, and a second of tests.
const MODEL_RUNS = 60;

/**
 * @param name of the backend, for the titles of the tests
 * @param open a new, empty store each time
 */
export function testStoreContract(name: string, open: OpenStore): void {
  describe(`${name}: commits`, () => testCommits(open));
  describe(`${name}: journal`, () => testJournal(open));
  describe(`${name}: evidence`, () => testEvidence(open));
  describe(`${name}: feedback`, () => testFeedback(open));
  describe(`${name}: model`, () => testAgainstModel(open, MODEL_RUNS));
}
