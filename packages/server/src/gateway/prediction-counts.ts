/** What requests predicted, counted in fixed memory: mean and spread, classes, bins. Evidence cells count in it. */
import type { Moments, Tally } from '@understudy/core/evidence';
import { binOf, MAX_CLASSES, nameOfEdges } from '@understudy/core/prediction-bins';

/** One value of a version's prediction output. */
export type Prediction = number | bigint | string;

/** Once it has seen its first request, counting allocates nothing. */
export interface PredictionCounts {
  /** What a request predicted, in its first row; numbers that are class labels count as both. */
  add(value: Prediction, isClass: boolean): void;
  /** A further row of a batch. */
  addRow(value: Prediction): void;
  /** The counts, and back to nothing. */
  take(): Pick<Tally, 'predictions' | 'classes' | 'bins'>;
}

const MAX_CLASS_LENGTH = 200;
const OTHER_CLASS = 'other';

/** @param binEdges predicted numbers are counted between these; undefined when nobody knows what they look like */
export function openPredictionCounts(binEdges: readonly number[] | undefined): PredictionCounts {
  const moments = openMoments();
  const classes = openClassCounts();
  const bins = binEdges === undefined ? undefined : openBinCounts(binEdges);
  return {
    add(value, isClass) {
      if (typeof value === 'string') {
        classes.add(value);
        return;
      }
      const number = Number(value);
      moments.add(number);
      if (!Number.isFinite(number)) return;
      if (isClass) classes.add(number);
      bins?.add(number);
    },
    addRow(value) {
      if (typeof value !== 'string') moments.add(Number(value));
    },
    take: () => ({ predictions: moments.take(), classes: classes.take(), bins: bins?.take() ?? {} }),
  };
}

interface MomentCounts {
  add(value: number): void;
  take(): Moments;
}

function openMoments(): MomentCounts {
  let [count, sum, sumSquares] = [0, 0, 0];
  return {
    add(value) {
      // Beyond this the square overflows, and one value would make the sums useless.
      if (!(Math.abs(value) < 1e150)) return;
      count++;
      sum += value;
      sumSquares += value * value;
    },
    take() {
      const taken = { count, sum, sumSquares };
      count = sum = sumSquares = 0;
      return taken;
    },
  };
}

interface ClassCounts {
  add(value: string | number): void;
  take(): Tally['classes'];
}

/** The names stay from one interval to the next, so that a steady classifier allocates nothing. */
function openClassCounts(): ClassCounts {
  const slots = new Map<string | number, number>();
  const counts = new Uint32Array(MAX_CLASSES + 1);
  return {
    add(value) {
      let slot = slots.get(value);
      if (slot === undefined) {
        slot = slots.size < MAX_CLASSES ? slots.size : MAX_CLASSES;
        if (slot < MAX_CLASSES) slots.set(value, slot);
      }
      counts[slot] = (counts[slot] ?? 0) + 1;
    },
    take() {
      const taken = new Map<string, number>();
      const addTo = (name: string, slot: number): void => {
        const seen = counts[slot] ?? 0;
        if (seen > 0) taken.set(name, (taken.get(name) ?? 0) + seen);
      };
      for (const [value, slot] of slots) addTo(String(value).slice(0, MAX_CLASS_LENGTH), slot);
      addTo(OTHER_CLASS, MAX_CLASSES);
      counts.fill(0);
      // Unlike an assignment, this makes `__proto__` a key like any other.
      return Object.fromEntries(taken);
    },
  };
}

interface BinCounts {
  /** @param value finite */
  add(value: number): void;
  take(): Tally['bins'];
}

function openBinCounts(edges: readonly number[]): BinCounts {
  const name = nameOfEdges(edges);
  const counts = new Uint32Array(edges.length + 1);
  let total = 0;
  return {
    add(value) {
      const bin = binOf(edges, value);
      counts[bin] = (counts[bin] ?? 0) + 1;
      total++;
    },
    take() {
      if (total === 0) return {};
      const taken = { [name]: [...counts] };
      counts.fill(0);
      total = 0;
      return taken;
    },
  };
}
