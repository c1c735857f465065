/** `understudy simulate`: plays a plan many times before anybody is served by it. Needs no server, but for a recorded rollout. */
import type { Plan } from '@understudy/core/plan';
import { AppError, isAppError } from '@understudy/core/errors';
import type { Command, Input } from './command.ts';
import { durationOf, numberOf } from './input-values.ts';
import { planOf } from './plan-source.ts';
import { findRollout } from './rollout-target.ts';
import type { Session } from './session.ts';
import { showList } from './show.ts';
import type { Circumstances } from './simulated-scenarios.ts';
import type { CheckedOrder, TrialOrder } from './simulated-trial.ts';
import { UsageError } from './usage-error.ts';

const DEFAULT_ROLLOUTS = '500';
const MOST_ROLLOUTS = 100_000;

export const SIMULATE_COMMANDS: readonly Command[] = [
  {
    path: 'simulate',
    summary: 'Play a plan many times, to see what it can do',
    details: [
      'Plays whole rollouts with made-up requests: how often is a good challenger',
      'rolled back, how soon is a bad one found, how long does a climb take? Needs',
      'no server, but for --from and for plans that are saved there. The same seed',
      'gives the same rollouts.',
    ],
    options: [
      { flags: '--plan <plan>', about: 'name of a plan, or a YAML file; standard when left out', kind: 'plan' },
      {
        flags: '--scenario <name>',
        about: 'what happens; `all` for everything, a usual few when left out',
        kind: 'scenario',
        isRepeatable: true,
      },
      { flags: '--list', about: 'list the scenarios and play none' },
      { flags: '--rate <number>', about: 'requests a second; of the scenario, or as recorded, when left out' },
      { flags: '--rollouts <count>', about: `of each scenario; ${DEFAULT_ROLLOUTS} when left out` },
      { flags: '--limit <time>', about: 'a rollout that has not ended by then counts as held' },
      { flags: '--seed <number>', about: 'of the first rollout, the next one has the next; 1 when left out' },
      { flags: '--from <rollout>', about: 'with the traffic of a rollout, and its plan unless told', kind: 'rollout' },
    ],
    examples: [
      'simulate --plan careful --rate 5',
      'simulate --plan plan.yaml --scenario errors-1-to-2',
      'simulate --from digits-3 --rollouts 200 --json',
    ],
    run: async (session, input) => (input.flag('list') ? listScenarios(session) : simulate(session, input)),
  },
];

async function listScenarios(session: Session): Promise<void> {
  const [{ SCENARIOS }, { TRUTH_WORDS }] = await Promise.all([
    import('@understudy/core/simulation/scenarios'),
    import('./simulation-report.ts'),
  ]);
  await showList(
    session,
    SCENARIOS.map(({ name, title, truth }) => ({ name, title, truth })),
    {
      head: ['scenario', 'challenger', 'what happens'],
      row: ({ name, title, truth }) => [name, TRUTH_WORDS[truth], title],
      name: ({ name }) => name,
      empty: 'There is no scenario.',
    },
  );
}

async function simulate(session: Session, input: Input): Promise<void> {
  const rollouts = wholeNumberOf(input.text('rollouts') ?? DEFAULT_ROLLOUTS, '--rollouts', { from: 1, to: MOST_ROLLOUTS });
  const firstSeed = wholeNumberOf(input.text('seed') ?? '1', '--seed', { from: 0, to: Number.MAX_SAFE_INTEGER - rollouts });
  const { orders, plan } = await ordersOf(session, input);
  const [{ renderReport, resultOf }, { playAll }, { checkOrder }] = await Promise.all([
    import('./simulation-report.ts'),
    import('./simulation-pool.ts'),
    import('./simulated-trial.ts'),
  ]);
  const checked = orders.map((order) => withGuards(checkOrder(order)));
  const progress = await openProgress(session, { orders, rollouts });
  try {
    const request = { orders: checked.map(({ order }) => order), rollouts, firstSeed, signal: session.signal };
    const played = await playAll({ ...request, onProgress: (place, played) => progress.show(place, played) });
    progress.close();
    const { policy } = plan;
    await session.output.show({
      data: {
        plan: plan.name,
        ...(policy.kind === 'sequential' ? { alpha: policy.alpha } : {}),
        firstSeed,
        results: checked.map((one, place) => resultOf(one, played[place] ?? [])),
      },
      text: (report) => renderReport(report, { palette: session.palette, width: widthOf(session) }),
      names: ({ results }) => results.map(({ scenario }) => scenario),
    });
  } finally {
    progress.close();
  }
}

