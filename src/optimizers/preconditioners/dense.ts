/** Dense square matrices, row-major, and what fits of preconditioners do with them. */
import { dot } from '../flat.js'

export function scaledIdentity(n: number, scale: number): Float64Array {
  const m = new Float64Array(n * n)
  for (let i = 0; i < n; i++) m[i * n + i] = scale
  return m
}

const row = (m: Float64Array, n: number, i: number) => m.subarray(i * n, (i + 1) * n)

/** M*x */
export const times = (m: Float64Array, x: ArrayLike<number>): Float64Array =>
  Float64Array.from({ length: x.length }, (_, i) => dot(row(m, x.length, i), x))

/** M'*x */
export function timesTransposed(m: Float64Array, x: ArrayLike<number>): Float64Array {
  const n = x.length
  const y = new Float64Array(n)
  for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) y[j] += m[i * n + j] * x[i]
  return y
}

/** Solves A*X = B by elimination with row exchanges; B has `columns` columns. Singular matrices give infinite elements. */
export function solve(a: Float64Array, b: Float64Array, n: number, columns = 1): Float64Array {
  const m = a.slice()
  const x = b.slice()
  const exchange = (of: Float64Array, width: number, i: number, j: number) => {
    const saved = row(of, width, i).slice()
    row(of, width, i).set(row(of, width, j))
    row(of, width, j).set(saved)
  }
  for (let k = 0; k < n; k++) {
    let pivot = k
    for (let i = k + 1; i < n; i++) if (Math.abs(m[i * n + k]) > Math.abs(m[pivot * n + k])) pivot = i
    if (pivot !== k) {
      exchange(m, n, k, pivot)
      exchange(x, columns, k, pivot)
    }
    for (let i = k + 1; i < n; i++) {
      const factor = m[i * n + k] / m[k * n + k]
      if (factor === 0) continue
      for (let j = k; j < n; j++) m[i * n + j] -= factor * m[k * n + j]
      for (let j = 0; j < columns; j++) x[i * columns + j] -= factor * x[k * columns + j]
    }
  }
  for (let k = n - 1; k >= 0; k--)
    for (let j = 0; j < columns; j++) {
      let sum = x[k * columns + j]
      for (let i = k + 1; i < n; i++) sum -= m[k * n + i] * x[i * columns + j]
      x[k * columns + j] = sum / m[k * n + k]
    }
  return x
}

export const inverse = (m: Float64Array, n: number): Float64Array => solve(m, scaledIdentity(n, 1), n, n)

/** Solves U'*y = x for an upper triangle U. */
export function solveTransposedTriangle(u: Float64Array, x: ArrayLike<number>): Float64Array {
  const n = x.length
  const y = Float64Array.from(x)
  for (let i = 0; i < n; i++) {
    y[i] /= u[i * n + i]
    for (let j = i + 1; j < n; j++) y[j] -= u[i * n + j] * y[i]
  }
  return y
}

/** Solves U*y = x for an upper triangle U. */
export function solveTriangle(u: Float64Array, x: ArrayLike<number>): Float64Array {
  const n = x.length
  const y = Float64Array.from(x)
  for (let i = n - 1; i >= 0; i--) {
    for (let j = i + 1; j < n; j++) y[i] -= u[i * n + j] * y[j]
    y[i] /= u[i * n + i]
  }
  return y
}

/** M + W C Z', where W and Z have two columns and C = [[c11, c12], [c21, c22]]. */
export type Correction = {
  W: readonly [Float64Array, Float64Array]
  C: readonly [number, number, number, number]
  Z: readonly [Float64Array, Float64Array]
}

/** Corrects M and its inverse in place; the inverse by the formula of Woodbury. */
export function correct(m: Float64Array, inverseOf: Float64Array, { W, C, Z }: Correction): void {
  const left = W.map((w) => times(inverseOf, w))
  const right = Z.map((z) => timesTransposed(inverseOf, z))
  add(m, W, C, Z)
  // (M + W C Z')^-1 = M^-1 - M^-1 W K Z' M^-1 with K = (I + C G)^-1 C and G = Z' M^-1 W.
  const [g11, g12, g21, g22] = [dot(Z[0], left[0]), dot(Z[0], left[1]), dot(Z[1], left[0]), dot(Z[1], left[1])]
  const [c11, c12, c21, c22] = C
  const [a11, a12] = [1 + c11 * g11 + c12 * g21, c11 * g12 + c12 * g22]
  const [a21, a22] = [c21 * g11 + c22 * g21, 1 + c21 * g12 + c22 * g22]
  const scale = -1 / (a11 * a22 - a12 * a21)
  const K = [a22 * c11 - a12 * c21, a22 * c12 - a12 * c22, a11 * c21 - a21 * c11, a11 * c22 - a21 * c12]
  add(inverseOf, left, K.map((value) => scale * value) as unknown as Correction['C'], right)
}

function add(
  m: Float64Array,
  W: readonly Float64Array[],
  [c11, c12, c21, c22]: Correction['C'],
  Z: readonly Float64Array[],
) {
  const n = W[0].length
  for (let i = 0; i < n; i++) {
    const [first, second] = [W[0][i] * c11 + W[1][i] * c21, W[0][i] * c12 + W[1][i] * c22]
    for (let j = 0; j < n; j++) m[i * n + j] += first * Z[0][j] + second * Z[1][j]
  }
}
