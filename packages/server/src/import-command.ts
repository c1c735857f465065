/** The command `import redis-rollouts`: takes over what programs keep in hashes `rollout:{name}`, and says what does not fit. */
import type { VersionView } from '@understudy/contract/views';
import { AppError, isAppError } from '@understudy/core/errors';
import type { Command, Input } from './cli/command.ts';
import type { Session } from './cli/session.ts';
import type { ReadHash, RolloutHash } from './followers/rollout-hash.ts';

export const importRedisRolloutsCommand: Command = {
  path: 'import redis-rollouts',
  summary: 'Take rollouts over from Redis hashes rollout:{name}',
  details: [
    'Creates the models, registers champion and challenger as external versions',
    '(your own service goes on serving them), and starts the active rollouts at',
    'their percentage. Prints what could not be carried over. What exists already',
    'stays as it is, so that it can be run again. docs/how-to/redis.md',
  ],
  arguments: [{ name: 'url', about: 'redis://HOST:PORT/DATABASE' }],
  options: [{ flags: '--only <name>', about: 'only the hash rollout:<name>; may be given several times', isRepeatable: true }],
  examples: ['import redis-rollouts redis://localhost:6379/0 --dry-run', 'import redis-rollouts redis://localhost:6379/0'],
  isChange: true,
  reason: 'optional',
  run: importRollouts,
};

// The staircase that such programs climb.
const STAIRS = [10, 25, 50, 75, 100];

/** What became of one hash. */
interface Imported {
  readonly name: string;
  readonly done: string[];
  readonly lost: string[];
}

async function importRollouts(session: Session, input: Input): Promise<void> {
  const [{ openRolloutHashes }, { readRolloutHash }] = await Promise.all([
    import('./storage/redis-rollout-hashes.ts'),
    import('./followers/rollout-hash.ts'),
  ]);
  const only = input.list('only');
  const hashes = await openRolloutHashes(input.argument('url'));
  const report: Imported[] = [];
  try {
    for (const [name, fields] of await hashes.readAll()) {
      if (only.length > 0 && !only.includes(name)) continue;
      report.push(
        await importOne(session, { name, read: readRolloutHash(name, fields), reason: input.reason('import from Redis') }),
      );
    }
  } finally {
    await hashes.close();
  }
  if (report.length === 0) {
    throw new AppError('rollout.not_found', `there is no hash "rollout:${only.join('", "rollout:') || '…'}" on ${hashes.place}`);
  }
  for (const { name, lost } of report) for (const sentence of lost) session.note(`not carried over: ${name}: ${sentence}`);
  if (session.isDryRun) return;
  await session.output.show({
    data: { rollouts: report },
    text: ({ rollouts }) =>
      rollouts.map(({ name, done }) => `${name}: ${done.length === 0 ? 'nothing to do' : done.join(', ')}`).join('\n'),
    names: ({ rollouts }) => rollouts.map(({ name }) => name),
  });
}

interface Found {
  readonly name: string;
  readonly read: ReadHash;
  readonly reason: string;
}

async function importOne(session: Session, { name, read, reason }: Found): Promise<Imported> {
  const imported: Imported = { name, done: [], lost: [] };
  if (read.outcome === 'unusable') {
    imported.lost.push(`everything: ${read.problem}`);
    return imported;
  }
  const { hash, unknownFields } = read;
  if (unknownFields.length > 0) imported.lost.push(`fields that have no meaning here: ${unknownFields.join(', ')}`);
  const present = await presentModel(session, name);
  if (present === undefined) {
    await session.change('createModel', { body: { name } });
    imported.done.push('model created');
  }
  const versions = new Map((present?.versions ?? []).map((view) => [view.version.version, view]));
  for (const version of new Set([hash.champion, hash.challenger])) {
    if (version !== '') await register(session, imported, { version, versions });
  }
  await promote(session, imported, { hash, champion: present?.champion, reason });
  await carryRollout(session, imported, { hash, isLive: present?.isLive === true, reason });
  return imported;
}

interface Present {
  readonly champion: string | undefined;
  readonly isLive: boolean;
  readonly versions: readonly VersionView[];
}

async function presentModel(session: Session, model: string): Promise<Present | undefined> {
  try {
    const { model: found } = await session.ask('getModel', { params: { model } });
    const versions = await session.ask('listVersions', { params: { model } });
    return { champion: found.champion, isLive: found.liveRollout !== undefined, versions };
  } catch (error) {
    if (isAppError(error, 'model.not_found')) return undefined;
    throw error;
  }
}

async function register(
  session: Session,
  { name, done }: Imported,
  { version, versions }: { readonly version: string; readonly versions: ReadonlyMap<string, VersionView> },
): Promise<void> {
  if (versions.has(version)) return;
  const body = { version, external: true, note: `from Redis, rollout:${name}` } as const;
  await session.change('registerVersion', { params: { model: name }, body });
  done.push(`version ${version} registered`);
}

interface Wanted {
  readonly hash: RolloutHash;
  readonly reason: string;
}

async function promote(
  session: Session,
  { name, done, lost }: Imported,
  { hash, champion, reason }: Wanted & { readonly champion: string | undefined },
): Promise<void> {
  if (champion === hash.champion) return;
  if (champion !== undefined) {
    lost.push(`champion ${hash.champion}: the model has champion ${champion} here, which stays`);
    return;
  }
  await session.change('promoteVersion', { params: { model: name, version: hash.champion }, body: { reason } });
  done.push(`champion ${hash.champion}`);
}

async function carryRollout(
  session: Session,
  { name, done, lost }: Imported,
  { hash, isLive, reason }: Wanted & { readonly isLive: boolean },
): Promise<void> {
  const { challenger, percentage, status } = hash;
  if (challenger === '' || challenger === hash.champion || status === 'promoted') return;
  if (isLive) {
    lost.push(`the rollout of ${challenger}: a rollout of this model is live here already`);
    return;
  }
  if (status === 'rolled_back') {
    const body = { state: 'unhealthy', reason: 'rolled back before the import from Redis' } as const;
    await session.change('setVersionHealth', { params: { model: name, version: challenger }, body });
    done.push(`version ${challenger} marked unhealthy`);
    return;
  }
  if (status === 'paused') {
    lost.push(
      `the paused rollout of ${challenger} at ${percentage} %: start it when you are ready: understudy rollout start ${name} ${challenger}`,
    );
    return;
  }
  const steps = [percentage, ...STAIRS].filter((traffic, index) => traffic > 0 && (index === 0 || traffic > percentage));
  const plan = { name: 'imported', steps: steps.map((traffic) => ({ traffic })) };
  try {
    const started = await session.change('startRollout', { body: { model: name, challenger, plan, reason } });
    done.push(`rollout ${started?.rollout.id ?? ''} of ${challenger} started at ${steps[0]} %`);
  } catch (error) {
    if (!isAppError(error)) throw error;
    lost.push(`the rollout of ${challenger}: ${error.message}`);
  }
}
