/**
 * What clipping does to the mean of stochastic gradients: Koloskova, Hendrikx, Stich, "Revisiting Gradient Clipping:
 * Stochastic bias and tight convergence guarantees", ICML 2023.
 */
import { accumulate, norm, plus } from '../flat.js'

type Vector = ArrayLike<number>

export type ClippingBias = {
  /** Mean of the gradients, each clipped to the threshold: per-example clipping. */
  mean: Float64Array
  /** That mean minus the plain mean. */
  bias: Float64Array
  /** Share of gradients whose norm is above the threshold. */
  clipped: number
  /** Variance of the gradients, sigma^2: mean squared distance to their mean. */
  variance: number
  /** Order of the gradient norm below which clipped SGD does not get, at any learning rate: min(sigma, sigma^2/c). */
  bound: number
}

/**
 * The bias of clipping at a point.
 *
 * @param gradients per-example or repeated stochastic gradients at the point, equally likely; at least one
 * @param threshold largest norm c, above 0
 */
export function clippingBias(gradients: readonly Vector[], threshold: number): ClippingBias {
  const n = gradients.length
  const plain = new Float64Array(gradients[0].length)
  const mean = new Float64Array(gradients[0].length)
  let clipped = 0
  for (const g of gradients) {
    const length = norm(g)
    if (length > threshold) clipped += 1 / n
    accumulate(plain, 1 / n, g)
    accumulate(mean, (length > threshold ? threshold / length : 1) / n, g)
  }
  const variance = gradients.reduce((sum, g) => sum + norm(plus(plain, -1, g)) ** 2 / n, 0)
  return {
    mean,
    bias: plus(mean, -1, plain),
    clipped,
    variance,
    bound: Math.min(Math.sqrt(variance), variance / threshold),
  }
}

/**
 * Order of the steps that a threshold c adds, without noise, before the gradient norm is below eps: L*F0/(eps*c).
 *
 * @param smoothness L
 * @param gap F0, the loss at the start minus its minimum
 */
export const extraSteps = (smoothness: number, gap: number, eps: number, threshold: number): number =>
  (smoothness * gap) / (eps * threshold)
