/** What Node's parser lets through and two servers could read differently; refused before anything else looks at a request. */
import type { IncomingMessage } from 'node:http';
import type { RequestHeaders } from './request-headers.ts';

/** Why a request is refused. */
export interface Refusal {
  readonly status: 400 | 414 | 431 | 505;
  readonly message: string;
}

const MAX_URL_LENGTH = 8192;
const MAX_HEADERS = 100;

/** The path without its query, or why the request is refused. */
export function pathOrRefusal(req: IncomingMessage, headers: RequestHeaders): string | Refusal {
  const url = req.url ?? '';
  if (url.length > MAX_URL_LENGTH) return { status: 414, message: `the URL is longer than ${MAX_URL_LENGTH} characters` };
  if (headers.count > MAX_HEADERS) return { status: 431, message: `the request has more than ${MAX_HEADERS} headers` };
  const ambiguity = ambiguityOf(req, headers);
  if (ambiguity !== undefined) return ambiguity;
  const path = url.startsWith('/') ? url : pathOfAbsolute(url, headers.host);
  if (path === undefined) return { status: 400, message: 'the request target names another host than the header "Host"' };
  const query = path.indexOf('?');
  return query < 0 ? path : path.slice(0, query);
}

function ambiguityOf(req: IncomingMessage, headers: RequestHeaders): Refusal | undefined {
  if (req.httpVersionMajor !== 1) return { status: 505, message: `HTTP/${req.httpVersion} is not spoken here; use HTTP/1.1` };
  if (headers.hostCount > 1) return { status: 400, message: 'the request has two "Host" headers' };
  const { transferEncoding, contentLength } = headers;
  if (transferEncoding !== undefined) {
    if (req.httpVersionMinor === 0) return { status: 400, message: 'HTTP/1.0 has no "Transfer-Encoding"' };
    if (transferEncoding.trim().toLowerCase() !== 'chunked') {
      return { status: 400, message: `the transfer encoding "${transferEncoding.slice(0, 40)}" is not known; use "chunked"` };
    }
    if (contentLength !== undefined)
      return { status: 400, message: 'the request has both "Content-Length" and "Transfer-Encoding"' };
  }
  const hasBody = transferEncoding !== undefined || (contentLength !== undefined && contentLength !== '0');
  if (hasBody && (req.method === 'GET' || req.method === 'HEAD')) {
    return { status: 400, message: `a ${req.method} request has no body` };
  }
  return undefined;
}

/** A proxy's form of the target; only for the host that the request is for. */
function pathOfAbsolute(url: string, host: string | undefined): string | undefined {
  if (!URL.canParse(url)) return undefined;
  const target = new URL(url);
  const isOurs = target.protocol === 'http:' && target.host === host?.toLowerCase() && target.username === '';
  return isOurs ? target.pathname + target.search : undefined;
}
