/** What `@understudy/sdk` is: flags that a server evaluates by itself, reports, and predictions over a gateway. */
export { createUnderstudy, UnderstudyError } from './client.ts';
export type { Predict, Prediction, PredictOptions, UnderstudyOptions } from './client.ts';
export { fileStorage } from '@understudy/feed/file-storage';
export { openFlags } from './open-flags.ts';
export type { Flags, FlagsChange, OpenFlagsOptions } from './open-flags.ts';
export type { FlagsSource, FlagsStatus } from './flag-standing.ts';
export type { Details, FlagErrorCode, FlagValues } from './flag-values.ts';
export type { Decided, LateScore, Outcome, OutcomeFacts } from './outcome.ts';
export { reportOutcomes } from './outcomes.ts';
export type { Outcomes, OutcomesStatus, ReportOutcomesOptions } from './outcomes.ts';
export type { FeedPorts as SdkPorts } from '@understudy/feed/ports';
export type { SdkProblem } from './problem.ts';
export type { KeptTexts, SnapshotStorage } from '@understudy/feed/snapshot-storage';
export type { Subject } from './subject.ts';
export type { VersionDecision } from './version-decision.ts';
