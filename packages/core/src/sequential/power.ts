/** What a test can be expected to find, and after how many requests. Plans, forecasts and reports tell people with it; no decision rests on it. */
import { boundaryOf } from './bisection.ts';
import { clampRate } from './log-odds.ts';
import { type ArmPair, limitOf, type Margin } from './margin.ts';
import { logFactor } from './two-arm-test.ts';

/** Who asks how soon a regression is found. */
export interface Detection {
  /** Accepted risk of a false rollback over the whole rollout, in (0, 1). */
  readonly alpha: number;
  /** The guard's part of the evidence, in (0, 1]. */
  readonly weight: number;
  /** How likely the regression is to be found by then, in (0, 1): 0.5 for the median. */
  readonly probability: number;
}

// What the mixture, its restarts and the last block's overshoot cost; fits the simulations of the method within 12 %.
const MIXTURE_COST = 1.3;

// Simulated rollouts needed 1.3 to 1.5 times the bound, as the rates are guessed and the alternatives share the money.
const SAFETY_COST = 1.4;

/**
 * Evidence that one request to the challenger brings on average, with the champion's that come along:
 * [w · KL(p₁ ‖ q₁) + (1 − w) · KL(p₀ ‖ q₀)] / w, (q₀, q₁) the nearest point of the line. It is evidence of harm when the
 * challenger's rate lies above the line and of safety when below; for safety of a challenger that equals the champion,
 * give the champion's rate twice (of latencies, the champion's share beyond the challenger's threshold).
 * No valid test decides faster, on average, than ln(1/α) divided by this.
 * @param rates in [0, 1]; taken to be in [1e-5, 1 − 1e-5]
 * @param w the challenger's share of the requests, in (0, 1)
 * @returns nats per request, ≥ 0; 0 on the line
 * @throws RangeError when w is out of its range
 * Source: A. Wald, Ann. Math. Statist. 16 (1945), 117–186.
 */
export function growthPerChallengerRequest(margin: Margin, rates: ArmPair<number>, w: number): number {
  assertShare('w', w);
  const champion = clampRate(rates.champion);
  const challenger = clampRate(rates.challenger);
  // What an average request is expected to add: the likelihood ratio is linear in the counts.
  const request = {
    champion: { count: 1 - w, bad: (1 - w) * champion },
    challenger: { count: w, bad: w * challenger },
  };
  return Math.max(0, logFactor(margin, { champion, challenger }, request) / w);
}

/**
 * Requests to the challenger until a regression is rolled back: x / growth with
 * √x = (z√2 + √(2z² + 4A)) / 2, A = ln(1/(α · weight)) + 1.3, z the normal quantile of the probability.
 * @param growth of {@link growthPerChallengerRequest} for the regression, ≥ 0
 * @returns ∞ when nothing grows
 * @throws RangeError when a number is out of its range
 */
export function requestsToDetect({ growth, ...detection }: Detection & { readonly growth: number }): number {
  assertGrowth(growth);
  return evidenceToDetect(detection) / growth;
}

/**
 * The smallest rate of the challenger that would have been rolled back after so many requests.
 * @param champion the champion's rate, in [0, 1]
 * @param w the challenger's share of the requests, in (0, 1)
 * @param requests to the challenger, ≥ 0
 * @returns a rate above the line; undefined when not even a challenger that always fails would have been
 * @throws RangeError when a number is out of its range
 */
export function smallestDetectable(
  margin: Margin,
  { champion, w, requests }: { readonly champion: number; readonly w: number; readonly requests: number },
  detection: Detection,
): number | undefined {
  const needed = evidenceToDetect(detection);
  const isMissed = (challenger: number) => growthPerChallengerRequest(margin, { champion, challenger }, w) * requests < needed;
  const limit = limitOf(margin, clampRate(champion));
  return limit >= 1 || isMissed(1) ? undefined : boundaryOf(isMissed, limit, 1);
}

/**
 * Requests to the challenger until it is proven safe: 1.4 · ln(1/β) / growth.
 * @param growth of {@link growthPerChallengerRequest} for the challenger as it is expected to be, ≥ 0
 * @param beta accepted risk of passing a challenger beyond the margin, in (0, 1)
 * @returns ∞ when nothing grows
 * @throws RangeError when a number is out of its range
 */
export function requestsToPass({ growth, beta }: { readonly growth: number; readonly beta: number }): number {
  assertShare('beta', beta);
  assertGrowth(growth);
  return (SAFETY_COST * Math.log(1 / beta)) / growth;
}

/**
 * The point below which a standard normal variable lies with a probability.
 * @param probability in (0, 1)
 * @returns the quantile, to about 1 part in 1e7
 * @throws RangeError when the probability is out of its range
 * Source: M. J. Wichura, Applied Statistics 37 (1988), 477–484, algorithm AS 241 (PPND7).
 */
export function normalQuantile(probability: number): number {
  assertShare('probability', probability);
  const centred = probability - 0.5;
  if (Math.abs(centred) <= 0.425) {
    const r = 0.180625 - centred * centred;
    const above = 3.3871327179 + r * (50.434271938 + r * (159.29113202 + r * 59.10937472));
    return (centred * above) / (1 + r * (17.895169469 + r * (78.757757664 + r * 67.1875636)));
  }
  const r = Math.sqrt(-Math.log(Math.min(probability, 1 - probability)));
  return Math.sign(centred) * (r <= 5 ? nearTail(r - 1.6) : farTail(r - 5));
}

function nearTail(r: number): number {
  return (
    (1.4234372777 + r * (2.75681539 + r * (1.3067284816 + r * 0.17023821103))) / (1 + r * (0.7370016425 + r * 0.12021132975))
  );
}

function farTail(r: number): number {
  return (
    (6.657905115 + r * (3.081226386 + r * (0.42868294337 + r * 0.017337203997))) / (1 + r * (0.24197894225 + r * 0.012258202635))
  );
}

/** x of {@link requestsToDetect}: nats that must have been expected for them to have come with the probability. */
function evidenceToDetect({ alpha, weight, probability }: Detection): number {
  assertShare('alpha', alpha);
  if (!(weight > 0 && weight <= 1)) throw new RangeError(`weight ${weight} is not in (0, 1]`);
  const z = normalQuantile(probability);
  const needed = Math.log(1 / (alpha * weight)) + MIXTURE_COST;
  return ((z * Math.SQRT2 + Math.sqrt(2 * z * z + 4 * needed)) / 2) ** 2;
}

function assertShare(name: string, value: number): void {
  if (!(value > 0 && value < 1)) throw new RangeError(`${name} ${value} is not in (0, 1)`);
}

function assertGrowth(growth: number): void {
  if (!(growth >= 0)) throw new RangeError(`growth ${growth} is not a number of nats`);
}
