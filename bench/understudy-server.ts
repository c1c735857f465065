// Starts our own server for a contest: the only file of the benchmarks that knows its command line and its API.
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheFolder, REPOSITORY_FOLDER } from './harness/folders.ts';
import { startProcess } from './harness/running-process.ts';
import { freePort, waitForPort } from './harness/tcp-port.ts';

/** What answers for a version: a model file run in process, or an HTTP server such as `http://127.0.0.1:8000`. */
export type UnderstudyArm = { readonly kind: 'onnx'; readonly file: string } | { readonly kind: 'http'; readonly origin: string };

export interface UnderstudyModel {
  readonly name: string;
  readonly champion: UnderstudyArm;
  readonly challenger: UnderstudyArm;
  /** Share of subjects on the challenger, in [0, 100]; the subject is the header `x-user-id`. */
  readonly challengerPercent: number;
}

export interface RunningUnderstudy {
  /** Takes `POST {"features": […]}` for the first model. */
  readonly predictUrl: string;
  /** A token that may predict, sent as `Authorization: Bearer`. */
  readonly token: string;
  readonly pid: number;
  readonly stop: () => Promise<void>;
}

export interface UnderstudyRequest {
  readonly models: readonly [UnderstudyModel, ...UnderstudyModel[]];
  readonly core: number;
}

export async function startUnderstudy({ models, core }: UnderstudyRequest): Promise<RunningUnderstudy> {
  const port = await freePort();
  const dataFolder = await mkdtemp(join(await cacheFolder('understudy'), 'data-'));
  const main = join(REPOSITORY_FOLDER, 'packages/server/src/main.ts');
  const args = [main, 'serve', '--host', '127.0.0.1', '--port', String(port), '--data', dataFolder];
  const server = await startProcess({ name: 'understudy', command: process.execPath, args, core });
  const stop = async (): Promise<void> => {
    await server.stop();
    await rm(dataFolder, { recursive: true, force: true });
  };
  try {
    await waitForPort(port, server);
    const origin = `http://127.0.0.1:${port}`;
    const token = await configure(origin, models);
    return { predictUrl: `${origin}/predict/${models[0].name}`, token, pid: server.pid, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** The label in the answer to one sample; `undefined` when the answer has none. */
export function predictedLabelOf(answer: unknown): number | undefined {
  const label = typeof answer === 'object' && answer !== null && 'label' in answer ? answer.label : undefined;
  return typeof label === 'number' ? label : undefined;
}

/** Registers the models and their split, and waits until the gateway serves them. */
function configure(origin: string, models: readonly UnderstudyModel[]): Promise<string> {
  const names = models.map((model) => model.name).join(', ');
  return Promise.reject(new Error(`cannot configure ${names} at ${origin}: bench/understudy-server.ts is not connected yet`));
}
