/** Wires a gateway: the one beside a control plane in the same process, and the one that lives on control planes elsewhere. */
import { randomBytes, randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError, isAppError } from '@understudy/core/errors';
import type { SnapshotVersion } from '@understudy/core/snapshot';
import { fileStorage } from '@understudy/feed/file-storage';
import { SYSTEM_PORTS } from '@understudy/feed/ports';
import type { LocalGatewayNeeds } from './compose-control.ts';
import { type Config, dataDirectory, processEnvironment } from './config.ts';
import { type Clock, systemClock } from './clock.ts';
import { openMetricsPage } from './control/metrics-page.ts';
import { openGateway } from './gateway/gateway.ts';
import { GATEWAY_DEFAULTS } from './gateway/gateway-options.ts';
import type { Gateway, GatewayPorts } from './gateway/gateway-ports.ts';
import { openLocalSocket } from './gateway/local-socket.ts';
import { type LocalSwitch, openLocalSwitch } from './gateway/local-switch.ts';
import { LATENCY_BOUNDS_MS } from './gateway/request-counters.ts';
import { systemTimers } from './gateway/timers.ts';
import { localUrlOf, portError } from './listening.ts';
import type { openLog } from './log.ts';
import { RELEASE } from './release.ts';
import { ReportRefused } from './report-refused.ts';
import { openControlLink } from './remote/control-link.ts';
import { openOnnxRuntime } from './runtimes/onnx-runtime.ts';
import type { Runtime } from './runtimes/runtime.ts';
import { openUpstream } from './runtimes/upstream-runtime.ts';
import { openArtifactCache } from './storage/artifact-cache.ts';
import { type ArtifactStore, openArtifactStore } from './storage/artifact-store.ts';

type Log = ReturnType<typeof openLog>;

/** The gateway of a process that is a control plane too. */
export async function openLocalGateway(needs: LocalGatewayNeeds): Promise<Gateway> {
  const { config, feed, takeReport, files, requestIdKey, metrics, log, clock } = needs;
  return openWithSwitch({ config, log, clock }, requestIdKey, {
    snapshots: feed,
    reports: async (report) => {
      try {
        await takeReport(report);
      } catch (error) {
        throw isAppError(error, 'request.invalid') ? new ReportRefused(error.message) : error;
      }
    },
    openRuntime: (model, version) => openRuntime({ files, log }, model, version),
    metricsPage: metrics,
  });
}

/** Where a gateway is asked by whoever is on its machine. */
export function urlOfGateway({ address: { address, port } }: Pick<Gateway, 'address'>): string {
  return localUrlOf(`http://${address === '::' ? '[::]' : address}:${port}`);
}

/** A gateway that runs by itself. */
export interface GatewayProcess {
  readonly url: string;
  readonly drain: () => Promise<void>;
  readonly close: () => Promise<void>;
}

export interface GatewayProcessOptions {
  readonly log: Log;
  readonly clock?: Clock;
}

/**
 * Starts a gateway that lives on control planes elsewhere, and serves from its folder when none of them answers.
 * @throws AppError `config.invalid` when a setting is missing or the folder or a port cannot be used
 */
export async function startGateway(config: Config, { log, clock = systemClock }: GatewayProcessOptions): Promise<GatewayProcess> {
  const data = dataDirectory(config);
  const link = await openControlLink({
    urls: controlUrlsOf(config),
    token: await controlTokenOf(config),
    release: RELEASE,
    storage: fileStorage(join(data, 'gateway'), 'snapshot'),
    forget: config.forgetSnapshot,
    ports: { ...SYSTEM_PORTS, nowMs: () => clock.nowMs() },
    log: (event, fields) => log.warn(fields, event),
  });
  // What is to be closed, in that order.
  const opened: { close(): Promise<void> }[] = [link];
  const closeOpened = async (): Promise<void> => {
    for (const one of opened) await one.close();
  };
  try {
    const files = openArtifactCache({
      files: await openArtifactStore(join(data, 'artifacts')),
      download: (sha256) => link.artifact(sha256),
      maxBytes: config.maxArtifactMib * 1024 * 1024,
      clock,
      timers: systemTimers,
      log,
    });
    opened.unshift(files);
    const metrics = openMetricsPage({ latencyBoundsMs: LATENCY_BOUNDS_MS });
    // Until a snapshot brings the key of the control planes, ids are signed with one that nobody knows.
    const gateway = await openWithSwitch({ config, log, clock }, randomBytes(32), {
      snapshots: files.noticing(link),
      reports: (report, signal) => link.report(report, signal),
      openRuntime: (model, version) => openRuntime({ files, log }, model, version),
      metricsPage: metrics,
    });
    return {
      url: urlOfGateway(gateway),
      drain: () => gateway.drain().then(closeOpened),
      close: () => gateway.close().then(closeOpened),
    };
  } catch (error) {
    await closeOpened();
    throw portError(error);
  }
}

interface Setting {
  readonly config: Config;
  readonly log: Log;
  readonly clock: Clock;
}

