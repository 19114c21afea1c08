/** Convex quadratic programs over non-negative vectors. */
import { choleskyFactor, solveRows } from '../cholesky.js'
import { dot } from '../flat.js'

/** Up to this size the solution is exact. */
const DIRECT = 64
const ROUNDING = 1e-14
/** Per element; a few are usual. */
const ROUNDS = 10
const SWEEPS = 10_000
const CHANGE = 1e-12

const rowOf = (H: Float64Array, m: number, i: number) => H.subarray(i * m, (i + 1) * m)

/**
 * A least point of s'Hs/2 + f's over s >= 0.
 *
 * @param H symmetric positive semidefinite, m x m row-major
 * @param f m elements, such that the least value is finite
 */
export const nonnegative = (H: Float64Array, f: Float64Array): Float64Array =>
  f.length <= DIRECT ? activeSet(H, f) : coordinateDescent(H, f)

/** Lawson, Hanson, "Solving Least Squares Problems", 1974, chapter 23, for a matrix of inner products. */
function activeSet(H: Float64Array, f: Float64Array): Float64Array {
  const m = f.length
  const scale = f.reduce((most, value, i) => Math.max(most, Math.abs(value), H[i * m + i]), 0)
  const s = new Float64Array(m)
  let free: number[] = []
  // Each round frees one more element; but for rounding, a set of free ones never comes back.
  for (let round = 0; round < ROUNDS * m; round++) {
    const slopes = f.map((value, i) => (free.includes(i) ? 0 : value + dot(rowOf(H, m, i), s)))
    const next = slopes.indexOf(Math.min(...slopes))
    if (slopes[next] >= -ROUNDING * m * scale) return s
    free = [...free, next]
    for (;;) {
      const z = solveFree(H, f, free)
      const blocking = free.filter((_, k) => z[k] <= 0)
      if (blocking.length === 0) {
        free.forEach((i, k) => {
          s[i] = z[k]
        })
        break
      }
      // How far on the way to z each element stays positive.
      const limits = free.map((i, k) => (z[k] > 0 ? Number.POSITIVE_INFINITY : s[i] > 0 ? s[i] / (s[i] - z[k]) : 0))
      const share = Math.min(...limits)
      free.forEach((i, k) => {
        s[i] = limits[k] <= share ? 0 : s[i] + share * (z[k] - s[i])
      })
      free = free.filter((i) => s[i] > 0)
      // Rounding alone made its slope negative.
      if (!free.includes(next)) return s
    }
  }
  return s
}

/** The stationary point of the free elements, others at 0. */
function solveFree(H: Float64Array, f: Float64Array, free: readonly number[]): Float64Array {
  const m = f.length
  const block = Float64Array.from(free.flatMap((i) => free.map((j) => H[i * m + j])))
  const right = Float64Array.from(free, (i) => -f[i])
  return solveRows(choleskyFactor(block, free.length, ROUNDING), free.length, right)
}

/** Projected descent along one element after another. */
function coordinateDescent(H: Float64Array, f: Float64Array): Float64Array {
  const m = f.length
  const s = new Float64Array(m)
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    let change = 0
    let most = 0
    for (let i = 0; i < m; i++) {
      if (H[i * m + i] <= 0) continue
      const moved = Math.max(s[i] - (f[i] + dot(rowOf(H, m, i), s)) / H[i * m + i], 0)
      change = Math.max(change, Math.abs(moved - s[i]))
      most = Math.max(most, moved)
      s[i] = moved
    }
    if (change <= CHANGE * most) break
  }
  return s
}
