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
