/**
 * Max-value entropy search, for minimization: what a value at a point tells of the least value y* of the function.
 * Z. Wang, S. Jegelka, "Max-value Entropy Search for Efficient Bayesian Optimization", ICML 2017, arXiv 1703.01968.
 *
 * Their eq. 6, averaged over drawn y*, with g = (mean - y*) / s:
 *   alpha = g phi(g) / (2 Phi(g)) - log Phi(g).
 * It underflows where a point can't be the minimum. With r = phi / Phi and Mills' ratio R = Phi(-g) / phi(g) it is r h,
 * h = g/2 - log(Phi) / r, where -log(Phi) / r goes to R: so its logarithm needs no small number.
 */
import type { Rng } from '../../core/rng.js'
import { logNormalCdf, type Predictor, pointwiseOver } from './acquisition.js'
import type { Acquisition } from './search.js'

/** Drawn values of y*: BoTorch's number. */
export const MINIMA = 10
const HALF_LOG_2PI = 0.5 * Math.log(2 * Math.PI)
/** Below this alpha is flat (it grows as log |g|) and its terms cancel. */
const LEAST = -100

/** log alpha at g, and its derivative in g. */
export function logInformation(g: number): { value: number; slope: number } {
  const gamma = Math.max(g, LEAST)
  const logDensity = -0.5 * gamma * gamma - HALF_LOG_2PI
  const logTail = logNormalCdf(-gamma)
  const tail = Math.exp(logTail)
  const minusLogCdf = gamma > 0 ? -Math.log1p(-tail) : -logNormalCdf(gamma)
  const logRatio = logDensity + minusLogCdf
  const ratio = Math.exp(logRatio)
  const mills = Math.exp(logTail - logDensity)
  const h = gamma / 2 + (gamma > 0 ? (tail > 0 ? minusLogCdf / tail : 1) * (1 - tail) * mills : minusLogCdf / ratio)
  return { value: logRatio + Math.log(h), slope: g < LEAST ? 0 : -(1 + gamma * (gamma + ratio)) / (2 * h) }
}

/** log of the mean alpha over drawn minima, and its derivatives in mean and deviation. */
export function logInformationAbout(minima: readonly number[], mean: number, deviation: number) {
  const gammas = minima.map((y) => (mean - y) / deviation)
  const terms = gammas.map(logInformation)
  const top = terms.reduce((most, { value }) => Math.max(most, value), Number.NEGATIVE_INFINITY)
  const total = terms.reduce((sum, { value }) => sum + Math.exp(value - top), 0)
  let [dMean, dDeviation] = [0, 0]
  terms.forEach(({ value, slope }, k) => {
    const part = (Math.exp(value - top) / total) * (slope / deviation)
    dMean += part
    dDeviation -= part * gammas[k]
  })
  return { value: top + Math.log(total / minima.length), dMean, dDeviation }
}

/**
 * Draws of the least value, from the Gumbel distribution that has the quartiles of the least of independent normals (their
 * section 3.1): those of the function at some points. None lies above `incumbent`, which the function is known to reach.
 */
export function gumbelMinima(
  normals: readonly { mean: number; variance: number }[],
  incumbent: number,
  count: number,
  rng: Rng,
): number[] {
  const points = normals.map(({ mean, variance }) => ({ mean, deviation: Math.sqrt(variance) }))
  const logSurvival = (y: number) =>
    points.reduce((sum, { mean, deviation }) => sum + logNormalCdf((mean - y) / deviation), 0)
  const ends = [-8, 8].map((k) => points.reduce((least, p) => Math.min(least, p.mean + k * p.deviation), incumbent))
  const quantile = (p: number) => {
    let [low, high] = ends
    for (let k = 0; k < 40; k++) {
      const middle = (low + high) / 2
      if (logSurvival(middle) > Math.log1p(-p)) low = middle
      else high = middle
    }
    return (low + high) / 2
  }
  // P(y* > y) = exp(-exp((y - location) / scale)).
  const loglog = (survival: number) => Math.log(-Math.log(survival))
  const scale = (quantile(0.75) - quantile(0.25)) / (loglog(0.25) - loglog(0.75))
  const location = quantile(0.5) - scale * loglog(0.5)
  return Array.from({ length: count }, () => Math.min(incumbent, location + scale * loglog(1 - rng.uniform())))
}

/** Log information of a value about the minima under the model, with gradients in its ordered coordinates. */
export const informationOver = (minima: readonly number[], model: Predictor): Acquisition =>
  pointwiseOver(model, (mean, deviation) => logInformationAbout(minima, mean, deviation))
