/** Commands on webhooks: create, delete, list. The sender records what came of its messages by itself. */
import { randomBytes } from 'node:crypto';
import { AppError } from '@understudy/core/errors';
import type { Hook } from '@understudy/core/hook';
import { type Caller, type CommandContext, runCommand } from './command.ts';
import { create, type Held, hold, listBodies, type QueryContext, remove } from './queries.ts';
import type { Receipt } from './receipt.ts';

// Each is sent to on its own; more would only make every message later.
const MOST_HOOKS = 20;

type NewHook = Pick<Hook, 'name' | 'url' | 'format' | 'events'>;

/**
 * Creates a webhook that is told what happens from now on.
 * @throws AppError `hook.already_exists`; `idempotency.key_reused` when the call is repeated: the secret was shown then
 */
export async function createHook(context: CommandContext, caller: Caller, input: NewHook): Promise<Hook> {
  const salt = randomBytes(16).toString('hex');
  const cursor = await context.store.revision(context.environment);
  const hook: Hook = {
    ...input,
    salt,
    createdAtMs: context.clock.nowMs(),
    createdBy: caller.actor,
    progress: { cursor, pending: [], log: [], dead: [] },
  };
  await runCommand(context, caller, async () => {
    const known = await listBodies(context, 'hook');
    if (known.some(({ name }) => name === input.name)) {
      throw new AppError('hook.already_exists', `cannot create hook "${input.name}": there is one of that name; delete it first`);
    }
    if (known.length >= MOST_HOOKS) {
      throw new AppError(
        'request.invalid',
        `cannot create hook "${input.name}": there are ${MOST_HOOKS} already; delete one first`,
      );
    }
    const message = `created hook "${input.name}"`;
    return {
      commit: { writes: [create('hook', input.name, hook)], action: 'hook.created', reason: message },
      receipt: { outcome: 'done', message, id: input.name },
    };
  });
  const stored = await getHook(context, input.name);
  if (stored.salt === salt) return stored;
  throw new AppError(
    'idempotency.key_reused',
    `hook "${input.name}" was created by an earlier call with the same idempotency key; its secret was shown then. Delete it and create another.`,
  );
}

/** @throws AppError `hook.not_found` */
export async function deleteHook(
  context: CommandContext,
  caller: Caller,
  input: { readonly hook: string; readonly reason: string },
): Promise<Receipt> {
  return runCommand(context, caller, async () => {
    const held = await holdHook(context, input.hook);
    const message = `deleted hook "${input.hook}"`;
    return {
      commit: { writes: [remove('hook', held)], action: 'hook.deleted', reason: input.reason },
      receipt: { outcome: 'done', message, id: input.hook },
    };
  });
}

/** All hooks, by name. */
export async function listHooks(context: QueryContext): Promise<readonly Hook[]> {
  return listBodies(context, 'hook');
}

/** @throws AppError `hook.not_found` */
export async function getHook(context: QueryContext, name: string): Promise<Hook> {
  return (await holdHook(context, name)).body;
}

async function holdHook(context: QueryContext, name: string): Promise<Held<Hook>> {
  const held = await hold(context, 'hook', name);
  if (held !== undefined) return held;
  const known = (await listHooks(context)).map((hook) => hook.name).join(', ');
  throw new AppError(
    'hook.not_found',
    `there is no hook "${name}"; ${known === '' ? 'there is none yet' : `there are ${known}`}`,
  );
}
