/** Handlers of versions and uploaded artifacts. */
import { promoteVersion } from '../commands/models.ts';
import { registerVersion, releaseArtifact, setBaseline, setVersionHealth } from '../commands/versions.ts';
import { baselineOfInput, liveBaseline } from './baseline-input.ts';
import type { Handlers } from './call.ts';
import { outcomeOf } from './outcome.ts';
import { sourceOf } from './version-source.ts';
import { getVersion, viewVersion, viewVersions } from './version-view.ts';

export const VERSION_HANDLERS = {
  uploadArtifact: ({ artifacts }, { body, query }) => artifacts.put(body, query.name),
  registerVersion: async (context, { caller, params, body }) => {
    const source = await sourceOf(context, params.model, body);
    const baseline = body.baseline === undefined ? undefined : await baselineOfInput(context, source, body.baseline);
    const { version, note } = body;
    const input = { model: params.model, version, source, note, ...(baseline === undefined ? {} : { baseline }) };
    await registerVersion(context, caller, input);
    return viewVersion(context, params.model, version);
  },
  listVersions: (context, { params }) => viewVersions(context, params.model),
  getVersion: (context, { params }) => viewVersion(context, params.model, params.version),
  promoteVersion: async (context, { caller, params, body }) =>
    outcomeOf(await promoteVersion(context, caller, { ...params, ...body })),
  setVersionHealth: async (context, { caller, params, body }) => {
    await setVersionHealth(context, caller, { ...params, ...body });
    return { version: await getVersion(context, params) };
  },
  releaseArtifact: async (context, { caller, params, body }) =>
    outcomeOf(await releaseArtifact(context, caller, { ...params, ...body })),
  setBaseline: async (context, { caller, params, body }) => {
    const { source } = await getVersion(context, params);
    const baseline = 'live' in body ? await liveBaseline(context, params) : await baselineOfInput(context, source, body);
    await setBaseline(context, caller, { ...params, baseline });
    return { version: await getVersion(context, params) };
  },
} satisfies Partial<Handlers>;
