/** Handlers of flags and segments. */
import { FlagsmithEnvironmentSchema } from '@understudy/contract/flag-imports/flagsmith';
import { LaunchDarklyDataSchema } from '@understudy/contract/flag-imports/launchdarkly';
import { UnleashStateSchema } from '@understudy/contract/flag-imports/unleash';
import type { FlagView, SegmentView } from '@understudy/contract/flag-views';
import { describeProblems } from '@understudy/contract/problems';
import { AppError } from '@understudy/core/errors';
import type { Context, JsonValue } from '@understudy/core/flags/context';
import { explainFlag } from '@understudy/core/flags/explain';
import { engineContextOf, importFlagsmith } from '@understudy/core/flags/import-flagsmith';
import { importLaunchDarkly } from '@understudy/core/flags/import-launchdarkly';
import type { Import } from '@understudy/core/flags/import-report';
import { importUnleash } from '@understudy/core/flags/import-unleash';
import type { z } from 'zod';
import { importFlags, planImport } from '../commands/flag-import.ts';
import { documentsOf, loadFlagLibrary, unknownFlag } from '../commands/flag-library.ts';
import { deleteFlag, rampFlag, saveFlag, switchFlag } from '../commands/flags.ts';
import { holdSegment } from '../commands/queries.ts';
import { deleteSegment, saveSegment } from '../commands/segments.ts';
import { compileRegex } from '../regex.ts';
import type { HandlerContext, Handlers } from './call.ts';
import { viewEvaluation, viewFlags, viewSegments } from './flag-view.ts';
import { outcomeOf } from './outcome.ts';
import { subjectBucket } from './subject-bucket.ts';

export const FLAG_HANDLERS = {
  listFlags: async (context) => viewFlags(await loadFlagLibrary(context), context.observations.unjudgedExposures),
  getFlag: (context, { params }) => flagByKey(context, params.flag),
  saveFlag: async (context, { caller, params, body }) => {
    refuseOtherKey('flag', { key: body.flag.key, address: params.flag });
    const receipt = await saveFlag(context, caller, body);
    return flagByKey(context, receipt.id);
  },
  deleteFlag: async (context, { caller, params, query }) => outcomeOf(await deleteFlag(context, caller, { ...params, ...query })),
  switchFlag: async (context, { caller, params, body }) => outcomeOf(await switchFlag(context, caller, { ...params, ...body })),
  rampFlag: async (context, { caller, params, body }) => outcomeOf(await rampFlag(context, caller, { ...params, ...body })),
  evaluateFlag: async (context, { body }) => {
    const library = await loadFlagLibrary(context);
    const documents = documentsOf(library);
    if (!documents.flags.some(({ key }) => key === body.flag)) throw unknownFlag(library, body.flag);
    const atMs = body.at === undefined ? context.clock.nowMs() : Date.parse(body.at);
    const subject: Context = { ...body.kinds, user: { ...body.kinds?.['user'], ...body.context } };
    const circumstances = { atMs, random: Math.random };
    return viewEvaluation(explainFlag(documents, body.flag, { context: subject, circumstances, compileRegex }));
  },
  bucketOfSubject: async (_context, { query: { subject } }) => ({ subject, bucket: subjectBucket(subject) }),
  importFlags: async (context, { caller, body }) => {
    const { from, dryRun, reason } = body;
    const imported = importOf(from, body.data);
    const planned = await planImport(context, imported);
    const report = {
      flags: [...planned.flags],
      segments: [...planned.segments],
      replaced: [...planned.replaced],
      losses: [...planned.losses],
      leftOut: [...planned.leftOut],
    };
    if (dryRun) {
      const message = `would import ${planned.flags.length} flags and ${planned.segments.length} segments from ${from}`;
      return { outcome: 'dry-run', message, ...report };
    }
    const receipt = await importFlags(context, caller, { imported, from, replace: body.replace, reason });
    return { outcome: receipt.outcome === 'done' ? 'written' : 'already-done', message: receipt.message, ...report };
  },
  listSegments: async (context) => viewSegments(await loadFlagLibrary(context)),
  getSegment: (context, { params }) => segmentByKey(context, params.segment),
  saveSegment: async (context, { caller, params, body }) => {
    refuseOtherKey('segment', { key: body.segment.key, address: params.segment });
    const receipt = await saveSegment(context, caller, body);
    return segmentByKey(context, receipt.id);
  },
  deleteSegment: async (context, { caller, params, query }) =>
    outcomeOf(await deleteSegment(context, caller, { ...params, ...query })),
} satisfies Partial<Handlers>;

async function flagByKey(context: HandlerContext, key: string): Promise<FlagView> {
  const library = await loadFlagLibrary(context);
  const found = viewFlags(library, context.observations.unjudgedExposures).find(({ flag }) => flag.key === key);
  if (found === undefined) throw unknownFlag(library, key);
  return found;
}

async function segmentByKey(context: HandlerContext, key: string): Promise<SegmentView> {
  const { id } = await holdSegment(context, key);
  const found = viewSegments(await loadFlagLibrary(context)).find(({ segment }) => segment.key === id);
  // Deleted between the two reads: say so as it is said of every other.
  return found ?? segmentByKey(context, key);
}

function refuseOtherKey(noun: string, { key, address }: { readonly key: string; readonly address: string }): void {
  if (key === address) return;
  throw new AppError(
    'request.invalid',
    `cannot save the ${noun} "${key}" under "${address}"; make the key in the body and in the address the same`,
  );
}

/** @throws AppError `request.invalid` when the data is not what the system sends to its SDKs */
function importOf(from: 'unleash' | 'launchdarkly' | 'flagsmith', data: JsonValue): Import {
  switch (from) {
    case 'unleash':
      return importUnleash(parsed(UnleashStateSchema, data, 'the answer of GET /api/client/features of Unleash'));
    case 'launchdarkly':
      return importLaunchDarkly(parsed(LaunchDarklyDataSchema, data, 'the answer of GET /sdk/latest-all of LaunchDarkly'));
    case 'flagsmith': {
      const what = 'the answer of GET /api/v1/environment-document/ of Flagsmith';
      return importFlagsmith(engineContextOf(parsed(FlagsmithEnvironmentSchema, data, what)));
    }
  }
}

function parsed<Schema extends z.ZodType>(schema: Schema, data: JsonValue, what: string): z.output<Schema> {
  const result = schema.safeParse(data);
  if (result.success) return result.data;
  throw new AppError('request.invalid', `the data to import is not ${what}: ${describeProblems(result.error)}`);
}
