/**
 * A Gaussian process for a gradient field, one scalar kernel for all its elements: Shu et al., "OptEx: Expediting First-Order
 * Optimization with Approximately Parallelized Iterations", NeurIPS 2024, section 4.1. The posterior mean at z is
 * k(z, A)*(K + noise*I)^-1*B, for places A whose gradients are the rows of B.
 */
import { choleskyFactor, solveRows } from './cholesky.js'

export const KERNELS = ['matern52', 'rbf'] as const
export type Kernel = (typeof KERNELS)[number]

export type GradientModel = {
  places: readonly Float64Array[]
  kernel: Kernel
  lengthscale: number
  factor: Float64Array
}

/** Pivots below this share of the diagonal are rounding: a place that is there twice counts once. */
const ROUNDING = 1e-13

function distance(a: Float64Array, b: Float64Array): number {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += (a[i] - b[i]) ** 2
  return Math.sqrt(sum)
}

/** The correlation at a distance in lengthscales. */
function correlation(kernel: Kernel, scaled: number): number {
  if (kernel === 'rbf') return Math.exp(-(scaled ** 2) / 2)
  const r = Math.sqrt(5) * scaled
  return (1 + r + r ** 2 / 3) * Math.exp(-r)
}

/** The median distance between two places; 1 where they are all the same. */
export function medianDistance(places: readonly Float64Array[]): number {
  const distances = places.flatMap((a, i) => places.slice(0, i).map((b) => distance(a, b))).sort((a, b) => a - b)
  const middle = distances.length / 2
  const median = (distances[Math.ceil(middle) - 1] + distances[Math.floor(middle)]) / 2
  return median > 0 ? median : 1
}

export function gradientModel(
  places: readonly Float64Array[],
  { kernel, lengthscale, noise }: { kernel: Kernel; lengthscale: number; noise: number },
): GradientModel {
  const n = places.length
  const K = new Float64Array(n * n)
  for (let i = 0; i < n; i++)
    for (let j = 0; j < n; j++)
      K[i * n + j] = correlation(kernel, distance(places[i], places[j]) / lengthscale) + (i === j ? noise : 0)
  return { places, kernel, lengthscale, factor: choleskyFactor(K, n, ROUNDING) }
}

/** Weights of the gradients of the places in the prediction at another. */
export function weightsAt({ places, kernel, lengthscale, factor }: GradientModel, z: Float64Array): Float64Array {
  const k = Float64Array.from(places, (place) => correlation(kernel, distance(z, place) / lengthscale))
  return solveRows(factor, places.length, k)
}

/**
 * Minus twice the logarithm of the likelihood of gradients, of the best scale and up to a constant, over the number of their
 * elements: log|K| and n*log trace(B'*K^-1*B), from the inner products of the gradients.
 */
export function misfit({ places, factor }: GradientModel, products: Float64Array): number {
  const n = places.length
  const solved = solveRows(factor, n, products)
  let trace = 0
  let determinant = 0
  for (let i = 0; i < n; i++) {
    trace += solved[i * n + i]
    if (factor[i * n + i] > 0) determinant += 2 * Math.log(factor[i * n + i])
  }
  return determinant + n * Math.log(trace)
}
