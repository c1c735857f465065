/** What `@understudy/sdk/browser` is: flags of one user that the server evaluates, with a key that is no secret. */
export { browserStorage } from './browser-storage.ts';
export type { WebStorage } from './browser-storage.ts';
export { openRemoteFlags } from './remote-flags.ts';
export type { OpenRemoteFlagsOptions, RemoteChange, RemoteFlags } from './remote-flags.ts';
export type { FlagsSource, FlagsStatus } from './flag-standing.ts';
export type { Details, FlagErrorCode, OwnFlagValues } from './flag-values.ts';
export type { FeedPorts as SdkPorts } from '@understudy/feed/ports';
export type { SdkProblem } from './problem.ts';
export type { KeptTexts, SnapshotStorage } from '@understudy/feed/snapshot-storage';
