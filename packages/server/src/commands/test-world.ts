/** A small environment on an embedded store, for tests of commands and engine: a clock to turn, and evidence to send. */
import type { Arm, Moments, Tally } from '@understudy/core/evidence';
import { EMPTY_TALLY } from '@understudy/core/evidence';
import { GRACE_MS, INTERVAL_MS } from '@understudy/core/evidence-pool';
import type { Flag } from '@understudy/core/flags/flag';
import { bucketOfLatency, type Histogram, mergeHistograms } from '@understudy/core/histogram';
import type { Baseline } from '@understudy/core/model-version';
import { binOf, binsOfNormal, MAX_BINS, nameOfEdges } from '@understudy/core/prediction-bins';
import type { Readiness, Trial } from '@understudy/contract/report';
import { openSqliteStore } from '../storage/sqlite-store.ts';
import type { Store } from '../storage/store.ts';
import type { CommandContext } from './command.ts';
import { createModel, promoteVersion } from './models.ts';
import { registerVersion } from './versions.ts';

export const HUMAN = { actor: 'token:ana' } as const;

/** What some requests of a version looked like. */
export interface Traffic {
  readonly version: string;
  readonly arm: Arm;
  readonly requests: number;
  readonly errors?: number;
  readonly latencyMs?: number;
  readonly prediction?: number;
  readonly rollout?: string;
  readonly step?: number;
}

export interface TestWorld {
  readonly context: CommandContext;
  readonly store: Store;
  /** Moves the clock on. */
  wait(ms: number): void;
  /**
   * A gateway's report of the second that has just ended: these versions are ready, this is what they did. In the first
   * `GRACE_MS` of a second its interval is closed at the end of them; later the report is late and counts in the present one.
   */
  report(ready: readonly string[], traffic: readonly Traffic[]): Promise<void>;
  /** An engine looks as soon as the interval of the newest report is closed; the clock stands where it did in the second after. */
  letLook(engine: { tick(): Promise<void> }): Promise<void>;
  /** What reports say from now on about the trial of `v2`. */
  trial: Trial | undefined;
  /** What reports say from now on about single versions. */
  told: Readonly<Record<string, Partial<Pick<Readiness, 'state' | 'detail' | 'probe'>>>>;
  register(...versions: readonly string[]): Promise<void>;
}

const MODEL = 'fraud';

/** An environment with the model `fraud`, its versions `v1`, `v2` and `v3` registered, and `v1` as champion. */
export async function openTestWorld(): Promise<TestWorld> {
  const store = await openSqliteStore(':memory:');
  let nowMs = 1_000_000;
  let sequence = 0;
  const context: CommandContext = { store, environment: 'production', clock: { nowMs: () => nowMs } };
  const baseline: Baseline = { count: 200, mean: 10, standardDeviation: 2, source: 'validation', setAtMs: 0 };
  const source = { kind: 'upstream', url: 'http://127.0.0.1:9', protocol: 'predict', remoteModel: MODEL } as const;

  async function register(...versions: readonly string[]): Promise<void> {
    for (const version of versions) {
      nowMs += 1;
      await registerVersion(context, HUMAN, { model: MODEL, version, source, baseline, note: '' });
    }
  }

  await createModel(context, HUMAN, { name: MODEL });
  await register('v1', 'v2', 'v3');
  await promoteVersion(context, HUMAN, { model: MODEL, version: 'v1', reason: 'first' });

  const world: TestWorld = {
    trial: undefined,
    told: {},
    context,
    store,
    register,
    wait(ms) {
      nowMs += ms;
    },
    async report(ready, traffic) {
      const told = (version: string): Pick<Readiness, 'trial'> =>
        world.trial === undefined || version !== 'v2' ? {} : { trial: world.trial };
      const readiness = ready.map((version): Readiness => ({
        model: MODEL,
        version,
        state: 'ready',
        detail: 'inline',
        ...told(version),
        ...world.told[version],
      }));
      const blocks = traffic.map((seen) => ({
        model: MODEL,
        version: seen.version,
        arm: seen.arm,
        ...(seen.rollout === undefined ? {} : { rollout: seen.rollout, step: seen.step ?? 0 }),
        startMs: (Math.floor(nowMs / INTERVAL_MS) - 1) * INTERVAL_MS,
        tally: tallyOf(seen),
      }));
      const revision = await store.revision('production');
      await store.appendReport('production', { gateway: 'g1', boot: 'b1', sequence, revision, readiness, blocks }, nowMs);
      sequence += 1;
    },
    async letLook(engine) {
      world.wait(GRACE_MS);
      await engine.tick();
      world.wait(INTERVAL_MS - GRACE_MS);
    },
  };
  return world;
}

// Where the baseline of every version puts the edges of its bins.
const BINS = binsOfNormal(10, 2);

/** A spread of ±20 % around the latency, the same each time. */
function tallyOf({ requests, errors = 0, latencyMs = 20, prediction = 10 }: Traffic): Tally {
  const count = requests - errors;
  const predictions: Moments = { count, sum: count * prediction, sumSquares: count * prediction * prediction };
  const bins = BINS === undefined ? {} : { [nameOfEdges(BINS.edges)]: countsOf(binOf(BINS.edges, prediction), count) };
  return { ...EMPTY_TALLY, requests, errors, predictions, bins, latency: spread(latencyMs, requests) };
}

/** All of them in one bin. */
function countsOf(bin: number, count: number): readonly number[] {
  return Array.from({ length: MAX_BINS }, (_, index) => (index === bin ? count : 0));
}

function spread(latencyMs: number, requests: number): Histogram {
  let histogram: Histogram = [];
  for (let index = 0; index < requests; index += 1) {
    const ms = latencyMs * (0.8 + (0.4 * (index + 0.5)) / requests);
    histogram = mergeHistograms(histogram, [[bucketOfLatency(ms), 1]]);
  }
  return histogram;
}

/** A flag that gives everybody `old`, unless it is said otherwise. */
export function flagOf(key: string, more: Partial<Flag> = {}): Flag {
  return {
    key,
    type: 'string',
    on: true,
    offVariant: 'old',
    variants: [
      { name: 'new', value: 'n' },
      { name: 'old', value: 'o' },
    ],
    prerequisites: [],
    pins: [],
    rules: [],
    fallthrough: { variant: 'old' },
    bucketing: { profile: 'unleash', salt: key },
    ...more,
  };
}
