/** Gives one variant a new percentage of a split, moving nobody who need not move. Commands that ramp flags depend on it. */
import { BUCKET_COUNT } from '../bucketing.ts';
import type { Bucketing } from './bucketing-profile.ts';
import type { Flag, Serve, Slice, Split } from './flag.ts';
import { rampSlices } from './slices.ts';

/** What one variant's share becomes. */
export interface RampWish {
  readonly variant: string;
  /** In [0, 100]. */
  readonly percent: number;
  /** The one that gives or takes the difference; default: the others, in proportion to what they have. */
  readonly against?: string;
}

/** The new shares, or why there are none. */
export type Ramp =
  | {
      readonly outcome: 'ramped';
      readonly serve: Serve;
      /** Share of all subjects of this split that get another variant than before, in percent. */
      readonly movedPercent: number;
    }
  | { readonly outcome: 'impossible'; readonly problem: string };

/** @param serve the flag's fallthrough, or what one of its rules gives */
export function rampServe(flag: Flag, serve: Serve, wish: RampWish): Ramp {
  const names = flag.variants.map(({ name }) => name);
  const unknown = [wish.variant, wish.against].find((name) => name !== undefined && !names.includes(name));
  if (unknown !== undefined) return impossible(`there is no variant "${unknown}"; the flag has ${names.join(', ')}`);
  if (wish.against === wish.variant) return impossible(`"${wish.variant}" cannot be ramped against itself`);
  const split: Split = 'split' in serve ? serve.split : { slices: [{ variant: serve.variant, weight: BUCKET_COUNT }] };
  const whole = inWholeParts(split, split.bucketing ?? flag.bucketing);
  if (typeof whole === 'string') return impossible(whole);
  const { slices, total } = whole;
  const weight = (wish.percent * total) / 100;
  if (Math.abs(weight - Math.round(weight)) > 1e-6) {
    return impossible(`the split is counted in ${total} parts, so percentages go in steps of ${100 / total} %`);
  }
  const weights = weightsAfter({ slices, total, names }, { ...wish, weight: Math.round(weight) });
  if (typeof weights === 'string') return impossible(weights);
  const ramped = rampSlices(slices, weights);
  const { total: _before, ...rest } = split;
  const next: Split = { ...rest, slices: ramped, ...(total === BUCKET_COUNT ? {} : { total }) };
  return { outcome: 'ramped', serve: { split: next }, movedPercent: (gained(slices, weights) * 100) / total };
}

function impossible(problem: string): Ramp {
  return { outcome: 'impossible', problem };
}

interface Whole {
  readonly slices: readonly Slice[];
  readonly total: number;
}

/**
 * Slices of whole weights. Unleash takes its hash modulo the total, so that there another total would move everybody; the
 * other hashes are fractions, where it moves nobody but who is within half a bucket of a border.
 */
function inWholeParts({ slices, total = BUCKET_COUNT }: Split, { profile }: Bucketing): Whole | string {
  const isWhole = Number.isSafeInteger(total) && slices.every(({ weight }) => Number.isSafeInteger(weight));
  if (profile === 'unleash' || profile === 'unleash-rollout') {
    return isWhole
      ? { slices, total }
      : `its weights are not whole numbers, which the profile ${profile} cannot ramp; save it with whole weights`;
  }
  if (isWhole && total === BUCKET_COUNT) return { slices, total };
  let sum = 0;
  let before = 0;
  const scaled = slices.map((slice, index) => {
    sum += slice.weight;
    const end = index === slices.length - 1 ? BUCKET_COUNT : Math.round((sum * BUCKET_COUNT) / total);
    const weight = end - before;
    before = end;
    return { ...slice, weight };
  });
  return { slices: scaled, total: BUCKET_COUNT };
}

interface Shares extends Whole {
  /** All variants of the flag. */
  readonly names: readonly string[];
}

function weightsAfter(
  { slices, total, names }: Shares,
  wish: { readonly variant: string; readonly weight: number; readonly against?: string },
): Readonly<Record<string, number>> | string {
  const { variant, weight } = wish;
  const now = weightsOf(slices);
  const others = [...now].filter(([name, has]) => name !== variant && has > 0);
  if (wish.against !== undefined) {
    const rest = total - others.reduce((sum, [name, has]) => (name === wish.against ? sum : sum + has), 0) - weight;
    if (rest < 0) {
      return `"${wish.against}" has not enough to give: it has ${((now.get(wish.against) ?? 0) * 100) / total} %`;
    }
    return Object.fromEntries([...now, [variant, weight], [wish.against, rest]]);
  }
  if (others.length > 0) return Object.fromEntries([[variant, weight], ...shared(others, total - weight)]);
  const candidates = names.filter((name) => name !== variant);
  const [only] = candidates;
  if (weight === total) return { [variant]: weight };
  if (only !== undefined && candidates.length === 1) return { [variant]: weight, [only]: total - weight };
  return `"${variant}" has everybody now, so say who takes the rest: against one of ${candidates.join(', ')}`;
}

function weightsOf(slices: readonly Slice[]): ReadonlyMap<string, number> {
  const weights = new Map<string, number>();
  for (const { variant, weight } of slices) weights.set(variant, (weights.get(variant) ?? 0) + weight);
  return weights;
}

/** Divides a sum in proportion, in whole numbers; rounding errors do not add up. */
function shared(parts: readonly (readonly [string, number])[], sum: number): readonly (readonly [string, number])[] {
  const all = parts.reduce((before, [, weight]) => before + weight, 0);
  let seen = 0;
  let given = 0;
  return parts.map(([name, weight]) => {
    seen += weight;
    const end = Math.round((seen * sum) / all);
    const part = end - given;
    given = end;
    return [name, part] as const;
  });
}

/** What the growing variants gain, which is what moves. */
function gained(slices: readonly Slice[], weights: Readonly<Record<string, number>>): number {
  const now = weightsOf(slices);
  return Object.entries(weights).reduce((sum, [name, weight]) => sum + Math.max(0, weight - (now.get(name) ?? 0)), 0);
}
