/** Random numbers for simulations: the same seed gives the same numbers, bit for bit. Everything in this folder draws from here. */
import { murmur3 } from '../murmur3.ts';

/** One stream of random numbers. */
export interface Random {
  /** In (0, 1), on a grid of 2^-32. */
  uniform(): number;
  /** Mean 0, standard deviation 1. */
  normal(): number;
  /** Mean 1. */
  exponential(): number;
  /**
   * How many events happen where `mean` are expected.
   * @param mean ≥ 0; takes time in proportion to it
   */
  poisson(mean: number): number;
}

const TWO_32 = 2 ** 32;

/**
 * A stream of its own for every pair of seed and name.
 * Source of the generator: C. Doty-Humphrey, sfc32 of PractRand 0.94 (public domain), seeded as there.
 * @param seed integer
 * @param stream what the numbers are for, so that two uses of a seed are independent
 */
export function randomOf(seed: number, stream: string): Random {
  let a = murmur3(stream, 0) | 0;
  let b = seed | 0;
  let c = Math.floor(seed / TWO_32) | 0;
  let counter = 1;

  function bits(): number {
    const sum = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + sum) | 0;
    return sum;
  }
  for (let round = 0; round < 15; round += 1) bits();

  const uniform = (): number => ((bits() >>> 0) + 0.5) / TWO_32;
  return {
    uniform,
    normal: () => normalOf(bits, uniform),
    exponential: () => -Math.log(uniform()),
    poisson: (mean) => poissonOf(mean, uniform),
  };
}

const LAYERS = 128;
const TAIL = 3.442619855899;
const LAYER_AREA = 9.91256303526217e-3;
const LAYER_EDGES = layerEdges();

/**
 * Ziggurat with 128 layers. Layer and place come from different bits of one draw, which is what the original got wrong.
 * Source: J. A. Doornik, An Improved Ziggurat Method to Generate Normal Random Samples (2005).
 */
function normalOf(bits: () => number, uniform: () => number): number {
  for (;;) {
    const drawn = bits();
    const layer = drawn & (LAYERS - 1);
    const place = (drawn >> 7) / 2 ** 24;
    const outer = LAYER_EDGES[layer] ?? 0;
    const inner = LAYER_EDGES[layer + 1] ?? 0;
    const value = place * outer;
    if (Math.abs(value) < inner) return value;
    if (layer === 0) return tailOf(uniform, place < 0);
    const low = Math.exp(-0.5 * (outer * outer - value * value));
    const high = Math.exp(-0.5 * (inner * inner - value * value));
    if (high + uniform() * (low - high) < 1) return value;
  }
}

/** Beyond the last layer. Source: G. Marsaglia, Technometrics 6 (1964), 101–102. */
function tailOf(uniform: () => number, isNegative: boolean): number {
  for (;;) {
    const beyond = -Math.log(uniform()) / TAIL;
    if (-2 * Math.log(uniform()) >= beyond * beyond) return isNegative ? -TAIL - beyond : TAIL + beyond;
  }
}

function layerEdges(): Float64Array {
  const edges = new Float64Array(LAYERS + 1);
  const density = Math.exp(-0.5 * TAIL * TAIL);
  edges[0] = LAYER_AREA / density;
  edges[1] = TAIL;
  let [edge, height] = [TAIL, density];
  for (let layer = 2; layer < LAYERS; layer += 1) {
    edge = Math.sqrt(-2 * Math.log(LAYER_AREA / edge + height));
    height = Math.exp(-0.5 * edge * edge);
    edges[layer] = edge;
  }
  return edges;
}

// exp(−mean) must stay far from what a number can no longer hold, and a grid of 2^-32 must still tell its tails.
const LARGEST_PIECE = 16;

/** Inversion by sequential search, in pieces: a sum of Poisson numbers is one. Source: L. Devroye, Non-Uniform Random Variate Generation (1986), X.3. */
function poissonOf(mean: number, uniform: () => number): number {
  let total = 0;
  for (let left = mean; left > 0; left -= LARGEST_PIECE) {
    const piece = Math.min(left, LARGEST_PIECE);
    let [share, count] = [Math.exp(-piece), 0];
    let rest = uniform() - share;
    while (rest > 0 && share > 0) {
      count += 1;
      share *= piece / count;
      rest -= share;
    }
    total += count;
  }
  return total;
}
