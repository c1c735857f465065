/** What models predict, as shapes that can be drawn from, and the ways in which a challenger's predictions drift away from the champion's. */
import type { OrderedBins } from '../prediction-bins.ts';
import { pickerOf } from './latency-shape.ts';
import type { Random } from './random.ts';

/** A normal hump; `share` is relative to the other humps. */
export interface PredictionMode {
  readonly share: number;
  readonly mean: number;
  readonly standardDeviation: number;
}

/** A distribution of predicted numbers, or of classes. */
export type PredictionShape =
  | { readonly kind: 'normal'; readonly mean: number; readonly standardDeviation: number }
  | { readonly kind: 'modes'; readonly modes: readonly PredictionMode[] }
  | { readonly kind: 'classes'; readonly shares: Readonly<Record<string, number>> }
  /** As counted by a gateway: even inside each bin, and the end bins as wide as their neighbours. */
  | { readonly kind: 'empirical'; readonly bins: OrderedBins; readonly counts: readonly number[] };

/** How a challenger's predictions differ. */
export type PredictionDrift =
  /** Moved by so many of the champion's standard deviations, and spread so many times as wide around its mean. */
  | { readonly kind: 'moved'; readonly by: number; readonly spread: number }
  /** This share of answers is the champion's mean, whatever was asked. */
  | { readonly kind: 'stuck'; readonly share: number }
  | { readonly kind: 'replaced'; readonly shape: PredictionShape };

/** The names of all classes that either side predicts; empty for numbers. Drawers give places in this list. */
export function classesOf(shape: PredictionShape, drift: PredictionDrift | undefined): readonly string[] {
  const shapes = drift?.kind === 'replaced' ? [shape, drift.shape] : [shape];
  return [...new Set(shapes.flatMap((each) => (each.kind === 'classes' ? Object.keys(each.shares) : [])))];
}

/**
 * Draws predicted numbers, or places of classes.
 * @param classes those of {@link classesOf}
 */
export function predictionDrawer(shape: PredictionShape, classes: readonly string[]): (random: Random) => number {
  switch (shape.kind) {
    case 'normal':
      return (random) => shape.mean + shape.standardDeviation * random.normal();
    case 'modes': {
      const pick = pickerOf(shape.modes.map(({ share }) => share));
      return (random) => {
        const mode = shape.modes[pick(random.uniform())];
        return (mode?.mean ?? 0) + (mode?.standardDeviation ?? 0) * random.normal();
      };
    }
    case 'classes': {
      const pick = pickerOf(classes.map((name) => shape.shares[name] ?? 0));
      return (random) => pick(random.uniform());
    }
    case 'empirical': {
      const pick = pickerOf(shape.counts);
      const cells = cellsOf(shape.bins);
      return (random) => {
        const [low, high] = cells[pick(random.uniform())] ?? [0, 0];
        return low + (high - low) * random.uniform();
      };
    }
  }
}

/**
 * Draws what a challenger predicts whose champion predicts `shape`.
 * @throws RangeError for classes that are to be moved, which only numbers can be, and for numbers in place of classes
 */
export function driftedDrawer(shape: PredictionShape, drift: PredictionDrift | undefined): (random: Random) => number {
  const classes = classesOf(shape, drift);
  const draw = predictionDrawer(shape, classes);
  if (drift === undefined) return draw;
  if (drift.kind === 'replaced') {
    if ((drift.shape.kind === 'classes') !== (shape.kind === 'classes'))
      throw new RangeError('classes replace classes, numbers numbers');
    return predictionDrawer(drift.shape, classes);
  }
  if (shape.kind === 'classes') throw new RangeError(`classes cannot be ${drift.kind}; give the shape that replaces them`);
  const { mean, standardDeviation } = centreAndSpreadOf(shape);
  if (drift.kind === 'stuck') return (random) => (random.uniform() < drift.share ? mean : draw(random));
  return (random) => mean + drift.by * standardDeviation + drift.spread * (draw(random) - mean);
}

/** Mean and standard deviation of a distribution of numbers. */
export function centreAndSpreadOf(shape: Exclude<PredictionShape, { kind: 'classes' }>): {
  readonly mean: number;
  readonly standardDeviation: number;
} {
  const modes = modesOf(shape);
  const total = modes.reduce((sum, mode) => sum + mode.share, 0);
  const mean = modes.reduce((sum, mode) => sum + mode.share * mode.mean, 0) / total;
  const variance =
    modes.reduce((sum, mode) => sum + mode.share * (mode.standardDeviation ** 2 + (mode.mean - mean) ** 2), 0) / total;
  return { mean, standardDeviation: Math.sqrt(variance) };
}

function modesOf(shape: Exclude<PredictionShape, { kind: 'classes' }>): readonly PredictionMode[] {
  switch (shape.kind) {
    case 'normal':
      return [{ share: 1, mean: shape.mean, standardDeviation: shape.standardDeviation }];
    case 'modes':
      return shape.modes;
    case 'empirical':
      return cellsOf(shape.bins).map(([low, high], bin) => ({
        share: shape.counts[bin] ?? 0,
        mean: (low + high) / 2,
        // Of an even distribution between the two ends.
        standardDeviation: (high - low) / Math.sqrt(12),
      }));
  }
}

function cellsOf({ edges }: OrderedBins): readonly (readonly [low: number, high: number])[] {
  const [first = 0, last = 0] = [edges[0], edges.at(-1)];
  const firstWidth = (edges[1] ?? first + 1) - first;
  const lastWidth = last - (edges.at(-2) ?? last - 1);
  const all = [first - firstWidth, ...edges, last + lastWidth];
  return all.slice(1).map((high, index) => [all[index] ?? high, high]);
}
