/**
 * The subproblem of prox-linear steps, argmin over y of h(c + J*(y - at)) + r(y) + |y - center|^2/(2*step), by its dual: with
 * y(l) = prox_{step*r}(center - step*J'l), the dual has the gradient c + J*(y(l) - at) - bend*l, and as many variables as c.
 */
import { dot, norm, plus } from '../flat.js'
import { type Dual, dualOf, type Outer } from './outer.js'
import type { Prox } from './regularizer.js'

/** c and its Jacobian at a point, row-major. */
export type Linear = { c: Float64Array; J: Float64Array; at: Float64Array }

const TOLERANCE = 1e-12
const MOST_ITERATIONS = 20_000
const HALVINGS = 200

export function solve(outer: Outer, prox: Prox, linear: Linear, center: Float64Array, step: number): Float64Array {
  const m = linear.c.length
  const dual = dualOf(outer, m)
  if (m > 1) return ascend(dual, prox, linear, center, step)
  return prox.none ? closed(dual, linear, center, step) : bisect(dual, prox, linear, center, step)
}

/** One element and no r: a step along J, to the kink of h or as far as its slope reaches. */
function closed({ bend, bounds }: Dual, { c, J, at }: Linear, center: Float64Array, step: number): Float64Array {
  const square = dot(J, J)
  if (square === 0) return center
  const ahead = c[0] + dot(J, plus(center, -1, at))
  const length = Math.min(Math.max(ahead / (square + bend / step), step * bounds[0]), step * bounds[1])
  return plus(center, -length, J)
}

/** One element: the gradient of the dual falls with l. */
function bisect(
  { bend, bounds }: Dual,
  prox: Prox,
  { c, J, at }: Linear,
  center: Float64Array,
  step: number,
): Float64Array {
  const primal = (l: number) => prox.map(plus(center, -step * l, J), step)
  const slope = (l: number) => c[0] + dot(J, plus(primal(l), -1, at)) - bend * l
  // Where h* bends, the root is no further from 0 than this.
  const reach = bend > 0 ? Math.abs(slope(0)) / bend : Number.POSITIVE_INFINITY
  let [low, high] = [Math.max(bounds[0], -reach), Math.min(bounds[1], reach)]
  for (let k = 0; k < HALVINGS && low < high; k++) {
    const middle = (low + high) / 2
    if (middle === low || middle === high) break
    if (slope(middle) > 0) low = middle
    else high = middle
  }
  // At an end of the bounds the slope does not change its sign.
  const l = slope(high) >= 0 ? high : slope(low) <= 0 ? low : (low + high) / 2
  return primal(l)
}

/** Accelerated ascent that begins anew when it turns: Nesterov 1983; O'Donoghue, Candes 2015. */
function ascend(dual: Dual, prox: Prox, { c, J, at }: Linear, center: Float64Array, step: number): Float64Array {
  const m = c.length
  const row = (i: number) => J.subarray(i * center.length, (i + 1) * center.length)
  const primal = (l: Float64Array) => {
    const y = center.slice()
    for (let i = 0; i < m; i++) {
      const Ji = row(i)
      for (let j = 0; j < y.length; j++) y[j] -= step * l[i] * Ji[j]
    }
    return prox.map(y, step)
  }
  // |J|^2, all elements, is at least the largest eigenvalue of J*J'.
  const rate = 1 / (step * dot(J, J) + dual.bend)
  if (!Number.isFinite(rate)) return prox.map(center, step)
  let l = dual.project(new Float64Array(m))
  let ahead = l
  let momentum = 1
  let y = primal(l)
  for (let k = 0; k < MOST_ITERATIONS; k++) {
    const from = plus(primal(ahead), -1, at)
    const gradient = c.map((ci, i) => ci + dot(row(i), from) - dual.bend * ahead[i])
    const next = dual.project(plus(ahead, rate, gradient))
    const turned = dot(gradient, plus(next, -1, l)) < 0
    const grown = turned ? 1 : (1 + Math.sqrt(1 + 4 * momentum ** 2)) / 2
    ahead = turned ? next : plus(next, (momentum - 1) / grown, plus(next, -1, l))
    momentum = grown
    const moved = norm(plus(next, -1, l))
    l = next
    const last = y
    y = primal(l)
    if (moved <= TOLERANCE * (norm(l) + 1 / m) && norm(plus(y, -1, last)) <= TOLERANCE * (1 + norm(y))) break
  }
  return y
}
