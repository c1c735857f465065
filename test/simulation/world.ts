/** One simulated world: control planes on one store, gateways, people, and everything that goes wrong, all of it from one seed. */
import { DEFAULT_SEQUENTIAL } from '@understudy/core/sequential/config';
import { DEFAULT_THRESHOLDS } from '@understudy/core/thresholds';
import { isAppError } from '@understudy/core/errors';
import type { Plan } from '@understudy/core/plan';
import type { CommandContext } from '../../packages/server/src/commands/command.ts';
import { createModel, promoteVersion } from '../../packages/server/src/commands/models.ts';
import { startRollout } from '../../packages/server/src/commands/rollouts.ts';
import { registerVersion } from '../../packages/server/src/commands/versions.ts';
import type { Store } from '../../packages/server/src/storage/store.ts';
import { BASE_MS, openPlane, type Plane } from './control-plane.ts';
import { type Dice, diceOf } from './dice.ts';
import { checkEnd } from './end-checks.ts';
import { type Clocks, type Faults, faultsOf, heal, planWeather } from './faults.ts';
import { MODEL, openGatewayOf, type SimulatedGateway, VERSIONS } from './gateways.ts';
import { type Counter, type Happened, openCounter } from './happened.ts';
import { type History, openHistory, type Violation } from './history.ts';
import { finish } from './liveness.ts';
import { openPeople, type People } from './people.ts';
import { plantBefore, plantBehind, type PlantedBug } from './planted-bugs.ts';
import { rememberReads } from './remembered-reads.ts';
import { openVirtualTime, type VirtualTime } from './virtual-time.ts';

export interface WorldOptions {
  readonly seed: number;
  /** Where the world lives; it has an environment of its own in there. */
  readonly store: Store;
  readonly environment: string;
  readonly bug?: PlantedBug | undefined;
  /** Drawn from the seed: in one of four they are up to a year apart, in one of seven there is but one clock; here said for all. */
  readonly clocks?: Clocks;
  /** How long the store takes to write a report at most, in milliseconds, where there are several control planes; drawn from the seed unless said. */
  readonly slowestReportMs?: number;
  /** Hears everything that happens, in order. */
  readonly onTrace?: (line: string) => void;
}

/** What came of a world. */
export interface WorldResult {
  readonly seed: number;
  readonly violations: readonly Violation[];
  /** Virtual milliseconds. */
  readonly lastedMs: number;
  readonly commits: number;
  readonly wishes: number;
  readonly happened: Happened;
  readonly isReplayed: boolean;
  readonly isWatchedToTheEnd: boolean;
}

/** Everything that lives in a world. */
export interface World {
  readonly time: VirtualTime;
  readonly dice: Dice;
  readonly faults: Faults;
  readonly clocks: Clocks;
  readonly planes: readonly Plane[];
  readonly gateways: readonly SimulatedGateway[];
  readonly people: People;
  readonly counter: Counter;
  readonly history: History;
  readonly isHarmful: boolean;
  /** Whether what was left behind has to come to its right end; half of the worlds end where the faults do, which is faster. */
  readonly isWatchedToTheEnd: boolean;
  /** The store itself, with a clock that is right. */
  readonly truth: CommandContext;
  readonly onTrace: (line: string) => void;
}

/** When all faults end. */
const HEAL_MS = 4000;
const END_MS = 120_000;

export async function runWorld(options: WorldOptions): Promise<WorldResult> {
  const world = await openWorld(options);
  const { time, planes, faults, people, history, onTrace } = world;
  for (const plane of planes) plane.start();
  for (const name of ['ana', 'bo']) people.live(name, HEAL_MS);
  planWeather({ ...world, untilMs: HEAL_MS });
  if (options.bug === 'wall clock instead of elapsed time') setClocks(world);
  await time.runUntil(HEAL_MS);
  onTrace('healed');
  heal(faults, planes);
  await finish(world);
  const isReplayed = await checkEnd(world);
  const { violations } = history;
  return {
    seed: options.seed,
    violations,
    lastedMs: time.nowMs(),
    commits: history.revision(),
    wishes: people.wishes.length,
    happened: world.counter.counts(),
    isReplayed,
    isWatchedToTheEnd: world.isWatchedToTheEnd,
  };
}

