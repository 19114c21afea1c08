import { spawnSync } from 'node:child_process'
import { describe, expect, it } from 'vitest'
import { type Block, workspace } from '../../../src/blackbox/linalg/linalg.js'
import { Rng, rngStream } from '../../../src/core/rng.js'

const ws = workspace()
const { kernels } = ws
const rng = new Rng(rngStream(1, 'linalg'))
const normals = (n: number) => Float64Array.from({ length: n }, () => rng.normal())
const SIZES = [1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 31, 64, 65, 130, 259]

type Matrix = { n: number; m: number; at(i: number, j: number): number }
const matrix = (n: number, m: number, data: Float64Array): Matrix => ({ n, m, at: (i, j) => data[i * m + j] })
const transpose = (a: Matrix): Matrix => ({ n: a.m, m: a.n, at: (i, j) => a.at(j, i) })
const lower = (a: Matrix): Matrix => ({ ...a, at: (i, j) => (j <= i ? a.at(i, j) : 0) })
const times = (a: Matrix, b: Matrix): Matrix => {
  const out = new Float64Array(a.n * b.m)
  for (let i = 0; i < a.n; i++)
    for (let j = 0; j < b.m; j++) for (let k = 0; k < a.m; k++) out[i * b.m + j] += a.at(i, k) * b.at(k, j)
  return matrix(a.n, b.m, out)
}
const distance = (a: Matrix, b: Matrix) => {
  let worst = 0
  for (let i = 0; i < a.n; i++) for (let j = 0; j < a.m; j++) worst = Math.max(worst, Math.abs(a.at(i, j) - b.at(i, j)))
  return worst
}
const identity = (n: number): Matrix => ({ n, m: n, at: (i, j) => (i === j ? 1 : 0) })
const blockOf = (values: Float64Array): Block => {
  const block = ws.alloc(values.length)
  block.view.set(values)
  return block
}
/** A random symmetric positive definite matrix with condition about `condition`. */
function definite(n: number, condition = 10): Float64Array {
  const a = matrix(n, n, normals(n * n))
  const scale = { n, m: n, at: (i: number, j: number) => (i === j ? condition ** (-i / Math.max(1, n - 1)) : 0) }
  const product = times(times(a, scale), transpose(a))
  return Float64Array.from({ length: n * n }, (_, k) => product.at(Math.floor(k / n), k % n) / n)
}

describe('gemm', () => {
  it('multiplies any shapes and transposes, and adds to what is there', () => {
    for (const [m, n, k] of [
      [1, 1, 1],
      [3, 5, 2],
      [4, 4, 4],
      [65, 9, 300],
      [9, 600, 5],
      [130, 70, 33],
    ])
      ws.scope(() => {
        const [a, b, c] = [normals(m * k), normals(k * n), normals(m * n)]
        const expected = times(matrix(m, k, a), matrix(k, n, b))
        const plus = (scale: number): Matrix => ({ n: m, m: n, at: (i, j) => c[i * n + j] + scale * expected.at(i, j) })
        const [pa, pb, pc] = [blockOf(a), blockOf(b), blockOf(c)]
        kernels.gemm(false, m, n, k, -0.5, pa.pointer, k * 8, 8, pb.pointer, n * 8, 8, pc.pointer, n * 8, 8)
        expect(distance(matrix(m, n, pc.view), plus(-0.5))).toBeLessThan(1e-12)
        // C^T = B^T A^T, all three read and written through swapped strides.
        pc.view.set(c)
        kernels.gemm(false, n, m, k, 1, pb.pointer, 8, n * 8, pa.pointer, 8, k * 8, pc.pointer, 8, n * 8)
        expect(distance(matrix(m, n, pc.view), plus(1))).toBeLessThan(1e-12)
      })
  })

  it('gives the lower half of A A^T and leaves tiles above it alone', () => {
    const [n, k] = [70, 40]
    ws.scope(() => {
      const a = normals(n * k)
      const [pa, pc] = [blockOf(a), blockOf(new Float64Array(n * n))]
      kernels.gemm(true, n, n, k, 1, pa.pointer, k * 8, 8, pa.pointer, 8, k * 8, pc.pointer, n * 8, 8)
      const expected = times(matrix(n, k, a), transpose(matrix(n, k, a)))
      expect(distance(lower(matrix(n, n, pc.view)), lower(expected))).toBeLessThan(1e-12)
      expect(pc.view[n - 1]).toBe(0)
    })
  })
})

