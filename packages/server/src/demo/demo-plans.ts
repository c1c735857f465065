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

// These models answer in a fiftieth of a millisecond, where the tail is that of the machine. Five milliseconds more are
// nothing that a user notices, so they are nothing that a guard minds; the slow version takes a thousand times as long.
const NOT_NOTICED_MS = 5;

// Evidence is weighed every second, where the product's default is ten for all but errors, and a step asks for proof that
// no more than 2 % more requests fail: a good challenger is then proven safe in seconds at these rates.
function policyWith(drift: { readonly tolerance?: number; readonly promote?: number }): NonNullable<PlanFile['policy']> {
  return {
    kind: 'sequential',
    guards: [
      { metric: 'errors', promote: { ratio: 1.5, plus: 0.02 } },
      { metric: 'latency', quantile: 0.5, ratio: 1.2, ignoreBelowMs: NOT_NOTICED_MS },
      { metric: 'latency', quantile: 0.99, ratio: 3, ignoreBelowMs: NOT_NOTICED_MS, weight: 0.2 },
      { metric: 'drift', ...drift },
    ],
    othersEvery: '1s',
    sick: { slowMs: 3000 },
  };
}

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
  policy: policyWith({}),
  checkEvery: '500ms',
};

/**
 * For versions that are meant to predict otherwise than their champion: another kind of model puts up to a sixth of its
 * predictions elsewhere, and only what is far beyond that is harm.
 */
export const CLIMB_ANEW: PlanFile = { ...CLIMB, name: 'demo-climb-anew', policy: policyWith({ tolerance: 0.3, promote: 0.6 }) };

/** For a version whose climb is not the story. */
export const SHORT: PlanFile = {
  name: 'demo-short',
  steps: [{ traffic: 20, hold: '2s', minSamples: 100 }, { traffic: 50, hold: '2s', minSamples: 100 }, { traffic: 100 }],
  policy: policyWith({}),
  checkEvery: '500ms',
};
