/** What routing asks of a request, read only when it asks. */
import type { UpstreamProtocol } from '@understudy/core/model-version';
import type { RoutedRequest } from '@understudy/core/routing';
import { parseJson, propertyOf } from './json-text.ts';
import { cookieOf, headerOf } from './request-headers.ts';

/** A request's body, parsed at most once. */
export interface ParsedBody {
  /** @throws AppError `request.invalid` */
  json(): unknown;
}

/** A body in memory. */
export function openParsedBody(bytes: Buffer): ParsedBody {
  let isParsed = false;
  let value: unknown;
  return {
    json() {
      if (!isParsed) {
        value = parseJson(bytes);
        isParsed = true;
      }
      return value;
    },
  };
}

/** A request on its way to a version. */
export interface ProtocolRequest extends RoutedRequest {
  readonly protocol: UpstreamProtocol;
}

/** Where the fields of a request are. */
export interface FieldSources {
  readonly protocol: UpstreamProtocol;
  readonly rawHeaders: readonly string[];
  /** Absent when the body is passed on unread. */
  readonly body: ParsedBody | undefined;
  /** Id of the token that sent it. */
  readonly tokenId: string | undefined;
  random(): number;
}

/** A request as the router reads it. */
export function routedRequestOf(sources: FieldSources): ProtocolRequest {
  return {
    protocol: sources.protocol,
    read(field) {
      switch (field.from) {
        case 'header':
          return headerOf(sources.rawHeaders, field.name);
        case 'cookie':
          return cookieOf(sources.rawHeaders, field.name);
        case 'json':
          return sources.body === undefined ? undefined : textAt(sources.body.json(), field.path);
        case 'api-key':
          return sources.tokenId;
      }
    },
    random: () => sources.random(),
  };
}

/** The text at a path of object keys; numbers and booleans as JSON writes them, everything else counts as absent. */
function textAt(document: unknown, path: string): string | undefined {
  let value = document;
  for (const key of path.split('.')) value = propertyOf(value, key);
  if (typeof value === 'string') return value;
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : undefined;
}
