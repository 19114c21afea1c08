/** What methods with a point per worker share: their mean, their spread, and how gradients are asked of all. */
import { z } from 'zod'
import type { Observation } from '../../core/query.js'
import { field } from '../../core/schema.js'
import type { Problem } from '../../core/space.js'
import { accumulate, dot, type Flat } from '../flat.js'
import { signOf } from '../second-order/curvature.js'

type Vectors = readonly Float64Array[]

export const workersField = () =>
  field(z.int().min(1).max(1000).default(4), 'Workers, each with a function and data of its own.', { source: 'ours' })

/** sum_j w_j*x_j, up to rounding the mean for weights 1/n. */
export function combination(weights: ArrayLike<number>, x: Vectors): Float64Array {
  const result = new Float64Array(x[0].length)
  for (const [j, xj] of x.entries()) if (weights[j] !== 0) accumulate(result, weights[j], xj)
  return result
}

export function mean(x: Vectors): Float64Array {
  const result = new Float64Array(x[0].length)
  for (const xi of x) accumulate(result, 1, xi)
  return result.map((value) => value / x.length)
}

/** Root mean square over vectors of their distance to a point. */
export function spread(x: Vectors, centre: Float64Array): number {
  let sum = 0
  for (const xi of x) {
    const apart = xi.map((value, j) => value - centre[j])
    sum += dot(apart, apart)
  }
  return Math.sqrt(sum / x.length)
}

/** The gradients told, a vector per point, of losses to minimize. */
export function gradientsOf({ gradients }: Observation, problem: Problem, flat: Flat): Float64Array[] {
  const sign = signOf(problem)
  return gradients!.map((tensors) => flat.vector(tensors).map((value) => sign * value))
}
