/** Request ids that say where a request went and cannot be forged. Feedback that arrives days later is attributed by them. */
import { hash } from 'node:crypto';
import type { Arm } from '@understudy/core/evidence';

/** What is the same for every request of one version on one arm. */
export interface RequestOrigin {
  readonly environment: string;
  readonly model: string;
  readonly version: string;
  readonly arm: Arm;
  /** Absent outside a rollout. */
  readonly rollout?: string;
  readonly step?: number;
}

/** What a request id says. */
export interface OpenedRequestId extends RequestOrigin {
  readonly atMs: number;
  /** Tells requests of the same millisecond apart. */
  readonly counter: number;
}

/** Makes the ids of one origin. */
export type RequestIdMint = (atMs: number) => string;

/** Makes and opens request ids under one key. */
export interface RequestIds {
  mintFor(origin: RequestOrigin): RequestIdMint;
}

const BLOCK_BYTES = 64;
const DIGEST_BYTES = 32;
// 20 characters of base64url are 120 bits; a guess is right once in 10^36.
const TAG_LENGTH = 20;
// Changes when the fields change, so that an id of an older release is refused rather than misread.
const FORMAT = 'u1';
const ARMS: readonly Arm[] = ['champion', 'challenger', 'shadow'];

/**
 * Opens a mint.
 * The tag is HMAC-SHA256 (RFC 2104) over everything before it, cut to 120 bits (RFC 2104 §5 asks for at least 80). HMAC
 * is written out as its two SHA-256 calls, `H(K⊕opad ‖ H(K⊕ipad ‖ text))`: the one-shot `crypto.hash` costs half of a
 * `createHmac` object. A test compares it with `createHmac`.
 * @param key at least 32 random bytes
 * @param instance tells the counters of gateways and boots apart; any text
 */
export function openRequestIds(key: Uint8Array, instance: string): RequestIds {
  const sign = openSigner(key);
  const salt = hash('sha256', instance, 'base64url').slice(0, 6);
  let counter = 0;
  return {
    mintFor(origin) {
      const prefix = `${prefixOf(origin)}.${salt}`;
      return (atMs) => {
        counter = (counter + 1) % 0x1_0000_0000;
        const text = `${prefix}.${Math.floor(atMs).toString(36)}.${counter.toString(36)}`;
        return `${text}.${sign(text)}`;
      };
    },
  };
}

/**
 * What an id says, when it was made under this key.
 * @returns undefined for anything else, whatever it looks like
 */
export function openRequestId(key: Uint8Array, id: string): OpenedRequestId | undefined {
  const end = id.lastIndexOf('.');
  if (id.length > 1024 || end < 0 || !isSame(openSigner(key)(id.slice(0, end)), id.slice(end + 1))) return undefined;
  const [format, packed, _salt, at, count] = id.split('.');
  if (format !== FORMAT || packed === undefined || at === undefined || count === undefined) return undefined;
  const [environment, model, version, armIndex, rollout, step] = Buffer.from(packed, 'base64url').toString('utf8').split('\0');
  const arm = ARMS[Number(armIndex)];
  if (environment === undefined || model === undefined || version === undefined || arm === undefined) return undefined;
  return {
    environment,
    model,
    version,
    arm,
    ...(rollout === undefined || rollout === '' ? {} : { rollout, step: Number(step) }),
    atMs: Number.parseInt(at, 36),
    counter: Number.parseInt(count, 36),
  };
}

function prefixOf({ environment, model, version, arm, rollout, step }: RequestOrigin): string {
  const fields = [environment, model, version, ARMS.indexOf(arm), rollout ?? '', step ?? ''];
  return `${FORMAT}.${Buffer.from(fields.join('\0'), 'utf8').toString('base64url')}`;
}

function openSigner(key: Uint8Array): (text: string) => string {
  if (key.length < DIGEST_BYTES) throw new Error(`a request id key has at least ${DIGEST_BYTES} bytes, this one ${key.length}`);
  // A hexadecimal key is ASCII, and stays so under both pads: the inner text needs no bytes of its own.
  const hmacKey = hash('sha256', key, 'hex');
  const inner = padOf(hmacKey, 0x36);
  const outer = Buffer.alloc(BLOCK_BYTES + DIGEST_BYTES);
  outer.write(padOf(hmacKey, 0x5c), 'latin1');
  return (text) => {
    outer.write(hash('sha256', inner + text, 'binary'), BLOCK_BYTES, 'latin1');
    return hash('sha256', outer, 'base64url').slice(0, TAG_LENGTH);
  };
}

/** HMAC's padded key block; the key's 64 hexadecimal digits fill it exactly. */
function padOf(hexKey: string, pad: number): string {
  let text = '';
  for (let index = 0; index < hexKey.length; index++) text += String.fromCharCode(hexKey.charCodeAt(index) ^ pad);
  return text;
}

/** Comparison whose time does not depend on where the texts differ. */
function isSame(expected: string, actual: string): boolean {
  if (expected.length !== actual.length) return false;
  let difference = 0;
  for (let index = 0; index < expected.length; index++) difference |= expected.charCodeAt(index) ^ actual.charCodeAt(index);
  return difference === 0;
}
