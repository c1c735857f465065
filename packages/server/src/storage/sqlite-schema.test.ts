import { EMPTY_TALLY } from '@understudy/core/evidence';
import Sqlite from 'better-sqlite3';
import { expect, it } from 'vitest';
import { evidenceOfRow } from './rows.ts';
import { migrate, MIGRATIONS } from './sqlite-schema.ts';

const tablesOf = (database: Sqlite.Database) =>
  database.prepare("SELECT sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%'").all();
const versionOf = (database: Sqlite.Database) => database.pragma('user_version', { simple: true });

function migrated(): unknown[] {
  const database = new Sqlite(':memory:');
  migrate(database);
  return tablesOf(database);
}

// Every place within every step at which it can stop.
const stops = MIGRATIONS.flatMap(({ title, sql }, step) => {
  const statements = sql
    .replaceAll(/--.*/g, '')
    .split(';')
    .filter((statement) => statement.trim() !== '');
  return statements.map((_, after) => ({ title, step, after, sql: statements.slice(0, after + 1).join(';') }));
});

it.each(stops)('leaves nothing of a step that stops, and finishes the next time: $title, statement $after', ({ step, sql }) => {
  const database = new Sqlite(':memory:');
  const before = MIGRATIONS.slice(0, step);
  migrate(database, before);
  const tables = tablesOf(database);
  const broken = { title: 'broken', sql: `${sql}; SELECT no_such_function()` };
  expect(() => migrate(database, [...before, broken])).toThrow('no_such_function');
  expect(versionOf(database)).toBe(step);
  expect(tablesOf(database)).toEqual(tables);
  migrate(database);
  migrate(database);
  expect(versionOf(database)).toBe(MIGRATIONS.length);
  expect(tablesOf(database)).toEqual(migrated());
});

it('refuses a database of a newer release', () => {
  const database = new Sqlite(':memory:');
  database.pragma(`user_version = ${MIGRATIONS.length + 1}`);
  expect(() => migrate(database)).toThrow(expect.objectContaining({ code: 'config.invalid' }));
});

it('keeps evidence of a release that did not say when it was stored, in its order', () => {
  const database = new Sqlite(':memory:');
  migrate(database, MIGRATIONS.slice(0, 1));
  const { coldLatency: _cold, bins: _bins, scores: _scores, ...tally } = { ...EMPTY_TALLY, requests: 3, latency: [[7, 3]] };
  const insert = database.prepare('INSERT INTO evidence (environment, model, start_ms, block) VALUES (?, ?, ?, ?)');
  const add = (environment: string, startMs: number): void => {
    const block = { model: 'fraud', version: 'v1', arm: 'champion', startMs, tally };
    insert.run(environment, 'fraud', startMs, JSON.stringify(block));
  };
  for (const startMs of [100.5, 90, 300]) add('production', startMs);
  add('staging', 5);
  add('production', 200);
  migrate(database);
  const rows = database.prepare('SELECT cursor, seen_at_ms, block FROM evidence ORDER BY cursor').all();
  const stored = rows.map((row) => evidenceOfRow(row));
  expect(stored.map(({ block, seenAtMs }) => [block.startMs, seenAtMs])).toEqual([
    [100.5, 100.5],
    [90, 100.5],
    [300, 300],
    [5, 5],
    [200, 300],
  ]);
  expect(stored[0]?.block.tally).toEqual({ ...EMPTY_TALLY, requests: 3, latency: [[7, 3]] });
});
