/** A model at half of the traffic, who answers which user, and where the snapshot that a gateway has kept sends whom. */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { route } from '@understudy/core/routing';
import type { SnapshotModel } from '@understudy/core/snapshot';
import { fileStorage } from '@understudy/feed/file-storage';
import { readGatewayDocument } from '../../packages/server/src/remote/gateway-document.ts';
import { rowsOf, send, UNHURRIED, until } from '../running-understudy.ts';
import type { SplitWorld } from './split-world.ts';

/** What of a gateway is asked and looked at. */
export interface AskedGateway {
  readonly url: string;
  /** Its folder. */
  readonly data: string;
}

/** @param gateway waits until it splits its traffic, and would after a start from its disk */
export async function startHalfRollout(world: SplitWorld, gateway: AskedGateway): Promise<void> {
  await world.admin('startRollout', {
    body: {
      model: 'digits',
      challenger: 'v2',
      plan: {
        name: 'half',
        steps: [{ traffic: 50, hold: '10m' }, { traffic: 100 }],
        policy: UNHURRIED,
        checkEvery: '200ms',
        // Otherwise a gateway that begins blind serves the share that was judged safe, which is none.
        pinned: 50,
      },
    },
  });
  const predict = await predictorOf(world, gateway);
  await until(
    () => predict('b'),
    ({ reason }) => reason === 'split',
    'a split',
  );
  await until(
    () => keptModel(gateway),
    (model) => (model?.rollout?.boundary ?? 0) > 0,
    'a split on the disk',
  );
}

export type Predict = (user: string) => ReturnType<typeof send>;

export async function predictorOf({ token }: Pick<SplitWorld, 'token'>, gateway: AskedGateway): Promise<Predict> {
  const features = (await rowsOf('digits'))[0] ?? [];
  const from = { gatewayUrl: gateway.url, token };
  return (user) => send(from, '/predict/digits', { body: { features }, headers: { 'x-user-id': user } });
}

/** Who answers each of some users, who ask all at once. */
export function armsOf(predict: Predict, users: number): Promise<readonly string[]> {
  return Promise.all(
    Array.from({ length: users }, async (_, user) => {
      const { status, version } = await predict(`user-${user}`);
      return `${status} ${version}`;
    }),
  );
}

/** The model in the newest snapshot on the gateway's disk; undefined while none is kept. */
export async function keptModel({ data }: Pick<AskedGateway, 'data'>): Promise<SnapshotModel | undefined> {
  const { texts } = await fileStorage(join(data, 'gateway'), 'snapshot').read();
  if (texts[0] === undefined) return undefined;
  const kept: { body: string } = JSON.parse(texts[0]);
  const reading = readGatewayDocument(kept.body);
  return typeof reading === 'string' ? undefined : reading.snapshot.models[0];
}

export interface Routes {
  readonly challenged: number;
  /** Of the arm of each subject. */
  readonly digest: string;
}

export function routesOf(model: SnapshotModel | undefined, subjects: number): Routes {
  if (model === undefined) throw new Error('no model is kept');
  const arms = Uint8Array.from({ length: subjects }, (_, subject) =>
    route(model, true, { read: () => `subject-${subject}`, random: () => 0.5 }).arm === 'challenger' ? 1 : 0,
  );
  return { challenged: arms.filter((arm) => arm === 1).length, digest: createHash('sha256').update(arms).digest('hex') };
}
