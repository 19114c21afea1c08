import { expect, test } from 'vitest'
import { symmetricEigen } from '../../../src/core/eigen.js'
import { Rng, rngStream } from '../../../src/core/rng.js'
import type { TensorsSpace } from '../../../src/core/space.js'
import { factorize, method } from '../../../src/optimizers/estimation/als.js'
import { Asker } from './asker.js'

const normals = (rng: Rng, n: number) => Float64Array.from({ length: n }, () => rng.normal())
const space = (shapes: Record<string, readonly number[]>): TensorsSpace => ({
  kind: 'tensors',
  tensors: Object.entries(shapes).map(([name, shape]) => ({ name, shape, dtype: 'f64' })),
})
const product = (a: ArrayLike<number>, b: ArrayLike<number>, k: number) => {
  const [m, n] = [a.length / k, b.length / k]
  return Float64Array.from({ length: m * n }, (_, at) => {
    let sum = 0
    for (let r = 0; r < k; r++) sum += a[Math.floor(at / n) * k + r] * b[r * n + (at % n)]
    return sum
  })
}
const error = (fit: ArrayLike<number>, a: Float64Array) =>
  Math.hypot(...a.map((value, i) => fit[i] - value)) / Math.hypot(...a)

/** Relative error of the best approximation of a rank, by the eigenvalues of A'A. */
function truncated(a: Float64Array, n: number, rank: number): number {
  const gram = new Float64Array(n * n)
  for (let i = 0; i < a.length / n; i++)
    for (let p = 0; p < n; p++) for (let q = 0; q < n; q++) gram[p * n + q] += a[i * n + p] * a[i * n + q]
  const squares = Array.from(symmetricEigen(gram, n)).sort((x, y) => y - x)
  return Math.sqrt(squares.slice(rank).reduce((sum, v) => sum + Math.max(v, 0), 0)) / Math.hypot(...a)
}

function factors(
  shapes: Record<string, readonly number[]>,
  told: Record<string, Float64Array>,
  config: object,
  seed = 1,
) {
  const session = new Asker(method, space(shapes), config, seed)
  session.restart().tell({ quantities: [told] })
  expect(session.done).toBeDefined()
  const found: { [name: string]: Float64Array } = {}
  for (const [name, values] of Object.entries(session.answer)) found[name] = Float64Array.from(values)
  found.reported = Float64Array.of(session.metrics.error)
  return found
}

test('[low-rank-tales] als: as good as the truncated SVD', () => {
  const rng = new Rng(rngStream(1, 'matrix'))
  const matrix = normals(rng, 12 * 9)
  const { W, Z, reported } = factors({ W: [12, 3], Z: [3, 9] }, { matrix }, { rounds: 2000 })
  const best = truncated(matrix, 9, 3)
  expect(Math.abs(error(product(W, Z, 3), matrix) / best - 1)).toBeLessThan(1e-6)
  expect(reported[0]).toBeCloseTo(error(product(W, Z, 3), matrix), 12)
  // A ridge draws the factors in.
  const small = factors({ W: [12, 3], Z: [3, 9] }, { matrix }, { ridge: 1 })
  expect(Math.hypot(...small.W, ...small.Z)).toBeLessThan(Math.hypot(...W, ...Z))
})

test('[low-rank-tales] als: entries that are missing are found', () => {
  const rng = new Rng(rngStream(2, 'missing'))
  const matrix = product(normals(rng, 30 * 3), normals(rng, 3 * 20), 3)
  const mask = matrix.map(() => Number(rng.uniform() >= 0.4))
  // What stands at a missing entry does not matter.
  const holes = matrix.map((value, i) => (mask[i] ? value : 1e6))
  const config = { masked: true, ridge: 1e-3, rounds: 200 }
  const { W, Z } = factors({ W: [30, 3], Z: [3, 20] }, { matrix: holes, mask }, config)
  const hidden = matrix.map((value, i) => (mask[i] ? 0 : value))
  const found = product(W, Z, 3).map((value, i) => (mask[i] ? 0 : value))
  expect(error(found, hidden)).toBeLessThan(1e-2)
})

