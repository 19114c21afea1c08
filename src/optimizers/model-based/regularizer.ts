/** Convex functions r that are added to a loss, by their proximal maps: argmin r(y) + |y - x|^2/(2*step). */
import type { Problem } from '../../core/space.js'
import { norm, spaceOf } from '../flat.js'
import { toSimplex } from './outer.js'

export const REGULARIZERS = ['none', 'l1', 'ball', 'box', 'simplex'] as const
export type Regularized = { regularizer: (typeof REGULARIZERS)[number]; weight: number; radius: number }
export type Prox = {
  /** Without effect: subproblems have closed forms. */
  none: boolean
  map(x: Float64Array, step: number): Float64Array
  /** Of a point that `map` gave: sets are 0. */
  value(x: Float64Array): number
}

export function proxOf({ regularizer, weight, radius }: Regularized, problem: Problem): Prox {
  const { low = Number.NEGATIVE_INFINITY, high = Number.POSITIVE_INFINITY } = spaceOf(problem)
  const set = (map: (x: Float64Array) => Float64Array): Prox => ({ none: false, map, value: () => 0 })
  switch (regularizer) {
    case 'none':
      return { none: true, map: (x) => x, value: () => 0 }
    case 'l1':
      return {
        none: false,
        map: (x, step) => x.map((value) => Math.sign(value) * Math.max(Math.abs(value) - step * weight, 0)),
        value: (x) => weight * x.reduce((sum, value) => sum + Math.abs(value), 0),
      }
    case 'ball':
      return set((x) => {
        const length = norm(x)
        return length > radius ? x.map((value) => (value * radius) / length) : x
      })
    case 'box':
      return set((x) => x.map((value) => Math.min(Math.max(value, low), high)))
    case 'simplex':
      return set((x) => toSimplex(x, radius))
  }
}
