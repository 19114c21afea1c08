/** Cholesky factors of small dense matrices: Golub, Van Loan, "Matrix Computations", 4th ed., 4.2. */
import type { FloatArray } from '../core/tensor.js'

/**
 * The lower factor of a symmetric positive semidefinite n x n matrix, row-major; it is written over the matrix. A pivot of
 * not more than `tolerance` times its diagonal element becomes 0: the column has no weight beside those before it.
 */
export function choleskyFactor(a: Float64Array, n: number, tolerance = 0): Float64Array {
  for (let i = 0; i < n; i++)
    for (let j = 0; j <= i; j++) {
      let sum = a[i * n + j]
      for (let p = 0; p < j; p++) sum -= a[i * n + p] * a[j * n + p]
      if (i === j) a[i * n + i] = sum > tolerance * a[i * n + i] ? Math.sqrt(sum) : 0
      else a[i * n + j] = a[j * n + j] > 0 ? sum / a[j * n + j] : 0
    }
  return a
}

/** G*A^-1 for rows of n, by the factor of A; where a column of the factor has no weight, 0. */
export function solveRows<A extends FloatArray>(factor: Float64Array, n: number, rows: A): A {
  const out = rows.slice() as A
  const over = (value: number, i: number) => (factor[i * n + i] > 0 ? value / factor[i * n + i] : 0)
  for (let row = 0; row < rows.length; row += n) {
    for (let i = 0; i < n; i++) {
      let sum = out[row + i]
      for (let p = 0; p < i; p++) sum -= factor[i * n + p] * out[row + p]
      out[row + i] = over(sum, i)
    }
    for (let i = n - 1; i >= 0; i--) {
      let sum = out[row + i]
      for (let p = i + 1; p < n; p++) sum -= factor[p * n + i] * out[row + p]
      out[row + i] = over(sum, i)
    }
  }
  return out
}
