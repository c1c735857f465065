/** One command line for every command, for tests that hold of all of them. */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';

/** By the command's path: the words to run it with, before any global option. */
export const LINES: Readonly<Record<string, readonly string[]>> = {
  status: ['status'],
  kill: ['kill', 'digits', '--reason', 'r'],
  unkill: ['unkill', 'digits'],
  journal: ['journal', '--limit', '5'],
  'journal verify': ['journal', 'verify'],
  'gateway list': ['gateway', 'list'],
  'model create': ['model', 'create', 'digits', '--subject', 'header:X-User', '--deadline', '2s', '--max-errors', '5%'],
  'model list': ['model', 'list'],
  'model show': ['model', 'show', 'digits'],
  'model update': ['model', 'update', 'digits', '--cooldown', '1m'],
  'model history': ['model', 'history', 'digits'],
  'model champion': ['model', 'champion', 'digits', '--at', '2h'],
  'model rollback': ['model', 'rollback', 'digits', '--reason', 'r'],
  'model drill': ['model', 'drill', 'digits'],
  'model golden set': ['model', 'golden', 'set', 'digits', 'golden.yaml'],
  'model golden show': ['model', 'golden', 'show', 'digits'],
  'model golden clear': ['model', 'golden', 'clear', 'digits'],
  'version register': ['version', 'register', 'digits', 'v2', '--upstream', 'http://10.0.0.7:8000', '--protocol', 'mlflow'],
  'version list': ['version', 'list', 'digits'],
  'version show': ['version', 'show', 'digits', 'v2'],
  'version promote': ['version', 'promote', 'digits', 'v2', '--yes'],
  'version mark-healthy': ['version', 'mark-healthy', 'digits', 'v2'],
  'version mark-unhealthy': ['version', 'mark-unhealthy', 'digits', 'v2', '--reason', 'r'],
  'version unquarantine': ['version', 'unquarantine', 'digits', 'v2', '--reason', 'r'],
  'version baseline': ['version', 'baseline', 'digits', 'v2', '--live'],
  'rollout start': ['rollout', 'start', 'digits', 'v2'],
  'rollout get': ['rollout', 'get', 'digits'],
  'rollout list': ['rollout', 'list', 'digits'],
  'rollout wait': ['rollout', 'wait', 'digits', '--timeout', '0s'],
  'rollout why': ['rollout', 'why', 'digits'],
  'rollout history': ['rollout', 'history', 'digits', '--limit', '5'],
  'rollout pause': ['rollout', 'pause', 'digits'],
  'rollout resume': ['rollout', 'resume', 'digits'],
  'rollout step': ['rollout', 'step', 'digits', '--skip-hold'],
  'rollout promote': ['rollout', 'promote', 'digits', '--yes'],
  'rollout abort': ['rollout', 'abort', 'digits'],
  'rollout rollback': ['rollout', 'rollback', 'digits', '--reason', 'r'],
  'rollout retry': ['rollout', 'retry', 'digits', '--challenger', 'v4'],
  'plan list': ['plan', 'list'],
  'plan show': ['plan', 'show', 'standard'],
  'plan validate': ['plan', 'validate', 'plan.yaml'],
  'plan schema': ['plan', 'schema'],
  'plan save': ['plan', 'save', 'plan.yaml'],
  'flag list': ['flag', 'list'],
  'flag get': ['flag', 'get', 'checkout'],
  'flag save': ['flag', 'save', 'flag.yaml', '--reason', 'r'],
  'flag delete': ['flag', 'delete', 'checkout', '--reason', 'r'],
  'flag on': ['flag', 'on', 'checkout'],
  'flag off': ['flag', 'off', 'checkout', '--reason', 'r'],
  'flag ramp': ['flag', 'ramp', 'checkout', 'new', '25%'],
  'flag import': ['flag', 'import', 'features.json', '--from', 'unleash'],
  'segment list': ['segment', 'list'],
  'segment get': ['segment', 'get', 'testers'],
  'segment save': ['segment', 'save', 'segment.yaml', '--reason', 'r'],
  'segment delete': ['segment', 'delete', 'testers', '--reason', 'r'],
  'feedback give': ['feedback', 'give', '1.ZnJhdWQ.x', '--wrong', '--score', 'rating=0.2'],
  'feedback show': ['feedback', 'show', 'fraud'],
  bucket: ['bucket', 'user-42'],
  'sdk list': ['sdk', 'list'],
  eval: ['eval', 'checkout', '--attribute', 'key=42'],
  why: ['why', 'checkout', '--user', '{"key": "42"}', '--attribute', 'age=30'],
  replay: ['replay', 'digits'],
  simulate: ['simulate', '--scenario', 'errors-1-to-100', '--rollouts', '3'],
  'token create': ['token', 'create', 'ci', '--scope', 'operate', '--expires', '90d'],
  'token list': ['token', 'list'],
  'token revoke': ['token', 'revoke', 't1'],
  login: ['login'],
  'context list': ['context', 'list'],
  'context use': ['context', 'use', 'prod'],
  doctor: ['doctor'],
  completion: ['completion', 'bash'],
  __complete: ['__complete', '--', 'rollout', 'g'],
};

const FILES: Readonly<Record<string, string>> = {
  'plan.yaml': 'name: mine\nsteps:\n  - traffic: 10\n    hold: 1h\n  - traffic: 100\n',
  'flag.yaml':
    'key: checkout\ntype: boolean\non: true\nvariants:\n  - name: new\n    value: true\nfallthrough:\n  variant: new\n',
  'segment.yaml': 'key: testers\nincluded:\n  - keys: [ana]\n',
  'golden.yaml': 'requests:\n  - body: { features: [1, 2] }\n    expect: [0.7]\n',
  'features.json': '{"features": []}',
};

/** Writes what some lines need into a folder: files and a context. @returns the words with the real paths of the files */
export async function prepareLine(words: readonly string[], folder: string, url: string): Promise<readonly string[]> {
  for (const [name, text] of Object.entries(FILES)) await writeFile(path.join(folder, name), text);
  await mkdir(path.join(folder, 'understudy'), { recursive: true });
  await writeFile(path.join(folder, 'understudy', 'contexts.json'), JSON.stringify({ contexts: { prod: { url } } }));
  return words.map((word) => (Object.hasOwn(FILES, word) ? path.join(folder, word) : word));
}
