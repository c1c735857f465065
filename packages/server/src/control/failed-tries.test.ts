import { describe, expect, it } from 'vitest';
import { openFailedTries } from './failed-tries.ts';

describe('failed tries', () => {
  it('are counted for each address of its own', () => {
    const tries = openFailedTries({ nowMs: () => 0 });
    for (let count = 0; count < 20; count += 1) expect(tries.record('10.0.0.1')).toBe(0);
    expect(tries.record('10.0.0.1')).toBe(3);
    expect(tries.record('10.0.0.2')).toBe(0);
  });

  it('come back one every three seconds, up to twenty', () => {
    let atMs = 0;
    const tries = openFailedTries({ nowMs: () => atMs });
    for (let count = 0; count < 20; count += 1) tries.record('a');
    atMs = 1000;
    expect(tries.record('a')).toBe(2);
    atMs = 3000;
    expect([tries.record('a'), tries.record('a')]).toEqual([0, 3]);
    atMs = 3_600_000;
    for (let count = 0; count < 20; count += 1) expect(tries.record('a')).toBe(0);
    expect(tries.record('a')).toBe(3);
  });

  it('of more addresses than there is room for push out those that were quiet longest', () => {
    const tries = openFailedTries({ nowMs: () => 0 });
    for (const address of ['quiet', 'busy']) for (let count = 0; count < 20; count += 1) tries.record(address);
    for (let other = 0; other < 9_999; other += 1) {
      tries.record(`other-${other}`);
      if (other % 100 === 0) tries.record('busy');
    }
    expect(tries.record('busy')).toBe(3);
    expect(tries.record('quiet')).toBe(0);
  });
});
