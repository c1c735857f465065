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
  /** Signs with another key from now on, mints that are open already too. */
  use(key: Uint8Array): void;
}

const BLOCK_BYTES = 64;
const DIGEST_BYTES = 32;
// 20 characters of base64url are 120 bits; a guess is right once in 10^36. A signature of 256 bits has two of them.
const TAG_LENGTH = 20;
const TAGS_PER_SIGNATURE = 2;
// Changes when the fields change, so that an id of an older release is refused rather than misread.
const FORMAT = 'u2';
const ARMS: readonly Arm[] = ['champion', 'challenger', 'shadow'];

/**
 * Opens a mint.
 * Ids are signed in pairs: two of one origin and millisecond whose counters are `2n` and `2n + 1`. One HMAC-SHA256 (RFC 2104)
 * over everything before the counter and `n` gives both tags, the first 120 bits and the next 120 (RFC 2104 §5 asks for at
 * least 80). To who has no key, bits of an HMAC that were not shown are as good as random, so an id says nothing about its twin.
 * HMAC is written out as its two SHA-256 calls, `H(K⊕opad ‖ H(K⊕ipad ‖ text))`: the one-shot `crypto.hash` costs half of a
 * `createHmac` object. A test compares it with `createHmac`.
 * @param key at least 32 random bytes
 * @param instance tells the counters of gateways and boots apart; any text
 */
export function openRequestIds(key: Uint8Array, instance: string): RequestIds {
  let sign = openSigner(key);
  const salt = hash('sha256', instance, 'base64url').slice(0, 6);
  let pair = 0;
  return {
    use(next) {
      sign = openSigner(next);
    },
    mintFor(origin) {
      const prefix = `${prefixOf(origin)}.${salt}`;
      let twin = '';
      let twinMs = 0;
      return (atMs) => {
        const ms = Math.floor(atMs);
        if (twin !== '' && ms === twinMs) {
          const id = twin;
          twin = '';
          return id;
        }
        pair = (pair + 1) % 0x8000_0000;
        const start = `${prefix}.${ms.toString(36)}.`;
        const signature = sign(start + pair.toString(36));
        twin = `${start}${counterText(pair, 1)}.${tagOf(signature, 1)}`;
        twinMs = ms;
        return `${start}${counterText(pair, 0)}.${tagOf(signature, 0)}`;
      };
    },
  };
}

/**
 * What an id says, when it was made under this key.
 * @returns undefined for anything else, whatever it looks like
 */
export function openRequestId(key: Uint8Array, id: string): OpenedRequestId | undefined {
  const [format, packed, salt, at, count, tag, ...rest] = id.length > 1024 ? [] : id.split('.');
  if (packed === undefined || at === undefined || count === undefined || tag === undefined || rest.length > 0) return undefined;
  const counter = Number.parseInt(count, 36);
  const pair = Math.floor(counter / TAGS_PER_SIGNATURE);
  const place = counter % TAGS_PER_SIGNATURE;
  // The counter itself is not signed, only what is made of it: another way to write it must not pass.
  if (counterText(pair, place) !== count) return undefined;
  const signature = openSigner(key)([format, packed, salt, at, pair.toString(36)].join('.'));
  if (!isSame(tagOf(signature, place), tag)) return undefined;
  if (format !== FORMAT) return undefined;
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
    counter,
  };
}

function counterText(pair: number, place: number): string {
  return (pair * TAGS_PER_SIGNATURE + place).toString(36);
}

function tagOf(signature: string, place: number): string {
  return signature.slice(place * TAG_LENGTH, (place + 1) * TAG_LENGTH);
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
    return hash('sha256', outer, 'base64url');
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
