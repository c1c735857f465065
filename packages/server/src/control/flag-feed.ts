/** Compiles flags after each commit that changes them, and says so again when a schedule begins or ends. Flag protocols and SDK keys live on it. */
import { compileFlags, type Evaluator, type EvaluatorPorts, type FlagDocuments } from '@understudy/core/flags/evaluator';
import type { Flag } from '@understudy/core/flags/flag';
import type { Token } from '@understudy/core/token';
import { documentsOf, loadFlagLibrary } from '../commands/flag-library.ts';
import { listBodies } from '../commands/queries.ts';
import type { Store } from '../storage/store.ts';
import { type BoundaryPorts, openBoundaryAlarm } from './flag-boundaries.ts';
import { openPacedRefresh } from './paced-refresh.ts';

/** Everything about the flags of an environment. Replaced as a whole, never changed. */
export interface CompiledFlags {
  readonly environment: string;
  /** Of the newest commit that changed a flag or a segment. */
  readonly revision: number;
  readonly documents: FlagDocuments;
  readonly evaluator: Evaluator;
}

export interface FlagFeed {
  /** Undefined until flags could be loaded. */
  now(): CompiledFlags | undefined;
  /** Calls back after each change of a flag or a segment, and when a schedule has begun or ended. @returns stops */
  onChange(listener: (state: CompiledFlags) => void): () => void;
  /** Every token at the newest commit; undefined until they could be loaded. */
  tokens(): readonly Token[] | undefined;
  /** Takes in commits of other processes. @returns whether what is at hand is what is stored */
  refresh(): Promise<boolean>;
  close(): void;
}

interface FeedLog {
  warn(fields: object, event: string): void;
  error(fields: object, event: string): void;
}

export interface FlagFeedOptions extends EvaluatorPorts, BoundaryPorts {
  readonly store: Pick<Store, 'read' | 'list' | 'readAll' | 'onCommit' | 'revision'>;
  readonly environment: string;
  readonly log: FeedLog;
}

// A commit between two reads makes them begin again; so many in a row mean something else is wrong.
const MAX_READS = 20;

/** Ready when it resolves, unless the flags cannot be read: then that is logged, and each commit tries again. */
export async function openFlagFeed(options: FlagFeedOptions): Promise<FlagFeed> {
  const { store, environment, log } = options;
  const news = openNews(log);
  let loaded: { readonly revision: number; readonly tokens: readonly Token[]; readonly documents: FlagDocuments } | undefined;
  let current: CompiledFlags | undefined;
  let working: Promise<boolean> = Promise.resolve(false);
  let lists: readonly unknown[] = [];
  const alarm = openBoundaryAlarm(options, () => {
    if (current !== undefined) news.tell((current = { ...current }));
  });

  async function bringUpToDate(): Promise<boolean> {
    // Several commits in a row are one compilation: those that follow find nothing newer.
    if (loaded !== undefined && (await store.revision(environment)) === loaded.revision) return true;
    // A store that holds its documents gives the same lists as long as nothing in them has changed: most commits change other things.
    const seen = await listsOf(options);
    if (loaded !== undefined && seen.every((list, index) => list === lists[index])) return true;
    const { revision, documents, tokens } = await readFlags(options);
    // Not before all of it was read: what failed is tried again.
    lists = seen;
    const isChanged = loaded === undefined || !isSameText(documents, loaded.documents);
    loaded = { revision, tokens, documents };
    if (!isChanged) return true;
    const evaluator = compileFlags(documents, options);
    for (const problem of evaluator.problems) log.warn(problem, 'flags.problem');
    current = { environment, revision, documents, evaluator };
    alarm.set(documents);
    news.tell(current);
    return true;
  }

  function refresh(): Promise<boolean> {
    working = working.then(bringUpToDate).catch((error: unknown) => {
      log.error({ err: error }, 'flags.failed');
      return false;
    });
    return working;
  }

  const paced = openPacedRefresh({ ...options, refresh });
  const unsubscribe = store.onCommit((committed) => {
    if (committed === environment) paced.soon();
  });
  await refresh();

  return {
    now: () => current,
    onChange: (listener) => news.onChange(listener),
    tokens: () => loaded?.tokens,
    refresh,
    close() {
      alarm.close();
      unsubscribe();
      paced.close();
      news.close();
    },
  };
}

interface News extends Pick<FlagFeed, 'onChange' | 'close'> {
  tell(state: CompiledFlags): void;
}

/** One listener's trouble never keeps a change from the others. */
function openNews(log: FeedLog): News {
  const listeners = new Set<(state: CompiledFlags) => void>();
  return {
    onChange(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    tell(state) {
      for (const listener of listeners) {
        try {
          listener(state);
        } catch (error) {
          log.error({ err: error }, 'flags.listener_failed');
        }
      }
    },
    close: () => listeners.clear(),
  };
}

/** Everything that flags are made of. */
function listsOf({ store, environment }: Pick<FlagFeedOptions, 'store' | 'environment'>): Promise<readonly unknown[]> {
  const kinds = ['flag', 'segment', 'model', 'version', 'rollout', 'token'] as const;
  return Promise.all(kinds.map((kind) => store.list(environment, kind)));
}

/** Whether two are written alike; most documents are the objects they were. */
function isSameText(left: FlagDocuments, right: FlagDocuments): boolean {
  const areSame = (ones: readonly object[], others: readonly object[]): boolean =>
    ones.length === others.length &&
    ones.every((one, index) => one === others[index] || JSON.stringify(one) === JSON.stringify(others[index]));
  return areSame(left.flags, right.flags) && areSame(left.segments, right.segments);
}

/** What is stored, at one revision. */
interface ReadFlags {
  readonly revision: number;
  readonly documents: FlagDocuments;
  readonly tokens: readonly Token[];
}

async function readFlags(context: Pick<FlagFeedOptions, 'store' | 'environment'>): Promise<ReadFlags> {
  const { store, environment } = context;
  for (let read = 0; read < MAX_READS; read += 1) {
    const revision = await store.revision(environment);
    const [library, tokens] = await Promise.all([loadFlagLibrary(context), listBodies(context, 'token')]);
    if ((await store.revision(environment)) !== revision) continue;
    const { flags, segments } = documentsOf(library);
    return { revision, tokens, documents: { flags: firstOfEach(flags), segments } };
  }
  throw new Error(`the environment changed ${MAX_READS} times while its flags were read`);
}

/** A version may be called "version"; the flag that says which version is there comes before the one about that version. */
function firstOfEach(flags: readonly Flag[]): readonly Flag[] {
  return [...new Map(flags.toReversed().map((flag) => [flag.key, flag])).values()].toReversed();
}
