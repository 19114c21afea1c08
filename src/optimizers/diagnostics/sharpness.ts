/** Sharpness of a loss at a point: Foret et al., "Sharpness-Aware Minimization ...", ICLR 2021, equation 1. */
import type { Tensors } from '../../core/tensor.js'
import { inner } from '../flat.js'

/** Value and gradient of a loss at a point. */
export type Oracle = { value(point: Tensors): number; gradient(point: Tensors): Tensors }

/** The norm of all tensors as one vector. */
const length = (tensors: Tensors): number => Math.sqrt(inner(tensors, tensors))

/** a + scale*b. */
const combine = (a: Tensors, b: Tensors, scale: number): Tensors =>
  Object.fromEntries(Object.entries(a).map(([name, array]) => [name, array.map((v, i) => v + scale * b[name][i])]))

/**
 * max L(w + e) - L(w) over |e| <= rho, all tensors as one vector, by `steps` steps of projected ascent of length rho/steps
 * each. One step gives rho*|g| to first order.
 */
export function sharpness(loss: Oracle, w: Tensors, { rho = 0.05, steps = 1 } = {}): number {
  let e = combine(w, w, -1)
  for (let k = 0; k < steps; k++) {
    const g = loss.gradient(combine(w, e, 1))
    const size = length(g)
    if (size === 0) break
    e = combine(e, g, rho / steps / size)
    const far = length(e)
    if (far > rho) e = combine(e, e, rho / far - 1)
  }
  return loss.value(combine(w, e, 1)) - loss.value(w)
}
