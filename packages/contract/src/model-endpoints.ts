/** Endpoints of models, their versions and artifacts. */
import { z } from 'zod';
import {
  ComparisonFields,
  exactPartial,
  HealthLimitsFields,
  LabelsDueMs,
  WatchFields,
  WatchedLabels,
  ModelVersionSchema,
  Name,
  RoutingFields,
  Sha256,
} from './documents.ts';
import { base, type Endpoint, OfModel, OverrideFreeze, Reason, WithReason } from './endpoint.ts';
import { GoldenRequestsSchema } from './golden-documents.ts';
import { UpstreamProtocolSchema } from './upstream-protocol.ts';
import { ArtifactView, DrillView, GoldenView, ModelView, Outcome, VersionView } from './views.ts';

const RoutingInput = exactPartial(RoutingFields);
const ComparisonInput = exactPartial(ComparisonFields);
const WatchInput = exactPartial({ ...WatchFields, limits: exactPartial(HealthLimitsFields), labels: WatchedLabels });
const ModelSettings = {
  routing: RoutingInput.exactOptional(),
  watch: WatchInput.exactOptional(),
  comparison: ComparisonInput.exactOptional(),
  labelsDueMs: LabelsDueMs.exactOptional().meta({
    description: 'Labels of a request are due so long after it: feedback counts as evidence then. An hour when never set.',
  }),
};
const OfVersion = z.strictObject({ model: Name, version: Name });

/** A sample of predictions made offline, or inputs to compute them from with the version itself. */
export const BaselineInput = z.union([
  z.strictObject({ predictions: z.array(z.number()).min(2).max(50_000) }),
  z.strictObject({ features: z.array(z.array(z.number()).min(1)).min(2).max(10_000) }),
]);
export type BaselineInput = z.infer<typeof BaselineInput>;

/** A new version: exactly one of `artifact` (the sha256 of an uploaded file), `upstream` and `external`. */
export const VersionInput = z.strictObject({
  version: Name,
  artifact: Sha256.exactOptional(),
  upstream: z
    .strictObject({
      url: z.url({ protocol: /^https?$/, error: 'use an http:// or https:// address' }),
      protocol: UpstreamProtocolSchema,
      remoteModel: z
        .string()
        .min(1)
        .max(200)
        .exactOptional()
        .meta({ description: "The model's name over there; ours when left out." }),
    })
    .exactOptional(),
  external: z
    .literal(true)
    .exactOptional()
    .meta({ description: 'Your own service serves it, decides by flag and reports observations; gateways never load it.' }),
  baseline: BaselineInput.exactOptional(),
  note: z.string().max(2000).default(''),
});
export type VersionInput = z.infer<typeof VersionInput>;

/** Golden requests with their answers, or rows of features that a version answers now. */
export const GoldenInput = z.union([
  z.strictObject({
    protocol: UpstreamProtocolSchema.exactOptional().meta({ description: 'Of the requests; predict when left out.' }),
    requests: GoldenRequestsSchema,
  }),
  z.strictObject({
    answersOf: Name.meta({ description: 'An uploaded version; what it predicts is what is expected from now on.' }),
    features: z.array(z.array(z.number()).min(1)).min(1).max(50),
    tolerance: z.number().nonnegative().exactOptional(),
  }),
]);
export type GoldenInput = z.infer<typeof GoldenInput>;

