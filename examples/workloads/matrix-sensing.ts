/**
 * Low-rank matrix sensing: find M = X*X' of rank r from y_i = <A_i, M>, A_i symmetric Gaussian, with factors of more columns
 * than r. Xu, Shen, Chi, Ma, "The Power of Preconditioning in Overparameterized Low-Rank Matrix Sensing", ICML 2023.
 */
import { Rng, type RngState } from '../../src/core/rng.js'

export type Sensing = {
  n: number
  /** M, row-major. */
  matrix: Float64Array
  /** A_i, each row-major, scaled by 1/sqrt(m). */
  measurements: Float64Array[]
}

/** A random M of rank `rank` with eigenvalues from 1/condition to 1, and `count` measurements. */
export function sensing(state: RngState, n: number, rank: number, condition: number, count: number): Sensing {
  const rng = new Rng(state)
  const basis = orthonormal(Array.from({ length: rank }, () => Array.from({ length: n }, () => rng.normal())))
  const matrix = new Float64Array(n * n)
  basis.forEach((u, p) => {
    const value = rank === 1 ? 1 : condition ** (-p / (rank - 1))
    for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) matrix[i * n + j] += value * u[i] * u[j]
  })
  const measurements = Array.from({ length: count }, () => {
    const a = new Float64Array(n * n)
    for (let i = 0; i < n; i++)
      for (let j = 0; j <= i; j++) {
        // Off the diagonal the variance is half, as of a symmetrized Gaussian matrix.
        const value = (rng.normal() * (i === j ? 1 : Math.SQRT1_2)) / Math.sqrt(count)
        a[i * n + j] = value
        a[j * n + i] = value
      }
    return a
  })
  return { n, matrix, measurements }
}

/** Gram-Schmidt. */
function orthonormal(vectors: number[][]): number[][] {
  const done: number[][] = []
  for (const v of vectors) {
    let w = v
    for (const u of done) {
      const along = u.reduce((sum, ui, i) => sum + ui * w[i], 0)
      w = w.map((wi, i) => wi - along * u[i])
    }
    const length = Math.hypot(...w)
    done.push(w.map((wi) => wi / length))
  }
  return done
}

/** X*X' - M for X of k columns, row-major. */
export function residual({ n, matrix }: Sensing, x: ArrayLike<number>): Float64Array {
  const k = x.length / n
  return matrix.map((value, at) => {
    const [i, j] = [Math.floor(at / n), at % n]
    let sum = -value
    for (let p = 0; p < k; p++) sum += x[i * k + p] * x[j * k + p]
    return sum
  })
}

/** |X*X' - M| over |M|, in the Frobenius norm. */
export const relativeError = (problem: Sensing, x: ArrayLike<number>): number =>
  Math.hypot(...residual(problem, x)) / Math.hypot(...problem.matrix)

/** The gradient A*(A(X*X') - y)*X of 1/4*|A(X*X') - y|^2. */
export function sensingGradient(problem: Sensing, x: ArrayLike<number>): Float64Array {
  const { n, measurements } = problem
  const k = x.length / n
  const off = residual(problem, x)
  const back = new Float64Array(n * n)
  for (const a of measurements) {
    let inner = 0
    for (let at = 0; at < a.length; at++) inner += a[at] * off[at]
    for (let at = 0; at < a.length; at++) back[at] += inner * a[at]
  }
  const gradient = new Float64Array(n * k)
  for (let i = 0; i < n; i++)
    for (let p = 0; p < k; p++) {
      let sum = 0
      for (let j = 0; j < n; j++) sum += back[i * n + j] * x[j * k + p]
      gradient[i * k + p] = sum
    }
  return gradient
}
