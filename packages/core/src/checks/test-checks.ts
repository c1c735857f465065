/** Checks and answers for tests. */
import { type CheckConfig, DEFAULT_CHECK, type PrometheusCheck } from './config.ts';
import type { Answer, Measurement } from './measurement.ts';

export const EVERY_MS: number = DEFAULT_CHECK.everyMs;

/** Fails above 1, warns above 0.5. */
export function queryCheck(changes: Partial<CheckConfig> = {}, source: Partial<PrometheusCheck> = {}): CheckConfig {
  const asked = {
    kind: 'prometheus',
    url: 'http://prometheus:9090',
    query: 'x',
    failAbove: 1,
    warnAbove: 0.5,
    ...source,
  } as const;
  return { name: 'slo', ...DEFAULT_CHECK, source: asked, ...changes };
}

const ANSWERS: Readonly<Record<string, Answer>> = {
  P: { outcome: 'value', value: 0.1 },
  W: { outcome: 'value', value: 0.7 },
  F: { outcome: 'value', value: 2 },
  N: { outcome: 'no-data', reason: 'empty' },
  E: { outcome: 'error', reason: 'HTTP 502' },
};

/** One answer a letter, each when it is due: P(ass), W(arn), F(ail), N(o data), E(rror); a blank is a time not asked. */
export function answered(letters: string, fromMs = 0): readonly Measurement[] {
  return letters.split('').flatMap((letter, index) => {
    const { [letter]: answer } = ANSWERS;
    return answer === undefined ? [] : [{ check: 'slo', atMs: fromMs + index * EVERY_MS, answer }];
  });
}
