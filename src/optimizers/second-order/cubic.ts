/**
 * The cubic model of an objective: Y. Nesterov, B. T. Polyak, "Cubic regularization of Newton method and its global
 * performance", 2006, section 5; the hard case as in A. R. Conn, N. I. M. Gould, P. L. Toint, "Trust-Region Methods", 2000, 7.3.1.
 */

import type { Rng } from '../../core/rng.js'
import { dot, norm, sphere } from '../flat.js'
import { combination, coordinates, least, radius, type Spectrum } from './spectrum.js'

/** Part of a gradient, relative to its norm, that is no more than rounding. */
const ROUNDING = 1e-12

/**
 * The global minimum u of <g, u> + <(H + damping*I)u, u>/2 + M*|u|^3/6, M > 0. Where g is orthogonal to the eigenvectors
 * of the least eigenvalue, and it is negative, there are several: `rng` picks one.
 */
export function cubicStep(spectrum: Spectrum, g: Float64Array, M: number, damping = 0, rng?: Rng): Float64Array {
  const values = spectrum.values.map((value) => value + damping)
  const c = coordinates(spectrum, g)
  const scale = norm(c)
  const low = least(spectrum) + damping
  // |u| = r solves |(H + (damping + M*r/2)*I)^-1 g| = r, and H + (damping + M*r/2)*I is positive semidefinite.
  const first = Math.max(0, (-2 * low) / M)
  const isLowest = (i: number) => values[i] - low <= ROUNDING * radius(spectrum)
  const orthogonal = values.every((_, i) => !isLowest(i) || Math.abs(c[i]) <= ROUNDING * scale)
  const solution = (r: number) =>
    c.map((part, i) => (orthogonal && low < 0 && isLowest(i) ? 0 : -part / (values[i] + (M * r) / 2)))

  if (orthogonal && low < 0) {
    const u = solution(first)
    const rest = first ** 2 - dot(u, u)
    if (rest >= 0) {
      const lowest = values.map((_, i) => Number(isLowest(i)))
      const tie = rng ? sphere(rng, c.length).map((part, i) => lowest[i] * part) : lowest
      const length = norm(tie)
      return combination(
        spectrum,
        u.map((part, i) => part + (Math.sqrt(rest) * tie[i]) / length),
      )
    }
  }
  if (scale === 0) return new Float64Array(c.length)
  let [from, to] = [first, first + Math.sqrt((2 * scale) / M)]
  for (;;) {
    const middle = (from + to) / 2
    if (middle <= from || middle >= to) break
    if (norm(solution(middle)) > middle) from = middle
    else to = middle
  }
  return combination(spectrum, solution(to))
}