test('[low-rank-tales] als-hadamard: never worse, and better than rank 2', () => {
  for (const seed of [1, 2, 3, 4, 5]) {
    const rng = new Rng(rngStream(seed, 'hadamard'))
    const pair = () => product(normals(rng, 20 * 2), normals(rng, 2 * 15), 2)
    const [p, q] = [pair(), pair()]
    const values = p.map((value, i) => value * q[i])
    const shapes = [
      [20, 2],
      [2, 15],
      [20, 2],
      [2, 15],
    ]
    let last = Number.POSITIVE_INFINITY
    factorize(
      { structure: 'hadamard', rounds: 200, ridge: 0 },
      { rows: 20, columns: 15, values },
      shapes.map(([m, n]) => normals(rng, m * n)),
      shapes,
      (now) => {
        expect(now).toBeLessThanOrEqual(last * (1 + 1e-9))
        last = now
      },
    )
    expect(last, `seed ${seed}`).toBeLessThan(truncated(values, 15, 2))
  }
})

const kronecker = (b: ArrayLike<number>, [p, q]: number[], c: ArrayLike<number>, [r, s]: number[]) =>
  Float64Array.from({ length: p * r * q * s }, (_, at) => {
    const [i, j] = [Math.floor(at / (q * s)), at % (q * s)]
    return b[Math.floor(i / r) * q + Math.floor(j / s)] * c[(i % r) * s + (j % s)]
  })

test('[low-rank-tales] als-kronecker and als-khatri-rao find what is of their kind, with holes too', () => {
  const rng = new Rng(rngStream(3, 'kronecker'))
  const [B, C, B2, C2] = [normals(rng, 6), normals(rng, 8), normals(rng, 6), normals(rng, 8)]
  const [outer, inner] = [
    [2, 3],
    [4, 2],
  ]
  const one = kronecker(B, outer, C, inner)
  const found = factors({ B: outer, C: inner }, { matrix: one }, { structure: 'kronecker' })
  expect(error(kronecker(found.B, outer, found.C, inner), one)).toBeLessThan(1e-12)
  const mask = one.map((_, i) => Number(i % 5 !== 0))
  // With holes there are local minima, which some starts lead to.
  const partly = factors({ B: outer, C: inner }, { matrix: one, mask }, { structure: 'kronecker', masked: true }, 2)
  expect(error(kronecker(partly.B, outer, partly.C, inner), one)).toBeLessThan(1e-9)

  const second = kronecker(B2, outer, C2, inner)
  const two = one.map((value, i) => value + second[i])
  const sums = factors({ B: [2, ...outer], C: [2, ...inner] }, { matrix: two }, { structure: 'kronecker', rounds: 500 })
  const term = (t: number) => kronecker(sums.B.slice(6 * t, 6 * t + 6), outer, sums.C.slice(8 * t, 8 * t + 8), inner)
  const [t0, t1] = [term(0), term(1)]
  expect(
    error(
      t0.map((value, i) => value + t1[i]),
      two,
    ),
  ).toBeLessThan(1e-6)

  const [c, f] = [normals(rng, 3 * 5), normals(rng, 4 * 5)]
  const columns = (a: ArrayLike<number>, b: ArrayLike<number>) =>
    Float64Array.from({ length: 12 * 5 }, (_, at) => {
      const [i, j] = [Math.floor(at / 5), at % 5]
      return a[Math.floor(i / 4) * 5 + j] * b[(i % 4) * 5 + j]
    })
  const matrix = columns(c, f)
  const khatri = factors({ C: [3, 5], F: [4, 5] }, { matrix }, { structure: 'khatri-rao', rounds: 5 })
  expect(error(columns(khatri.C, khatri.F), matrix)).toBeLessThan(1e-12)
})

test('[low-rank-tales] factors that do not fit are refused', () => {
  const wrong = (shapes: Record<string, readonly number[]>, structure: string) => () =>
    new Asker(method, space(shapes), { structure })
  const at = 'space.tensors: expected factors of the shapes'
  expect(wrong({ W: [3, 2], Z: [3, 4] }, 'low-rank')).toThrow(`${at} [m, k] and [k, n]`)
  expect(wrong({ W: [3, 2], Z: [2, 4] }, 'hadamard')).toThrow(at)
  expect(wrong({ W: [2, 3, 2], Z: [2, 4] }, 'kronecker')).toThrow(at)
  expect(wrong({ W: [3, 2], Z: [2, 4] }, 'khatri-rao')).toThrow(at)
})
