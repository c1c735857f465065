/** How every change is made: read, decide in the core, commit with compare-and-set, and read again when somebody was faster. */
import { AppError } from '@understudy/core/errors';
import type { Clock } from '../clock.ts';
import type { Commit, IdempotencyRecord, Json, Store } from '../storage/store.ts';
import { readReceipt, type Receipt } from './receipt.ts';

/** Where a command works. */
export interface CommandContext {
  readonly store: Store;
  readonly environment: string;
  readonly clock: Clock;
}

/** Who asks. With a key, a repeated call gets the first receipt and changes nothing. */
export interface Caller {
  /** `token:NAME`, `engine` or `setup`. */
  readonly actor: string;
  readonly idempotency?: { readonly key: string; readonly request: string };
}

/** What a command decided to do: a commit without what every commit has, or nothing. */
export type Plan =
  | {
      readonly commit: Omit<Commit, 'environment' | 'actor' | 'atMs' | 'idempotency'>;
      readonly receipt: Omit<Receipt, 'revision'>;
    }
  | { readonly nothing: Omit<Receipt, 'revision'> };

// A conflict means that somebody else committed, so progress was made; many in a row mean something else is wrong.
const MAX_ATTEMPTS = 20;

/**
 * Runs a command until it has committed, or has found that there is nothing to do.
 * @param plan reads what it needs and decides; called again after a conflict, so it must read afresh
 * @throws AppError what `plan` throws; `store.conflict` after 20 conflicts; `idempotency.key_reused`
 */
export async function runCommand(
  context: CommandContext,
  caller: Caller,
  plan: (atMs: number) => Promise<Plan>,
): Promise<Receipt> {
  const known = await findRecord(context, caller);
  if (known !== undefined) return known;
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
    const atMs = context.clock.nowMs();
    const planned = await planOnce(context, caller, () => plan(atMs));
    if ('revision' in planned) return planned;
    if ('nothing' in planned) return { ...planned.nothing, revision: await context.store.revision(context.environment) };
    const result = await context.store.commit({
      ...planned.commit,
      environment: context.environment,
      actor: caller.actor,
      atMs,
      ...(caller.idempotency === undefined ? {} : { idempotency: { ...caller.idempotency, answer: answerOf(planned.receipt) } }),
    });
    switch (result.outcome) {
      case 'committed':
        return { ...planned.receipt, revision: result.revision };
      case 'replayed':
        return replayed(context, caller, result.record);
      case 'already-decided': {
        const message = `rollout "${result.rollout}" was already decided in this evaluation window`;
        return {
          ...planned.receipt,
          outcome: 'already-done',
          message,
          revision: await context.store.revision(context.environment),
        };
      }
      case 'conflict':
        break;
    }
  }
  throw new AppError(
    'store.conflict',
    `the change was tried ${MAX_ATTEMPTS} times and somebody else was faster each time; try again`,
  );
}

/**
 * A caller who heard nothing asks again while the first call may still be under way. Where that one has made the second
 * impossible or needless meanwhile, both get its answer.
 */
async function planOnce(context: CommandContext, caller: Caller, plan: () => Promise<Plan>): Promise<Plan | Receipt> {
  try {
    const planned = await plan();
    return 'nothing' in planned ? ((await findRecord(context, caller)) ?? planned) : planned;
  } catch (error) {
    const known = await findRecord(context, caller);
    if (known === undefined) throw error;
    return known;
  }
}

async function findRecord(context: CommandContext, caller: Caller): Promise<Receipt | undefined> {
  if (caller.idempotency === undefined) return undefined;
  const record = await context.store.findIdempotent(context.environment, caller.idempotency.key);
  return record === undefined ? undefined : replayed(context, caller, record);
}

async function replayed(context: CommandContext, caller: Caller, record: IdempotencyRecord): Promise<Receipt> {
  if (record.request !== caller.idempotency?.request) {
    throw new AppError(
      'idempotency.key_reused',
      `the idempotency key "${record.key}" was used for another request; choose a new key for a new request`,
    );
  }
  return { ...readReceipt(record.answer), revision: await context.store.revision(context.environment) };
}

function answerOf(receipt: Omit<Receipt, 'revision'>): Json {
  return { outcome: receipt.outcome, message: receipt.message, id: receipt.id };
}
