/**
 * The confidence ellipsoid of GO-UCB and the optimistic point in it.
 * C. Liu, Y.-X. Wang, "Global Optimization with Parametric Function Approximation", ICML 2023, arXiv 2211.09100, algorithm 1.
 */
import { cholesky, dot, solveLower, solveUpper } from '../linalg/dense.js'
import type { Family } from './families.js'

export type Ellipsoid = {
  /** lambda I + sum g g', row-major. */
  s: Float64Array
  b: Float64Array
  center: Float64Array
  /** Lower Cholesky factor of s. */
  factor: Float64Array
}

/** From gradients g_i at w0, predictions f_{w0}(x_i) and values y_i. */
export function ellipsoidOf(
  w0: Float64Array,
  lambda: number,
  gradients: readonly Float64Array[],
  predictions: ArrayLike<number>,
  values: ArrayLike<number>,
): Ellipsoid {
  const p = w0.length
  const s = new Float64Array(p * p)
  const b = new Float64Array(p)
  for (let i = 0; i < p; i++) s[i * (p + 1)] = lambda
  gradients.forEach((g, k) => {
    const target = dot(g, w0) + values[k] - predictions[k]
    for (let i = 0; i < p; i++) {
      b[i] += g[i] * target
      for (let j = 0; j < p; j++) s[i * p + j] += g[i] * g[j]
    }
  })
  const factor = s.slice()
  if (!cholesky(factor, p)) throw new RangeError('the ellipsoid is not definite')
  const right = b.map((v, i) => v + lambda * w0[i])
  return { s, b, center: solveUpper(factor, p, solveLower(factor, p, right)), factor }
}

/** sqrt(v' S^-1 v). */
export function widthIn({ factor, center }: Ellipsoid, v: Float64Array): number {
  const white = solveLower(factor, center.length, v.slice())
  return Math.sqrt(dot(white, white))
}

/** log det S: grows as the ellipsoid shrinks. */
export const logDeterminantOf = ({ factor, center }: Ellipsoid): number =>
  center.reduce((sum, _, i) => sum + 2 * Math.log(factor[i * (center.length + 1)]), 0)

/** sign times the largest of sign f_w(u) over the ellipsoid of radius sqrt(beta), in closed form: s(z'w + sign sqrt(beta) |z|). */
export function closedForm(
  { features, link }: NonNullable<Family['linear']>,
  ellipsoid: Ellipsoid,
  beta: number,
  sign: 1 | -1,
  u: Float64Array,
): number {
  const z = features(u)
  return link(dot(z, ellipsoid.center) + sign * Math.sqrt(beta) * widthIn(ellipsoid, z))
}

export type Ascent = { steps: number; rate: number }

/**
 * Projected gradient ascent of sign f_w(u) from a start, over u in the unit cube (where it may move) and w in the
 * ellipsoid: w = center + sqrt(beta) L^-T v with v in the unit ball. Steps that do not help are halved.
 */
export function ascend(
  family: Family,
  ellipsoid: Ellipsoid,
  beta: number,
  sign: 1 | -1,
  start: Float64Array,
  moves: boolean,
  { steps, rate }: Ascent,
): { u: Float64Array; value: number } {
  const p = family.size
  const radius = Math.sqrt(beta)
  const weights = (v: Float64Array) => {
    const w = solveUpper(ellipsoid.factor, p, v.slice())
    return w.map((x, i) => ellipsoid.center[i] + radius * x)
  }
  let at = { u: start, v: new Float64Array(p) as Float64Array }
  let w = weights(at.v)
  let value = sign * family.value(w, at.u)
  let step = rate
  for (let k = 0; k < steps && step > 1e-9; k++) {
    const slopeU = moves ? family.inPoint(w, at.u) : undefined
    const slopeV = solveLower(ellipsoid.factor, p, family.inParameters(w, at.u)).map((g) => sign * g)
    // In the ball, the direction matters and not the size: a gradient that is constant points at the solution.
    const norm = Math.hypot(...slopeV)
    const v = at.v.map((x, i) => x + (norm > 0 ? (step * slopeV[i]) / norm : 0))
    const length = Math.max(1, Math.hypot(...v))
    const next = {
      u: slopeU ? at.u.map((x, i) => Math.min(1, Math.max(0, x + step * sign * slopeU[i]))) : at.u,
      v: v.map((x) => x / length),
    }
    const nextW = weights(next.v)
    const nextValue = sign * family.value(nextW, next.u)
    if (nextValue > value) {
      at = next
      w = nextW
      value = nextValue
      step *= 1.5
    } else step /= 2
  }
  return { u: at.u, value }
}
