/** Wires a control plane: store, engine, API, protocols, and what runs by itself. With a gateway in the same process when it is given one. */
import { randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '@understudy/core/errors';
import { labelsDueMsOf } from '@understudy/core/model';
import type { Signature } from '@understudy/core/model-version';
import type { FastifyPluginCallback } from 'fastify';
import type { CommandContext } from './commands/command.ts';
import { listBodies, loadEnvironment } from './commands/queries.ts';
import { createAdminToken, createFirstToken } from './commands/tokens.ts';
import { type Config, dataDirectory, processEnvironment } from './config.ts';
import { type Clock, machineClock, systemClock } from './clock.ts';
import { openEmbeddedClock } from './embedded-clock.ts';
import { deriveSecrets } from './derived-secret.ts';
import type { AddressPolicy } from './outbound-post.ts';
import { type CheckAsker, openCheckAsker } from './checks/check-asker.ts';
import { openCheckPoller } from './checks/check-poller.ts';
import { rehearseChecks } from './checks/check-rehearsal.ts';
import { openControlApi, type ControlApi, type ControlPorts, type MountedProtocol } from './control/app.ts';
import { openArtifactIntake } from './control/artifact-intake.ts';
import { type FlagFeed, openFlagFeed } from './control/flag-feed.ts';
import { openMetricsPage, type RenderMetrics } from './control/metrics-page.ts';
import { openFeedbackIntake, type OpenRequestId } from './control/feedback.ts';
import { openObservations } from './control/observations.ts';
import type { CheckDesk, HookDesk } from './control/ports.ts';
import { openReportIntake, type TakeReport } from './control/report-intake.ts';
import { openSdkKeys } from './control/sdk-keys.ts';
import { openSdkSightings } from './control/sdk-sightings.ts';
import { ownListeners, problemOfHookUrl } from './control/upstream-address.ts';
import { openSnapshotFeed, type SnapshotFeed } from './control/snapshot-feed.ts';
import { type Engine, openEngine } from './engine/rollout-engine.ts';
import { isAnythingOnTrial, newestMomentOf } from './engine/time-bounds.ts';
import { openRedisMirror } from './followers/redis-mirror.ts';
import { startHookLoop } from './hooks/hook-loop.ts';
import { type HookSender, openHookSender } from './hooks/hook-sender.ts';
import type { Gateway } from './gateway/gateway-ports.ts';
import { openRequestId } from './gateway/request-id.ts';
import { LATENCY_BOUNDS_MS } from './gateway/request-counters.ts';
import { systemTimers } from './gateway/timers.ts';
import { predictRows } from './gateway/predict-rows.ts';
import { localUrlOf, portError } from './listening.ts';
import type { openLog } from './log.ts';
import type { ProtocolPorts } from './protocols/flag-world.ts';
import { flagsProtocol } from './protocols/flags/flags.ts';
import { flagsmithProtocol } from './protocols/flagsmith/flagsmith.ts';
import { gatewaysProtocol } from './protocols/gateways/gateways.ts';
import { launchdarklyProtocol } from './protocols/launchdarkly/launchdarkly.ts';
import { ofrepProtocol } from './protocols/ofrep/ofrep.ts';
import { unleashProtocol } from './protocols/unleash/unleash-protocol.ts';
import { compileRegex } from './regex.ts';
import { RELEASE } from './release.ts';
import { inspectOnnx } from './runtimes/onnx-inspect.ts';
import { openOnnxRuntime } from './runtimes/onnx-runtime.ts';
import { allowedAddressOf } from './runtimes/upstream-address.ts';
import { openSharedClock } from './shared-clock.ts';
import { startHousekeeping } from './housekeeping.ts';
import { type ArtifactStore, openArtifactStore } from './storage/artifact-store.ts';
import { withDocumentCache } from './storage/document-cache.ts';
import { openStore, type TimeSource } from './storage/open-store.ts';
import type { SecretKeeper } from './storage/secret-keeper.ts';
import type { Store } from './storage/store.ts';
import { bootIdOf, openTimeNote } from './time-note.ts';

type Log = ReturnType<typeof openLog>;

/** A control plane that runs. */
export interface ControlPlane {
  readonly url: string;
  /** An admin token that this start created: the first one, or one that was asked for. It is shown this once. */
  readonly adminToken: string | undefined;
  /** Of the same process. */
  readonly gateway: Gateway | undefined;
  /** Ends what has begun, refuses what comes, then closes. */
  readonly drain: () => Promise<void>;
  /** Closes at once. */
  readonly close: () => Promise<void>;
}

export interface ControlPlaneOptions {
  readonly log: Log;
  /** Called when the store can no longer keep its word and the process has to end. */
  readonly onFatal: (error: unknown) => void;
  readonly clock?: Clock;
  /** Creates an admin token although there are tokens: for whoever lost theirs but owns the machine. */
  readonly newAdminToken?: boolean;
  /** Flag protocols to serve on the control port; all when left out. */
  readonly protocols?: readonly FlagProtocol[];
  /** Opens the gateway of this process; there is none when left out. */
  readonly openGateway?: (needs: LocalGatewayNeeds) => Promise<Gateway>;
}

/** What the gateway of this process lives on. */
export interface LocalGatewayNeeds {
  readonly config: Config;
  readonly feed: SnapshotFeed;
  readonly takeReport: TakeReport;
  readonly files: Pick<ArtifactStore, 'verify' | 'path'>;
  readonly requestIdKey: Uint8Array;
  readonly metrics: RenderMetrics;
  readonly log: Log;
  readonly clock: Clock;
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
 * Starts a control plane.
 * @throws AppError when the configuration, the data directory or a port cannot be used
 */
export async function startControlPlane(config: Config, options: ControlPlaneOptions): Promise<ControlPlane> {
  const opened: Closing[] = [];
  const close = async (): Promise<void> => {
    for (const one of opened) await one.close();
  };
  try {
    const { control, gateway, ...started } = await openPlane(config, options, opened);
    const drain = async (): Promise<void> => {
      control.drain();
      await gateway?.drain();
      await close();
    };
    return { ...started, gateway, drain, close };
  } catch (error) {
    await close();
    throw portError(error);
  }
}

interface Closing {
  close(): unknown;
}

/** @param opened what is to be closed, in that order */
async function openPlane(config: Config, options: ControlPlaneOptions, opened: Closing[]) {
  const { log, onFatal, protocols = FLAG_PROTOCOLS, newAdminToken = false } = options;
  const { environment } = config;
  const { store: database, secrets, isShared, time } = await openStore(config.store, { onFatal, log });
  opened.unshift(database);
  const clock = options.clock ?? (await clockOf(time, { store: database, environment, log, opened }));
  const store = withDocumentCache(database, { environment, isShared });
  const files = await openArtifactStore(join(dataDirectory(config), 'artifacts'), { isShared });
  const context = { store, environment, clock };
  const onFailure = (error: unknown): void => log.error({ err: error }, 'snapshot.failed');
  const feed = await openSnapshotFeed({ ...context, onFailure, timers: systemTimers });
  opened.unshift(feed);
  const flags = await openFlagFeed({ ...context, compileRegex, timers: systemTimers, log });
  opened.unshift(flags);
  const engine = openEngine(context, log);
  const metrics = openMetricsPage({
    latencyBoundsMs: LATENCY_BOUNDS_MS,
    environment: () => loadEnvironment({ store, environment }),
  });
  const requestIdKey = await requestIdKeyOf(secrets);
  const parts = { config, files, metrics, log, clock, feed, takeReport: openReportIntake(context), requestIdKey };
  const gateway = await options.openGateway?.(parts);
  if (gateway !== undefined) opened.unshift(gateway);
  const ownPorts = [config.controlPort, ...(gateway === undefined ? [] : [gateway.address.port])];
  const hooks = openHooks({ context, ownPorts, requestIdKey, log });
  const asker = openAsker(ownPorts);
  const control = await openControl({ ...parts, store, engine, gateway, ownPorts, flags, protocols, hooks, asker });
  opened.unshift(control);
  const url = localUrlOf(await control.listen({ host: config.host, port: config.controlPort }));
  const checks = openCheckPoller(context, asker, log);
  const feeds = [feed, flags];
  const housekeeping = startHousekeeping({ engine, checks, feeds, store, longestDueMs: dueMsOf(context), config, clock, log });
  opened.unshift(startHookLoop({ sender: hooks, store, log }), housekeeping, checks);
  if (config.mirrorRedis !== undefined) opened.unshift(openRedisMirror({ url: config.mirrorRedis, store, environment, log }));
  // Last of all: a token that was made by a start that failed would never have been shown.
  const adminToken = newAdminToken ? await createAdminToken(context) : await createFirstToken(context);
  return { url, control, gateway, adminToken };
}

interface ClockNeeds extends Pick<CommandContext, 'store' | 'environment'> {
  readonly log: Log;
  readonly opened: Closing[];
}

/** A hold that one process began must not look shorter to another one, be it beside it or the next one. */
async function clockOf(time: TimeSource, { log, opened, ...stored }: ClockNeeds): Promise<Clock> {
  if (time.kind === 'machine') {
    return openEmbeddedClock({
      note: openTimeNote(time.file, bootIdOf()),
      machine: machineClock,
      wall: { nowMs: () => Date.now() },
      newestMs: async () => newestMomentOf(stored),
      isAnythingOnTrial: async (atMs) => isAnythingOnTrial(stored, atMs),
      log,
    });
  }
  const onFailure = (error: unknown): void => log.warn({ err: error }, 'clock.not_compared');
  const clock = await openSharedClock({ clock: systemClock, server: time.server, timers: systemTimers, onFailure });
  opened.unshift(clock);
  return clock;
}

const KEY_BYTES = 32;

/**
 * The key that signs request ids. It outlives the process and is the same for all on one store: feedback that arrives days
 * later, at whichever of them, is attributed by ids signed with it.
 */
async function requestIdKeyOf(secrets: SecretKeeper): Promise<Uint8Array> {
  const key = await secrets.keepSecret('request-id', randomBytes(KEY_BYTES));
  if (key.length === KEY_BYTES) return key;
  throw new AppError(
    'config.invalid',
    `the key that signs request ids has ${key.length} bytes instead of ${KEY_BYTES}; restore it from a backup, or delete it (request-id.key, its row in the table "secrets", or its field in the Redis hash of secrets) to get a new one: older request ids are then unknown`,
  );
}

/** Of all models: feedback must not be forgotten before it is due. */
function dueMsOf(context: CommandContext): () => Promise<number> {
  return async () => Math.max(0, ...(await listBodies(context, 'model')).map(labelsDueMsOf));
}

interface HookNeeds extends Pick<LocalGatewayNeeds, 'requestIdKey' | 'log'> {
  readonly context: CommandContext;
  readonly ownPorts: readonly number[];
}

/** Webhooks: model servers' rules on addresses, checked when a hook is made and again at each message. */
function openHooks({ context, ownPorts, requestIdKey, log }: HookNeeds): Hooks {
  const addresses = addressPolicyOf(ownPorts);
  const sender = openHookSender(context, { addresses, key: requestIdKey, random: Math.random, log });
  return { ...sender, problemOf: (url) => addresses.problemOf(url) };
}

/** Providers of checks: the same rules, looked at when a plan is saved and again at each question. */
function openAsker(ownPorts: readonly number[]): CheckAsker {
  const addresses = addressPolicyOf(ownPorts);
  return openCheckAsker({ addresses, readVariable: (name) => processEnvironment()[name] });
}

function addressPolicyOf(ownPorts: readonly number[]): AddressPolicy {
  const own = ownListeners(ownPorts);
  return { problemOf: (url) => problemOfHookUrl(url, own), resolve: allowedAddressOf };
}

interface ControlNeeds extends LocalGatewayNeeds {
  readonly store: Store;
  readonly engine: Engine;
  readonly files: ArtifactStore;
  readonly gateway: Gateway | undefined;
  readonly ownPorts: readonly number[];
  readonly flags: FlagFeed;
  readonly asker: CheckAsker;
  readonly protocols: readonly FlagProtocol[];
  readonly hooks: Hooks;
}

type Hooks = HookSender & Pick<HookDesk, 'problemOf'>;

async function openControl(needs: ControlNeeds): Promise<ControlApi> {
  const { config, store, files, engine, gateway, ownPorts, metrics, log, clock, flags, asker } = needs;
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
  const options = { environment, release: RELEASE, ownPorts, openMetrics: config.openMetrics, maxUploadBytes: maxBytes };
  const artifacts = openArtifactIntake({ files, inspect: inspectOnnx, predict, maxBytes });
  const page = (): ReturnType<ControlPorts['metrics']> => metrics(gateway?.stats());
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
  const { config, store, clock, log, flags, protocols, requestIdKey } = needs;
  const { environment } = config;
  const openId: OpenRequestId = (id) => openRequestId(requestIdKey, id);
  const feedback = openFeedbackIntake({ store, environment, clock, openId });
  const observations = openObservations({ store, environment, clock });
  const sdks = openSdkSightings(clock);
  const keys = openSdkKeys({ tokens: flags, clock });
  const { sighted } = sdks;
  const secretFor = deriveSecrets(requestIdKey);
  const ports: ProtocolPorts = { world: flags, keys, outcomes: observations, clock, log, sighted, secretFor };
  const mounted: MountedProtocol[] = protocols.map(({ prefix, open }) => ({ prefix, plugin: open(ports) }));
  return { observations, feedback, sdks, protocols: [...mounted, gatewaysOf(needs)] };
}

/** What gateways elsewhere live on. */
function gatewaysOf({ feed, takeReport, files, requestIdKey, clock, log }: ControlNeeds): MountedProtocol {
  const artifact = async (sha256: string) => {
    if (!(await files.has(sha256))) return undefined;
    const path = files.path(sha256);
    return { bytes: (await stat(path)).size, stream: createReadStream(path) };
  };
  return { prefix: '/gateways', plugin: gatewaysProtocol({ snapshots: feed, takeReport, artifact, requestIdKey, clock, log }) };
}
