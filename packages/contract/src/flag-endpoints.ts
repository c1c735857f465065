/** Endpoints of flags and segments: documents, kill switch, ramp, evaluation with its reasons, import. */
import { FlagKey, FlagSchema, Json, Kind, SegmentSchema } from './flag-documents.ts';
import { z } from 'zod';
import { base, type Endpoint, Reason, WithReason } from './endpoint.ts';
import { BucketView, EvaluationView, FlagView, ImportReportView, SegmentView } from './flag-views.ts';
import { Outcome } from './views.ts';

const OfFlag = z.strictObject({ flag: FlagKey });
const OfSegment = z.strictObject({ segment: FlagKey });

/** A change of a document that somebody has read. */
const Revision = z.int().min(0).meta({
  description: 'The revision that the document was read at; 0 when there should be none yet.',
});

/** Attributes of one entity. */
const Attributes = z.record(z.string().max(500), Json);

const FLAG_SOURCES = ['unleash', 'launchdarkly', 'flagsmith'] as const;

// What other systems export is larger than anything that people type.
const MAX_IMPORT_BYTES = 32 * 1024 * 1024;

export const FLAG_ENDPOINTS = {
  listFlags: {
    ...base,
    method: 'GET',
    path: '/flags',
    scope: 'read',
    summary: "People's flags and those that follow rollouts",
    answer: z.array(FlagView),
  },
  getFlag: {
    ...base,
    method: 'GET',
    path: '/flags/:flag',
    scope: 'read',
    summary: 'One flag',
    params: OfFlag,
    answer: FlagView,
  },
  saveFlag: {
    ...base,
    method: 'PUT',
    path: '/flags/:flag',
    scope: 'operate',
    summary: 'Create or replace a flag, unless somebody changed it since it was read',
    params: OfFlag,
    body: z.strictObject({ flag: FlagSchema, revision: Revision, reason: Reason }),
    answer: FlagView,
  },
  deleteFlag: {
    ...base,
    method: 'DELETE',
    path: '/flags/:flag',
    scope: 'operate',
    summary: 'Delete a flag that no other flag depends on',
    params: OfFlag,
    query: WithReason,
    answer: Outcome,
  },
  switchFlag: {
    ...base,
    method: 'POST',
    path: '/flags/:flag/switch',
    scope: 'operate',
    summary: 'Switch a flag on, or off for everybody at once',
    params: OfFlag,
    body: z.strictObject({ on: z.boolean(), reason: Reason }),
    answer: Outcome,
  },
  rampFlag: {
    ...base,
    method: 'POST',
    path: '/flags/:flag/ramp',
    scope: 'operate',
    summary: 'Give a variant another percentage; only subjects who must move do',
    params: OfFlag,
    body: z.strictObject({
      variant: z.string().min(1).max(200),
      percent: z.number().min(0).max(100),
      against: z.string().min(1).max(200).exactOptional().meta({
        description: 'The variant that gives or takes the difference; the others in proportion when left out.',
      }),
      rule: z.int().min(1).exactOptional().meta({ description: 'Number of the rule, from 1; the fallthrough when left out.' }),
      reason: Reason,
    }),
    answer: Outcome,
  },
  evaluateFlag: {
    ...base,
    method: 'POST',
    path: '/flags/evaluate',
    scope: 'read',
    summary: 'What a flag gives to a context, and how it came to that; changes nothing',
    body: z.strictObject({
      flag: FlagKey,
      context: Attributes.refine((attributes) => !Object.hasOwn(attributes, 'kind'), {
        message: '"kind" is no attribute; write entities of other kinds under "kinds"',
      })
        .default({})
        .meta({ description: 'Attributes of the user; "key" is the sticky key.' }),
      kinds: z
        .record(Kind, Attributes)
        .exactOptional()
        .meta({ description: 'Entities of other kinds, such as {"organization": {"key": "acme"}}.' }),
      at: z.iso.datetime().exactOptional().meta({ description: 'Evaluate as of this time; now when left out.' }),
    }),
    answer: EvaluationView,
  },
  bucketOfSubject: {
    ...base,
    method: 'GET',
    path: '/bucket',
    scope: 'read',
    summary: 'The bucket of a subject for services that send it with flags of the profile "attribute"',
    query: z.strictObject({ subject: z.string().min(1).max(1000) }),
    answer: BucketView,
  },
  importFlags: {
    ...base,
    method: 'POST',
    path: '/flags/import',
    scope: 'operate',
    summary: 'Take flags and segments over from another system, with a report of what does not fit',
    maxBodyBytes: MAX_IMPORT_BYTES,
    body: z.strictObject({
      from: z.enum(FLAG_SOURCES),
      data: Json.meta({ description: 'What that system sends to its SDKs; see docs/flags.md.' }),
      dryRun: z.boolean().default(false),
      replace: z.boolean().default(false).meta({ description: 'Replace flags and segments that exist already.' }),
      reason: Reason.default('import'),
    }),
    answer: ImportReportView,
  },
  listSegments: {
    ...base,
    method: 'GET',
    path: '/segments',
    scope: 'read',
    summary: 'All segments',
    answer: z.array(SegmentView),
  },
  getSegment: {
    ...base,
    method: 'GET',
    path: '/segments/:segment',
    scope: 'read',
    summary: 'One segment, and who refers to it',
    params: OfSegment,
    answer: SegmentView,
  },
  saveSegment: {
    ...base,
    method: 'PUT',
    path: '/segments/:segment',
    scope: 'operate',
    summary: 'Create or replace a segment, unless somebody changed it since it was read',
    params: OfSegment,
    body: z.strictObject({ segment: SegmentSchema, revision: Revision, reason: Reason }),
    answer: SegmentView,
  },
  deleteSegment: {
    ...base,
    method: 'DELETE',
    path: '/segments/:segment',
    scope: 'operate',
    summary: 'Delete a segment that nothing refers to',
    params: OfSegment,
    query: WithReason,
    answer: Outcome,
  },
} as const satisfies Record<string, Endpoint>;
