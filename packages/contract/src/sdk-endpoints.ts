/** Endpoints about the SDKs that read our flags. */
import { z } from 'zod';
import { base, type Endpoint } from './endpoint.ts';

export const SdkView = z.strictObject({
  family: z.enum(['unleash', 'launchdarkly', 'flagsmith', 'ofrep', 'understudy']),
  /** Name and version as the SDK sends them. */
  sdk: z.string(),
  application: z.string(),
  /** Whether it evaluates by itself, with the hash of its family. */
  isLocal: z.boolean(),
  firstSeenAtMs: z.number(),
  seenAtMs: z.number(),
  /** What a person should know, such as flags whose users fall into other buckets there. */
  warnings: z.array(z.string()),
});
export type SdkView = z.infer<typeof SdkView>;

export const SDK_ENDPOINTS = {
  listSdks: {
    ...base,
    method: 'GET',
    path: '/sdks',
    scope: 'read',
    summary: 'SDKs that this process has heard of since its start, newest first',
    answer: z.array(SdkView),
  },
} as const satisfies Record<string, Endpoint>;
