/** What Flagsmith's SDKs count: how often a flag was asked, not what it answered. The Flagsmith protocol depends on it. */
import type { JsonValue } from '@understudy/core/flags/context';
import { type Flag, isScheduled, type Serve, slicesOf } from '@understudy/core/flags/flag';
import { isJsonObject } from '../edge/json-shape.ts';
import type { FlagOutcome, FlagState } from '../flag-world.ts';

/** Counts whose variant is certain, and the number of those that cannot be told. */
export interface Exposures {
  readonly outcomes: readonly FlagOutcome[];
  readonly unattributed: number;
}

export interface ExposureReport {
  /** Counts by the key of the flag. */
  readonly body: JsonValue | undefined;
  readonly state: FlagState;
  readonly batch: string;
  readonly atMs: number;
}

/** A count belongs to a variant only when the flag gives everybody the same one. */
export function exposuresOf({ body, state, batch, atMs }: ExposureReport): Exposures {
  const counts = new Map(Object.entries(isJsonObject(body) ? body : {}));
  const outcomes: FlagOutcome[] = [];
  let unattributed = 0;
  const flags = new Map(state.documents.flags.map((flag) => [flag.key, flag]));
  for (const [key, exposures] of counts) {
    if (typeof exposures !== 'number' || !Number.isSafeInteger(exposures) || exposures <= 0) continue;
    const flag = flags.get(key);
    const variant = flag === undefined ? undefined : onlyVariantOf(flag, atMs);
    if (variant === undefined) unattributed += exposures;
    else outcomes.push({ flag: key, variant, batch, atMs, exposures, requests: 0, errors: 0, latencies: [], scores: {} });
  }
  return { outcomes, unattributed };
}

function onlyVariantOf(flag: Flag, atMs: number): string | undefined {
  if (!flag.on || !isScheduled(flag.schedule, atMs)) return flag.offVariant;
  const variants = new Set<string | undefined>([
    ...(flag.prerequisites.length > 0 ? [flag.offVariant] : []),
    ...flag.pins.map(({ variant }) => variant),
    ...flag.rules.flatMap(({ serve }) => variantsOf(serve)),
    ...variantsOf(flag.fallthrough),
  ]);
  const [only] = variants;
  return variants.size === 1 ? only : undefined;
}

function variantsOf(serve: Serve): readonly string[] {
  return slicesOf(serve).map(({ variant }) => variant);
}
