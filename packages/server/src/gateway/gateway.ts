/** Opens the gateway: the data plane that answers predictions. `compose-gateway.ts` gives it its ports; nothing else depends on it. */
import type { Server } from 'node:http';
import type { Standing } from '@understudy/contract/report';
import type { Clock } from '../clock.ts';
import { type SilentConnections, watchSilentConnections } from '../silent-connections.ts';
import { type Admission, openAdmission } from './admission.ts';
import { type Authentication, openAuthentication } from '../authentication.ts';
import { drainServer } from './drain.ts';
import { type GatewayCounts, newGatewayCounts } from './gateway-counts.ts';
import type { GatewayOptions } from './gateway-options.ts';
import type { Gateway, GatewayPorts, GatewayStats } from './gateway-ports.ts';
import { openGatewayFollower, type SnapshotStanding } from './gateway-follower.ts';
import { addressOf, listen } from './http-server.ts';
import { type Lease, openLease, openLeaseWatch } from './lease.ts';
import { openRecorder, type Recorder, type RecorderState } from './recorder.ts';
import { openRequestCounters, type RequestCounters } from './request-counters.ts';
import { type HandlerContext, openRequestHandler } from './request-handler.ts';
import { openRequestIds, type RequestIds } from './request-id.ts';
import { openShadowLanes, type ShadowLanes } from './shadow-lane.ts';
import { openRoutingTable, type RoutingTable } from './routing-table.ts';
import { openStandbyProbes, type StandbyProbes } from './standby-probes.ts';

/** Listens, subscribes to snapshots and reports. Serves as soon as a snapshot has come and its champions are loaded. */
export async function openGateway(options: GatewayOptions, ports: GatewayPorts): Promise<Gateway> {
  const parts = openParts(options, ports);
  const { table, recorder, standbys, life, standing } = parts;
  const { clock, timers } = ports;
  const server = await listen(openRequestHandler(handlerContextOf(parts, options, ports)), options);
  const silent = watchSilentConnections(server);
  // The control plane should know of us, and of what was done here, at once. Not with every snapshot: a report may make the next one.
  const onNews = (): void => void recorder.flush();
  const unsubscribe = ports.snapshots.subscribe(openGatewayFollower({ ...parts, ...ports, onNews }));
  const endReports = (): Promise<void> => {
    unsubscribe();
    standbys.close();
    return recorder.close();
  };
  const views = {
    stats: () => statsOf(parts, clock),
    readiness: () => table.readiness(clock.nowMs()),
    standing: () => standingOf(options.release, standing, ports),
    problems: () => table.problems(),
  };
  return gatewayOf({ server, silent, life, options, timers, endReports, closeVersions: () => table.close() }, views);
}

/** What lives as long as the gateway. */
interface Parts {
  readonly counts: GatewayCounts;
  readonly counters: RequestCounters;
  readonly shadows: ShadowLanes;
  readonly ids: RequestIds;
  readonly recorder: Recorder;
  readonly table: RoutingTable;
  readonly standbys: StandbyProbes;
  readonly life: Life;
  readonly lease: Lease;
  readonly standing: SnapshotStanding;
  readonly authentication: Authentication;
  readonly admission: Admission;
}

function openParts(options: GatewayOptions, ports: GatewayPorts): Parts {
  const { clock, timers } = ports;
  const counts = newGatewayCounts();
  const counters = openRequestCounters();
  const shadows = openShadowLanes(options);
  const ids = openRequestIds(options.requestIdKey, `${options.gateway} ${options.boot}`);
  const lease = openLease(clock.nowMs());
  const onDelivered = (): void => lease.acknowledged(clock.nowMs());
  const standing: SnapshotStanding = { heardAtMs: undefined, origin: 'control-plane', refused: undefined };
  const state = (): RecorderState => ({
    revision: Math.max(0, table.revision),
    readiness: table.readiness(clock.nowMs()),
    standing: standingOf(options.release, standing, ports),
  });
  const onInterval = openLeaseWatch(() => table.trials(clock.nowMs()), ports.log);
  const onRefused = (reason: string): void => ports.log('gateway.report_refused', { reason });
  const recorder = openRecorder({ ...options, state, onInterval, onDelivered, onRefused }, ports);
  const trials = { lease, counts, log: ports.log, random: ports.random };
  const table: RoutingTable = openRoutingTable({
    openRuntime: ports.openRuntime,
    timers,
    random: ports.random,
    makersFor: (environment) => ({ environment, recorder, counters, ids, trials, shadows }),
    probeOf: (loaded) => standbys.probeOf(loaded),
  });
  const standbys: StandbyProbes = openStandbyProbes({ clock, timers, log: ports.log, standbys: () => table.standbys() });
  const life: Life = { phase: 'serving' };
  const authentication = openAuthentication(clock, options.allowAnonymous);
  const admission = openAdmission(options.maxInFlight);
  return { counts, counters, shadows, ids, recorder, table, standbys, life, lease, standing, authentication, admission };
}

