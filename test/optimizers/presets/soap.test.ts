import { expect, test } from 'vitest'
import { symmetricEigen } from '../../../src/core/eigen.js'
import { Rng, rngStream } from '../../../src/core/rng.js'
import type { TensorsSpace } from '../../../src/core/space.js'
import { multiply, transpose } from '../../../src/optimizers/matrices.js'
import { method as adam } from '../../../src/optimizers/presets/adam.js'
import { method as soap } from '../../../src/optimizers/presets/soap.js'
import { Session } from '../session.js'

const space = (shape: number[], initial?: ArrayLike<number>): TensorsSpace => ({
  kind: 'tensors',
  tensors: [{ name: 'W', shape, dtype: 'f64' }],
  initial: initial && { W: Float64Array.from(initial) },
})
const near = (found: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number) => {
  expect(found.length).toBe(expected.length)
  for (let i = 0; i < found.length; i++) expect(Math.abs(found[i] - expected[i])).toBeLessThan(tolerance)
}
const draws = (name: string, count: number) => {
  const rng = new Rng(rngStream(3, name))
  return Float64Array.from({ length: count }, () => rng.normal())
}
test('the second step is Adam in the eigenbasis of the first gradient', () => {
  const [G1, G2] = [draws('first', 12), draws('second', 12)]
  const session = new Session(soap, space([3, 4]), { config: { learningRate: 0.1, weightDecay: 0 } }).tell({ W: G1 })
  expect(session.state.x.W.every((x) => x === 0)).toBe(true)
  session.tell({ W: G2 })
  const L = multiply(G1, transpose(G1, 4), 4)
  const R = multiply(transpose(G1, 4), G1, 3)
  symmetricEigen(L, 3)
  symmetricEigen(R, 4)
  const turned = multiply(multiply(transpose(L, 3), G2, 3), R, 4)
  // After one gradient the corrected means are it and its square, up to eps.
  const eps = 1e-8 / Math.sqrt(0.05)
  const step = turned.map((g) => g / (Math.abs(g) + eps))
  near(
    session.state.x.W,
    multiply(multiply(L, step, 3), transpose(R, 4), 4).map((d) => -0.1 * d),
    1e-9,
  )
})

test('vectors get plain Adam, a step late', () => {
  const config = { learningRate: 0.1, beta1: 0.9, beta2: 0.95 }
  const gradient = (x: ArrayLike<number>) => Array.from(x, (xi, i) => (i + 1) * xi)
  const start = [1, -2, 3]
  const turned = new Session(soap, space([3], start), { config: { ...config, weightDecay: 0, correction: true } })
  const plain = new Session(adam, space([3], start), { config: { ...config, eps: 1e-300 } })
  turned.steps(21, ({ W }) => ({ W: gradient(W) }))
  plain.steps(20, ({ W }) => ({ W: gradient(W) }))
  near(turned.state.x.W, plain.state.x.W, 1e-5)
})

test('the basis stays orthonormal, comes close to the eigenvectors, and takes the squares along', () => {
  // Rows of very different sizes, whose order turns around in the middle.
  const rng = new Rng(rngStream(9, 'rows'))
  const rows = (t: number) =>
    Float64Array.from({ length: 12 }, (_, i) => rng.normal() * 10 ** ((t < 30 ? 1 : -1) * Math.floor(i / 4)))
  const session = new Session(soap, space([3, 4]), { config: { learningRate: 0.01, refreshEvery: 1, weightDecay: 0 } })
  for (let t = 0; t < 120; t++) session.tell({ W: rows(t) })
  const { bases, statistics, v } = session.state.kept
  const basis = (bases.W as Float64Array).slice(0, 9)
  near(multiply(transpose(basis, 3), basis, 3), [1, 0, 0, 0, 1, 0, 0, 0, 1], 1e-12)
  const L = (statistics.W as Float64Array).slice(0, 9)
  const inside = multiply(multiply(transpose(basis, 3), L, 3), basis, 3)
  // Almost diagonal, largest first.
  expect(inside[0]).toBeGreaterThan(inside[4])
  expect(inside[4]).toBeGreaterThan(inside[8])
  expect(Math.abs(inside[1]) / Math.sqrt(inside[0] * inside[4])).toBeLessThan(0.3)
  // The squares of the rows of the basis go with its eigenvalues.
  const squares = [0, 1, 2].map((i) => (v.W as Float64Array).slice(4 * i, 4 * i + 4).reduce((a, b) => a + b))
  squares.forEach((square, i) => {
    expect(square / inside[i * 4]).toBeGreaterThan(0.3)
    expect(square / inside[i * 4]).toBeLessThan(3)
  })
})

