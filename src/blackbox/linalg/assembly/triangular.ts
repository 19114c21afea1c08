/**
 * Lower triangular factors, row-major, rows `ld` bytes apart; what lies above the diagonal is scratch. Recursive, so
 * nearly all work is gemm: Elmroth, Gustavson, Jonsson, Kågström, "Recursive Blocked Algorithms and Hybrid Data
 * Structures for Dense Matrix Library Software", SIAM Review 2004.
 */
import { gemm } from './gemm'

const BASE: i32 = 8

function half(n: i32): i32 {
  return ((n >> 1) + 3) & ~3
}

/** sum a_k b_k over two contiguous vectors. */
export function dot(n: i32, a: usize, b: usize): f64 {
  let s0 = f64x2.splat(0)
  let s1 = s0
  let s2 = s0
  let s3 = s0
  let k = 0
  for (; k + 8 <= n; k += 8) {
    const p = a + (k << 3)
    const q = b + (k << 3)
    s0 = f64x2.add(s0, f64x2.mul(v128.load(p), v128.load(q)))
    s1 = f64x2.add(s1, f64x2.mul(v128.load(p, 16), v128.load(q, 16)))
    s2 = f64x2.add(s2, f64x2.mul(v128.load(p, 32), v128.load(q, 32)))
    s3 = f64x2.add(s3, f64x2.mul(v128.load(p, 48), v128.load(q, 48)))
  }
  s0 = f64x2.add(f64x2.add(s0, s1), f64x2.add(s2, s3))
  let sum = f64x2.extract_lane(s0, 0) + f64x2.extract_lane(s0, 1)
  for (; k < n; k++) sum += load<f64>(a + (k << 3)) * load<f64>(b + (k << 3))
  return sum
}

/** y += alpha x over contiguous vectors. */
function axpy(n: i32, alpha: f64, x: usize, y: usize): void {
  const scale = f64x2.splat(alpha)
  let k = 0
  for (; k + 2 <= n; k += 2) {
    const at = y + (k << 3)
    v128.store(at, f64x2.add(v128.load(at), f64x2.mul(scale, v128.load(x + (k << 3)))))
  }
  if (k < n) store<f64>(y + (k << 3), load<f64>(y + (k << 3)) + alpha * load<f64>(x + (k << 3)))
}

/** x = L^-1 x. */
export function solveVector(n: i32, l: usize, ld: isize, x: usize): void {
  for (let i = 0; i < n; i++) {
    const row = l + (i as isize) * ld
    const at = x + (i << 3)
    store<f64>(at, (load<f64>(at) - dot(i, row, x)) / load<f64>(row + (i << 3)))
  }
}

/** x = L^-T x. */
export function solveTransposedVector(n: i32, l: usize, ld: isize, x: usize): void {
  for (let i = n - 1; i >= 0; i--) {
    const row = l + (i as isize) * ld
    const at = x + (i << 3)
    const value = load<f64>(at) / load<f64>(row + (i << 3))
    store<f64>(at, value)
    axpy(i, -value, row, x)
  }
}

/** X = L^-1 X for X[n x m]. L and X have any strides, one of those of X is 8: other sides and transposes are strides. */
export function solve(n: i32, m: i32, l: usize, lrs: isize, lcs: isize, x: usize, xrs: isize, xcs: isize): void {
  if (n > BASE) {
    const top = half(n)
    const rest = n - top
    const below = x + (top as isize) * xrs
    const left = l + (top as isize) * lrs
    solve(top, m, l, lrs, lcs, x, xrs, xcs)
    gemm(false, rest, m, top, -1, left, lrs, lcs, x, xrs, xcs, below, xrs, xcs)
    solve(rest, m, left + (top as isize) * lcs, lrs, lcs, below, xrs, xcs)
    return
  }
  if (xcs == 8) {
    for (let i = 0; i < n; i++) {
      const row = l + (i as isize) * lrs
      const at = x + (i as isize) * xrs
      for (let k = 0; k < i; k++) axpy(m, -load<f64>(row + (k as isize) * lcs), x + (k as isize) * xrs, at)
      const scale = 1 / load<f64>(row + (i as isize) * lcs)
      for (let j = 0; j < m; j++) store<f64>(at + (j << 3), load<f64>(at + (j << 3)) * scale)
    }
    return
  }
  for (let j = 0; j < m; j++) {
    const column = x + (j as isize) * xcs
    for (let i = 0; i < n; i++) {
      const row = l + (i as isize) * lrs
      let sum = load<f64>(column + (i as isize) * xrs)
      for (let k = 0; k < i; k++) sum -= load<f64>(row + (k as isize) * lcs) * load<f64>(column + (k as isize) * xrs)
      store<f64>(column + (i as isize) * xrs, sum / load<f64>(row + (i as isize) * lcs))
    }
  }
}

