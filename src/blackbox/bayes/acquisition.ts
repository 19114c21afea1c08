/**
 * The logarithm of expected improvement, for minimization, stable where EI underflows.
 * S. Ament, S. Daulton, D. Eriksson, M. Balandat, E. Bakshy, "Unexpected Improvements to Expected Improvement for
 * Bayesian Optimization", NeurIPS 2023, arXiv 2310.20708, eq. 9 and appendix A.
 *
 * EI = s h(z) with z = (best - mean) / s and h(z) = phi(z) + z Phi(z). For z < -1 both terms nearly cancel: with Mills'
 * ratio R(t) = Phi(-t) / phi(t), t = -z, h = phi(t) (1 - t R(t)). The continued fraction R = 1 / (t + K), K =
 * 1/(t + 2/(t + 3/(t + ...))), gives 1 - t R = K / (t + K) without a subtraction.
 */
import type { Acquisition } from './search.js'
import type { Surrogate } from './surrogate.js'

/** Whatever has a mean and a variance at points. */
export type Predictor = Pick<Surrogate, 'predict'>

const HALF_LOG_2PI = 0.5 * Math.log(2 * Math.PI)

/** K above for t >= 1. This many terms give all digits (measured against 20,000). */
function tail(t: number): number {
  let k = 0
  for (let i = Math.ceil(8 + 400 / (t * t)); i >= 1; i--) k = i / (t + k)
  return k
}

/** Phi(z), the standard normal distribution. */
export function normalCdf(z: number): number {
  const t = Math.abs(z)
  const density = Math.exp(-0.5 * z * z - HALF_LOG_2PI)
  if (t > 2) return z > 0 ? 1 - density / (t + tail(t)) : density / (t + tail(t))
  // 1/2 + phi(z) (z + z^3/3 + z^5/15 + ...), Abramowitz and Stegun 26.2.11.
  let term = z
  let sum = z
  for (let i = 3; Math.abs(term) > 1e-17 * Math.abs(sum); i += 2) sum += term *= (z * z) / i
  return 0.5 + density * sum
}

/** log Phi(z), with all digits where Phi underflows. */
export const logNormalCdf = (z: number): number =>
  z > -1 ? Math.log(normalCdf(z)) : -0.5 * z * z - HALF_LOG_2PI - Math.log(tail(-z) - z)

/** phi(z), the standard normal density. */
export const normalDensity = (z: number): number => Math.exp(-0.5 * z * z - HALF_LOG_2PI)

/** log h(z) and the ratios that its gradients need: Phi(z) / h(z) and phi(z) / h(z). */
export function logH(z: number): { value: number; cdf: number; density: number } {
  if (z > -1) {
    const density = Math.exp(-0.5 * z * z - HALF_LOG_2PI)
    const cdf = normalCdf(z)
    const h = density + z * cdf
    return { value: Math.log(h), cdf: cdf / h, density: density / h }
  }
  const k = tail(-z)
  const remainder = k / (k - z)
  return { value: -0.5 * z * z - HALF_LOG_2PI + Math.log(remainder), cdf: 1 / k, density: 1 / remainder }
}

/** log EI of a normal with this mean and standard deviation below `best`, and its derivatives in both. */
export function logExpectedImprovement(mean: number, deviation: number, best: number) {
  const { value, cdf, density } = logH((best - mean) / deviation)
  return { value: Math.log(deviation) + value, dMean: -cdf / deviation, dDeviation: density / deviation }
}

/** What is worth how much by the mean and standard deviation at a point, with the derivatives in both. */
type Pointwise = (mean: number, deviation: number) => { value: number; dMean: number; dDeviation: number }

/** Such a worth under the model, with gradients in its ordered coordinates. */
export function pointwiseOver(model: Predictor, worth: Pointwise): Acquisition {
  return {
    values: (points) =>
      model.predict(points, false).map(({ mean, variance }) => worth(mean, Math.sqrt(variance)).value),
    gradients: (points) =>
      model.predict(points, true).map(({ mean, variance, dMean, dVariance }) => {
        const deviation = Math.sqrt(variance)
        const { value, ...slope } = worth(mean, deviation)
        const gradient = dMean!.map((dm, i) => slope.dMean * dm + (slope.dDeviation * dVariance![i]) / (2 * deviation))
        return { value, gradient }
      }),
  }
}

/** Log expected improvement below `incumbent` under the model. */
export const improvementOver = (incumbent: number, model: Predictor): Acquisition =>
  pointwiseOver(model, (mean, deviation) => logExpectedImprovement(mean, deviation, incumbent))
