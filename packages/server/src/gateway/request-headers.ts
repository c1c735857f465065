/** The few headers that every request is asked for, read in one pass. The headers object of Node is never made. */

export interface RequestHeaders {
  readonly authorization: string | undefined;
  readonly contentType: string | undefined;
  readonly contentLength: string | undefined;
  readonly transferEncoding: string | undefined;
  readonly host: string | undefined;
  readonly hostCount: number;
  /** All of its lines, separated by commas. */
  readonly connection: string | undefined;
  /** The sender's own `x-request-id`. */
  readonly requestId: string | undefined;
  readonly forcedVersion: string | undefined;
  readonly model: string | undefined;
  /** Present when the sender waits with the body until it is asked for. */
  readonly expect: string | undefined;
  /** Number of headers. */
  readonly count: number;
}

/** @param raw names and values by turns, as received */
export function readHeaders(raw: readonly string[]): RequestHeaders {
  const found: { -readonly [Field in keyof RequestHeaders]: RequestHeaders[Field] } = {
    authorization: undefined,
    contentType: undefined,
    contentLength: undefined,
    transferEncoding: undefined,
    host: undefined,
    hostCount: 0,
    connection: undefined,
    requestId: undefined,
    forcedVersion: undefined,
    model: undefined,
    expect: undefined,
    count: raw.length / 2,
  };
  for (let index = 0; index < raw.length; index += 2) {
    const name = raw[index] ?? '';
    const value = raw[index + 1];
    // Names of other lengths are skipped without making them lower case.
    switch (name.length) {
      case 4:
        if (isNamed(name, 'host')) {
          found.host ??= value;
          found.hostCount++;
        }
        break;
      case 6:
        if (isNamed(name, 'expect')) found.expect ??= value;
        break;
      case 10:
        if (isNamed(name, 'connection')) {
          found.connection = found.connection === undefined ? value : `${found.connection},${value ?? ''}`;
        }
        break;
      case 12:
        if (isNamed(name, 'content-type')) found.contentType ??= value;
        else if (isNamed(name, 'x-request-id')) found.requestId ??= value;
        break;
      case 13:
        if (isNamed(name, 'authorization')) found.authorization ??= value;
        break;
      case 14:
        if (isNamed(name, 'content-length')) found.contentLength ??= value;
        break;
      case 17:
        if (isNamed(name, 'transfer-encoding')) found.transferEncoding ??= value;
        break;
      case 18:
        if (isNamed(name, 'x-understudy-model')) found.model ??= value;
        break;
      case 26:
        if (isNamed(name, 'x-understudy-force-version')) found.forcedVersion ??= value;
        break;
      default:
        break;
    }
  }
  return found;
}

/** The first value of a header; `wanted` in lower case. */
export function headerOf(raw: readonly string[], wanted: string): string | undefined {
  for (let index = 0; index < raw.length; index += 2) {
    const name = raw[index] ?? '';
    if (name.length === wanted.length && isNamed(name, wanted)) return raw[index + 1];
  }
  return undefined;
}

/** The value of a cookie; cookies are one header of `name=value` pairs separated by `;`. */
export function cookieOf(raw: readonly string[], name: string): string | undefined {
  const header = headerOf(raw, 'cookie');
  if (header === undefined) return undefined;
  for (const pair of header.split(';')) {
    const at = pair.indexOf('=');
    if (at < 0 || pair.slice(0, at).trim() !== name) continue;
    const value = pair.slice(at + 1).trim();
    return value.startsWith('"') && value.endsWith('"') && value.length > 1 ? value.slice(1, -1) : value;
  }
  return undefined;
}

function isNamed(name: string, wanted: string): boolean {
  return name === wanted || name.toLowerCase() === wanted;
}
