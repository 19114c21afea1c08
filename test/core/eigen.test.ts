import { describe, expect, it } from 'vitest'
import { symmetricEigen } from '../../src/core/eigen.js'
import { Rng, rngStream } from '../../src/core/rng.js'

/** Largest errors of A q = q d and of Q' Q = I, relative to the largest element of A. */
function errors(a: Float64Array, n: number): { residual: number; orthogonality: number; values: Float64Array } {
  const q = a.slice()
  const values = symmetricEigen(q, n)
  const scale = a.reduce((m, x) => Math.max(m, Math.abs(x)), 1e-300)
  let residual = 0
  let orthogonality = 0
  for (let i = 0; i < n; i++)
    for (let j = 0; j < n; j++) {
      let aq = 0
      let qq = 0
      for (let k = 0; k < n; k++) {
        aq += a[i * n + k] * q[k * n + j]
        qq += q[k * n + i] * q[k * n + j]
      }
      residual = Math.max(residual, Math.abs(aq - q[i * n + j] * values[j]) / scale)
      orthogonality = Math.max(orthogonality, Math.abs(qq - (i === j ? 1 : 0)))
    }
  return { residual, orthogonality, values }
}

function symmetric(n: number, element: (i: number, j: number) => number): Float64Array {
  const a = new Float64Array(n * n)
  for (let i = 0; i < n; i++) for (let j = 0; j <= i; j++) a[i * n + j] = a[j * n + i] = element(i, j)
  return a
}

describe('symmetricEigen', () => {
  it('solves a 2 x 2 matrix by hand', () => {
    const { values } = errors(Float64Array.of(2, 1, 1, 2), 2)
    expect([...values].sort()).toEqual([expect.closeTo(1, 14), expect.closeTo(3, 14)])
  })

  it('has the eigenvalues 2 - 2 cos(k pi / (n + 1)) for the second difference matrix', () => {
    const n = 40
    const a = symmetric(n, (i, j) => (i === j ? 2 : i - j === 1 ? -1 : 0))
    const values = [...errors(a, n).values].sort((x, y) => x - y)
    values.forEach((value, k) => {
      expect(value).toBeCloseTo(2 - 2 * Math.cos(((k + 1) * Math.PI) / (n + 1)), 12)
    })
  })

  const rng = new Rng(rngStream(1, 'eigen'))
  for (const [name, a, n] of [
    ['1 x 1', Float64Array.of(-3), 1],
    ['zero', new Float64Array(25), 5],
    ['identity', symmetric(6, (i, j) => Number(i === j)), 6],
    ['rank one', symmetric(7, (i, j) => (i + 1) * (j + 1)), 7],
    ['diagonal over 16 decades', symmetric(9, (i, j) => (i === j ? 10 ** (2 * i - 8) : 0)), 9],
    ['graded', symmetric(12, (i, j) => 10 ** (-(i + j) / 2) * rng.normal()), 12],
    ['random 3', symmetric(3, () => rng.normal()), 3],
    ['random 60', symmetric(60, () => rng.normal()), 60],
    ['tiny', symmetric(8, () => 1e-150 * rng.normal()), 8],
    ['huge', symmetric(8, () => 1e150 * rng.normal()), 8],
  ] as const)
    it(`decomposes: ${name}`, () => {
      const { residual, orthogonality } = errors(a, n)
      expect(residual).toBeLessThan(1e-13)
      expect(orthogonality).toBeLessThan(1e-13)
    })

  it('says NaN for what is no matrix of numbers', () => {
    expect(symmetricEigen(new Float64Array(16).fill(Number.NaN), 4).every(Number.isNaN)).toBe(true)
  })
})
