/**
 * Asks the checks of live rollouts when they are due, and stores each answer before anything is decided on it, as a report does.
 * Several processes may do so at once: an answer counts once for its rollout, check and due time.
 */
import type { ServiceReport } from '@understudy/contract/report';
import { type CheckConfig, dueNumber } from '@understudy/core/checks/config';
import type { Answer } from '@understudy/core/checks/measurement';
import { EMPTY_TALLY, type EvidenceBlock } from '@understudy/core/evidence';
import { isOnTrial, type Rollout, stepOf } from '@understudy/core/rollout';
import type { CommandContext } from '../commands/command.ts';
import { listRollouts } from '../commands/queries.ts';
import type { CheckAsker } from './check-asker.ts';

export interface CheckPoller {
  /** Begins to ask whatever is due; does not wait for the answers. */
  tick(): Promise<void>;
  /** Resolves when every question under way is answered and stored. */
  settled(): Promise<void>;
  /** Gives up what is under way. */
  close(): Promise<void>;
}

export interface PollerLog {
  warn(fields: object, event: string): void;
  error(fields: object, event: string): void;
}

/** Questions under way at once; more wait for the next tick. */
const MOST_AT_ONCE = 64;

export function openCheckPoller(context: CommandContext, asker: CheckAsker, log: PollerLog): CheckPoller {
  const { store, environment, clock } = context;
  const underWay = new Map<string, Promise<void>>();
  const asked = new Map<string, number>();
  const troubles = openTroubles(log);
  let known: { readonly revision: number; readonly due: readonly Asked[] } = { revision: -1, due: [] };
  let isClosed = false;

  async function checksOnTrial(): Promise<readonly Asked[]> {
    const revision = await store.revision(environment);
    if (revision === known.revision) return known.due;
    const rollouts = (await listRollouts(context)).filter(isOnTrial);
    const due = rollouts.flatMap((rollout) => (rollout.plan.checks ?? []).map((check) => askedOf(rollout, check)));
    const keys = new Set(due.map(({ key }) => key));
    for (const key of asked.keys()) if (!keys.has(key)) asked.delete(key);
    troubles.keepOnly(keys);
    known = { revision, due };
    return due;
  }

  function begin(one: Asked): void {
    const { key, rollout, check } = one;
    const due = dueNumber(check, rollout.startedAtMs, clock.nowMs());
    if (asked.get(key) === due || underWay.has(key) || underWay.size >= MOST_AT_ONCE) return;
    asked.set(key, due);
    const polling = poll({ context, asker, isClosed: () => isClosed }, one, due)
      .then((answer) => troubles.note(one, answer?.outcome === 'error' ? answer.reason : undefined))
      .catch((error: unknown) => log.error({ rollout: rollout.id, check: check.name, err: error }, 'check.not-stored'))
      .finally(() => underWay.delete(key));
    underWay.set(key, polling);
  }

  return {
    async tick() {
      if (isClosed) return;
      for (const one of await checksOnTrial()) begin(one);
    },
    async settled() {
      await Promise.all(underWay.values());
    },
    async close() {
      isClosed = true;
      asker.stop();
      await Promise.all(underWay.values());
    },
  };
}

interface Asked {
  readonly key: string;
  readonly rollout: Rollout;
  readonly check: CheckConfig;
}

function askedOf(rollout: Rollout, check: CheckConfig): Asked {
  return { key: `${rollout.id} ${check.name}`, rollout, check };
}

interface Polling {
  readonly context: CommandContext;
  readonly asker: CheckAsker;
  readonly isClosed: () => boolean;
}

/** Asks once and stores the answer. @returns undefined when the process ends meanwhile: nothing is known then */
async function poll(
  { context: { store, environment, clock }, asker, isClosed }: Polling,
  { rollout, check }: Asked,
  due: number,
): Promise<Answer | undefined> {
  const atMs = clock.nowMs();
  const { id, model, champion, challenger } = rollout;
  const step = stepOf(rollout.state);
  const answer = await asker.ask(check, { model, champion, challenger, rollout: id, step: step + 1 });
  if (isClosed()) return undefined;
  const measurement = { check: check.name, atMs, answer };
  const where = { model, version: challenger, arm: 'challenger', rollout: id, step, startMs: atMs } as const;
  const block: EvidenceBlock = { ...where, tally: EMPTY_TALLY, measurement };
  // No gateway's name has a colon. The due time's number makes it count once, whoever asks.
  const report: ServiceReport = { gateway: `check:${id}:${check.name}`, boot: 'due', sequence: due, blocks: [block] };
  await store.appendReport(environment, report, clock.nowMs());
  return answer;
}

/** Trouble is said when it begins, not at every question. */
function openTroubles(log: PollerLog) {
  const known = new Set<string>();
  return {
    note({ key, rollout, check }: Asked, problem: string | undefined): void {
      if (problem === undefined) known.delete(key);
      else if (!known.has(key)) {
        known.add(key);
        log.warn({ rollout: rollout.id, check: check.name, problem }, 'check.provider-error');
      }
    },
    keepOnly(keys: ReadonlySet<string>): void {
      for (const key of known) if (!keys.has(key)) known.delete(key);
    },
  };
}
