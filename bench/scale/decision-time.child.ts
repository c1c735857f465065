// How long one control plane takes to decide on many live rollouts, each with new evidence. Started by `decision-time.ts`.
import { parseArgs } from 'node:util';
import { BUILT_IN_PLANS } from '@understudy/core/plan';
import { openFlagFeed } from '../../packages/server/src/control/flag-feed.ts';
import { openReportIntake } from '../../packages/server/src/control/report-intake.ts';
import { openSnapshotFeed } from '../../packages/server/src/control/snapshot-feed.ts';
import type { CommandContext } from '../../packages/server/src/commands/command.ts';
import { createModel, promoteVersion } from '../../packages/server/src/commands/models.ts';
import { loadEnvironment } from '../../packages/server/src/commands/queries.ts';
import { startRollout } from '../../packages/server/src/commands/rollouts.ts';
import { registerVersion } from '../../packages/server/src/commands/versions.ts';
import { openEngine } from '../../packages/server/src/engine/rollout-engine.ts';
import { systemTimers } from '../../packages/server/src/gateway/timers.ts';
import { compileRegex } from '../../packages/server/src/regex.ts';
import { systemClock } from '../../packages/server/src/clock.ts';
import { withDocumentCache } from '../../packages/server/src/storage/document-cache.ts';
import { openStore } from '../../packages/server/src/storage/open-store.ts';
import type { DocumentKind, Json } from '../../packages/server/src/storage/store.ts';
import { secondOf } from './evidence.ts';

const { values } = parseArgs({
  options: { store: { type: 'string' }, rollouts: { type: 'string' }, rounds: { type: 'string' }, gateways: { type: 'string' } },
});
const { store: address, rollouts = '1000', rounds = '5', gateways = '2' } = values;
if (address === undefined) throw new Error('--store is needed');

const ENVIRONMENT = 'production';
const CALLER = { actor: 'token:bench' } as const;
const COPIED_AT_ONCE = 100;
const CHECK_EVERY_MS = 10_000;

const fail = (error: unknown): never => {
  throw error;
};
const { store: database } = await openStore(address, { onFatal: fail });
const store = withDocumentCache(database, { environment: ENVIRONMENT, isShared: false });
let nowMs = 1_800_000_000_000;
const context: CommandContext = { store, environment: ENVIRONMENT, clock: { nowMs: () => nowMs } };
const names = Array.from({ length: Number(rollouts) }, (_, index) => `model-${index}`);
await openFirst(names[0] ?? 'model-0');
for (let from = 1; from < names.length; from += COPIED_AT_ONCE) await copyTo(names.slice(from, from + COPIED_AT_ONCE));

const silent = { info() {}, warn() {}, error: (fields: object) => console.error(JSON.stringify(fields)) };
const engine = openEngine(context, silent);
const feed = await openSnapshotFeed({ ...context, onFailure: fail, clock: systemClock, timers: systemTimers });
const flags = await openFlagFeed({ ...context, compileRegex, timers: systemTimers, log: silent });
const take = openReportIntake(context);

const tickMs: number[] = [];
let countedFrom = 0;
const idleMs: number[] = [];
for (let round = 0; round < Number(rounds) + 2; round += 1) {
  for (let gateway = 0; gateway < Number(gateways); gateway += 1) {
    const startMs = Math.floor(nowMs / 1000) * 1000 + 9000;
    const blocks = names.flatMap((model) => secondOf(model, startMs, round * 31 + gateway));
    await take({ gateway: `g${gateway}`, boot: 'b', sequence: round, revision: 0, readiness: [], blocks });
  }
  nowMs += CHECK_EVERY_MS;
  const due = await timed(() => engine.tick());
  await feed.refresh();
  await flags.refresh();
  nowMs += 1000;
  const idle = await timed(() => engine.tick());
  if (round === 1) countedFrom = await store.revision(ENVIRONMENT);
  // The first two have everything to compile and everything to begin.
  if (round >= 2) {
    tickMs.push(due);
    idleMs.push(idle);
  }
}
const { rollouts: stored } = await loadEnvironment(context);
const decided = stored.filter(({ state }) => state.phase === 'stepping').length;
const committed = ((await store.revision(ENVIRONMENT)) - countedFrom) / Number(rounds);
console.log(JSON.stringify({ tickMs, idleMs, committed, decided }));
feed.close();
flags.close();
await store.close();

async function timed(run: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await run();
  return performance.now() - began;
}

/** Through the commands that people use. */
async function openFirst(model: string): Promise<void> {
  const [plan] = BUILT_IN_PLANS;
  if (plan === undefined) throw new Error('there is no built-in plan');
  await createModel(context, CALLER, { name: model });
  for (const version of ['v1', 'v2']) {
    await registerVersion(context, CALLER, { model, version, source: { kind: 'external' }, note: '' });
  }
  await promoteVersion(context, CALLER, { model, version: 'v1', reason: 'benchmark' });
  await startRollout(context, CALLER, {
    model,
    challenger: 'v2',
    plan: { ...plan, checkEveryMs: CHECK_EVERY_MS },
    reason: 'benchmark',
  });
}

/** The first model's documents under other names: registering thousands of versions one by one is not what is measured. */
async function copyTo(others: readonly string[]): Promise<void> {
  const { documents } = await store.readAll(ENVIRONMENT);
  const first = names[0] ?? '';
  const own = documents.filter(({ id }) => id === first || id.startsWith(`${first}/`) || id === `${first}-1`);
  const writes = others.flatMap((name) =>
    own.map(({ kind, id, body }): { kind: DocumentKind; id: string; expectedRevision: number; body: Json } => ({
      kind,
      id: id.replace(first, name),
      expectedRevision: 0,
      body: JSON.parse(JSON.stringify(body).replaceAll(`"${first}"`, `"${name}"`).replaceAll(`"${first}-1"`, `"${name}-1"`)),
    })),
  );
  const result = await store.commit({
    environment: ENVIRONMENT,
    writes,
    actor: 'bench',
    action: 'bench.copied',
    reason: 'benchmark',
    atMs: nowMs,
  });
  if (result.outcome !== 'committed') throw new Error(`the models could not be made: ${result.outcome}`);
}
