/** Where the last known good snapshot is kept over a restart. It is read at the start and written after each change. */

import { sentenceOf, type TellFeedProblem } from './problem.ts';

/** Keeps texts. Anything that can is a storage: a folder, a browser's storage, a database of yours. */
export interface SnapshotStorage {
  /** What was kept, newest first, damaged texts left out. @returns what is wrong with those in `problems` */
  read(): Promise<KeptTexts>;
  /**
   * Keeps a text, as a whole or not at all, and the one before it.
   * @param id of the content: when what is kept has it already, nothing needs to be done
   */
  write(text: string, id: string): Promise<void>;
}

/** What a storage holds. */
export interface KeptTexts {
  readonly texts: readonly string[];
  readonly problems: readonly string[];
}

/** A snapshot as it is kept. */
export interface KeptSnapshot {
  /** The server that it is from: what another one said is not used. */
  readonly url: string;
  readonly id: string;
  readonly keptAtMs: number;
  readonly body: string;
}

/** What was kept from one server, newest first. Never rejects: what cannot be used is told. */
export async function readAllKept(
  storage: Pick<SnapshotStorage, 'read'> | undefined,
  url: string,
  tell: TellFeedProblem,
): Promise<readonly KeptSnapshot[]> {
  try {
    const { texts, problems } = (await storage?.read()) ?? { texts: [], problems: [] };
    for (const problem of problems) tell({ code: 'storage.damaged', message: problem });
    return texts.flatMap((text) => {
      const kept = readKept(text);
      if (kept === undefined) tell({ code: 'storage.damaged', message: 'what was kept has another form than what is kept here' });
      return kept?.url === url ? [kept] : [];
    });
  } catch (error) {
    tell({ code: 'storage.failed', message: `what was kept cannot be read: ${sentenceOf(error)}` });
    return [];
  }
}

/** @returns undefined when it is not what {@link writeKept} wrote */
function readKept(text: string): KeptSnapshot | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isKept(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** The text of {@link readKept}. */
export function writeKept({ url, id, keptAtMs, body }: KeptSnapshot): string {
  return JSON.stringify({ kept: 1, url, id, keptAtMs, body });
}

function isKept(value: unknown): value is KeptSnapshot & { readonly kept: 1 } {
  if (typeof value !== 'object' || value === null) return false;
  const isWhole = 'kept' in value && value.kept === 1 && 'keptAtMs' in value && typeof value.keptAtMs === 'number';
  return isWhole && ['url', 'id', 'body'].every((name) => typeof Reflect.get(value, name) === 'string');
}
