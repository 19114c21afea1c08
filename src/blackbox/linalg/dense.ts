/** Dense factors of small symmetric matrices held in plain arrays (row-major); the O(n^3) part runs in WebAssembly. */
import { workspace } from './linalg.js'

/** Replaces the lower half of the symmetric n x n matrix by its Cholesky factor. False when it is not definite. */
export function cholesky(a: Float64Array, n: number): boolean {
  const { kernels } = workspace()
  return workspace().scope(() => {
    const block = workspace().alloc(n * n)
    block.view.set(a)
    const done = kernels.cholesky(n, block.pointer, n * 8) === n
    if (done) a.set(block.view)
    return done
  })
}

/** The inverse of L L^T, both halves. */
export function inverse(l: Float64Array, n: number): Float64Array {
  const { kernels } = workspace()
  return workspace().scope(() => {
    const [factor, out] = [workspace().alloc(n * n), workspace().alloc(n * n)]
    factor.view.set(l)
    kernels.inverse(n, factor.pointer, n * 8, out.pointer)
    const inverted = out.view.slice()
    for (let i = 0; i < n; i++) for (let j = 0; j < i; j++) inverted[j * n + i] = inverted[i * n + j]
    return inverted
  })
}

/** b = L^-1 b, in place. */
export function solveLower(l: Float64Array, n: number, b: Float64Array): Float64Array {
  for (let i = 0; i < n; i++) {
    let sum = b[i]
    const row = i * n
    for (let k = 0; k < i; k++) sum -= l[row + k] * b[k]
    b[i] = sum / l[row + i]
  }
  return b
}

/** b = L^-T b, in place. */
export function solveUpper(l: Float64Array, n: number, b: Float64Array): Float64Array {
  for (let i = n - 1; i >= 0; i--) {
    const row = i * n
    b[i] /= l[row + i]
    for (let k = 0; k < i; k++) b[k] -= l[row + k] * b[i]
  }
  return b
}

/** Solves A x = b for a symmetric positive definite A, which is left as it is. Throws RangeError when it is not. */
export function solveSymmetric(a: Float64Array, n: number, b: Float64Array): Float64Array {
  const l = a.slice()
  if (!cholesky(l, n)) throw new RangeError('the matrix is not positive definite')
  return solveUpper(l, n, solveLower(l, n, b.slice()))
}

export function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i]
  return sum
}
