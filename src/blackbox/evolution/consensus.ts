/**
 * The consensus point of particles and what it has to do with gradients:
 * K. Riedl, T. Klock, C. Geldhauser, M. Fornasier, "Gradient is All You Need?", 2023 (arXiv:2306.09778).
 */
import { dot, norm } from '../../optimizers/flat.js'

/** exp(-alpha (E_i - min E)) of each particle; 0 of those without a value. */
export function consensusWeights(values: Float64Array, alpha: number): Float64Array {
  const least = values.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY)
  return values.map((value) => (value === least ? 1 : Math.exp(-alpha * (value - least))))
}

/** The mean of the particles (rows of n) by these weights; undefined when no particle has a value. */
export function consensusPoint(
  points: Float64Array,
  values: Float64Array,
  alpha: number,
  n: number,
): Float64Array | undefined {
  if (!values.some(Number.isFinite)) return undefined
  const weights = consensusWeights(values, alpha)
  const total = weights.reduce((a, b) => a + b, 0)
  const c = new Float64Array(n)
  for (let i = 0; i < points.length; i++) c[i % n] += (weights[Math.floor(i / n)] / total) * points[i]
  return c
}

/**
 * How a hop of the consensus compares with the gradient step it approximates, -alpha sigma^2 grad E: the cosine of the
 * two, and the ratio of their lengths. For a quadratic E and many particles the hop is the proximal (implicit) step.
 */
export function compareWithGradient(
  from: Float64Array,
  to: Float64Array,
  gradient: Float64Array,
  alpha: number,
  sigma: number,
): { cosine: number; ratio: number } {
  const hop = to.map((x, i) => x - from[i])
  const descent = gradient.map((g) => -alpha * sigma ** 2 * g)
  const [a, b] = [norm(hop), norm(descent)]
  return { cosine: a * b > 0 ? dot(hop, descent) / (a * b) : 0, ratio: b > 0 ? a / b : 0 }
}
