/**
 * Keeps the steps of discrete coordinates from vanishing: R. Hamano, S. Saito, M. Nomura, S. Shirakawa, "CMA-ES with Margin:
 * Lower-Bounding Marginal Probability for Mixed-Integer Black-Box Optimization", GECCO 2022.
 */
import { normalCdf } from '../bayes/acquisition.js'
import { type Distribution, deviation, rescale } from './cma.js'

/** The z with P(Z <= z) = p, by bisection. */
function normalQuantile(p: number): number {
  let [low, high] = [-40, 40]
  for (let k = 0; k < 60; k++) {
    const middle = (low + high) / 2
    if (normalCdf(middle) < p) low = middle
    else high = middle
  }
  return (low + high) / 2
}

/**
 * Moves mean and deviation of coordinate i so that each side of the interval [from, to] around the mean has a probability of
 * alpha/2 or more. Whether it had to.
 */
export function keepMargin(
  distribution: Distribution,
  i: number,
  [from, to]: readonly [number, number],
  alpha: number,
): boolean {
  const { mean } = distribution
  const sigma = deviation(distribution, i)
  const least = alpha / 2
  const [below, above] = [normalCdf((from - mean[i]) / sigma), normalCdf((mean[i] - to) / sigma)]
  if (below >= least && above >= least) return false
  const within = 1 - below - above
  const raised = [Math.max(below, least), Math.max(above, least)]
  // What was added is taken from all that is above the least, the middle included.
  const excess = (1 - raised[0] - raised[1] - within) / (raised[0] + raised[1] + within - 3 * least)
  const [lower, upper] = raised.map((p) => -normalQuantile(p + excess * (p - least)))
  mean[i] = (from * upper + to * lower) / (lower + upper)
  rescale(distribution, i, (to - from) / (lower + upper) / sigma)
  return true
}
