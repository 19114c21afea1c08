/**
 * Quadratics through m points in n coordinates, n + 2 <= m <= (n + 1)(n + 2) / 2, whose Hessians are as near as can be to a
 * given one in the Frobenius norm. M. J. D. Powell, "Least Frobenius norm updating of quadratic models that satisfy
 * interpolation conditions", Math. Program. 100, 2004; "The BOBYQA algorithm", DAMTP 2009/NA06.
 *
 * About the point x_b, with s_j = x_j - x_b for the others, the change of the Hessian is sum_j multiplier_j s_j s_j^T, and
 *
 *     [ A    S ] [ multipliers ]   [ r ]
 *     [ S^T  0 ] [ gradient    ] = [ 0 ],   A_ij = (s_i . s_j)^2 / 2,
 *
 * where r are the values less that at x_b and less what the given Hessian explains. The system is inverted anew for each set
 * of points, as in Py-BOBYQA (C. Cartis et al. 2019), in place of Powell's updates of the inverse.
 */
import { dot } from '../linalg/dense.js'

/** value(x_b + s) = value(x_b) + gradient . s + s^T hessian s / 2; the Hessian row-major. */
export type Model = { gradient: Float64Array; hessian: Float64Array }

export type Interpolation = {
  /** Coordinates, points, and which of them is x_b. */
  n: number
  count: number
  base: number
  /** The steps s_j in units of `scale`, one a row; that of x_b is left out. */
  steps: Float64Array
  scale: number
  /** The inverse of the system, of as many rows as steps and coordinates. */
  inverse: Float64Array
}

/** Inverts the square matrix in place by Gauss-Jordan elimination with partial pivoting; false where it is singular. */
export function invert(a: Float64Array, n: number): boolean {
  const pivots = new Int32Array(n)
  for (let k = 0; k < n; k++) {
    let pivot = k
    for (let i = k + 1; i < n; i++) if (Math.abs(a[i * n + k]) > Math.abs(a[pivot * n + k])) pivot = i
    if (!(Math.abs(a[pivot * n + k]) > 1e-14)) return false
    pivots[k] = pivot
    if (pivot !== k) for (let j = 0; j < n; j++) swap(a, k * n + j, pivot * n + j)
    const factor = 1 / a[k * n + k]
    a[k * n + k] = 1
    for (let j = 0; j < n; j++) a[k * n + j] *= factor
    for (let i = 0; i < n; i++) {
      const multiple = a[i * n + k]
      if (i === k || multiple === 0) continue
      a[i * n + k] = 0
      for (let j = 0; j < n; j++) a[i * n + j] -= multiple * a[k * n + j]
    }
  }
  for (let k = n - 1; k >= 0; k--)
    if (pivots[k] !== k) for (let i = 0; i < n; i++) swap(a, i * n + k, i * n + pivots[k])
  return a.every(Number.isFinite)
}

function swap(a: Float64Array, i: number, j: number): void {
  const kept = a[i]
  a[i] = a[j]
  a[j] = kept
}

/** Prepares the points, one a row, about the one of number `base`. Undefined where they determine no quadratic. */
export function interpolation(points: Float64Array, n: number, base: number, scale: number): Interpolation | undefined {
  const count = points.length / n
  const others = count - 1
  const steps = new Float64Array(others * n).map((_, at) => {
    const row = Math.floor(at / n)
    return (points[at + (row < base ? 0 : n)] - points[base * n + (at % n)]) / scale
  })
  const row = (i: number) => steps.subarray(i * n, (i + 1) * n)
  // Rows and columns of points are divided by their squared distances: elements are alike however far the points are.
  const weights = Float64Array.from({ length: others }, (_, i) => 1 / dot(row(i), row(i)))
  const size = others + n
  const inverse = new Float64Array(size * size)
  for (let i = 0; i < others; i++) {
    for (let j = 0; j <= i; j++)
      inverse[i * size + j] = inverse[j * size + i] = 0.5 * dot(row(i), row(j)) ** 2 * weights[i] * weights[j]
    for (let k = 0; k < n; k++)
      inverse[i * size + others + k] = inverse[(others + k) * size + i] = steps[i * n + k] * weights[i]
  }
  if (!invert(inverse, size)) return undefined
  for (let i = 0; i < size; i++)
    for (let j = 0; j < size; j++) inverse[i * size + j] *= (weights[i] ?? 1) * (weights[j] ?? 1)
  return { n, count, base, steps, scale, inverse }
}

/** The quadratic with these values at the points, of all such the one whose Hessian is nearest to `hessian`. */
export function modelThrough(set: Interpolation, values: ArrayLike<number>, hessian: Float64Array): Model {
  const { n, count, base, steps, scale, inverse } = set
  const others = count - 1
  const size = others + n
  const residuals = Float64Array.from({ length: others }, (_, i) => {
    const s = steps.subarray(i * n, (i + 1) * n)
    return values[i < base ? i : i + 1] - values[base] - 0.5 * scale * scale * curved(hessian, s, s)
  })
  const solution = Float64Array.from({ length: size }, (_, i) =>
    dot(residuals, inverse.subarray(i * size, i * size + others)),
  )
  const next = hessian.slice()
  for (let i = 0; i < n; i++)
    for (let k = 0; k <= i; k++) {
      let sum = 0
      for (let j = 0; j < others; j++) sum += solution[j] * steps[j * n + i] * steps[j * n + k]
      next[i * n + k] += sum / scale / scale
      next[k * n + i] = next[i * n + k]
    }
  return { gradient: solution.subarray(others).map((g) => g / scale), hessian: next }
}

/** The Lagrange polynomial of point t: 1 there and 0 at the others, with the least Hessian. */
export function lagrange(set: Interpolation, t: number): Model {
  const values = new Float64Array(set.count)
  values[t] = 1
  return modelThrough(set, values, new Float64Array(set.n ** 2))
}

/**
 * By what the determinant of the system is multiplied, sign aside, when the point x_b + d takes the place of each of the
 * points: sigma = alpha beta + tau^2 (Powell 2004).
 */
export function denominators({ n, count, base, steps, scale, inverse }: Interpolation, d: Float64Array): Float64Array {
  const others = count - 1
  const size = others + n
  const s = d.map((v) => v / scale)
  const w = new Float64Array(size)
  for (let j = 0; j < others; j++) w[j] = 0.5 * dot(steps.subarray(j * n, (j + 1) * n), s) ** 2
  w.set(s, others)
  const tau = Float64Array.from({ length: size }, (_, i) => dot(w, inverse.subarray(i * size, (i + 1) * size)))
  const beta = Math.max(0.5 * dot(s, s) ** 2 - dot(w, tau), 0)
  // That of x_b is 1 less all others.
  let [rest, total] = [1, 0]
  for (let i = 0; i < others; i++) {
    rest -= tau[i]
    for (let j = 0; j < others; j++) total += inverse[i * size + j]
  }
  return Float64Array.from({ length: count }, (_, t) => {
    const i = t < base ? t : t - 1
    const [alpha, value] = t === base ? [total, rest] : [inverse[i * size + i], tau[i]]
    return Math.max(alpha, 0) * beta + value * value
  })
}

/** a^T matrix b. */
export function curved(matrix: Float64Array, a: Float64Array, b: Float64Array): number {
  const n = a.length
  let sum = 0
  for (let i = 0; i < n; i++) sum += a[i] * dot(b, matrix.subarray(i * n, (i + 1) * n))
  return sum
}

/** What the model says of a step, less its value at x_b. */
export const change = ({ gradient, hessian }: Model, d: Float64Array): number =>
  dot(gradient, d) + 0.5 * curved(hessian, d, d)
