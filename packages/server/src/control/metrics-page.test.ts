import { describe, expect, it } from 'vitest';
import { type GatewayNumbers, openMetricsPage } from './metrics-page.ts';

const NUMBERS: GatewayNumbers = {
  revision: 7,
  snapshotAgeMs: 1500,
  inFlight: 3,
  shadows: [{ model: 'fraud', inFlight: 2, delivered: 9, failed: 1, timeouts: 2, dropped: { busy: 4, bytes: 0 } }],
  requests: [
    {
      model: 'fraud',
      version: 'v"2"',
      arm: 'challenger',
      outcomes: { ok: 5, error: 1 },
      latencyBuckets: [2, 3, 1],
      latencySumMs: 12.5,
    },
  ],
  noSubject: 2,
  refused: 4,
  overloaded: 0,
  breakerOpenings: 2,
  breakerDiverted: 9,
  breakerProbes: 3,
  trials: [{ model: 'fraud', version: 'v8', breaker: 'half-open', isLeaseOver: true }],
  standbys: [
    { model: 'fraud', version: 'v6', outcome: 'ok' },
    { model: 'fraud', version: 'v5', outcome: 'failed' },
  ],
  pendingReports: 1,
  lostBlocks: 0,
};

async function page(gateway: GatewayNumbers | undefined): Promise<string> {
  const environment = { environment: 'production', revision: 9, models: [], versions: [], rollouts: [], tokens: [] };
  const render = openMetricsPage({ latencyBoundsMs: [1, 10], environment: () => Promise.resolve(environment) });
  return (await render(gateway)).text;
}

describe('the metrics page', () => {
  it.each([
    'understudy_revision 9',
    'understudy_gateway_revision 7',
    'understudy_gateway_snapshot_age_seconds 1.5',
    'understudy_gateway_in_flight_requests 3',
    'understudy_requests_total{model="fraud",version="v\\"2\\"",arm="challenger",outcome="ok"} 5',
    'understudy_requests_total{model="fraud",version="v\\"2\\"",arm="challenger",outcome="error"} 1',
    'understudy_requests_without_subject_total 2',
    'understudy_requests_refused_total 4',
    'understudy_breaker_open_ratio{model="fraud",version="v8"} 0.5',
    'understudy_lease_over_ratio{model="fraud",version="v8"} 1',
    'understudy_standby_ok_ratio{model="fraud",version="v6"} 1',
    'understudy_standby_ok_ratio{model="fraud",version="v5"} 0',
    'understudy_breaker_openings_total 2',
    'understudy_breaker_diverted_requests_total 9',
    'understudy_breaker_probes_total 3',
  ])('has the line %s', async (line) => {
    expect((await page(NUMBERS)).split('\n')).toContain(line);
  });

  it('cumulates latency buckets, in seconds, up to all requests', async () => {
    const lines = (await page(NUMBERS)).split('\n').filter((line) => line.startsWith('understudy_request_duration_seconds_'));
    const labels = 'model="fraud",version="v\\"2\\"",arm="challenger"';
    expect(lines).toEqual([
      `understudy_request_duration_seconds_bucket{${labels},le="0.001"} 2`,
      `understudy_request_duration_seconds_bucket{${labels},le="0.01"} 5`,
      `understudy_request_duration_seconds_bucket{${labels},le="+Inf"} 6`,
      `understudy_request_duration_seconds_sum{${labels}} 0.0125`,
      `understudy_request_duration_seconds_count{${labels}} 6`,
    ]);
  });

  it('says what every metric is, once', async () => {
    const helps = (await page(NUMBERS)).split('\n').filter((line) => line.startsWith('# HELP understudy_'));
    const names = helps.map((line) => line.split(' ')[2]);
    expect(new Set(names).size).toBe(names.length);
    expect(names.length).toBeGreaterThan(10);
  });

  it('does without a gateway', async () => {
    expect(await page(undefined)).not.toContain('understudy_gateway_revision');
  });
});
