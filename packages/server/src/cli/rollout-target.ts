/** Which rollout `<model|rollout>` means. Every command on one rollout depends on it. */
import type { RolloutView } from '@understudy/contract/views';
import { AppError, isAppError } from '@understudy/core/errors';
import type { Session } from './session.ts';

/**
 * A model's name means its live rollout, else its newest; anything else is a rollout's id.
 * @throws AppError `rollout.not_found`
 */
export async function findRollout(session: Session, name: string): Promise<RolloutView> {
  const model = await modelOrNothing(session, name);
  if (model === undefined) return rolloutOrNothing(session, name);
  const live = model.model.liveRollout;
  if (live !== undefined) return session.ask('getRollout', { params: { rollout: live } });
  const [newest] = await session.ask('listRollouts', { query: { model: name } });
  if (newest !== undefined) return newest;
  throw new AppError(
    'rollout.not_found',
    `model "${name}" has had no rollout. Start one: understudy rollout start ${name} <challenger>`,
  );
}

async function modelOrNothing(session: Session, model: string) {
  try {
    return await session.ask('getModel', { params: { model } });
  } catch (error) {
    if (isAppError(error, 'model.not_found')) return undefined;
    throw error;
  }
}

async function rolloutOrNothing(session: Session, rollout: string): Promise<RolloutView> {
  try {
    return await session.ask('getRollout', { params: { rollout } });
  } catch (error) {
    if (!isAppError(error, 'rollout.not_found')) throw error;
    throw new AppError('rollout.not_found', `"${rollout}" is neither a model nor a rollout: ${error.message}`, { cause: error });
  }
}
