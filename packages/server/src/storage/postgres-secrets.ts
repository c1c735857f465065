/** Secrets in a PostgreSQL store: in a table of their own, which nothing else reads. */
import { z } from 'zod';
import { durable } from './postgres-commit-sql.ts';
import type { PostgresConnection } from './postgres-connection.ts';
import type { SecretKeeper } from './secret-keeper.ts';

export function openPostgresSecrets({ repeat, address: { schema } }: PostgresConnection): SecretKeeper {
  const insert = `
    INSERT INTO "${schema}".secrets (name, value) SELECT $1, $2::bytea WHERE ${durable({})} IS NOT NULL ON CONFLICT DO NOTHING`;
  const select = `SELECT value FROM "${schema}".secrets WHERE name = $1`;
  return {
    async keepSecret(name, proposed) {
      await repeat(`keep the secret "${name}"`, { text: insert, values: [name, Buffer.from(proposed)] });
      const [row] = await repeat(`read the secret "${name}"`, { text: select, values: [name] });
      return z.object({ value: z.instanceof(Uint8Array) }).parse(row).value;
    },
  };
}
