/** Everything that is served beside predictions: health, readiness, metadata. Never refused for lack of capacity. */
import { AppError } from '@understudy/core/errors';
import type { InformationEndpoint } from './endpoint.ts';
import type { Exchange } from './exchange.ts';
import { replyJson, replyPlain } from './reply.ts';
import { entryFor } from './routing-decision.ts';
import type { ModelEntry } from './model-entry.ts';
import type { RoutingTable } from './routing-table.ts';

/** The text of the metrics page and its content type. */
export interface MetricsPage {
  readonly type: string;
  readonly text: string;
}

export interface InformationContext {
  readonly table: RoutingTable;
  readonly release: string;
  isDraining(): boolean;
  /** Absent when nothing renders metrics. */
  readonly metricsPage: (() => Promise<MetricsPage>) | undefined;
}

/** Answers a request for information. */
export async function serveInformation(
  context: InformationContext,
  exchange: Exchange,
  endpoint: InformationEndpoint,
): Promise<void> {
  switch (endpoint.kind) {
    case 'live':
      replyJson(exchange, 200, endpoint.protocol.name === 'open-inference' ? { live: true } : { status: 'ok' });
      return;
    case 'ready':
      replyReady(context, exchange, endpoint.protocol.name === 'open-inference');
      return;
    case 'metrics':
      if (context.metricsPage === undefined) throw new AppError('request.not_found', 'this gateway shows no metrics');
      replyPlain(exchange, 200, await context.metricsPage());
      return;
    case 'server':
      replyJson(exchange, 200, { name: 'understudy', version: context.release, extensions: [] });
      return;
    case 'version':
      // MLflow's endpoint answers with the bare text of its release.
      replyPlain(exchange, 200, { type: 'text/plain; charset=utf-8', text: context.release });
      return;
    case 'models':
      replyJson(exchange, 200, { models: context.table.names });
      return;
    case 'model':
    case 'model-ready':
      replyModel(context, exchange, endpoint);
  }
}

function replyReady(context: InformationContext, exchange: Exchange, isShort: boolean): void {
  const problems = context.isDraining() ? ['the gateway is shutting down'] : context.table.summary();
  const isReady = problems.length === 0;
  replyJson(exchange, isReady ? 200 : 503, isShort ? { ready: isReady } : { status: isReady ? 'ready' : 'not ready', problems });
}

type ModelEndpoint = Extract<InformationEndpoint, { kind: 'model' | 'model-ready' }>;

function replyModel({ table }: InformationContext, exchange: Exchange, endpoint: ModelEndpoint): void {
  const entry = entryFor(table, endpoint.model);
  if (endpoint.version !== undefined && !entry.versions.has(endpoint.version)) {
    throw new AppError(
      'version.not_found',
      `this gateway keeps no version "${endpoint.version.slice(0, 63)}" of "${entry.model.name}"`,
    );
  }
  const isReady = isModelReady(entry, endpoint.version);
  if (endpoint.kind === 'model-ready') {
    replyJson(exchange, isReady ? 200 : 503, { name: entry.model.name, ready: isReady });
  } else if (endpoint.protocol.name === 'open-inference')
    replyJson(exchange, 200, openInferenceMetadata(entry, endpoint.version));
  else replyJson(exchange, isReady ? 200 : 503, statusOf(entry, endpoint.version, isReady));
}

function isModelReady({ champion, versions }: ModelEntry, version: string | undefined): boolean {
  return version === undefined ? champion?.loaded.runtime !== undefined : versions.get(version)?.runtime !== undefined;
}

/** What an upstream takes and gives only it knows; its lists are empty. */
function openInferenceMetadata({ model, champion, versions }: ModelEntry, version: string | undefined): unknown {
  const loaded = version === undefined ? champion?.loaded : versions.get(version);
  const runtime = loaded?.runtime;
  const tensors = (kind: 'inputs' | 'outputs'): unknown =>
    runtime?.kind === 'onnx'
      ? runtime.signature[kind].map(({ name, dataType, shape }) => ({ name, datatype: dataType, shape }))
      : [];
  return {
    name: model.name,
    versions: version === undefined ? [...versions.keys()] : [version],
    platform: runtime?.kind === 'upstream' ? 'upstream' : 'onnx_onnxv1',
    inputs: tensors('inputs'),
    outputs: tensors('outputs'),
  };
}

/** TensorFlow Serving's and KServe's answers in one: neither reads the other's fields. */
function statusOf({ model, versions }: ModelEntry, version: string | undefined, isReady: boolean): unknown {
  const wanted = [...versions.values()].filter((candidate) => version === undefined || candidate.version === version);
  const states = { loading: 'LOADING', ready: 'AVAILABLE', failed: 'END' } as const;
  return {
    name: model.name,
    ready: isReady,
    model_version_status: wanted.map(({ version: name, readiness }) => ({
      version: name,
      state: states[readiness.state],
      status:
        readiness.state === 'failed'
          ? { error_code: 'INTERNAL', error_message: readiness.detail }
          : { error_code: 'OK', error_message: '' },
    })),
  };
}
