/** What went wrong behind the caller's back. Whatever must not throw at its caller says it here. */

/** One thing that went wrong; the SDK goes on with what it has. */
export interface SdkProblem {
  /**
   * `server.unreachable`, `server.refused`: no news for now. `key.refused`: the server says that it does not take the key.
   * `snapshot.invalid`, `snapshot.too_large`: what came is not used. `document.problem`: a flag will not do what it says.
   * `storage.failed`, `storage.damaged`: last known values. `outcome.invalid`, `outcomes.dropped`, `outcomes.refused`,
   * `outcomes.missing`: reports. `listener.failed`: a callback of yours threw.
   */
  readonly code:
    | 'server.unreachable'
    | 'server.refused'
    | 'key.refused'
    | 'snapshot.invalid'
    | 'snapshot.too_large'
    | 'document.problem'
    | 'storage.failed'
    | 'storage.damaged'
    | 'outcome.invalid'
    | 'outcomes.dropped'
    | 'outcomes.refused'
    | 'outcomes.missing'
    | 'listener.failed';
  /** A sentence for people. */
  readonly message: string;
}

/** Says a problem. */
export type TellProblem = (problem: SdkProblem) => void;

/** Tells each problem once in a row. */
export interface TellOnce {
  readonly tell: TellProblem;
  /** All is well again: the same problem would be news. */
  readonly isOver: () => void;
}

/** @param onProblem the caller's callback, which may throw without harm */
export function tellOnce(onProblem: TellProblem | undefined): TellOnce {
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

/** An error as a sentence, with what it says about its cause: `fetch` says the reason only there. */
export function sentenceOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message;
}
