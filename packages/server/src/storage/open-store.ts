/** Opens the store that an address names: one switch for every backend. `compose.ts` and the store commands depend on it. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '@understudy/core/errors';
import type { ServerTime } from '../shared-clock.ts';
import { parseStoreAddress, withoutPassword } from '../store-address.ts';
import { openSecretFiles, secretFilesOf } from './secret-files.ts';
import type { SecretKeeper } from './secret-keeper.ts';
import { openSqliteDump } from './sqlite-dump.ts';
import { openSqliteStore } from './sqlite-store.ts';
import type { DumpableStore } from './store-dump.ts';
import type { Store } from './store.ts';

/** A store and what is kept with it. */
export interface OpenedStore {
  readonly store: Store;
  readonly secrets: SecretKeeper;
  /** Whether other processes may work on the same store and the same model files. */
  readonly isShared: boolean;
  readonly time: TimeSource;
}

/** Where processes that work on a store learn what time it is: of its server, or on this machine, where one keeps it for the next. */
export type TimeSource =
  | { readonly kind: 'server'; readonly server: ServerTime }
  | { readonly kind: 'machine'; readonly file: string };

/** The database of a `sqlite:` directory. */
const SQLITE_FILE = 'understudy.db';

export interface OpenOptions {
  /** Called when the store can no longer keep its word and the process has to end. */
  readonly onFatal: (error: AppError) => void;
  /** Told what acknowledged changes could be lost by, where the settings of a server decide. */
  readonly log?: { warn(fields: object, event: string): void };
}

/**
 * @throws AppError when the address is none, or what it names cannot be opened
 */
export async function openStore(text: string, { onFatal, log }: OpenOptions): Promise<OpenedStore> {
  const address = parseStoreAddress(text);
  switch (address.kind) {
    case 'sqlite': {
      await mkdir(address.directory, { recursive: true });
      const file = join(address.directory, SQLITE_FILE);
      const store = await openSqliteStore(file, { onFatal });
      const time = { kind: 'machine', file: `${file}.time` } as const;
      return { store, secrets: openSecretFiles(address.directory), isShared: false, time };
    }
    case 'postgres': {
      const { openPostgresStore } = await driver(text, () => import('./postgres-store.ts'));
      const store = await openPostgresStore(address.url);
      return { store, secrets: store, isShared: true, time: { kind: 'server', server: store } };
    }
    case 'redis': {
      const { openRedisStore } = await import('./redis-store.ts');
      const store = await openRedisStore(address.url, log === undefined ? {} : { log });
      return { store, secrets: store, isShared: true, time: { kind: 'server', server: store } };
    }
  }
}

/**
 * Opens a store to copy it, to fill it or to check it, without anything that a server needs.
 * @throws AppError as {@link openStore}
 */
export async function openDump(text: string): Promise<DumpableStore> {
  const address = parseStoreAddress(text);
  switch (address.kind) {
    case 'sqlite':
      await mkdir(address.directory, { recursive: true });
      return openSqliteDump(join(address.directory, SQLITE_FILE), secretFilesOf(address.directory));
    case 'postgres': {
      const { openPostgresDump } = await driver(text, () => import('./postgres-dump.ts'));
      return openPostgresDump(address.url);
    }
    case 'redis': {
      const { openRedisDump } = await import('./redis-dump.ts');
      return openRedisDump(address.url);
    }
  }
}

/** Drivers are optional packages, loaded when an address asks for one. */
async function driver<T>(text: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND')) throw error;
    const message = `cannot open the store ${withoutPassword(text)}: its driver is not installed (${error.message}); install Understudy with its optional packages`;
    throw new AppError('config.invalid', message, { cause: error });
  }
}