interface Ordered {
  readonly plan: Plan;
  readonly orders: readonly TrialOrder[];
}

async function ordersOf(session: Session, input: Input): Promise<Ordered> {
  const [names, wish, from] = [input.list('scenario'), input.text('plan'), input.text('from')];
  const limits = circumstancesOf(input);
  const scenarios = await import('./simulated-scenarios.ts');
  if (from === undefined) {
    const plan = await findPlan(session, wish ?? 'standard');
    return { plan, orders: scenarios.ordersOf(names, { plan, ...limits }) };
  }
  const { rollout } = await findRollout(session, from);
  const plan = wish === undefined ? rollout.plan : await findPlan(session, wish);
  const { arms, span } = await session.ask('getRolloutEvidence', { params: { rollout: rollout.id } }, { timeoutMs: 65_000 });
  const spanMs = span === undefined ? 0 : span.untilMs - span.fromMs;
  const recorded = { rollout: rollout.id, arms, spanMs, bins: rollout.bins };
  return { plan, orders: scenarios.recordedOrders(names, recorded, { plan, ...limits }) };
}

function circumstancesOf(input: Input): Omit<Circumstances, 'plan'> {
  const [rate, limit] = [input.text('rate'), input.text('limit')];
  const requestsPerSecond = rate === undefined ? undefined : numberOf(rate, '--rate');
  if (requestsPerSecond !== undefined && !(requestsPerSecond > 0 && requestsPerSecond <= 100_000)) {
    throw new UsageError(`--rate ${rate}: write requests a second, above 0 and at most 100000`);
  }
  return {
    ...(requestsPerSecond === undefined ? {} : { requestsPerSecond }),
    ...(limit === undefined ? {} : { limitMs: durationOf(limit, '--limit') }),
  };
}

/** A plan that comes with the product, one in a file, or one that is saved on the server: in this order. */
async function findPlan(session: Session, wish: string): Promise<Plan> {
  const [{ readPlan }, { BUILT_IN_PLANS }] = await Promise.all([
    import('@understudy/contract/plan-file'),
    import('@understudy/core/plan'),
  ]);
  const found = await planOf(wish);
  if (typeof found !== 'string') return readPlan(found);
  const builtIn = BUILT_IN_PLANS.find(({ name }) => name === found);
  if (builtIn !== undefined) return builtIn;
  try {
    return readPlan(await session.ask('getPlan', { params: { plan: found } }));
  } catch (error) {
    if (!isAppError(error, 'upstream.unreachable')) throw error;
    const names = BUILT_IN_PLANS.map(({ name }) => name).join(', ');
    const message = `"${found}" is none of the built-in plans (${names}), and the server that may have it saved cannot be asked: ${error.message}`;
    throw new AppError('plan.not_found', message, { cause: error });
  }
}

/** A sequential plan without a guard would promote anything; the server refuses to start with it. */
function withGuards(checked: CheckedOrder): CheckedOrder {
  const { plan, scenario } = checked.order;
  if (plan.policy.kind !== 'sequential' || plan.policy.guards.length > 0) return checked;
  throw new UsageError(`no guard of the plan "${plan.name}" has data in ${scenario.name}: ${checked.remarks.join('; ')}`);
}

function wholeNumberOf(text: string, option: string, { from, to }: { readonly from: number; readonly to: number }): number {
  const value = numberOf(text, option);
  if (Number.isInteger(value) && value >= from && value <= to) return value;
  throw new UsageError(`${option} ${text}: write a whole number from ${from} to ${to}`);
}

/** Wide where nobody sees the lines break. */
function widthOf({ deps: { io } }: Session): number {
  return io.isTty ? io.columns : Math.max(io.columns, WIDE_COLUMNS);
}

const WIDE_COLUMNS = 120;

interface Progress {
  show(place: number, played: number): void;
  /** May be called again. */
  close(): void;
}

/** A line that is redrawn, for who waits at a terminal; nothing elsewhere. */
async function openProgress(
  session: Session,
  { orders, rollouts }: { readonly orders: readonly TrialOrder[]; readonly rollouts: number },
): Promise<Progress> {
  const { io, env } = session.deps;
  if (!io.isTty || env['TERM'] === 'dumb') return { show() {}, close() {} };
  const { createLogUpdate } = await import('log-update');
  const update = createLogUpdate(io.stderr, { showCursor: true, defaultWidth: io.columns });
  return {
    show(place, played) {
      const name = orders[place]?.scenario.name ?? '';
      update(`${place + 1} of ${orders.length}, ${name}: ${played} of ${rollouts} rollouts`);
    },
    close: () => update.clear(),
  };
}
