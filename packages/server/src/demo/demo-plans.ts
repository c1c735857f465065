/** The demo's models, plans and rates, with the reason for every number that differs from the product's defaults. */
import type { PlanFile } from '@understudy/contract/plan-file';
import type { ModelSetting } from './assets.ts';

// Rates at which a step of 10 % fills in seconds: a small part of what the gateway can do on one core.
export const DIGITS: ModelSetting = { model: 'digits', task: { kind: 'class' }, users: 5000, perSecond: 500 };

/** The scale is that of the measured disease progression; an answer outside of it cannot be right. */
export const DIABETES: ModelSetting = {
  model: 'diabetes',
  task: { kind: 'number', scale: [25, 346] },
  users: 5000,
  perSecond: 300,
};

/** Requests a second after the stories. */
export const QUIET_RATE = 20;

/**
 * Looks twice a second, where the product's default is every 10 s: nobody watches a demo for an hour. A cooldown of 2 s
 * for the same reason.
 */
export const WATCH = { checkEveryMs: 500, cooldownMs: 2000 } as const;

// These models answer in a fiftieth of a millisecond. On a laptop that does other things, one interrupted request in a
// hundred is a hundred times slower, so a ratio alone would judge the laptop. Eight milliseconds is what a user could not
// notice; the version that is really slow takes thirteen.
const POLICY = {
  kind: 'thresholds',
  minSamples: 100,
  window: 1000,
  p50Ratio: 1.2,
  p99Ratio: 1.5,
  ignoreLatencyBelowMs: 8,
} as const;

/** The staircase of the built-in plan `standard`, with holds that an audience sits through. */
export const CLIMB: PlanFile = {
  name: 'demo-climb',
  steps: [
    { traffic: 10, hold: '3s', minSamples: 100 },
    { traffic: 25, hold: '2s', minSamples: 100 },
    { traffic: 50, hold: '2s', minSamples: 100 },
    { traffic: 75, hold: '2s', minSamples: 100 },
    { traffic: 100, hold: '2s', minSamples: 100 },
  ],
  policy: POLICY,
  checkEvery: '500ms',
};

/** For a version whose climb is not the story. */
export const SHORT: PlanFile = {
  name: 'demo-short',
  steps: [
    { traffic: 20, hold: '2s', minSamples: 100 },
    { traffic: 100, hold: '1s', minSamples: 100 },
  ],
  policy: POLICY,
  checkEvery: '500ms',
};
