/** Which operation a request line names. Plain string work: this runs for every request. */
import { mlflowProtocol } from './wire/mlflow.ts';
import { openInferenceProtocol } from './wire/open-inference.ts';
import { predictProtocol } from './wire/predict.ts';
import type { WireProtocol } from './wire/protocol.ts';
import { tensorflowProtocol } from './wire/tensorflow.ts';

/** A prediction in a protocol; model and version as the path names them. */
export interface InferenceEndpoint {
  readonly kind: 'infer';
  readonly protocol: WireProtocol;
  readonly model?: string;
  readonly version?: string;
}

/** Everything else that is served. */
export type InformationEndpoint =
  | { readonly kind: 'live'; readonly protocol: WireProtocol }
  | { readonly kind: 'ready'; readonly protocol: WireProtocol }
  | { readonly kind: 'metrics'; readonly protocol: WireProtocol }
  | { readonly kind: 'server'; readonly protocol: WireProtocol }
  | { readonly kind: 'version'; readonly protocol: WireProtocol }
  | { readonly kind: 'models'; readonly protocol: WireProtocol }
  | {
      readonly kind: 'model' | 'model-ready';
      readonly protocol: WireProtocol;
      readonly model: string;
      readonly version?: string;
    };

/** An endpoint, or what is wrong with the request line. */
export type Endpoint =
  | InferenceEndpoint
  | InformationEndpoint
  | { readonly kind: 'unknown'; readonly protocol: WireProtocol }
  | { readonly kind: 'wrong-method'; readonly protocol: WireProtocol; readonly allow: 'GET' | 'POST' };

type Resource = InferenceEndpoint | InformationEndpoint;

const FIXED: ReadonlyMap<string, Resource> = new Map<string, Resource>([
  ['/healthz', { kind: 'live', protocol: predictProtocol }],
  ['/readyz', { kind: 'ready', protocol: predictProtocol }],
  ['/metrics', { kind: 'metrics', protocol: predictProtocol }],
  ['/v2', { kind: 'server', protocol: openInferenceProtocol }],
  ['/v2/', { kind: 'server', protocol: openInferenceProtocol }],
  ['/v2/health/live', { kind: 'live', protocol: openInferenceProtocol }],
  ['/v2/health/ready', { kind: 'ready', protocol: openInferenceProtocol }],
  ['/v1/models', { kind: 'models', protocol: tensorflowProtocol }],
  ['/invocations', { kind: 'infer', protocol: mlflowProtocol }],
  ['/ping', { kind: 'ready', protocol: mlflowProtocol }],
  ['/health', { kind: 'ready', protocol: mlflowProtocol }],
  ['/version', { kind: 'version', protocol: mlflowProtocol }],
]);

/** The endpoint of a method and a path without its query. */
export function endpointOf(method: string, path: string): Endpoint {
  const resource = path.startsWith('/predict/') ? predictOf(path) : (FIXED.get(path) ?? modelResourceOf(path));
  if (resource === undefined) return { kind: 'unknown', protocol: protocolOfPath(path) };
  const allow = resource.kind === 'infer' ? 'POST' : 'GET';
  if (method === allow || (allow === 'GET' && method === 'HEAD')) return resource;
  return { kind: 'wrong-method', protocol: resource.protocol, allow };
}

function predictOf(path: string): Resource | undefined {
  const model = nameOf(path.slice('/predict/'.length));
  return model === undefined ? undefined : { kind: 'infer', protocol: predictProtocol, model };
}

function modelResourceOf(path: string): Resource | undefined {
  if (path.startsWith('/v2/models/')) return openInferenceOf(path.slice('/v2/models/'.length).split('/'));
  if (path.startsWith('/v1/models/')) return tensorflowOf(path.slice('/v1/models/'.length));
  if (path.startsWith('/models/')) {
    const [segment = '', last, ...more] = path.slice('/models/'.length).split('/');
    const model = nameOf(segment);
    return model !== undefined && last === 'invocations' && more.length === 0
      ? { kind: 'infer', protocol: mlflowProtocol, model }
      : undefined;
  }
  return undefined;
}

function openInferenceOf(segments: readonly string[]): Resource | undefined {
  const named = namedOf(segments);
  if (named === undefined) return undefined;
  const { target, rest } = named;
  const [last, ...more] = rest;
  if (more.length > 0) return undefined;
  if (last === undefined) return { kind: 'model', protocol: openInferenceProtocol, ...target };
  if (last === 'ready') return { kind: 'model-ready', protocol: openInferenceProtocol, ...target };
  return last === 'infer' ? { kind: 'infer', protocol: openInferenceProtocol, ...target } : undefined;
}

function tensorflowOf(path: string): Resource | undefined {
  const colon = path.lastIndexOf(':');
  const named = namedOf((colon < 0 ? path : path.slice(0, colon)).split('/'));
  if (named === undefined || named.rest.length > 0) return undefined;
  if (colon < 0) return { kind: 'model', protocol: tensorflowProtocol, ...named.target };
  return path.slice(colon + 1) === 'predict' ? { kind: 'infer', protocol: tensorflowProtocol, ...named.target } : undefined;
}

interface Named {
  readonly target: { readonly model: string; readonly version?: string };
  readonly rest: readonly string[];
}

/** `{model}[/versions/{version}]` at the beginning of a path. */
function namedOf([first = '', keyword, third = '', ...tail]: readonly string[]): Named | undefined {
  const model = nameOf(first);
  if (model === undefined) return undefined;
  if (keyword !== 'versions') {
    return { target: { model }, rest: keyword === undefined ? [] : third === '' ? [keyword] : [keyword, third, ...tail] };
  }
  const version = nameOf(third);
  return version === undefined ? undefined : { target: { model, version }, rest: tail };
}

/** A path segment as a name; undefined when it is empty, has further segments or is badly escaped. */
function nameOf(segment: string): string | undefined {
  if (segment === '' || segment.includes('/')) return undefined;
  if (!segment.includes('%')) return segment;
  try {
    return decodeURIComponent(segment);
  } catch {
    return undefined;
  }
}

/** The protocol whose clients would ask for an unknown path, so that they can read the answer. */
function protocolOfPath(path: string): WireProtocol {
  if (path.startsWith('/v2')) return openInferenceProtocol;
  if (path.startsWith('/v1')) return tensorflowProtocol;
  return path.startsWith('/models/') ? mlflowProtocol : predictProtocol;
}
