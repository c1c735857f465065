/** Wires one process: store, engine, control API and gateway, each given just what it needs. `serve.ts` and tests start it. */
import { randomBytes, randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { AppError } from '@understudy/core/errors';
import { labelsDueMsOf } from '@understudy/core/model';
import type { Signature } from '@understudy/core/model-version';
import type { SnapshotVersion } from '@understudy/core/snapshot';
import type { FastifyPluginCallback } from 'fastify';
import type { CommandContext } from './commands/command.ts';
import { listBodies, loadEnvironment } from './commands/queries.ts';
import { createAdminToken, createFirstToken } from './commands/tokens.ts';
import { type Config, dataDirectory, processEnvironment } from './config.ts';
import { type Clock, systemClock } from './clock.ts';
import { deriveSecrets } from './derived-secret.ts';
import type { AddressPolicy } from './outbound-post.ts';
import { type CheckAsker, openCheckAsker } from './checks/check-asker.ts';
import { openCheckPoller } from './checks/check-poller.ts';
import { rehearseChecks } from './checks/check-rehearsal.ts';
import { openControlApi, type ControlApi, type ControlPorts } from './control/app.ts';
import { openArtifactIntake } from './control/artifact-intake.ts';
import { type FlagFeed, openFlagFeed } from './control/flag-feed.ts';
import { openMetricsPage, type RenderMetrics } from './control/metrics-page.ts';
import { openFeedbackIntake, type OpenRequestId } from './control/feedback.ts';
import { openObservations } from './control/observations.ts';
import type { CheckDesk } from './control/ports.ts';
import { openReportIntake, type TakeReport } from './control/report-intake.ts';
import { openSdkKeys } from './control/sdk-keys.ts';
import { openSdkSightings } from './control/sdk-sightings.ts';
import type { HookDesk } from './control/ports.ts';
import { ownListeners, problemOfHookUrl } from './control/upstream-address.ts';
import { openSnapshotFeed, type SnapshotFeed } from './control/snapshot-feed.ts';
import { type Engine, openEngine } from './engine/rollout-engine.ts';
import { openRedisMirror } from './followers/redis-mirror.ts';
import { startHookLoop } from './hooks/hook-loop.ts';
import { type HookSender, openHookSender } from './hooks/hook-sender.ts';
import { openGateway } from './gateway/gateway.ts';
import { GATEWAY_DEFAULTS } from './gateway/gateway-options.ts';
import type { Gateway, GatewayPorts } from './gateway/gateway-ports.ts';
import { openRequestId } from './gateway/request-id.ts';
import { LATENCY_BOUNDS_MS } from './gateway/request-counters.ts';
import { systemTimers } from './gateway/timers.ts';
import { predictRows } from './gateway/predict-rows.ts';
import type { openLog } from './log.ts';
import type { ProtocolPorts } from './protocols/flag-world.ts';
import { flagsProtocol } from './protocols/flags/flags.ts';
import { flagsmithProtocol } from './protocols/flagsmith/flagsmith.ts';
import { launchdarklyProtocol } from './protocols/launchdarkly/launchdarkly.ts';
import { ofrepProtocol } from './protocols/ofrep/ofrep.ts';
import { unleashProtocol } from './protocols/unleash/unleash-protocol.ts';
import { compileRegex } from './regex.ts';
import { RELEASE } from './release.ts';
import { inspectOnnx } from './runtimes/onnx-inspect.ts';
import { openOnnxRuntime } from './runtimes/onnx-runtime.ts';
import type { Runtime } from './runtimes/runtime.ts';
import { allowedAddressOf } from './runtimes/upstream-address.ts';
import { openUpstream } from './runtimes/upstream-runtime.ts';
import { startHousekeeping } from './housekeeping.ts';
import { type ArtifactStore, openArtifactStore } from './storage/artifact-store.ts';
import { openStore } from './storage/open-store.ts';
import type { SecretKeeper } from './storage/secret-keeper.ts';
import type { Store } from './storage/store.ts';

type Log = ReturnType<typeof openLog>;

/** A running process. */
export interface Understudy {
  readonly controlUrl: string;
  readonly gatewayUrl: string;
  /** An admin token that this start created: the first one, or one that was asked for. It is shown this once. */
  readonly adminToken: string | undefined;
  /** Ends what has begun, refuses what comes, then closes. */
  drain(): Promise<void>;
  /** Closes at once. */
  close(): Promise<void>;
}

export interface ComposeOptions {
  readonly log: Log;
  /** Called when the store can no longer keep its word and the process has to end. */
  readonly onFatal: (error: unknown) => void;
  readonly clock?: Clock;
  /** Creates an admin token although there are tokens: for whoever lost theirs but owns the machine. */
  readonly newAdminToken?: boolean;
  /** Flag protocols to serve on the control port; all when left out. */
  readonly protocols?: readonly FlagProtocol[];
}

/** A flag protocol and where it is served. */
export interface FlagProtocol {
  readonly prefix: string;
  readonly open: (ports: ProtocolPorts) => FastifyPluginCallback;
}

/** What SDKs are served with: those of other systems, and our own. */
const FLAG_PROTOCOLS: readonly FlagProtocol[] = [
  { prefix: '/unleash', open: (ports) => unleashProtocol(ports) },
  { prefix: '/launchdarkly', open: (ports) => launchdarklyProtocol(ports) },
  { prefix: '/flagsmith', open: (ports) => flagsmithProtocol(ports) },
  { prefix: '/ofrep', open: (ports) => ofrepProtocol(ports) },
  { prefix: '/flags', open: (ports) => flagsProtocol(ports) },
];

/**
 * Starts everything.
 * @throws AppError when the configuration, the data directory or a port cannot be used
 */
export async function startUnderstudy(
  config: Config,
  { log, onFatal, clock = systemClock, newAdminToken = false, protocols = FLAG_PROTOCOLS }: ComposeOptions,
): Promise<Understudy> {
  const { store, secrets, isShared } = await openStore(config.store, { onFatal, log });
  const opened: { close(): unknown }[] = [store];
  try {
    const files = await openArtifactStore(join(dataDirectory(config), 'artifacts'), { isShared });
    const context = { store, environment: config.environment, clock };
    const onFailure = (error: unknown): void => log.error({ err: error }, 'snapshot.failed');
    const feed = await openSnapshotFeed({ store, environment: config.environment, onFailure });
    opened.unshift(feed);
    const flags = await openFlagFeed({ ...context, compileRegex, timers: systemTimers, log });
    opened.unshift(flags);
    const engine = openEngine(context, log);
    const { environment } = config;
    const metrics = openMetricsPage({
      latencyBoundsMs: LATENCY_BOUNDS_MS,
      environment: () => loadEnvironment({ store, environment }),
    });
    const parts = { config, store, files, metrics, log, clock };
    const idKey = await requestIdKey(secrets);
    const gateway = await openGateway(
      { ...gatewayOptions(config), requestIdKey: idKey },
      gatewayPorts({ ...parts, feed, takeReport: openReportIntake(context) }),
    );
    opened.unshift(gateway);
    const hooks = openHooks({ context, config, gateway, idKey, log });
    const asker = openAsker(config, gateway);
    const control = await openControl({ ...parts, engine, gateway, flags, protocols, idKey, hooks, asker });
    opened.unshift(control);
    const controlUrl = await control.listen({ host: config.host, port: config.controlPort });
    const checks = openCheckPoller(context, asker, log);
    const housekeeping = startHousekeeping({
      engine,
      checks,
      feeds: [feed, flags],
      store,
      longestDueMs: () => longestDueMs(context),
      config,
      clock,
      log,
    });
    opened.unshift(startHookLoop({ sender: hooks, store, log }), housekeeping, checks);
    if (config.mirrorRedis !== undefined) opened.unshift(openRedisMirror({ url: config.mirrorRedis, store, environment, log }));
    // Last of all: a token that was made by a start that failed would never have been shown.
    const adminToken = newAdminToken ? await createAdminToken(context) : await createFirstToken(context);
    return understudyOf({ controlUrl, gateway, control, adminToken, opened });
  } catch (error) {
    for (const one of opened) await one.close();
    throw portError(error);
  }
}

interface Parts {
  readonly controlUrl: string;
  readonly gateway: Gateway;
  readonly control: ControlApi;
  readonly adminToken: string | undefined;
  /** In the order of closing. */
  readonly opened: readonly { close(): unknown }[];
}

function understudyOf({ controlUrl, gateway, control, adminToken, opened }: Parts): Understudy {
  const { address, port } = gateway.address;
  const close = async (): Promise<void> => {
    for (const one of opened) await one.close();
  };
  return {
    controlUrl: controlUrl.replace('[::]', '127.0.0.1').replace('0.0.0.0', '127.0.0.1'),
    gatewayUrl: `http://${address === '0.0.0.0' || address === '::' ? '127.0.0.1' : address}:${port}`,
    adminToken,
    async drain() {
      control.drain();
      await gateway.drain();
      await close();
    },
    close,
  };
}

const KEY_BYTES = 32;

/**
 * The key that signs request ids. It outlives the process and is the same for all on one store: feedback that arrives days
 * later, at whichever of them, is attributed by ids signed with it.
 */
async function requestIdKey(secrets: SecretKeeper): Promise<Uint8Array> {
  const key = await secrets.keepSecret('request-id', randomBytes(KEY_BYTES));
  if (key.length === KEY_BYTES) return key;
  throw new AppError(
    'config.invalid',
    `the key that signs request ids has ${key.length} bytes instead of ${KEY_BYTES}; restore it from a backup, or delete it (request-id.key, its row in the table "secrets", or its field in the Redis hash of secrets) to get a new one: older request ids are then unknown`,
  );
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

interface GatewayNeeds {
  readonly config: Config;
  readonly store: Store;
  readonly takeReport: TakeReport;
  readonly files: ArtifactStore;
  readonly feed: SnapshotFeed;
  readonly metrics: RenderMetrics;
  readonly log: Log;
  readonly clock: Clock;
}

function gatewayPorts({ takeReport, files, feed, metrics, log, clock }: GatewayNeeds): GatewayPorts {
  return {
    snapshots: feed,
    reports: takeReport,
    openRuntime: (model, version) => openRuntime({ files, log }, model, version),
    clock,
    timers: systemTimers,
    random: Math.random,
    log: (event, fields) => log.info(fields, event),
    metricsPage: metrics,
  };
}

async function openRuntime(
  { files, log }: Pick<GatewayNeeds, 'files' | 'log'>,
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

/** Of all models: feedback must not be forgotten before it is due. */
async function longestDueMs(context: CommandContext): Promise<number> {
  return Math.max(0, ...(await listBodies(context, 'model')).map(labelsDueMsOf));
}

interface HookNeeds extends Pick<GatewayNeeds, 'config' | 'log'> {
  readonly context: CommandContext;
  readonly gateway: Gateway;
  readonly idKey: Uint8Array;
}

/** Webhooks: model servers' rules on addresses, checked when a hook is made and again at each message. */
function openHooks({ context, config, gateway, idKey, log }: HookNeeds): Hooks {
  const addresses = addressPolicyOf(config, gateway);
  const sender = openHookSender(context, { addresses, key: idKey, random: Math.random, log });
  return { ...sender, problemOf: (url) => addresses.problemOf(url) };
}

/** Providers of checks: the same rules, looked at when a plan is saved and again at each question. */
function openAsker(config: Config, gateway: Gateway): CheckAsker {
  const addresses = addressPolicyOf(config, gateway);
  return openCheckAsker({ addresses, readVariable: (name) => processEnvironment()[name] });
}

function addressPolicyOf(config: Config, gateway: Gateway): AddressPolicy {
  const own = ownListeners([config.controlPort, gateway.address.port]);
  return { problemOf: (url) => problemOfHookUrl(url, own), resolve: allowedAddressOf };
}

interface ControlNeeds extends Omit<GatewayNeeds, 'feed' | 'takeReport'> {
  readonly engine: Engine;
  readonly gateway: Gateway;
  readonly flags: FlagFeed;
  readonly asker: CheckAsker;
  readonly protocols: readonly FlagProtocol[];
  /** Signs request ids; other secrets of the installation are derived from it. */
  readonly idKey: Uint8Array;
  readonly hooks: Hooks;
}

type Hooks = HookSender & Pick<HookDesk, 'problemOf'>;

async function openControl(needs: ControlNeeds): Promise<ControlApi> {
  const { config, store, files, engine, gateway, metrics, log, clock, flags, asker } = needs;
  const maxBytes = config.maxArtifactMib * 1024 * 1024;
  const { environment } = config;
  const predict = async (
    path: string,
    signature: Signature,
    rows: readonly (readonly number[])[],
  ): Promise<readonly number[]> => {
    const runtime = await openOnnxRuntime({ path, signature });
    try {
      return await predictRows(runtime, rows);
    } finally {
      await runtime.close();
    }
  };
  const ownPorts = [config.controlPort, gateway.address.port];
  const options = { environment, release: RELEASE, ownPorts, openMetrics: config.openMetrics, maxUploadBytes: maxBytes };
  const artifacts = openArtifactIntake({ files, inspect: inspectOnnx, predict, maxBytes });
  const page = (): ReturnType<ControlPorts['metrics']> => metrics(gateway.stats());
  const checks: CheckDesk = {
    addressProblemOf: (check) => asker.addressProblemOf(check),
    rehearse: async (wanted, subject) => rehearseChecks(asker, wanted, subject),
  };
  const { hooks } = needs;
  const desks = { checks, hooks, metrics: page, ...openReporting(needs) };
  return openControlApi(options, { store, clock, engine, artifacts, log, flags, ...desks });
}

/** Flag protocols, and where goes what is reported. */
function openReporting(needs: ControlNeeds): Pick<ControlPorts, 'observations' | 'feedback' | 'sdks' | 'protocols'> {
  const { config, store, clock, log, flags, protocols, idKey } = needs;
  const { environment } = config;
  const openId: OpenRequestId = (id) => openRequestId(idKey, id);
  const feedback = openFeedbackIntake({ store, environment, clock, openId });
  const observations = openObservations({ store, environment, clock });
  const sdks = openSdkSightings(clock);
  const keys = openSdkKeys({ tokens: flags, clock });
  const { sighted } = sdks;
  const secretFor = deriveSecrets(idKey);
  const ports: ProtocolPorts = { world: flags, keys, outcomes: observations, clock, log, sighted, secretFor };
  return { observations, feedback, sdks, protocols: protocols.map(({ prefix, open }) => ({ prefix, plugin: open(ports) })) };
}

function portError(error: unknown): unknown {
  if (!(error instanceof Error && 'code' in error && 'port' in error)) return error;
  if (error.code === 'EADDRINUSE') {
    return new AppError(
      'config.invalid',
      `cannot listen on port ${String(error.port)}: another program does. Choose another one with --control-port or --gateway-port.`,
      { cause: error },
    );
  }
  return error.code === 'EACCES'
    ? new AppError('config.invalid', `this user may not listen on port ${String(error.port)}`, { cause: error })
    : error;
}