async function openWorld({ seed, store, environment, bug, ...options }: WorldOptions): Promise<World> {
  const dice = diceOf(seed, 'world');
  const time = openVirtualTime();
  const onTrace = (line: string): void => options.onTrace?.(`${time.nowMs().toFixed(3)} ${line}`);
  const alone: Clocks = dice.chance(0.5) ? 'same' : 'embedded';
  const drawn: Clocks = dice.chance(0.15) ? alone : dice.chance(0.28) ? 'disagree' : 'agree';
  const clocks = options.clocks ?? drawn;
  const bugs = { time, dice: diceOf(seed, 'bug') };
  const history = openHistory({
    store: plantBehind(bug, { ...bugs, store: rememberReads(store) }),
    nowMs: () => time.nowMs(),
    areHoldsPromised: clocks !== 'disagree',
  });
  const truth: CommandContext = { store: history.store, environment, clock: { nowMs: () => BASE_MS + time.nowMs() } };
  const isHarmful = dice.chance(0.5);
  const isSequential = dice.chance(0.1);
  await settle(truth, isSequential ? sequentialPlan(dice) : plainPlan(dice));
  const isEmbedded = clocks === 'embedded';
  const faults = faultsOf(
    dice,
    clocks === 'same' || isEmbedded ? undefined : (options.slowestReportMs ?? dice.pick([0, 300, 1500])),
  );
  const onInternalError = (where: string, error: unknown): void => {
    if (isAppError(error, 'store.busy')) onTrace(`${where}: ${error.code}`);
    else
      history.report({
        invariant: 'no internal error',
        detail: `${where}: ${error instanceof Error ? error.stack : String(error)}`,
      });
  };
  const counter = openCounter();
  const seen = plantBefore(bug, { ...bugs, store: history.store });
  const planes = Array.from({ length: isEmbedded ? 1 : dice.pick([2, 2, 2, 3]) }, (_, place) =>
    openPlane({
      name: `cp${place + 1}`,
      environment,
      time,
      dice: diceOf(seed, `plane ${place}`),
      faults,
      store: seen,
      embedded: isEmbedded ? (bug === 'clock that was set is believed' ? 'believed' : 'counted') : undefined,
      onTrace,
      note: counter.note,
      onInternalError,
    }),
  );
  const gateways = dice.pick([['g1'], ['g1', 'g2']]).map((name) =>
    openGatewayOf({
      name,
      time,
      dice: diceOf(seed, name),
      faults,
      planes,
      failingShare: isHarmful ? 0.5 : 0,
      mostRequests: isSequential ? 3000 : 40,
      endMs: END_MS,
    }),
  );
  const people = openPeople({ time, dice: diceOf(seed, 'people'), faults, planes, history, onTrace, onInternalError });
  const isWatchedToTheEnd = clocks !== 'disagree' && dice.chance(0.5);
  return {
    time,
    dice,
    faults,
    clocks,
    planes,
    gateways,
    people,
    counter,
    history,
    isHarmful,
    isWatchedToTheEnd,
    truth,
    onTrace,
  };
}

/** Proof takes thousands of requests, which cost no more to simulate than forty. */
function sequentialPlan(dice: Dice): Plan {
  const guards = DEFAULT_SEQUENTIAL.guards.filter(({ metric }) => metric === 'errors');
  return {
    name: 'simulated',
    steps: [
      { trafficPercent: 50, holdMs: dice.pick([0, 1500]), minSamples: 20 },
      { trafficPercent: 100, holdMs: 0, minSamples: 0 },
    ],
    policy: { kind: 'sequential', ...DEFAULT_SEQUENTIAL, guards },
    checkEveryMs: 1000,
    startCheck: 'warn',
  };
}

function plainPlan(dice: Dice): Plan {
  return {
    name: 'simulated',
    steps: [
      ...(dice.chance(0.5) ? [{ trafficPercent: 10, holdMs: dice.pick([0, 1500, 4000]), minSamples: 20 }] : []),
      { trafficPercent: 50, holdMs: dice.pick([0, 1500, 4000]), minSamples: 20 },
      { trafficPercent: 100, holdMs: 0, minSamples: 0 },
    ],
    policy: { kind: 'thresholds', ...DEFAULT_THRESHOLDS, minSamples: 20, window: 200 },
    checkEveryMs: dice.pick([1000, 2000]),
    startCheck: 'warn',
  };
}

/** The model with a champion and a rollout of a challenger that is about to begin. */
async function settle(truth: CommandContext, plan: Plan): Promise<void> {
  const caller = { actor: 'token:ana' };
  const watch = { method: 'window', checkEveryMs: 2000, cooldownMs: 1000 } as const;
  await createModel(truth, caller, { name: MODEL, watch });
  const source = { kind: 'upstream', url: 'http://127.0.0.1:9', protocol: 'predict', remoteModel: MODEL } as const;
  for (const version of VERSIONS) await registerVersion(truth, caller, { model: MODEL, version, source, note: '' });
  await promoteVersion(truth, caller, { model: MODEL, version: 'v1', reason: 'first' });
  await startRollout(truth, caller, { model: MODEL, challenger: 'v2', plan, reason: 'try' });
}

/** The planted bug of the clock: it is set by an hour while the process runs. */
function setClocks({ time, dice, planes }: World): void {
  for (const plane of planes) {
    time.after(dice.between(1000, HEAL_MS), () => {
      plane.skewMs += dice.pick([-1, 1]) * 3_600_000;
    });
  }
}
