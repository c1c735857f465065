/** The newest commit of each environment, and the watch over a server that forgets. Every read and commit of the Redis store asks it. */
import { AppError } from '@understudy/core/errors';
import { GENESIS_HASH } from './journal-hash.ts';
import { headOf, textOf } from './redis-replies.ts';

/** The newest entry of a journal. */
export interface Head {
  readonly revision: number;
  readonly hash: string;
  /** As it is stored; empty before the first commit. */
  readonly text: string;
}

export interface HeadWatch {
  /**
   * Remembers what is known before a question is sent; give the answer to what it returns.
   * @throws AppError `store.corrupt` from the returned function when the server is behind what was known: it has lost
   *   changes that it had acknowledged
   */
  readonly ask: (environment: string) => (reply: unknown) => Head;
  /** A commit of ours was acknowledged. */
  readonly reached: (environment: string, revision: number) => void;
  /** Environments that were asked about, with their newest known revisions. */
  readonly known: () => ReadonlyMap<string, number>;
}

/** @param ignoresLoss only to show that the tests of loss would notice */
export function openHeadWatch(place: string, ignoresLoss: boolean): HeadWatch {
  const newest = new Map<string, number>();
  const reached = (environment: string, revision: number): void => {
    newest.set(environment, Math.max(revision, newest.get(environment) ?? 0));
  };
  return {
    reached,
    known: () => newest,
    ask: (environment) => {
      // Answers may be looked at in another order than they were given, but none is older than its question.
      const atLeast = newest.get(environment) ?? 0;
      return (reply) => {
        const text = textOf(reply) ?? '';
        const head = text === '' ? { revision: 0, hash: GENESIS_HASH, text } : { ...headOf(text), text };
        if (head.revision < atLeast && !ignoresLoss) throw forgotten({ place, environment, atLeast, revision: head.revision });
        reached(environment, head.revision);
        return head;
      };
    },
  };
}

interface Loss {
  readonly place: string;
  readonly environment: string;
  readonly atLeast: number;
  readonly revision: number;
}

function forgotten({ place, environment, atLeast, revision }: Loss): AppError {
  return new AppError(
    'store.corrupt',
    `the Redis server ${place} has lost changes of environment "${environment}": it had revision ${atLeast} and now has ${revision}. ` +
      'Nothing is written, so that history does not fork: restore the newest backup, or restart every control plane to go on from here',
  );
}