describe('cholesky', () => {
  it('factors random definite matrices of all sizes', () => {
    for (const n of SIZES)
      ws.scope(() => {
        const a = definite(n)
        const block = blockOf(a)
        expect(kernels.cholesky(n, block.pointer, n * 8)).toBe(n)
        const l = lower(matrix(n, n, block.view))
        expect(distance(times(l, transpose(l)), matrix(n, n, a))).toBeLessThan(1e-13 * n)
      })
  })

  it('is backward stable for ill-conditioned matrices', () => {
    const n = 60
    ws.scope(() => {
      // Gaussian kernel matrix of close points: condition beyond 1e15 without the diagonal.
      const a = Float64Array.from({ length: n * n }, (_, k) => {
        const [i, j] = [Math.floor(k / n), k % n]
        return Math.exp(-((i - j) ** 2) / 1000) + (i === j ? 1e-10 : 0)
      })
      const block = blockOf(a)
      expect(kernels.cholesky(n, block.pointer, n * 8)).toBe(n)
      const l = lower(matrix(n, n, block.view))
      expect(distance(times(l, transpose(l)), matrix(n, n, a))).toBeLessThan(1e-14)
    })
  })

  it('says how many rows succeeded when the matrix is not definite', () => {
    for (const [n, bad] of [
      [1, 0],
      [5, 3],
      [40, 0],
      [40, 29],
      [200, 131],
    ])
      for (const pivot of [-1, Number.NaN])
        ws.scope(() => {
          const block = blockOf(definite(n))
          block.view[bad * (n + 1)] = pivot
          expect(kernels.cholesky(n, block.pointer, n * 8)).toBe(bad)
        })
  })

  it('does not read above the diagonal', () => {
    const n = 37
    ws.scope(() => {
      const a = definite(n)
      const clean = blockOf(a)
      const dirty = blockOf(a.map((v, k) => (k % n > Math.floor(k / n) ? Number.NaN : v)))
      kernels.cholesky(n, clean.pointer, n * 8)
      expect(kernels.cholesky(n, dirty.pointer, n * 8)).toBe(n)
      expect(distance(lower(matrix(n, n, dirty.view)), lower(matrix(n, n, clean.view)))).toBe(0)
    })
  })
})

describe('triangular solves and the inverse', () => {
  for (const n of SIZES)
    it(`undo the factor of ${n} rows`, () => {
      ws.scope(() => {
        const a = definite(n)
        const l = blockOf(a)
        kernels.cholesky(n, l.pointer, n * 8)
        const factor = lower(matrix(n, n, l.view.slice()))
        for (const m of [1, 2, 6, 67]) {
          const x = normals(n * m)
          const right = blockOf(x)
          kernels.solve(n, m, l.pointer, n * 8, 8, right.pointer, m * 8, 8)
          expect(distance(times(factor, matrix(n, m, right.view)), matrix(n, m, x))).toBeLessThan(1e-12 * n)
          right.view.set(x)
          kernels.solveTransposed(n, m, l.pointer, n * 8, right.pointer, m * 8, 8)
          expect(distance(times(transpose(factor), matrix(n, m, right.view)), matrix(n, m, x))).toBeLessThan(1e-12 * n)
          // X L^T = A, the panel solve of the factorization: L X^T = A^T through swapped strides.
          right.view.set(x)
          kernels.solve(n, m, l.pointer, n * 8, 8, right.pointer, 8, n * 8)
          expect(distance(times(matrix(m, n, right.view), transpose(factor)), matrix(m, n, x))).toBeLessThan(1e-12 * n)
        }
        const b = normals(n)
        const vector = blockOf(b)
        kernels.solveVector(n, l.pointer, n * 8, vector.pointer)
        expect(distance(times(factor, matrix(n, 1, vector.view)), matrix(n, 1, b))).toBeLessThan(1e-12 * n)
        vector.view.set(b)
        kernels.solveTransposedVector(n, l.pointer, n * 8, vector.pointer)
        expect(distance(times(transpose(factor), matrix(n, 1, vector.view)), matrix(n, 1, b))).toBeLessThan(1e-12 * n)

        const out = ws.alloc(n * n)
        out.view.fill(Number.NaN)
        kernels.inverse(n, l.pointer, n * 8, out.pointer)
        const half = matrix(n, n, out.view)
        const inverse: Matrix = { ...half, at: (i, j) => (j <= i ? half.at(i, j) : half.at(j, i)) }
        expect(distance(times(inverse, matrix(n, n, a)), identity(n))).toBeLessThan(1e-10 * n)
      })
    })
})

describe('Workspace', () => {
  it('keeps what was written when the memory grows, and reuses the space of a closed scope', () => {
    ws.scope(() => {
      const first = ws.alloc(3)
      first.view.set([1, 2, 3])
      const large = ws.alloc(3_000_000)
      large.view[2_999_999] = 7
      expect([...first.view]).toEqual([1, 2, 3])
      expect(large.pointer % 16).toBe(0)
    })
    const again = ws.scope(() => ws.alloc(1).pointer)
    expect(ws.scope(() => ws.alloc(1).pointer)).toBe(again)
  })

  it('takes the space back when the body throws', () => {
    const before = ws.scope(() => ws.alloc(1).pointer)
    expect(() =>
      ws.scope(() => {
        ws.alloc(100)
        throw new Error('stop')
      }),
    ).toThrow('stop')
    expect(ws.scope(() => ws.alloc(1).pointer)).toBe(before)
  })
})

it('the committed module is what the sources compile to', () => {
  const { status, stderr } = spawnSync(process.execPath, ['scripts/build-assembly.mjs', '--check'], {
    encoding: 'utf8',
  })
  expect(stderr).toBe('')
  expect(status).toBe(0)
})
