/** What `@understudy/sdk` is: flags that a server evaluates by itself, reports, and predictions over a gateway. */
export { createUnderstudy, UnderstudyError } from './client.ts';
export type { Predict, Prediction, PredictOptions, UnderstudyOptions } from './client.ts';
export { fileStorage } from './file-storage.ts';
export { openFlags } from './open-flags.ts';
export type { Flags, FlagsChange, OpenFlagsOptions } from './open-flags.ts';
export type { FlagsSource, FlagsStatus } from './flag-standing.ts';
export type { Details, FlagErrorCode, FlagValues } from './flag-values.ts';
export type { Decided, LateScore, Outcome, OutcomeFacts } from './outcome.ts';
export { reportOutcomes } from './outcomes.ts';
export type { Outcomes, OutcomesStatus, ReportOutcomesOptions } from './outcomes.ts';
export type { SdkPorts } from './ports.ts';
export type { SdkProblem } from './problem.ts';
export type { KeptTexts, SnapshotStorage } from './snapshot-storage.ts';
export type { Subject } from './subject.ts';
export type { VersionDecision } from './version-decision.ts';