export const MODEL_ENDPOINTS = {
  createModel: {
    ...base,
    method: 'POST',
    path: '/models',
    scope: 'operate',
    summary: 'Create a model',
    body: z.strictObject({ name: Name, ...ModelSettings }),
    answer: ModelView,
  },
  listModels: { ...base, method: 'GET', path: '/models', scope: 'read', summary: 'All models', answer: z.array(ModelView) },
  getModel: {
    ...base,
    method: 'GET',
    path: '/models/:model',
    scope: 'read',
    summary: 'One model',
    params: OfModel,
    answer: ModelView,
  },
  updateModel: {
    ...base,
    method: 'PATCH',
    path: '/models/:model',
    scope: 'operate',
    summary: 'Change routing, watch or comparison; fields left out stay as they are',
    params: OfModel,
    body: z.strictObject({ ...ModelSettings, reason: Reason }),
    answer: ModelView,
  },
  getChampion: {
    ...base,
    method: 'GET',
    path: '/models/:model/champion',
    scope: 'read',
    summary: 'Who is champion, or was at a moment',
    params: OfModel,
    query: z.strictObject({ at: z.iso.datetime({ offset: true }).exactOptional() }),
    answer: z.strictObject({ model: z.string(), atMs: z.number(), champion: z.string().nullable() }),
  },
  rollBackModel: {
    ...base,
    method: 'POST',
    path: '/models/:model/rollback',
    scope: 'operate',
    summary: 'Send the champion back to the last known good version',
    params: OfModel,
    body: z.strictObject({
      version: Name.exactOptional().meta({ description: 'The failing version; makes a second rollback of it do nothing.' }),
      to: Name.exactOptional().meta({ description: 'A version of your choice instead of the last known good.' }),
      force: z.boolean().exactOptional().meta({ description: 'Lets `to` be unhealthy or never served.' }),
      reason: Reason,
    }),
    answer: Outcome,
  },
  drillRollback: {
    ...base,
    method: 'GET',
    path: '/models/:model/drill',
    scope: 'read',
    summary: 'Whether a rollback of the champion would work now, and where it would go; changes nothing',
    params: OfModel,
    answer: DrillView,
  },
  getGolden: {
    ...base,
    method: 'GET',
    path: '/models/:model/golden',
    scope: 'read',
    summary: 'The golden requests of a model',
    params: OfModel,
    answer: GoldenView,
  },
  setGolden: {
    ...base,
    method: 'PUT',
    path: '/models/:model/golden',
    scope: 'operate',
    summary: 'Set the golden requests that gateways try the last known good version with',
    params: OfModel,
    body: GoldenInput,
    answer: GoldenView,
  },
  clearGolden: {
    ...base,
    method: 'DELETE',
    path: '/models/:model/golden',
    scope: 'operate',
    summary: 'Go without golden requests',
    params: OfModel,
    answer: GoldenView,
  },
  killModel: {
    ...base,
    method: 'POST',
    path: '/models/:model/kill',
    scope: 'operate',
    summary: 'Put everybody on the champion at once; ends a live rollout',
    params: OfModel,
    body: WithReason,
    answer: Outcome,
  },
  unkillModel: {
    ...base,
    method: 'POST',
    path: '/models/:model/unkill',
    scope: 'operate',
    summary: 'Allow rollouts again; a killed rollout stays ended',
    params: OfModel,
    body: WithReason,
    answer: Outcome,
  },
  uploadArtifact: {
    ...base,
    method: 'POST',
    path: '/artifacts',
    scope: 'operate',
    summary: 'Upload an ONNX file; it is loaded once to check it and to read its signature',
    query: z.strictObject({ name: z.string().max(300).exactOptional().meta({ description: 'File name, for messages only.' }) }),
    body: 'binary',
    answer: ArtifactView,
  },
  registerVersion: {
    ...base,
    method: 'POST',
    path: '/models/:model/versions',
    scope: 'operate',
    summary: 'Register an immutable version',
    params: OfModel,
    body: VersionInput,
    answer: VersionView,
  },
  listVersions: {
    ...base,
    method: 'GET',
    path: '/models/:model/versions',
    scope: 'read',
    summary: 'All versions of a model',
    params: OfModel,
    answer: z.array(VersionView),
  },
  getVersion: {
    ...base,
    method: 'GET',
    path: '/models/:model/versions/:version',
    scope: 'read',
    summary: 'One version',
    params: OfVersion,
    answer: VersionView,
  },
  promoteVersion: {
    ...base,
    method: 'POST',
    path: '/models/:model/versions/:version/promote',
    scope: 'operate',
    summary: 'Make a version champion without a rollout',
    params: OfVersion,
    body: z.strictObject({ overrideFreeze: OverrideFreeze, reason: Reason }),
    answer: Outcome,
  },
  setVersionHealth: {
    ...base,
    method: 'POST',
    path: '/models/:model/versions/:version/health',
    scope: 'operate',
    summary: 'Mark a version healthy or unhealthy',
    params: OfVersion,
    body: z.strictObject({ state: z.enum(['healthy', 'unhealthy']), reason: Reason }),
    answer: z.strictObject({ version: ModelVersionSchema }),
  },
  releaseArtifact: {
    ...base,
    method: 'POST',
    path: '/models/:model/versions/:version/unquarantine',
    scope: 'operate',
    summary: 'Let the file of an unhealthy version be used by other versions again; it stays unhealthy itself',
    params: OfVersion,
    body: WithReason,
    answer: Outcome,
  },
  setBaseline: {
    ...base,
    method: 'POST',
    path: '/models/:model/versions/:version/baseline',
    scope: 'operate',
    summary: 'Set the baseline from a validation sample, or capture it from live traffic',
    params: OfVersion,
    body: z.union([BaselineInput, z.strictObject({ live: z.literal(true) })]),
    answer: z.strictObject({ version: ModelVersionSchema }),
  },
} as const satisfies Record<string, Endpoint>;
