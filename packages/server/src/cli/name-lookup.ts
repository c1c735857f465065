/** Names that the server or the program knows, for completion and "did you mean". Small and quick: it does without the contract's schemas. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { NameKind } from './command.ts';
import { personalFolder, readContexts } from './context-file.ts';
import { plain } from './terminal-text.ts';
import type { CliDeps, Session } from './session.ts';

// A person who presses Tab twice in a minute need not ask the server twice.
const FRESH_MS = 60_000;

export interface Lookup {
  readonly kind: NameKind;
  /** The model whose versions are meant. */
  readonly model?: string | undefined;
  /** Longest time to wait for the server. */
  readonly withinMs: number;
}

// Shells expand what a completion prints, so only what the contract allows in a name may come through.
const HARMLESS_NAME = /^[a-z0-9][a-z0-9._-]*$/i;

/** Names of a kind; none when the server does not answer in time. Never throws. */
export async function lookUpNames(session: Session, lookup: Lookup): Promise<readonly string[]> {
  const names = await namesOf(session, lookup);
  return names.filter((name) => HARMLESS_NAME.test(name));
}

async function namesOf(session: Session, lookup: Lookup): Promise<readonly string[]> {
  try {
    if (lookup.kind === 'scenario') return await scenarioNames();
    if (lookup.kind === 'context') return Object.keys((await readContexts(session.deps.env)).contexts);
    const { url, token } = await session.settings();
    const cached = await readCache(session.deps, `${url} ${lookup.kind} ${lookup.model ?? ''}`);
    if (cached !== undefined) return cached;
    const names = await fetchNames({ url, ...(token === undefined ? {} : { token }) }, lookup);
    await writeCache(session.deps, `${url} ${lookup.kind} ${lookup.model ?? ''}`, names);
    return names;
  } catch {
    return [];
  }
}

async function scenarioNames(): Promise<readonly string[]> {
  const { SCENARIOS } = await import('@understudy/core/simulation/scenarios');
  return ['all', ...SCENARIOS.map(({ name }) => name)];
}

async function fetchNames(
  { url, token }: { readonly url: string; readonly token?: string },
  { kind, model, withinMs }: Lookup,
): Promise<readonly string[]> {
  const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const get = async (list: string, place: readonly string[]) => {
    const response = await fetch(`${url}/api/v1/${list}`, { headers, signal: AbortSignal.timeout(withinMs) });
    const rows: unknown = response.ok ? await response.json() : [];
    return Array.isArray(rows) ? rows.map((row) => textAt(row, place)).filter((name) => name !== '') : [];
  };
  if (kind === 'plan') return get('plans', ['name']);
  if (kind === 'flag') return get('flags', ['flag', 'key']);
  if (kind === 'segment') return get('segments', ['segment', 'key']);
  if (kind === 'version')
    return model === undefined ? [] : get(`models/${encodeURIComponent(model)}/versions`, ['version', 'version']);
  const models = get('models', ['model', 'name']);
  if (kind === 'model') return models;
  const [names, rollouts] = await Promise.all([models, get('rollouts', ['rollout', 'id'])]);
  return [...names, ...rollouts];
}

function textAt(row: unknown, place: readonly string[]): string {
  let value = row;
  for (const key of place) {
    if (typeof value !== 'object' || value === null) return '';
    value = new Map<string, unknown>(Object.entries(value)).get(key);
  }
  return typeof value === 'string' ? plain(value) : '';
}

function cacheFile(deps: CliDeps): string | undefined {
  const folder = personalFolder(deps.env, 'cache');
  return folder === undefined ? undefined : path.join(folder, 'names.json');
}

async function readCache(deps: CliDeps, key: string): Promise<readonly string[] | undefined> {
  const entry = (await cacheEntries(deps)).get(key);
  if (typeof entry !== 'object' || entry === null || !('atMs' in entry) || !('names' in entry)) return undefined;
  const { atMs, names } = entry;
  const ageMs = typeof atMs === 'number' ? deps.clock.nowMs() - atMs : FRESH_MS;
  return ageMs < FRESH_MS && ageMs >= 0 && Array.isArray(names) ? names.map((name) => plain(String(name))) : undefined;
}

async function writeCache(deps: CliDeps, key: string, names: readonly string[]): Promise<void> {
  const file = cacheFile(deps);
  if (file === undefined) return;
  const entries = await cacheEntries(deps);
  entries.set(key, { atMs: deps.clock.nowMs(), names });
  await mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
  // Of many addresses and models only the newest are worth keeping.
  const kept = [...entries].slice(-50);
  await writeFile(file, JSON.stringify(Object.fromEntries(kept)), { mode: 0o600 });
}

async function cacheEntries(deps: CliDeps): Promise<Map<string, unknown>> {
  const file = cacheFile(deps);
  if (file === undefined) return new Map();
  try {
    const value: unknown = JSON.parse(await readFile(file, 'utf8'));
    return new Map(typeof value === 'object' && value !== null ? Object.entries(value) : []);
  } catch {
    return new Map();
  }
}
