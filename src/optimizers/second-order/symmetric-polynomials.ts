/**
 * Polynomials P_t of a positive matrix B whose eigenvalue at that of an eigenvector of B is the elementary symmetric
 * polynomial e_t of all other eigenvalues: N. Doikov, A. Rodomanov, "Polynomial Preconditioning for Gradient Methods",
 * ICML 2023 (arXiv:2301.13194). P_0 = I, P_1 = tr(B) I - B, and P_t = e_t I - B P_{t-1}; of n parameters, P_{n-1} is
 * det(B) B^-1.
 */
import type { Picture } from './krylov.js'

/** e_0 to e_t by the identities of Newton, from the traces of B, B^2, .., B^t. */
export function elementary(traces: readonly number[]): number[] {
  const e = [1]
  for (let k = 1; k <= traces.length; k++) {
    let sum = 0
    for (let i = 1; i <= k; i++) sum += (i % 2 ? 1 : -1) * e[k - i] * traces[i - 1]
    e.push(sum / k)
  }
  return e
}

/** Of each number, e_t of all the others; a sum of products of positive numbers for positive ones. */
export const elementaryOfOthers = (values: ArrayLike<number>, t: number): Float64Array =>
  Float64Array.from(values, (_, left) => {
    const e = new Float64Array(t + 1)
    e[0] = 1
    for (let j = 0; j < values.length; j++) if (j !== left) for (let k = t; k >= 1; k--) e[k] += values[j] * e[k - 1]
    return e[t]
  })

/** The eigenvalue of P_t at one of B. */
export function polynomialAt(e: readonly number[], t: number, value: number): number {
  let p = 1
  for (let i = 1; i <= t; i++) p = e[i] - value * p
  return p
}

/** Traces of the powers 1 to t, averaged over pictures. */
export const tracesOf = (pictures: readonly Picture[], t: number): number[] =>
  Array.from({ length: t }, (_, p) => {
    const trace = ({ values, weights }: Picture) =>
      values.reduce((sum, value, i) => sum + weights[i] * value ** (p + 1), 0)
    return pictures.reduce((sum, picture) => sum + trace(picture), 0) / pictures.length
  })
