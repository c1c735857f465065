import type { Readiness } from '@understudy/contract/report';
import { readPlan } from '@understudy/contract/plan-file';
import type { Rollout } from '@understudy/core/rollout';
import { describe, expect, it } from 'vitest';
import type { GatewayStatus } from '../storage/store.ts';
import { cutOffBecause, givenUpBecause, leaseWarnings } from './gateway-trials.ts';

const NOW = Date.UTC(2026, 10, 21, 12, 4, 0);
const SINCE = Date.UTC(2026, 10, 21, 12, 3, 7, 500);

const rollout: Rollout = {
  id: 'fraud-3',
  model: 'fraud',
  champion: 'v7',
  challenger: 'v8',
  plan: readPlan({ name: 'p', steps: [{ traffic: 10 }, { traffic: 50 }, { traffic: 100 }], lease: '90s' }),
  salt: 's',
  startedAtMs: NOW - 3_600_000,
  startedBy: 'ann',
  state: { phase: 'stepping', step: 1, sinceMs: NOW - 60_000 },
};

const seen = { challenger: { requests: 7, failures: 7 }, champion: { requests: 61, failures: 0 } };

function gatewayWith(gateway: string, trial: Partial<Readiness['trial']> | undefined, seenAtMs = NOW): GatewayStatus {
  const ready: Readiness = { model: 'fraud', version: 'v8', state: 'ready', detail: 'inline' };
  const told = trial === undefined ? {} : { trial: { rollout: 'fraud-3', breaker: { state: 'closed' as const }, ...trial } };
  return { gateway, boot: 'b', revision: 1, seenAtMs, readiness: [{ ...ready, ...told }] };
}

const open = { breaker: { state: 'open', sinceMs: SINCE, retryAtMs: SINCE + 5000, seen } } as const;
const halfOpen = { breaker: { state: 'half-open', sinceMs: SINCE, successes: 2, seen } } as const;
const OPEN_WORDS = 'has cut v8 off since 2026-11-21T12:03:07Z: 7 of 7 requests failed, champion 0 of 61';

describe('why a rollout is held', () => {
  it.each<{ name: string; gateways: readonly GatewayStatus[]; expected: string | undefined }>([
    { name: 'no gateway', gateways: [], expected: undefined },
    { name: 'closed breakers', gateways: [gatewayWith('g1', {}), gatewayWith('g2', undefined)], expected: undefined },
    { name: 'an open one', gateways: [gatewayWith('g1', open), gatewayWith('g2', {})], expected: `gateway g1 ${OPEN_WORDS}` },
    {
      name: 'one that tries',
      gateways: [gatewayWith('g2', halfOpen)],
      expected: `gateway g2 ${OPEN_WORDS}; it is trying single requests, 2 succeeded so far`,
    },
    {
      name: 'two of them',
      gateways: [gatewayWith('g1', open), gatewayWith('g2', open)],
      expected: `gateway g1 ${OPEN_WORDS}; gateway g2 ${OPEN_WORDS}`,
    },
    { name: 'a gateway that is gone', gateways: [gatewayWith('g1', open, NOW - 10_001)], expected: undefined },
    { name: 'another rollout’s', gateways: [gatewayWith('g1', { ...open, rollout: 'fraud-2' })], expected: undefined },
  ])('says for $name: $expected', ({ gateways, expected }) => {
    expect(cutOffBecause(gateways, rollout, NOW)).toBe(expected);
  });
});

describe('a challenger that is given up', () => {
  const late = { breaker: { ...open.breaker, sinceMs: NOW - 14_999 } } as const;
  it.each<{ name: string; gateways: readonly GatewayStatus[]; isGivenUp: boolean }>([
    { name: 'no gateway is there', gateways: [], isGivenUp: false },
    { name: 'all have cut it off', gateways: [gatewayWith('g1', open), gatewayWith('g2', open)], isGivenUp: true },
    { name: 'one gets answers again', gateways: [gatewayWith('g1', open), gatewayWith('g2', halfOpen)], isGivenUp: false },
    { name: 'one still sends it users', gateways: [gatewayWith('g1', open), gatewayWith('g2', {})], isGivenUp: false },
    { name: 'one has not loaded it', gateways: [gatewayWith('g1', open), gatewayWith('g2', undefined)], isGivenUp: false },
    { name: 'one has done so just now', gateways: [gatewayWith('g1', open), gatewayWith('g2', late)], isGivenUp: false },
    { name: 'the others are gone', gateways: [gatewayWith('g1', open), gatewayWith('g2', {}, NOW - 10_001)], isGivenUp: true },
  ])('when $name: $isGivenUp', ({ gateways, isGivenUp }) => {
    const because = givenUpBecause(gateways, rollout, NOW);
    expect(because === undefined ? undefined : because.includes(`gateway g1 ${OPEN_WORDS}`)).toBe(isGivenUp ? true : undefined);
  });
});

describe('what is said about leases', () => {
  it.each<{ name: string; gateways: readonly GatewayStatus[]; expected: readonly string[] }>([
    { name: 'one that holds', gateways: [gatewayWith('g1', {})], expected: [] },
    {
      name: 'one that is over',
      gateways: [gatewayWith('g1', { leaseOverSinceMs: SINCE })],
      expected: [
        'gateway g1 has been without word from the control plane for longer than the lease of 1m 30s and serves 10 % since 2026-11-21T12:03:07Z',
      ],
    },
    {
      name: 'a silent gateway',
      gateways: [gatewayWith('g1', {}, NOW - 120_000)],
      expected: ['gateway g1 was last heard of 2m ago: if it still serves, its lease of 1m 30s is over and it serves 10 %'],
    },
    { name: 'a gateway that is silent for less', gateways: [gatewayWith('g1', {}, NOW - 90_000)], expected: [] },
    { name: 'a gateway that went before the rollout', gateways: [gatewayWith('g1', {}, NOW - 3_600_001)], expected: [] },
  ])('is for $name: $expected', ({ gateways, expected }) => {
    expect(leaseWarnings(gateways, rollout, NOW)).toEqual(expected);
  });
});
