/**
 * Flatness of order zero and one of a loss at a point: Zhang, Xu, Yu, Zou, Cui, "Gradient Norm Aware Minimization Seeks
 * First-Order Flatness and Improves Generalization", CVPR 2023, definitions 3.1 and 3.2. Both are what the drivers `sam` and
 * `gam` minimize.
 */
import { Rng, rngStream } from '../../core/rng.js'
import type { Tensors } from '../../core/tensor.js'
import { combine, length, type Oracle } from './sharpness.js'

/** Length of the difference of gradients, relative to rho. */
const DIFFERENCE = 1e-4

/** The gradient of |grad L|, which is H*unit(g). */
function slope(loss: Oracle, point: Tensors, rho: number): Tensors {
  const g = loss.gradient(point)
  const h = (DIFFERENCE * rho) / (length(g) || 1)
  return combine(loss.gradient(combine(point, g, h)), g, -1)
}

/**
 * Order 0: max L(w + e) - L(w) over |e| <= rho. Order 1: rho times the largest |grad L(w + e)|, which at the minimum of a
 * quadratic is rho^2 times its largest curvature. All tensors are one vector; `steps` steps of projected ascent of length rho
 * go from a random point at distance rho/10, and the best point on the way counts.
 */
export function flatness(
  loss: Oracle,
  w: Tensors,
  { order, rho = 0.2, steps = 20, seed = 0 }: { order: 0 | 1; rho?: number; steps?: number; seed?: number },
): number {
  const rng = new Rng(rngStream(seed, 'flatness'))
  const direction = Object.fromEntries(Object.entries(w).map(([name, array]) => [name, array.map(() => rng.normal())]))
  const origin = combine(w, w, -1)
  const height = (point: Tensors) =>
    order === 0 ? loss.value(point) - loss.value(w) : rho * length(loss.gradient(point))
  let e = combine(origin, direction, rho / 10 / length(direction))
  let best = height(combine(w, e, 1))
  for (let k = 0; k < steps; k++) {
    const point = combine(w, e, 1)
    const uphill = order === 0 ? loss.gradient(point) : slope(loss, point, rho)
    const size = length(uphill)
    if (size === 0) break
    e = combine(e, uphill, rho / size)
    const far = length(e)
    if (far > rho) e = combine(origin, e, rho / far)
    best = Math.max(best, height(combine(w, e, 1)))
  }
  return best
}
