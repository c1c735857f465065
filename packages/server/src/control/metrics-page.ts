/** The Prometheus page: what gateway, registry and engine know, as of the moment it is asked for. Labels come from the registry alone. */
import type { EnvironmentState } from '@understudy/core/snapshot';
import { boundaryOfRollout } from '@understudy/core/rollout';
import { BUCKET_COUNT } from '@understudy/core/bucketing';
import { collectDefaultMetrics, Gauge, Registry } from 'prom-client';

/** Totals of one model, version and arm since the gateway's start. */
export interface RequestNumbers {
  readonly model: string;
  readonly version: string;
  readonly arm: string;
  readonly outcomes: Readonly<Record<string, number>>;
  /** Requests per bucket, not cumulated; the last one is everything above the last bound. */
  readonly latencyBuckets: readonly number[];
  readonly latencySumMs: number;
}

/** What became of the copies of one model's requests since the gateway's start. */
export interface CopyNumbers {
  readonly model: string;
  readonly inFlight: number;
  readonly delivered: number;
  readonly failed: number;
  readonly timeouts: number;
  readonly dropped: Readonly<Record<string, number>>;
}

/** What a gateway tells about itself. */
export interface GatewayNumbers {
  readonly revision: number;
  readonly snapshotAgeMs: number | undefined;
  readonly inFlight: number;
  readonly requests: readonly RequestNumbers[];
  readonly shadows: readonly CopyNumbers[];
  readonly noSubject: number;
  readonly refused: number;
  readonly overloaded: number;
  readonly breakerOpenings: number;
  readonly breakerDiverted: number;
  readonly breakerProbes: number;
  readonly trials: readonly {
    readonly model: string;
    readonly version: string;
    readonly breaker: 'closed' | 'half-open' | 'open';
    readonly isLeaseOver: boolean;
  }[];
  readonly standbys: readonly {
    readonly model: string;
    readonly version: string;
    readonly outcome: 'ok' | 'failed' | 'unproven';
  }[];
  readonly pendingReports: number;
  readonly lostBlocks: number;
}

/** The text of the page and its content type. */
export interface RenderedMetrics {
  readonly type: string;
  readonly text: string;
}

/** Renders the page with the numbers of this process's gateway, when it has one. */
export type RenderMetrics = (gateway: GatewayNumbers | undefined) => Promise<RenderedMetrics>;

export interface MetricsSources {
  /** Upper bounds of the latency buckets, in milliseconds. */
  readonly latencyBoundsMs: readonly number[];
  /** Absent where there is no store. */
  readonly environment?: () => Promise<EnvironmentState>;
}

type Labels = Readonly<Record<string, string>>;
type Sample = readonly [labels: Labels, value: number];

/** Opens the page. It holds no numbers of its own but those of the process. */
export function openMetricsPage(sources: MetricsSources): RenderMetrics {
  const processMetrics = new Registry();
  collectDefaultMetrics({ register: processMetrics });
  return async (gateway) => {
    const registry = new Registry();
    if (sources.environment !== undefined) addEnvironment(registry, await sources.environment());
    const parts = [await processMetrics.metrics()];
    if (gateway !== undefined) {
      addGateway(registry, gateway);
      parts.push(counters(gateway), latencies(gateway.requests, sources.latencyBoundsMs));
    }
    parts.push(await registry.metrics());
    return { type: registry.contentType, text: parts.map((part) => part.trimEnd()).join('\n') + '\n' };
  };
}

function addEnvironment(registry: Registry, { models, rollouts, revision }: EnvironmentState): void {
  const live = rollouts.filter((rollout) => models.some((model) => model.liveRollout === rollout.id));
  gauge(registry, 'understudy_revision', 'Revision of the last committed change.', [[{}, revision]]);
  gauge(
    registry,
    'understudy_champion_info',
    '1 for the version that is champion of a model.',
    models.flatMap((model): Sample[] =>
      model.champion === undefined ? [] : [[{ model: model.name, version: model.champion }, 1]],
    ),
  );
  gauge(
    registry,
    'understudy_challenger_share_ratio',
    'Share of subjects on the challenger of a live rollout.',
    live.map((rollout): Sample => [
      { model: rollout.model, version: rollout.challenger },
      boundaryOfRollout(rollout) / BUCKET_COUNT,
    ]),
  );
  gauge(
    registry,
    'understudy_model_killed_ratio',
    '1 while the kill switch of a model is on.',
    models.map((model): Sample => [{ model: model.name }, model.killed === undefined ? 0 : 1]),
  );
  gauge(
    registry,
    'understudy_model_alarm_ratio',
    '1 while a model needs a person: its champion fails and nobody can take its place.',
    models.map((model): Sample => [{ model: model.name }, model.alarm === undefined ? 0 : 1]),
  );
}

const PROBE_RATIO = { ok: 1, unproven: 0.5, failed: 0 } as const;
const OPEN_RATIO = { closed: 0, 'half-open': 0.5, open: 1 } as const;

