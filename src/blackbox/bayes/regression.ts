/** The regression oracle of GO-UCB. */
import type { Rng } from '../../core/rng.js'
import type { Family } from './families.js'
import { lbfgs, minimizeTogether } from './lbfgs.js'

const FIT_EVALUATIONS = 300
/** Ridge of the regression of phase I, per trial: keeps the weights of a network bounded. */
const RIDGE = 1e-3

/** Least squares with a little ridge, the best of several starts. */
export function regress(
  family: Family,
  points: readonly Float64Array[],
  values: ArrayLike<number>,
  starts: number,
  rng: Rng,
) {
  const n = points.length
  const evaluate = (w: Float64Array) => {
    let value = 0
    const gradient = w.map((x) => {
      value += RIDGE * x * x
      return 2 * RIDGE * x
    })
    points.forEach((u, i) => {
      const residual = family.value(w, u) - values[i]
      value += residual ** 2 / n
      const g = family.inParameters(w, u)
      for (let k = 0; k < w.length; k++) gradient[k] += (2 * residual * g[k]) / n
    })
    return { value, gradient }
  }
  const bound = new Float64Array(family.size).fill(Number.POSITIVE_INFINITY)
  const options = { maxEvaluations: FIT_EVALUATIONS, tolerance: 1e-6, progress: 1e-9, firstStep: 1 }
  const minima = minimizeTogether(
    Array.from({ length: starts }, () =>
      lbfgs(
        family.draw(rng),
        bound.map((v) => -v),
        bound,
        options,
      ),
    ),
    (ws) => ws.map(evaluate),
  )
  const w = minima.reduce((best, m) => (m.value < best.value ? m : best)).x
  const variance = points.reduce((sum, u, i) => sum + (family.value(w, u) - values[i]) ** 2, 0) / n
  return { w, variance }
}
