/**
 * Prox-points argmin h(c(y)) + r(y) + |y - center|^2/(2*step): by prox-linear steps that are kept short where they fail (J. V.
 * Burke, "Descent methods for composite nondifferentiable optimization problems", 1985), and in closed form for phase retrieval.
 */
import { dot, norm, plus } from '../flat.js'
import type { Config } from './config.js'
import { outerValue } from './outer.js'
import type { Prox } from './regularizer.js'
import { type Linear, solve } from './subproblem.js'

/** A prox-point that is being solved. */
export type Inner = {
  center: Float64Array
  step: number
  /** The best point so far, its linear model and its objective; null before the center was told. */
  best: (Linear & { value: number }) | null
  /** Where c and J are asked. */
  trial: Float64Array
  /** Bound on a step from the best point: |y - at|^2/(2*reach) is added. */
  reach: number
  tries: number
}

/** The next point to ask for c and J, from the best. */
function lead(config: Config, prox: Prox, inner: Inner) {
  const { best, center, step, reach } = inner
  const bounded = 1 / (1 / step + 1 / reach)
  const middle = center.map((value, i) => bounded * (value / step + best!.at[i] / reach))
  inner.trial = solve(config, prox, best!, middle, bounded)
}

/** Takes c and J at the trial point; true when the prox-point is found. */
export function descend(config: Config, prox: Prox, inner: Inner, c: Float64Array, J: Float64Array): boolean {
  const { trial, center, step, best } = inner
  const apart = plus(trial, -1, center)
  const value = outerValue(config, c) + prox.value(trial) + dot(apart, apart) / (2 * step)
  const moved = best ? norm(plus(trial, -1, best.at)) : Number.POSITIVE_INFINITY
  const better = !best || value <= best.value
  if (better) {
    inner.best = { c, J, at: trial, value }
    inner.reach *= 4
  } else inner.reach = Math.min(inner.reach, step) / 4
  const small = moved <= config.innerTolerance * (1 + norm(trial))
  if (small || ++inner.tries > config.innerIterations) return true
  lead(config, prox, inner)
  return false
}

export const innerFrom = (center: Float64Array, step: number): Inner => ({
  center,
  step,
  best: null,
  trial: center,
  reach: Number.POSITIVE_INFINITY,
  tries: 0,
})

/** The point nearest to x in the trade of |(a'y)^2 - b| + |y - x|^2/(2*alpha): y = x + (v - a'x)/|a|^2*a, v of the least value. */
export function phaseRetrieval(x: Float64Array, a: Float64Array, b: number, alpha: number): Float64Array {
  const square = dot(a, a)
  if (square === 0) return x
  const u = dot(a, x)
  const k = 2 * alpha * square
  const roots = b >= 0 ? [Math.sqrt(b), -Math.sqrt(b)] : []
  const candidates = [...roots, u / (1 + k), ...(k === 1 ? [] : [u / (1 - k)]), 0]
  const costs = candidates.map((v) => Math.abs(v * v - b) + (v - u) ** 2 / k)
  return plus(x, (candidates[costs.indexOf(Math.min(...costs))] - u) / square, a)
}
