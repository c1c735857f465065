/** Reading an environment: stored documents, parsed into the core's types. Commands, control API and engine read through this. */
import { ModelSchema, ModelVersionSchema, TokenSchema } from '@understudy/contract/documents';
import { PlanSchema, RolloutSchema } from '@understudy/contract/rollout-documents';
import { FlagSchema, SegmentSchema } from '@understudy/contract/flag-documents';
import { FreezeRulesSchema, HookSchema } from '@understudy/contract/people-documents';
import { GatewayKillsSchema } from '@understudy/contract/report';
import { describeProblems } from '@understudy/contract/problems';
import { AppError, type ErrorCode } from '@understudy/core/errors';
import type { Model } from '@understudy/core/model';
import type { Segment } from '@understudy/core/flags/segment';
import type { ModelVersion } from '@understudy/core/model-version';
import type { Rollout } from '@understudy/core/rollout';
import type { EnvironmentState } from '@understudy/core/snapshot';
import type { z } from 'zod';
import { canonicalJson } from '../storage/canonical-json.ts';
import type { DocumentKind, Json, Store, StoredDocument, Write } from '../storage/store.ts';

/** Where to read. */
export interface QueryContext {
  readonly store: Pick<Store, 'read' | 'list' | 'readAll'>;
  readonly environment: string;
}

/** A document with the revision that a write of it has to name. */
export interface Held<Body> {
  readonly id: string;
  readonly revision: number;
  readonly body: Body;
}

const SCHEMAS = {
  model: ModelSchema,
  version: ModelVersionSchema,
  rollout: RolloutSchema,
  plan: PlanSchema,
  token: TokenSchema,
  flag: FlagSchema,
  segment: SegmentSchema,
  freeze: FreezeRulesSchema,
  hook: HookSchema,
  gateway: GatewayKillsSchema,
} as const satisfies Record<DocumentKind, z.ZodType>;

type BodyOf<Kind extends DocumentKind> = z.output<(typeof SCHEMAS)[Kind]>;

/** The id under which a version is stored. */
export function versionId(model: string, version: string): string {
  return `${model}/${version}`;
}

/** Every document of the environment, at one revision. */
export async function loadEnvironment({ store, environment }: QueryContext): Promise<EnvironmentState> {
  const { revision, documents } = await store.readAll(environment);
  return {
    environment,
    revision,
    models: bodiesOf('model', documents),
    versions: bodiesOf('version', documents),
    rollouts: bodiesOf('rollout', documents),
    tokens: bodiesOf('token', documents),
  };
}

/** @throws AppError `model.not_found` */
export async function getModel(context: QueryContext, name: string): Promise<Model> {
  return (await holdModel(context, name)).body;
}

/** Every version of a model, oldest first. */
export async function getVersions(context: QueryContext, model: string): Promise<readonly ModelVersion[]> {
  return (await holdVersions(context, model)).map((held) => held.body);
}

/** @throws AppError `rollout.not_found` */
export async function getRollout(context: QueryContext, id: string): Promise<Rollout> {
  return (await holdRollout(context, id)).body;
}

/** Rollouts, newest first; of one model when named. */
export async function listRollouts(context: QueryContext, model?: string): Promise<readonly Rollout[]> {
  const rollouts = bodiesOf('rollout', await context.store.list(context.environment, 'rollout'));
  const wanted = rollouts.filter((rollout) => model === undefined || rollout.model === model);
  return wanted.toSorted((a, b) => b.startedAtMs - a.startedAtMs);
}

export async function holdModel(context: QueryContext, name: string): Promise<Held<Model>> {
  const held = await hold(context, 'model', name);
  if (held !== undefined) return held;
  throw await notFound(context, { code: 'model.not_found', kind: 'model', id: name });
}

export async function holdVersions(context: QueryContext, model: string): Promise<readonly Held<ModelVersion>[]> {
  const documents = await context.store.list(context.environment, 'version', `${model}/`);
  const held = documents.map((document) => ({
    id: document.id,
    revision: document.revision,
    body: parseBody('version', document),
  }));
  return held.toSorted((a, b) => a.body.registeredAtMs - b.body.registeredAtMs);
}

export async function holdRollout(context: QueryContext, id: string): Promise<Held<Rollout>> {
  const held = await hold(context, 'rollout', id);
  if (held !== undefined) return held;
  throw await notFound(context, { code: 'rollout.not_found', kind: 'rollout', id });
}