function handlerContextOf(parts: Parts, options: GatewayOptions, ports: GatewayPorts): HandlerContext {
  const { table, life, ids, admission, authentication, counts } = parts;
  const { clock, timers, metricsPage, random, log } = ports;
  // For answers that no version gave.
  const mintId = ids.mintFor({ environment: '', model: '', version: '', arm: 'champion' });
  return {
    inference: { options, clock, timers, table, authentication, counts, random },
    information: {
      table,
      release: options.release,
      isDraining: () => life.phase !== 'serving',
      metricsPage: metricsPage === undefined ? undefined : () => metricsPage(statsOf(parts, clock)),
    },
    admission,
    log,
    isClosing: () => life.phase === 'closing',
    fallbackId: () => mintId(clock.nowMs()),
  };
}

function statsOf(parts: Parts, clock: Clock): GatewayStats {
  const { table, standbys, life, standing, admission, counters, shadows, counts, recorder } = parts;
  return {
    revision: table.revision,
    snapshotAgeMs: standing.heardAtMs === undefined ? undefined : Math.max(0, clock.nowMs() - standing.heardAtMs),
    inFlight: admission.inFlight,
    isDraining: life.phase !== 'serving',
    requests: counters.totals(),
    shadows: shadows.totals(),
    ...counts,
    trials: table.trials(clock.nowMs()).map(({ model, version, trial }) => ({
      model,
      version,
      breaker: trial.breaker.state,
      isLeaseOver: trial.leaseOverSinceMs !== undefined,
    })),
    standbys: table.standbys().flatMap(({ loaded: { model, version }, loaded }) => {
      const probe = standbys.probeOf(loaded);
      return probe === undefined ? [] : [{ model, version, outcome: probe.outcome }];
    }),
    overloaded: admission.refused,
    ...recorder.stats(),
  };
}

/** What changes about the gateway as a whole. */
interface Life {
  phase: 'serving' | 'draining' | 'closing';
}

function standingOf(
  release: string,
  { heardAtMs, origin, refused }: SnapshotStanding,
  ports: GatewayPorts,
): Standing | undefined {
  if (heardAtMs === undefined) return undefined;
  const kills = [...(ports.localSwitch?.kills() ?? [])];
  return { release, origin, heardAtMs, ...(refused === undefined ? {} : { refused }), kills };
}

interface Ending {
  readonly server: Server;
  readonly silent: SilentConnections;
  readonly life: Life;
  readonly options: GatewayOptions;
  readonly timers: GatewayPorts['timers'];
  readonly endReports: () => Promise<void>;
  readonly closeVersions: () => Promise<void>;
}

/** The gateway's own end; both ways may be called more than once. */
function gatewayOf(
  { server, silent, life, options, timers, endReports, closeVersions }: Ending,
  views: Pick<Gateway, 'stats' | 'readiness' | 'standing' | 'problems'>,
): Gateway {
  let ending: Promise<boolean> | undefined;
  const drain = async (): Promise<boolean> => {
    life.phase = 'draining';
    const isClean = await drainServer(server, timers, {
      silent,
      graceMs: options.drainGraceMs,
      limitMs: options.drainLimitMs,
      onClosing() {
        life.phase = 'closing';
      },
    });
    await endReports();
    const closed = closeVersions();
    // Past the limit a version may be busy for ever; the process ends without it.
    if (isClean) await closed;
    return isClean;
  };
  const closeNow = async (): Promise<boolean> => {
    life.phase = 'closing';
    const closed = Promise.withResolvers<void>();
    server.close(() => closed.resolve());
    server.closeAllConnections();
    await closed.promise;
    await endReports();
    await closeVersions();
    return false;
  };
  return {
    ...views,
    address: addressOf(server),
    drain: () => (ending ??= drain()),
    async close() {
      if (ending !== undefined) server.closeAllConnections();
      await (ending ??= closeNow());
    },
  };
}
