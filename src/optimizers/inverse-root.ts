/**
 * Inverse p-th roots of symmetric positive definite matrices by the coupled Newton iteration: Guo, Higham, "A Schur-Newton
 * method for the matrix pth root and its inverse", 2006; as in Anil, Gupta, Koren, Regan, Singer, "Scalable Second Order
 * Optimization for Deep Learning", 2020, appendix. All matrices are n x n and row-major.
 */
import { dot, norm } from './flat.js'
import { multiply } from './matrices.js'

const TOLERANCE = 1e-6
const ROUNDS = 100

/** A^power by repeated squaring; power from 1. */
function powerOf(a: Float64Array, power: number, n: number): Float64Array {
  let result: Float64Array | undefined
  let factor = a
  for (let rest = power; ; factor = multiply(factor, factor, n)) {
    if (rest % 2 === 1) result = result ? multiply(result, factor, n) : factor
    rest = Math.floor(rest / 2)
    if (rest === 0) return result as Float64Array
  }
}

/** The largest eigenvalue of a positive semidefinite matrix, by power iteration: a lower bound, close from 30 rounds on. */
export function largestEigenvalue(a: Float64Array, n: number, rounds = 100): number {
  // Not orthogonal to any vector of a plausible matrix.
  let v: Float64Array = Float64Array.from({ length: n }, (_, i) => 1 + ((i * 0.618) % 1))
  let value = 0
  for (let round = 0; round < rounds; round++) {
    const size = norm(v)
    if (!(size > 0)) return value
    v = v.map((vi) => vi / size)
    const next = multiply(a, v, n)
    const before = value
    value = dot(v, next)
    if (Math.abs(value - before) <= 1e-8 * value) return value
    v = next
  }
  return value
}

export type Root = { root: Float64Array; rounds: number }

/** A^(-1/p) for a positive definite matrix. Where rounding hinders convergence, the best iterate. */
export function inverseRoot(a: Float64Array, n: number, p: number): Root {
  const z = (1 + p) / (2 * norm(a))
  let b: Float64Array = a.map((value) => z * value)
  let root: Float64Array = new Float64Array(n * n)
  for (let i = 0; i < n; i++) root[i * n + i] = z ** (1 / p)
  let error = distanceToIdentity(b, n)
  let rounds = 0
  while (error >= TOLERANCE && rounds < ROUNDS) {
    const t = b.map((value) => -value / p)
    for (let i = 0; i < n; i++) t[i * n + i] += 1 + 1 / p
    const nextB = multiply(powerOf(t, p, n), b, n)
    const next = distanceToIdentity(nextB, n)
    // The first rounds may lead away; later it is rounding.
    if (!(next < error) && error < 0.1) break
    if (!Number.isFinite(next)) break
    root = multiply(root, t, n)
    b = nextB
    error = next
    rounds++
  }
  return { root, rounds }
}

function distanceToIdentity(b: Float64Array, n: number): number {
  let largest = 0
  for (let i = 0; i < n; i++)
    for (let j = 0; j < n; j++) largest = Math.max(largest, Math.abs(b[i * n + j] - (i === j ? 1 : 0)))
  return largest
}
