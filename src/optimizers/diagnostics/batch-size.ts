/**
 * Tests that say how large a batch has to be: Lau, Liu, Kolar, "AdAdaGrad: Adaptive Batch Size Schemes for Adaptive Gradient
 * Methods", 2024; Bollapragada, Byrd, Nocedal, "Adaptive Sampling Strategies for Stochastic Optimization", 2018.
 */
import { accumulate, dot } from '../flat.js'

type Vector = ArrayLike<number>

export const BATCH_TESTS = ['norm', 'coordinate-norm', 'inner-product', 'augmented'] as const

export type BatchTest = {
  test: (typeof BATCH_TESTS)[number]
  /** Largest error of the gradient relative to it, for `norm` and `coordinate-norm`. */
  eta: number
  /** The same along the gradient, for `inner-product` and `augmented`. */
  theta: number
  /** The same across the gradient, for `augmented`. */
  nu: number
  /** Largest batch. */
  maximum: number
}

/** Nothing over nothing is nothing. */
const over = (a: number, b: number): number => (a > 0 ? a / b : 0)

const variance = (values: ArrayLike<number>): number => {
  const n = values.length
  const mean = Array.from(values).reduce((sum, value) => sum + value / n, 0)
  return Array.from(values).reduce((sum, value) => sum + (value - mean) ** 2, 0) / (n - 1)
}

/**
 * The next batch size: never below `batch`, unless that is above the maximum.
 *
 * @param gradients mean gradients of equal parts of the batch, at least two: of its examples, or of its workers
 * @param batch examples of the batch
 */
export function nextBatch(gradients: readonly Vector[], batch: number, options: BatchTest): number {
  const { test, eta, theta, nu, maximum } = options
  // The mean of a part of m examples has 1/m of their variance.
  const part = batch / gradients.length
  const g = new Float64Array(gradients[0].length)
  for (const row of gradients) accumulate(g, 1 / gradients.length, row)
  const square = dot(g, g)
  const byCoordinate = (rows: readonly Vector[]) => Array.from(g, (_, j) => part * variance(rows.map((row) => row[j])))
  const total = (rows: readonly Vector[]) => byCoordinate(rows).reduce((sum, value) => sum + value, 0)
  const along = () => over(part * variance(gradients.map((row) => dot(row, g))), theta ** 2 * square ** 2)
  const across = () => {
    const rest = gradients.map((row) => {
      const share = over(Math.abs(dot(row, g)), square) * Math.sign(dot(row, g))
      return Float64Array.from(row, (value, j) => value - share * g[j])
    })
    return over(total(rest), nu ** 2 * square)
  }
  const needed = {
    norm: () => over(total(gradients), eta ** 2 * square),
    'coordinate-norm': () =>
      byCoordinate(gradients).reduce(
        (most, value, j) => (g[j] === 0 ? most : Math.max(most, over(value, (eta * g[j]) ** 2))),
        0,
      ),
    'inner-product': along,
    augmented: () => Math.max(along(), across()),
  }
  return Math.min(Math.ceil(Math.max(batch, needed[test]())), maximum)
}
