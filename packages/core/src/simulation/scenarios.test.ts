import { describe, expect, it } from 'vitest';
import { prepareScenario } from './prepared-scenario.ts';
import { centreAndSpreadOf } from './prediction-shape.ts';
import type { Scenario } from './scenario.ts';
import { scenarioNamed, SCENARIOS } from './scenarios.ts';

const named = (name: string): Scenario => {
  const scenario = scenarioNamed(name);
  if (scenario === undefined) throw new Error(name);
  return scenario;
};

describe('SCENARIOS', () => {
  it('holds every row of the study, and two harmless ones of our own', () => {
    const count = (truth: Scenario['truth']) => SCENARIOS.filter((scenario) => scenario.truth === truth).length;
    expect({ harmless: count('harmless'), boundary: count('boundary'), harmful: count('harmful') }).toEqual({
      harmless: 10,
      boundary: 4,
      harmful: 22,
    });
  });

  it('has names that can be typed, each once', () => {
    const names = SCENARIOS.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    for (const name of names) expect(name).toMatch(/^[a-z0-9]+([-.][a-z0-9]+)*$/);
    expect(scenarioNamed('no-such-scenario')).toBeUndefined();
  });

  it.each(SCENARIOS)('can be played: $name', (scenario) => {
    expect(prepareScenario(scenario).scenario).toBe(scenario);
    expect(scenario.limitMs % 1000).toBe(0);
  });

  it('knows for everything harmful how soon it should be found, and for nothing else', () => {
    for (const { truth, reference } of SCENARIOS) expect(reference !== undefined).toBe(truth === 'harmful');
  });

  it('needs more requests for the smaller risk and for the slower rollouts', () => {
    for (const { reference } of SCENARIOS) {
      if (reference === undefined) continue;
      const { atFivePercent, atOnePercent } = reference;
      expect(atFivePercent.median).toBeLessThan(atFivePercent.p95);
      expect(atOnePercent.median).toBeLessThan(atOnePercent.p95);
      expect(atFivePercent.median).toBeLessThan(atOnePercent.median);
      expect(atFivePercent.p95).toBeLessThan(atOnePercent.p95);
    }
  });

  it('does nothing different in a harmless scenario but be cold', () => {
    for (const { truth, challenger } of SCENARIOS) {
      if (truth !== 'harmless') continue;
      expect(challenger.errorRate ?? challenger.latency ?? challenger.predictions).toBeUndefined();
    }
  });

  it('keeps mean and spread where it says that only the shape differs', () => {
    const drift = named('predictions-two-humps').challenger.predictions;
    if (drift?.kind !== 'replaced' || drift.shape.kind === 'classes') throw new Error('not numbers');
    const { mean, standardDeviation } = centreAndSpreadOf(drift.shape);
    expect(mean).toBeCloseTo(0, 12);
    expect(standardDeviation).toBeCloseTo(1, 12);
  });
});