type Sources = Pick<GatewayPorts, 'snapshots' | 'reports' | 'openRuntime' | 'metricsPage'>;

/** A gateway with the switch that is thrown on its own machine. */
async function openWithSwitch(setting: Setting, requestIdKey: Uint8Array, sources: Sources): Promise<Gateway> {
  const { config, log, clock } = setting;
  const storage = fileStorage(join(dataDirectory(config), 'gateway'), 'kills');
  const localSwitch = await openLocalSwitch(storage, (problem) => log.error(problem, 'switch.not_kept'));
  const gateway = await openGateway(
    { ...gatewayOptions(config), requestIdKey },
    {
      ...sources,
      localSwitch,
      clock,
      timers: systemTimers,
      random: Math.random,
      log: (event, fields) => log.info(fields, event),
    },
  );
  try {
    const socket = await openSocket(setting, gateway, localSwitch);
    const end = async (): Promise<void> => {
      await socket?.close();
      await localSwitch.idle();
    };
    return {
      ...gateway,
      async drain() {
        const isClean = await gateway.drain();
        await end();
        return isClean;
      },
      async close() {
        await gateway.close();
        await end();
      },
    };
  } catch (error) {
    await gateway.close();
    throw error;
  }
}

/** A socket that was asked for is there or the start fails; the usual one is left out where it cannot be. */
async function openSocket({ config, log, clock }: Setting, gateway: Gateway, localSwitch: LocalSwitch) {
  if (config.socket === 'none') return undefined;
  const path = config.socket ?? join(dataDirectory(config), 'gateway.sock');
  const status = () => {
    const { revision, pendingReports } = gateway.stats();
    const standing = gateway.standing();
    return {
      gateway: config.gatewayName,
      ...(revision < 0 ? {} : { revision }),
      ...(standing === undefined ? {} : { standing }),
      readiness: [...gateway.readiness()],
      problems: [...gateway.problems()],
      pendingReports,
    };
  };
  try {
    return await openLocalSocket({ path, localSwitch, status, clock, log: (event, fields) => log.warn(fields, event) });
  } catch (error) {
    if (config.socket !== undefined || !isAppError(error, 'config.invalid')) throw error;
    log.warn({ path, reason: error.message }, 'socket.unavailable');
    return undefined;
  }
}

function gatewayOptions(config: Config): Omit<Parameters<typeof openGateway>[0], 'requestIdKey'> {
  return {
    ...GATEWAY_DEFAULTS,
    host: config.host,
    port: config.gatewayPort,
    gateway: config.gatewayName,
    ...(config.stratum === undefined ? {} : { stratum: config.stratum }),
    boot: randomUUID(),
    release: RELEASE,
    allowAnonymous: config.allowAnonymousPredict,
    publicMetrics: config.openMetrics,
    maxInFlight: config.maxInFlight,
    drainGraceMs: config.drainGraceMs,
  };
}

async function openRuntime(
  { files, log }: { readonly files: Pick<ArtifactStore, 'verify' | 'path'>; readonly log: Log },
  model: string,
  { version, source }: SnapshotVersion,
): Promise<Runtime> {
  if (source.kind === 'upstream') return openUpstream(source);
  await files.verify(source.sha256);
  const runtime = await openOnnxRuntime({ path: files.path(source.sha256), signature: source.signature });
  const { placement, measuredMs, probe } = runtime;
  log.info({ model, version, placement, measuredMs }, 'version.loaded');
  if (probe.outcome === 'failed') log.warn({ model, version, probe }, 'version.probe_failed');
  return runtime;
}

/** @throws AppError `config.invalid` when there are none, or one is no address */
function controlUrlsOf({ controlUrl }: Config): readonly string[] {
  const urls = (controlUrl ?? '').split(',').flatMap((text) => (text.trim() === '' ? [] : [text.trim().replace(/\/+$/, '')]));
  for (const url of urls) {
    if (URL.canParse(url) && /^https?:$/.test(new URL(url).protocol)) continue;
    throw new AppError('config.invalid', `--control-url has "${url}", which is no address such as http://control:7070`);
  }
  if (urls.length > 0) return urls;
  throw new AppError(
    'config.invalid',
    'a gateway needs the addresses of its control planes: --control-url http://control-1:7070,http://control-2:7070',
  );
}

/** @throws AppError `config.invalid` when there is none */
async function controlTokenOf({ controlTokenFile }: Config): Promise<string> {
  const token =
    controlTokenFile === undefined ? processEnvironment()['UNDERSTUDY_CONTROL_TOKEN'] : await readToken(controlTokenFile);
  if (token !== undefined && token.trim() !== '') return token.trim();
  throw new AppError(
    'config.invalid',
    'a gateway needs a token: create one with `understudy token create NAME --scope gateway` and give it by --control-token-file or UNDERSTUDY_CONTROL_TOKEN',
  );
}

async function readToken(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    const said = error instanceof Error ? error.message : String(error);
    throw new AppError('config.invalid', `cannot read the token of the gateway: ${said}`, { cause: error });
  }
}
