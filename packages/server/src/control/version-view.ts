/** A version as the API answers it: the document, its role, and which gateways have it ready. */
import type { VersionView } from '@understudy/contract/views';
import { findVersion, type Model } from '@understudy/core/model';
import type { ModelVersion } from '@understudy/core/model-version';
import { sameAddressWarnings } from '@understudy/core/quarantine';
import type { Rollout } from '@understudy/core/rollout';
import { getModel, getVersions, listBodies } from '../commands/queries.ts';
import type { HandlerContext } from './call.ts';
import { readinessOf } from './gateway-view.ts';
import { liveRolloutOf } from './model-view.ts';

/** Every version of a model, oldest first. @throws AppError `model.not_found` */
export async function viewVersions(context: HandlerContext, name: string): Promise<VersionView[]> {
  const model = await getModel(context, name);
  const [everywhere, rollout, gateways] = await Promise.all([
    listBodies(context, 'version'),
    liveRolloutOf(context, model),
    context.store.gateways(context.environment),
  ]);
  const atMs = context.clock.nowMs();
  const versions = everywhere.filter((version) => version.model === name);
  return versions
    .toSorted((a, b) => a.registeredAtMs - b.registeredAtMs)
    .map((version) => {
      const warnings = sameAddressWarnings(version, everywhere, atMs);
      return {
        version,
        role: roleOf(version.version, model, rollout),
        readiness: readinessOf(gateways, version, atMs),
        ...(warnings.length === 0 ? {} : { warnings: [...warnings] }),
      };
    });
}

/** @throws AppError `model.not_found`, `version.not_found` */
export async function viewVersion(context: HandlerContext, model: string, version: string): Promise<VersionView> {
  const views = await viewVersions(context, model);
  const found = views.find((view) => view.version.version === version);
  if (found !== undefined) return found;
  const documents = views.map((view) => view.version);
  return { version: findVersion(documents, model, version), role: 'idle', readiness: {} };
}

/** The document of a version. @throws AppError `model.not_found`, `version.not_found` */
export async function getVersion(
  context: HandlerContext,
  name: { readonly model: string; readonly version: string },
): Promise<ModelVersion> {
  await getModel(context, name.model);
  return findVersion(await getVersions(context, name.model), name.model, name.version);
}

function roleOf(version: string, model: Model, rollout: Rollout | undefined): VersionView['role'] {
  if (model.champion === version) return 'champion';
  if (rollout?.challenger === version) return 'challenger';
  return model.terms.some((term) => term.version === version) ? 'former-champion' : 'idle';
}
