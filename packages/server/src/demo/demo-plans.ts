/** The demo's models, plans and rates, with the reason for every number that differs from the product's defaults. */
import type { PlanFile } from '@understudy/contract/plan-file';
import type { ModelSetting } from './assets.ts';

// Rates at which a step of 10 % fills in seconds: a small part of what the gateway can do on one core.
export const DIGITS: ModelSetting = { model: 'digits', task: { kind: 'class' }, users: 5000, perSecond: 400 };

/** The scale is that of the measured disease progression; an answer outside of it cannot be right. */
export const DIABETES: ModelSetting = {
  model: 'diabetes',
  task: { kind: 'number', scale: [25, 346] },
  users: 5000,
  perSecond: 300,
};

/** Requests a second to each model after the stories: hardly any work, and enough for a rollout that somebody tries. */
export const QUIET_RATE = 50;

// The whole demo, load generator included, may share two cores with a compiler. The limit of 500 ms that the product
// begins with would then judge the machine; the other limits stay as they are.
const PATIENT = { p95LatencyMs: 3000 } as const;

/**
 * Looks twice a second, where the product's default is every 10 s: nobody watches a demo for an hour. A cooldown of 2 s
 * for the same reason.
 */
export const WATCH = { limits: PATIENT, checkEveryMs: 500, cooldownMs: 2000 } as const;

// These models answer in a fiftieth of a millisecond. Whenever another program takes the core, a burst of requests waits
// for tens of milliseconds, mostly on one arm: in three seconds on a busy laptop the tail is that program's, and was seen
// at 13 times the champion's. So the tail is given a hundredfold, and the median judges: the slow version's is a thousand
// times the champion's. Five milliseconds are nothing that a user notices.
const POLICY = {
  kind: 'thresholds',
  minSamples: 100,
  window: 1000,
  p50Ratio: 1.2,
  p99Ratio: 100,
  ignoreLatencyBelowMs: 5,
  health: PATIENT,
} as const;

/** The staircase of the built-in plan `standard`, with holds that an audience sits through. */
export const CLIMB: PlanFile = {
  name: 'demo-climb',
  steps: [
    { traffic: 10, hold: '3s', minSamples: 100 },
    { traffic: 25, hold: '3s', minSamples: 100 },
    { traffic: 50, hold: '3s', minSamples: 100 },
    { traffic: 75, hold: '3s', minSamples: 100 },
    { traffic: 100 },
  ],
  policy: POLICY,
  checkEvery: '500ms',
};

/** For a version whose climb is not the story. */
export const SHORT: PlanFile = {
  name: 'demo-short',
  steps: [{ traffic: 20, hold: '2s', minSamples: 100 }, { traffic: 50, hold: '2s', minSamples: 100 }, { traffic: 100 }],
  policy: POLICY,
  checkEvery: '500ms',
};
