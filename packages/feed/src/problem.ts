/** What went wrong while following a feed. Nothing here throws at its caller: it goes on with what it has, and says it. */

/** One thing that went wrong. */
export interface FeedProblem {
  /**
   * `server.unreachable`, `server.refused`: no news for now. `key.refused`: the server says that it does not take the key.
   * `snapshot.too_large`: what came is not used. `storage.failed`, `storage.damaged`: last known values.
   */
  readonly code:
    | 'server.unreachable'
    | 'server.refused'
    | 'key.refused'
    | 'snapshot.too_large'
    | 'storage.failed'
    | 'storage.damaged';
  /** A sentence for people. */
  readonly message: string;
}

/** Says a problem. */
export type TellFeedProblem = (problem: FeedProblem) => void;

/** An error as a sentence, with what it says about its cause: `fetch` says the reason only there. */
export function sentenceOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message;
}

/** Tells each problem once in a row. */
export interface TellOnce<Problem> {
  readonly tell: (problem: Problem) => void;
  /** All is well again: the same problem would be news. */
  readonly isOver: () => void;
}

/** @param onProblem the caller's callback, which may throw without harm */
export function tellOnce<Problem extends { readonly code: string; readonly message: string }>(
  onProblem: ((problem: Problem) => void) | undefined,
): TellOnce<Problem> {
  let last = '';
  return {
    tell(problem) {
      const text = `${problem.code} ${problem.message}`;
      if (text === last) return;
      last = text;
      try {
        onProblem?.(problem);
      } catch {
        // Who is told about problems of callbacks is this callback.
      }
    },
    isOver() {
      last = '';
    },
  };
}
