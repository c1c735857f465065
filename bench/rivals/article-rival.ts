// Installs and starts the article's service: uvicorn with one worker, and a Redis of its own, together on one core.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Contestant } from '../harness/contestant.ts';
import { cacheFolder, RIVALS_FOLDER } from '../harness/folders.ts';
import { ensureInstalled } from '../harness/installation.ts';
import { runCommand, type RunningProcess, SERVER_CORE, startProcess } from '../harness/running-process.ts';
import { ensureTool } from '../harness/system-tool.ts';
import { freePort, waitForPort } from '../harness/tcp-port.ts';

const INSTALL_DEADLINE_MS = 600_000;
const ORACLE_DEADLINE_MS = 60_000;
const SERVICE_FOLDER = join(RIVALS_FOLDER, 'article');

/** What the model itself, run by the article's onnxruntime, says about each sample. */
export async function expectedLabels(modelFile: string, samples: readonly (readonly number[])[]): Promise<readonly number[]> {
  const python = await ensurePython();
  const samplesFile = join(await cacheFolder('load'), 'samples.json');
  await writeFile(samplesFile, JSON.stringify(samples));
  const args = ['-B', join(SERVICE_FOLDER, 'expected_labels.py'), modelFile, samplesFile];
  const output = await runCommand({ name: 'expected_labels.py', command: python, args }, ORACLE_DEADLINE_MS);
  const labels: unknown = JSON.parse(output);
  if (!Array.isArray(labels) || labels.length !== samples.length)
    throw new Error(`expected ${samples.length} labels, got ${output}`);
  return labels.map(Number);
}

export interface ArticleRequest {
  readonly modelFile: string;
  readonly labels: readonly number[];
  readonly challengerPercent: number;
}

export async function startArticle({ modelFile, labels, challengerPercent }: ArticleRequest): Promise<Contestant> {
  const python = await ensurePython();
  const redis = await startRedis();
  const port = await freePort();
  const options = ['--host', '127.0.0.1', '--port', String(port), '--workers', '1', '--no-access-log', '--log-level', 'warning'];
  const service = await startProcess({
    name: 'article',
    command: python,
    args: ['-B', '-m', 'uvicorn', 'app:app', ...options],
    core: SERVER_CORE,
    cwd: SERVICE_FOLDER,
    env: { REDIS_URL: `redis://127.0.0.1:${redis.port}/0`, MODEL_FILE: modelFile, CHALLENGER_PERCENT: String(challengerPercent) },
  });
  await waitForPort(port, service);
  return {
    name: 'article',
    url: `http://127.0.0.1:${port}/predict`,
    headers: {},
    pids: [service.pid, redis.process.pid],
    complaintAbout: (answer, index) => labelComplaint(answer, labels[index]),
    stop: async () => {
      await service.stop();
      await redis.process.stop();
    },
  };
}

async function ensurePython(): Promise<string> {
  const versionsFile = join(SERVICE_FOLDER, 'requirements.txt');
  const systemPython = await ensureTool({ program: 'python3', aptPackage: 'python3-venv' });
  const folder = await ensureInstalled({
    name: 'article',
    versionsFile,
    needs: 'Python 3.11 or later with its venv module, and a package index',
    install: async (target) => {
      const venv = { name: 'python3 -m venv', command: systemPython, args: ['-m', 'venv', target] };
      await runCommand(venv, INSTALL_DEADLINE_MS);
      const options = ['--quiet', '--disable-pip-version-check', '--requirement', versionsFile];
      const pip = { name: 'pip install', command: pythonIn(target), args: ['-m', 'pip', 'install', ...options] };
      await runCommand(pip, INSTALL_DEADLINE_MS);
    },
  });
  return pythonIn(folder);
}

function pythonIn(folder: string): string {
  return join(folder, 'bin/python');
}

async function startRedis(): Promise<{ readonly port: number; readonly process: RunningProcess }> {
  const command = await ensureTool({ program: 'redis-server', aptPackage: 'redis-server' });
  const port = await freePort();
  const address = ['--bind', '127.0.0.1', '--port', String(port)];
  // No persistence: it would only slow the rival down.
  const args = [...address, '--save', '', '--appendonly', 'no', '--dir', await cacheFolder('redis')];
  const process = await startProcess({ name: 'redis', command, args, core: SERVER_CORE });
  await waitForPort(port, process);
  return { port, process };
}

function labelComplaint(answer: unknown, expected: number | undefined): string | undefined {
  const prediction = typeof answer === 'object' && answer !== null && 'prediction' in answer ? answer.prediction : undefined;
  return prediction === expected ? undefined : `expected the prediction ${expected}`;
}
