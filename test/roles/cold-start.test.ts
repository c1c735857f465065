// A gateway that is killed under traffic with its control plane gone, and starts from its own disk: nobody changes arms (F20).
import { afterAll, beforeAll, expect, it } from 'vitest';
import { seededRandom } from '../../packages/server/src/storage/crash/seeded-random.ts';
import { type GatewayProgram, startGatewayProgram } from './gateway-program.ts';
import { armsOf, keptModel, type Predict, predictorOf, routesOf, startHalfRollout } from './half-rollout.ts';
import { openSplitWorld, type SplitWorld } from './split-world.ts';

const FACTOR = Number(process.env['UNDERSTUDY_CRASH_FACTOR'] ?? 1);
const SEED = Number(process.env['UNDERSTUDY_CRASH_SEED'] ?? 1);
const STARTS = Math.round(50 * FACTOR);
const TIMEOUT_MS = 240_000 * Math.max(1, FACTOR);
const USERS = 100;
const SUBJECTS = 20_000;

let world: SplitWorld;
let gateway: GatewayProgram;
let predict: Predict;
beforeAll(async () => {
  world = await openSplitWorld();
  gateway = await startGatewayProgram(world, 'eu-1');
  await startHalfRollout(world, gateway);
  predict = await predictorOf(world, gateway);
  await world.stopControl();
}, 60_000);
afterAll(async () => {
  await gateway.kill();
  await world[Symbol.asyncDispose]();
});

/** Kills it after so many answers, with the others on their way. */
async function killUnderTraffic(answers: number): Promise<void> {
  let [answered, killed] = [0, Promise.resolve()];
  const ask = async (user: number): Promise<void> => {
    await predict(`user-${user}`);
    answered += 1;
    if (answered === answers) killed = gateway.kill();
  };
  await Promise.allSettled(Array.from({ length: USERS }, (_, user) => ask(user)));
  await killed;
}

it(
  `is ready within 2 s and serves everybody as before, ${STARTS} times`,
  async () => {
    const random = seededRandom(SEED);
    const before = await armsOf(predict, USERS);
    const routes = routesOf(await keptModel(gateway), SUBJECTS);
    expect(new Set(before)).toEqual(new Set(['200 v1', '200 v2']));
    const readyAfterMs: number[] = [];
    for (let start = 0; start < STARTS; start += 1) {
      await killUnderTraffic(1 + Math.floor(random() * USERS * 0.9));
      gateway = await startGatewayProgram(world, 'eu-1', Number(new URL(gateway.url).port));
      readyAfterMs.push(gateway.readyAfterMs);
      expect(await armsOf(predict, USERS)).toEqual(before);
      expect(routesOf(await keptModel(gateway), SUBJECTS)).toEqual(routes);
    }
    // Other tests may take the cores for a moment; an idle machine needs a quarter of this time.
    expect(readyAfterMs.filter((ms) => ms > 2000).length).toBeLessThanOrEqual(STARTS / 10);
  },
  TIMEOUT_MS,
);