test('regression on inputs of a rotated and very uneven covariance: below Adam at its best rate', () => {
  const [n, outputs, batch, steps] = [8, 4, 16, 400]
  const U = draws('U', n * n)
  for (let i = 0; i < n; i++) for (let j = 0; j < i; j++) U[i * n + j] = U[j * n + i]
  symmetricEigen(U, n)
  const deviation = Float64Array.from({ length: n }, (_, i) => 10 ** ((-1.5 * i) / (n - 1)))
  const A = multiply(
    U.map((u, at) => u * deviation[at % n] ** 2),
    transpose(U, n),
    n,
  )
  const truth = draws('truth', n * outputs)
  const error = (W: ArrayLike<number>) => truth.map((w, i) => W[i] - w)
  const value = (W: ArrayLike<number>) => {
    const e = error(W)
    return multiply(A, e, n).reduce((sum, g, i) => sum + (g * e[i]) / 2, 0)
  }
  const gradient = (W: ArrayLike<number>, rng: Rng) => {
    const rows = multiply(
      Float64Array.from({ length: batch * n }, (_, at) => rng.normal() * deviation[at % n]),
      transpose(U, n),
      n,
    )
    const wrong = multiply(rows, error(W), n).map((e) => e + 0.1 * rng.normal())
    return multiply(transpose(rows, n), wrong, batch).map((g) => g / batch)
  }
  const best = (method: typeof soap | typeof adam, more: object) =>
    Math.min(
      ...[0.01, 0.03, 0.1, 0.3].map((learningRate) => {
        const rng = new Rng(rngStream(1, 'batches'))
        const config = { learningRate, schedule: { id: 'linear', steps }, beta1: 0.95, beta2: 0.95, ...more }
        const session = new Session(method as typeof soap, space([n, outputs]), { config })
        return value(session.steps(steps, ({ W }) => ({ W: gradient(W, rng) })).state.x.W)
      }),
    )
  const [turned, plain] = [best(soap, { weightDecay: 0 }), best(adam, {})]
  expect(turned).toBeLessThan(0.3 * plain)
})

test('gradients that span little, or are zero, leave an orthonormal basis; blocks and decay', () => {
  const session = new Session(soap, space([3, 4], new Array(12).fill(1)), {
    config: { refreshEvery: 1, learningRate: 0.1, weightDecay: 0.5, blockSize: 2 },
  })
  session.tell({ W: new Array(12).fill(0) })
  session.tell({ W: [1, ...new Array(11).fill(0)] })
  session.tell({ W: [2, ...new Array(11).fill(0)] })
  session.restart()
  session.tell({ W: [1, ...new Array(11).fill(0)] })
  const first = (session.state.kept.bases.W as Float64Array).slice(0, 4)
  near(multiply(transpose(first, 2), first, 2), [1, 0, 0, 1], 1e-12)
  // Decay alone, from the second step on.
  expect(session.state.x.W[11]).toBeCloseTo(0.95 ** 3, 12)
  expect(session.state.x.W[0]).toBeLessThan(0.95 ** 3)
  expect(Array.from(session.state.x.W).every(Number.isFinite)).toBe(true)
})