/** @throws AppError `segment.not_found` */
export async function holdSegment(context: QueryContext, key: string): Promise<Held<Segment>> {
  const held = await hold(context, 'segment', key);
  if (held !== undefined) return held;
  throw await notFound(context, { code: 'segment.not_found', kind: 'segment', id: key });
}

/** One document, or undefined when it does not exist. */
export async function hold<Kind extends DocumentKind>(
  context: QueryContext,
  kind: Kind,
  id: string,
): Promise<Held<BodyOf<Kind>> | undefined> {
  const document = await context.store.read(context.environment, kind, id);
  return document === undefined ? undefined : { id, revision: document.revision, body: parseBody(kind, document) };
}

/** All documents of a kind. */
export async function listBodies<Kind extends DocumentKind>(context: QueryContext, kind: Kind): Promise<readonly BodyOf<Kind>[]> {
  return bodiesOf(kind, await context.store.list(context.environment, kind));
}

/** All documents of a kind, with their revisions. */
export async function listHeld<Kind extends DocumentKind>(
  context: QueryContext,
  kind: Kind,
): Promise<readonly Held<BodyOf<Kind>>[]> {
  const documents = await context.store.list(context.environment, kind);
  return documents.map((document) => ({ id: document.id, revision: document.revision, body: parseBody(kind, document) }));
}

/** What has happened to a document since somebody read it at a revision, 0 when there was none; undefined when nothing has. */
export function changeSince(held: Held<unknown> | undefined, revision: number): string | undefined {
  const actual = held?.revision ?? 0;
  if (actual === revision) return undefined;
  if (held === undefined) return 'it was deleted meanwhile';
  if (revision === 0) return `there is one already, at revision ${actual}`;
  return `it was changed at revision ${actual}, after you read it at ${revision}`;
}

/** The write that replaces a document with another content. */
export function replace<Body extends object>(kind: DocumentKind, held: Held<Body>, body: Body): Write {
  return { kind, id: held.id, expectedRevision: held.revision, body: toJson(body) };
}

/** The write that creates a document, and conflicts when somebody else has. */
export function create(kind: DocumentKind, id: string, body: object): Write {
  return { kind, id, expectedRevision: 0, body: toJson(body) };
}

/** The write that deletes a document. */
export function remove(kind: DocumentKind, held: Held<object>): Write {
  return { kind, id: held.id, expectedRevision: held.revision, body: undefined };
}

/** Whether two documents are stored as the same. */
export function sameContent(one: object, other: object): boolean {
  return canonicalJson(toJson(one)) === canonicalJson(toJson(other));
}

function bodiesOf<Kind extends DocumentKind>(kind: Kind, documents: readonly StoredDocument[]): readonly BodyOf<Kind>[] {
  return documents.filter((document) => document.kind === kind).map((document) => parseBody(kind, document));
}

/** What stored bodies say, as long as somebody holds them: stores that hold documents give the same object again. */
const known = new WeakMap<object, unknown>();

function parseBody<Kind extends DocumentKind>(kind: Kind, document: StoredDocument): BodyOf<Kind> {
  const { body } = document;
  const isObject = typeof body === 'object' && body !== null;
  const before = isObject ? known.get(body) : undefined;
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- it was put there below, and a body is of one kind
  if (before !== undefined) return before as BodyOf<Kind>;
  const parsed = SCHEMAS[kind].safeParse(body);
  if (!parsed.success) {
    const problems = describeProblems(parsed.error);
    throw new AppError(
      'store.corrupt',
      `the stored ${kind} "${document.id}" cannot be read (${problems}); restore it from a backup or from the journal`,
    );
  }
  if (isObject) known.set(body, parsed.data);
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- TypeScript cannot see that SCHEMAS[kind] gives BodyOf<Kind>
  return parsed.data as BodyOf<Kind>;
}

async function notFound(
  context: QueryContext,
  wanted: { readonly code: ErrorCode; readonly kind: DocumentKind; readonly id: string },
): Promise<AppError> {
  const known = (await context.store.list(context.environment, wanted.kind)).map((document) => document.id);
  const list = known.length === 0 ? 'there is none yet' : `there are ${known.slice(0, 20).join(', ')}`;
  return new AppError(wanted.code, `there is no ${wanted.kind} "${wanted.id}"; ${list}`);
}

/** A document's body as JSON; `undefined` fields are left out. */
function toJson(body: object): Json {
  const json: Json = JSON.parse(JSON.stringify(body));
  return json;
}
