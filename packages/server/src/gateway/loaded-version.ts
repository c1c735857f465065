/** One version on its way into this gateway: loading, ready or failed, then closed once nobody uses it. The routing table holds these. */
import { isAppError } from '@understudy/core/errors';
import type { SnapshotVersion } from '@understudy/core/snapshot';
import type { Readiness } from '@understudy/contract/report';
import type { Runtime } from '../runtimes/runtime.ts';
import { type ColdStart, openColdStart } from './cold-start.ts';
import type { OpenRuntime } from './ports.ts';
import type { Timers } from './timers.ts';

export interface LoadedVersion {
  readonly model: string;
  readonly version: string;
  /** Undefined until the version is ready. */
  readonly runtime: Runtime | undefined;
  readonly readiness: Readiness;
  /** Of this instance: every arm and every seat of it share one. */
  readonly coldStart: ColdStart;
  /** Calls in work at this version. */
  readonly inFlight: number;
  /** Keeps the version open during a call. */
  acquire(): void;
  release(): void;
  /** Closes the version as soon as no call uses it; resolves then. */
  retire(): Promise<void>;
}

export interface LoadingPorts {
  readonly openRuntime: OpenRuntime;
  readonly timers: Timers;
  random(): number;
}

// Doubling from 1 s to a minute, each cut by up to half, so that many gateways do not come back at once.
const FIRST_RETRY_MS = 1000;
const LAST_RETRY_MS = 60_000;

/** Where a version is on its way. */
interface Life {
  runtime: Runtime | undefined;
  state: Readiness['state'];
  detail: string;
  inFlight: number;
  failures: number;
  isRetired: boolean;
  cancelRetry: () => void;
  readonly closed: PromiseWithResolvers<void>;
}

/** Begins to load a version in the background; a failure is tried again until it is retired. */
export function loadVersion(
  ports: LoadingPorts,
  { model, wanted }: { readonly model: string; readonly wanted: SnapshotVersion },
  onChange: () => void,
): LoadedVersion {
  const life: Life = {
    runtime: undefined,
    state: 'loading',
    detail: 'loading',
    inFlight: 0,
    failures: 0,
    isRetired: false,
    cancelRetry: () => {},
    closed: Promise.withResolvers(),
  };
  const load = async (): Promise<void> => {
    await tryToOpen(life, () => ports.openRuntime(model, wanted));
    if (life.isRetired) void closeIfIdle(life);
    else onChange();
    if (life.state === 'failed' && !life.isRetired) {
      life.cancelRetry = ports.timers.after(retryDelayMs(life.failures, ports.random()), () => void load());
    }
  };
  void load();
  return {
    model,
    version: wanted.version,
    coldStart: openColdStart(),
    get runtime() {
      return life.runtime;
    },
    get readiness() {
      return { model, version: wanted.version, state: life.state, detail: life.detail };
    },
    get inFlight() {
      return life.inFlight;
    },
    acquire() {
      life.inFlight++;
    },
    release() {
      life.inFlight--;
      if (life.isRetired) void closeIfIdle(life);
    },
    retire() {
      life.isRetired = true;
      life.cancelRetry();
      void closeIfIdle(life);
      return life.closed.promise;
    },
  };
}

/** Leaves what happened in `life`; never rejects. */
async function tryToOpen(life: Life, open: () => Promise<Runtime>): Promise<void> {
  try {
    const runtime = await open();
    life.runtime = runtime;
    life.state = 'ready';
    life.detail = describe(runtime);
  } catch (error) {
    life.failures++;
    life.state = 'failed';
    life.detail = messageOf(error);
  }
}

function retryDelayMs(failures: number, random: number): number {
  const longest = Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** (failures - 1));
  return longest * (0.5 + random / 2);
}

async function closeIfIdle(life: Life): Promise<void> {
  if (life.inFlight > 0 || life.state === 'loading') return;
  const { runtime } = life;
  life.runtime = undefined;
  // A runtime that cannot close leaves nothing to do: it is out of the table already.
  await runtime?.close().catch(() => {});
  life.closed.resolve();
}

function describe(runtime: Runtime): string {
  if (runtime.kind === 'upstream') return `upstream ${runtime.url}`;
  return `${runtime.placement} ${runtime.measuredMs.toFixed(3)} ms`;
}

function messageOf(error: unknown): string {
  if (isAppError(error)) return `${error.code}: ${error.message}`;
  return error instanceof Error ? error.message : String(error);
}