function addGateway(registry: Registry, numbers: GatewayNumbers): void {
  gauge(registry, 'understudy_gateway_revision', 'Revision that this gateway routes by.', [[{}, numbers.revision]]);
  gauge(registry, 'understudy_gateway_in_flight_requests', 'Requests in work.', [[{}, numbers.inFlight]]);
  gauge(
    registry,
    'understudy_gateway_in_flight_copies',
    'Copies of requests in work at shadows.',
    numbers.shadows.map(({ model, inFlight }): Sample => [{ model }, inFlight]),
  );
  gauge(registry, 'understudy_gateway_pending_reports', 'Reports of evidence not yet taken by the control plane.', [
    [{}, numbers.pendingReports],
  ]);
  gauge(
    registry,
    'understudy_breaker_open_ratio',
    '1 while this gateway has cut a challenger off, 0.5 while it tries single requests, 0 otherwise.',
    numbers.trials.map(({ model, version, breaker }): Sample => [{ model, version }, OPEN_RATIO[breaker]]),
  );
  gauge(
    registry,
    'understudy_lease_over_ratio',
    '1 while this gateway serves the share judged safe last, as it has not heard from the control plane.',
    numbers.trials.map(({ model, version, isLeaseOver }): Sample => [{ model, version }, isLeaseOver ? 1 : 0]),
  );
  gauge(
    registry,
    'understudy_standby_ok_ratio',
    '1 when a version kept for a rollback answered its last probe, 0 when it failed it, 0.5 when that proves nothing.',
    numbers.standbys.map(({ model, version, outcome }): Sample => [{ model, version }, PROBE_RATIO[outcome]]),
  );
  if (numbers.snapshotAgeMs !== undefined) {
    gauge(registry, 'understudy_gateway_snapshot_age_seconds', 'Time since a snapshot was last heard of.', [
      [{}, numbers.snapshotAgeMs / 1000],
    ]);
  }
}

// oxlint-disable-next-line max-params -- the parts of a metric family, and where it goes
function gauge(registry: Registry, name: string, help: string, samples: readonly Sample[]): void {
  const labelNames = Object.keys(samples[0]?.[0] ?? {});
  const metric = new Gauge({ name, help, labelNames, registers: [registry] });
  if (samples.length === 0) metric.reset();
  for (const [labels, value] of samples) metric.set(labels, value);
}

function counters(numbers: GatewayNumbers): string {
  const requests = numbers.requests.flatMap(({ model, version, arm, outcomes }) =>
    Object.entries(outcomes).map(([outcome, count]): Sample => [{ model, version, arm, outcome }, count]),
  );
  const copies = numbers.shadows.flatMap(({ model, delivered, failed, timeouts, dropped }): Sample[] => [
    [{ model, result: 'delivered', reason: '' }, delivered - failed - timeouts],
    [{ model, result: 'failed', reason: '' }, failed],
    [{ model, result: 'timeout', reason: '' }, timeouts],
    ...Object.entries(dropped).map(([reason, count]): Sample => [{ model, result: 'dropped', reason }, count]),
  ]);
  return [
    family('understudy_requests_total', 'counter', 'Predictions by model, version, arm and outcome.', requests),
    family('understudy_shadow_total', 'counter', 'Copies of requests for shadows, by model and what became of them.', copies),
    family('understudy_requests_without_subject_total', 'counter', 'Requests routed by chance, as they had no subject.', [
      [{}, numbers.noSubject],
    ]),
    family('understudy_requests_refused_total', 'counter', "Requests refused as the caller's mistake.", [[{}, numbers.refused]]),
    family('understudy_requests_shed_total', 'counter', 'Requests refused for lack of capacity.', [[{}, numbers.overloaded]]),
    family('understudy_breaker_openings_total', 'counter', 'Breakers that opened, again after a failed probe included.', [
      [{}, numbers.breakerOpenings],
    ]),
    family('understudy_breaker_diverted_requests_total', 'counter', 'Requests that a breaker sent to the champion.', [
      [{}, numbers.breakerDiverted],
    ]),
    family('understudy_breaker_probes_total', 'counter', 'Requests that tried whether a breaker may close.', [
      [{}, numbers.breakerProbes],
    ]),
    family('understudy_evidence_lost_blocks_total', 'counter', 'Blocks of evidence given up for lack of room.', [
      [{}, numbers.lostBlocks],
    ]),
  ].join('\n');
}

/** prom-client can only count into a histogram one by one; ours was counted on the hot path already. */
function latencies(requests: readonly RequestNumbers[], boundsMs: readonly number[]): string {
  const name = 'understudy_request_duration_seconds';
  const lines = [`# HELP ${name} Time from calling a version to its answer.`, `# TYPE ${name} histogram`];
  for (const { model, version, arm, latencyBuckets, latencySumMs } of requests) {
    const labels = { model, version, arm };
    let below = 0;
    latencyBuckets.forEach((count, index) => {
      below += count;
      const bound = boundsMs[index];
      lines.push(line(`${name}_bucket`, { ...labels, le: bound === undefined ? '+Inf' : String(bound / 1000) }, below));
    });
    lines.push(line(`${name}_sum`, labels, latencySumMs / 1000), line(`${name}_count`, labels, below));
  }
  return lines.join('\n');
}

// oxlint-disable-next-line max-params -- the four parts of a metric family in the text format
function family(name: string, type: 'counter', help: string, samples: readonly Sample[]): string {
  return [
    `# HELP ${name} ${help}`,
    `# TYPE ${name} ${type}`,
    ...samples.map(([labels, value]) => line(name, labels, value)),
  ].join('\n');
}

function line(name: string, labels: Labels, value: number): string {
  const text = Object.entries(labels).map(
    ([key, label]) => `${key}="${label.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`,
  );
  return `${name}${text.length === 0 ? '' : `{${text.join(',')}}`} ${value}`;
}
