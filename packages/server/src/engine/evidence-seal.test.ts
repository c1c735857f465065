// The seal: set before evidence is judged, once for each second that is closed.
import { expect, it } from 'vitest';
import { openEvidenceSeal } from './evidence-seal.ts';

function openSeals(isBusy: () => boolean = () => false) {
  const seals: number[] = [];
  const store = {
    sealEvidence: async (_environment: string, atMs: number) => {
      if (isBusy()) throw new Error('busy');
      seals.push(atMs);
    },
  };
  return { seals, seal: openEvidenceSeal({ store, environment: 'production' }) };
}

it('is set when a second is closed, and not again before the next one', async () => {
  const { seals, seal } = openSeals();
  for (const atMs of [10_200, 10_900, 11_199, 11_200, 11_201, 10_500, 12_300]) await seal.until(atMs);
  expect(seals).toEqual([10_200, 11_200, 12_200]);
});

it('is tried again when the store could not take it', async () => {
  let isBusy = true;
  const { seals, seal } = openSeals(() => isBusy);
  await expect(seal.until(10_200)).rejects.toThrow('busy');
  isBusy = false;
  await seal.until(10_300);
  expect(seals).toEqual([10_200]);
});
