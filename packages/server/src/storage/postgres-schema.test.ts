import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parsePostgresAddress } from './postgres-address.ts';
import { openPostgresConnection, type PostgresConnection, type Transaction } from './postgres-connection.ts';
import { migrate, MIGRATIONS } from './postgres-schema.ts';
import { openPostgresStore } from './postgres-store.ts';
import { isSkipped, startPostgres, type TestServer } from './postgres-server.contract.ts';
import { put } from './samples.contract.ts';

describe.skipIf(isSkipped)('migrations', () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startPostgres();
  }, 60_000);
  afterAll(() => server.close());

  const schemaOf = (address: string): string => new URL(address).searchParams.get('schema') ?? '';
  const tablesOf = async (address: string) => {
    const rows = await server.sql(`
      SELECT table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable AS text FROM information_schema.columns
      WHERE table_schema = '${schemaOf(address)}' ORDER BY 1`);
    return rows.map(({ text }) => text);
  };

  /** The connection of a process whose server goes away before its n-th statement in a transaction. `seen` counts them. */
  function dyingAt(address: string, n: number, { seen = { count: 0 }, wrap = (text: string) => text } = {}): PostgresConnection {
    const connection = openPostgresConnection(parsePostgresAddress(address), { deadlineMs: 60_000 });
    const begin = async (text: string): Promise<Transaction> => {
      const transaction = await connection.begin(text);
      const dieIfDue = async (): Promise<void> => {
        seen.count += 1;
        if (seen.count !== n) return;
        const [row] = await transaction.query({ text: 'SELECT pg_backend_pid() AS pid' });
        await server.sql(`SELECT pg_terminate_backend(${(row as { pid: number }).pid})`);
      };
      return {
        ...transaction,
        query: async (statement) => {
          await dieIfDue();
          return transaction.query({ ...statement, text: wrap(statement.text) });
        },
        commit: async () => {
          await dieIfDue();
          await transaction.commit();
        },
      };
    };
    return { ...connection, begin };
  }

  it('leave the old schema or the new one wherever the connection is lost, and finish the next time', async () => {
    const whole = server.newAddress();
    await (await openPostgresStore(whole)).close();
    const expected = await tablesOf(whole);
    expect(expected.length).toBeGreaterThan(50);
    const counted = { count: 0 };
    const counting = dyingAt(server.newAddress(), 0, { seen: counted });
    await migrate(counting);
    await counting.close();
    expect(counted.count).toBeGreaterThan(MIGRATIONS.flatMap(({ statements }) => statements).length);
    for (let n = 1; n <= counted.count; n += 1) {
      const address = server.newAddress();
      const dying = dyingAt(address, n);
      await expect(migrate(dying)).rejects.toThrow();
      expect(await tablesOf(address)).toEqual([]);
      await dying.close();
      const store = await openPostgresStore(address, { deadlineMs: 60_000 });
      expect(await tablesOf(address)).toEqual(expected);
      expect(await store.commit(put('a', 0, 1))).toMatchObject({ outcome: 'committed' });
      await store.close();
    }
  }, 120_000);

  it('would notice steps without a transaction', async () => {
    const address = server.newAddress();
    // Each statement ends the transaction, as if there were none.
    const dying = dyingAt(address, 14, { wrap: (text) => (text.startsWith('CREATE') ? `${text}; COMMIT; BEGIN` : text) });
    await expect(migrate(dying)).rejects.toThrow();
    expect(await tablesOf(address)).not.toEqual([]);
    await dying.close();
    await expect(openPostgresStore(address)).rejects.toThrow('already exists');
  });

  it('run once when processes start together', async () => {
    const address = server.newAddress();
    const stores = await Promise.all(Array.from({ length: 5 }, () => openPostgresStore(address, { deadlineMs: 60_000 })));
    expect(await server.sql(`SELECT number FROM "${schemaOf(address)}".migrations`)).toHaveLength(MIGRATIONS.length);
    for (const store of stores) await store.close();
  });

  it('need no right to create anything when there is nothing to do', async () => {
    const address = server.newAddress();
    await (await openPostgresStore(address)).close();
    const schema = schemaOf(address);
    await server.sql(`CREATE ROLE reader_${schema} LOGIN; GRANT USAGE ON SCHEMA "${schema}" TO reader_${schema};
      GRANT SELECT ON ALL TABLES IN SCHEMA "${schema}" TO reader_${schema}`);
    const store = await openPostgresStore(address.replace('understudy@', `reader_${schema}@`));
    expect(await store.revision('production')).toBe(0);
    const refusal = { code: 'store.write_failed', message: expect.stringContaining('rights') };
    await expect(store.commit(put('a', 0, 1))).rejects.toMatchObject(refusal);
    await store.close();
  });

  it('refuse a schema of a newer release', async () => {
    const address = server.newAddress();
    await (await openPostgresStore(address)).close();
    const client = new pg.Client({ connectionString: address.replace(/\?.*/, '') });
    await client.connect();
    await client.query(
      `INSERT INTO "${schemaOf(address)}".migrations (number, title) VALUES (${MIGRATIONS.length + 1}, 'newer')`,
    );
    await client.end();
    const refusal = { code: 'config.invalid', message: expect.stringContaining('newer release') };
    await expect(openPostgresStore(address)).rejects.toMatchObject(refusal);
  });
});