/** X = L^-T X: the solve above on both in reversed order. */
export function solveTransposed(n: i32, m: i32, l: usize, ld: isize, x: usize, xrs: isize, xcs: isize): void {
  const last = (n - 1) as isize
  solve(n, m, l + last * (ld + 8), -8, -ld, x + last * xrs, -xrs, xcs)
}

/** A = L in place, for the lower half of a symmetric A. Returns how many leading rows succeeded: n, unless not definite. */
export function cholesky(n: i32, a: usize, ld: isize): i32 {
  if (n > BASE) {
    const top = half(n)
    const rest = n - top
    const left = a + (top as isize) * ld
    const corner = left + (top << 3)
    const first = cholesky(top, a, ld)
    if (first < top) return first
    solve(top, rest, a, ld, 8, left, 8, ld)
    gemm(true, rest, rest, top, -1, left, ld, 8, left, 8, ld, corner, ld, 8)
    return top + cholesky(rest, corner, ld)
  }
  for (let i = 0; i < n; i++) {
    const row = a + (i as isize) * ld
    for (let j = 0; j < i; j++) {
      const other = a + (j as isize) * ld
      const at = row + (j << 3)
      store<f64>(at, (load<f64>(at) - dot(j, row, other)) / load<f64>(other + (j << 3)))
    }
    const pivot = load<f64>(row + (i << 3)) - dot(i, row, row)
    if (!(pivot > 0 && pivot < Infinity)) return i
    store<f64>(row + (i << 3), sqrt<f64>(pivot))
  }
  return n
}

/** L = L^-1 in place. */
function invertLower(n: i32, l: usize, ld: isize): void {
  if (n > BASE) {
    const top = half(n)
    const rest = n - top
    const left = l + (top as isize) * ld
    const corner = left + (top << 3)
    // -L22^-1 L21 L11^-1; the second solve is L11^T Z^T = Y^T.
    solve(rest, top, corner, ld, 8, left, ld, 8)
    solveTransposed(top, rest, l, ld, left, 8, ld)
    for (let i = 0; i < rest; i++) {
      const row = left + (i as isize) * ld
      for (let j = 0; j < top; j++) store<f64>(row + (j << 3), -load<f64>(row + (j << 3)))
    }
    invertLower(top, l, ld)
    invertLower(rest, corner, ld)
    return
  }
  for (let j = 0; j < n; j++) {
    const diagonal = l + (j as isize) * (ld + 8)
    store<f64>(diagonal, 1 / load<f64>(diagonal))
    for (let i = j + 1; i < n; i++) {
      const row = l + (i as isize) * ld
      let sum: f64 = 0
      for (let k = j; k < i; k++) sum += load<f64>(row + (k << 3)) * load<f64>(l + (k as isize) * ld + (j << 3))
      store<f64>(row + (j << 3), -sum / load<f64>(row + (i << 3)))
    }
  }
}

/** The lower half of `out` = L^-T L^-1, the inverse of L L^T. L becomes L^-1. */
export function inverse(n: i32, l: usize, ld: isize, out: usize): void {
  const block = 64
  invertLower(n, l, ld)
  for (let i = 0; i < n; i++) {
    memory.fill(out + (i as isize) * ld, 0, n << 3)
    // gemm reads whole blocks: what lies above the diagonal must be zero.
    memory.fill(l + (i as isize) * ld + ((i + 1) << 3), 0, (n - 1 - i) << 3)
  }
  for (let k = 0; k < n; k += block) {
    const rows = min(block, n - k)
    const from = l + (k as isize) * ld
    gemm(true, k + rows, k + rows, rows, 1, from, 8, ld, from, ld, 8, out, ld, 8)
  }
}
