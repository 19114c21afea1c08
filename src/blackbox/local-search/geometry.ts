/** Where the points of a quadratic model lie: their first layout, and where one that is of little use had better be. */
import type { Rng } from '../../core/rng.js'
import type { Box } from '../evolution/box.js'
import { boxedStep } from './boxed-step.js'
import { change, type Interpolation, lagrange } from './interpolation.js'

/**
 * Points about x, one a row, that determine a model: a step along each axis, one to the other side (twice as far where the
 * bound is near), then steps along two axes. The order of the axes and the sides are drawn.
 */
export function layout(x: Float64Array, count: number, radius: number, { low, high }: Box, rng: Rng): Float64Array {
  const n = x.length
  const axes = rng.shuffle([...x.keys()])
  const first = x.map((v) => {
    const [down, up] = [v - radius >= low, v + radius <= high]
    return up && (!down || rng.uniform() < 0.5) ? radius : -radius
  })
  const second = first.map((step, j) => (x[j] - step >= low && x[j] - step <= high ? -step : 2 * step))
  const points = new Float64Array(count * n)
  for (let k = 0; k < count; k++) {
    points.set(x, k * n)
    const moves = [first, second][Math.floor((k - 1) / n)]
    if (k > 0 && moves) points[k * n + axes[(k - 1) % n]] += moves[axes[(k - 1) % n]]
  }
  let k = 2 * n + 1
  for (let gap = 1; gap < n; gap++)
    for (let i = 0; i + gap < n && k < count; i++, k++)
      for (const j of [axes[i], axes[i + gap]]) points[k * n + j] += first[j]
  return points
}

/**
 * A step from the base within the bounds and the radius to about where the Lagrange polynomial of point t is largest: the
 * point tells most there. The best of the polynomial's extremes and of the lines through the other points, which lead away
 * where its gradient is zero.
 */
export function mostTelling(set: Interpolation, t: number, low: Float64Array, high: Float64Array, radius: number) {
  const { n, count, steps } = set
  const polynomial = lagrange(set, t)
  const opposite = { gradient: polynomial.gradient.map((g) => -g), hessian: polynomial.hessian.map((h) => -h) }
  const tried = [polynomial, opposite].map((model) => boxedStep(model, low, high, radius).d)
  for (let i = 0; i < count - 1; i++) {
    const way = steps.subarray(i * n, (i + 1) * n)
    const length = radius / Math.hypot(...way)
    for (const side of [length, -length]) tried.push(way.map((v, j) => Math.min(Math.max(side * v, low[j]), high[j])))
  }
  let best: Float64Array = new Float64Array(n)
  let most = 0
  for (const d of tried) {
    const size = Math.abs(change(polynomial, d))
    if (size > most) [best, most] = [d, size]
  }
  return best
}
