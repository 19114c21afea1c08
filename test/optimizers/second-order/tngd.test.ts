import { describe, expect, test } from 'vitest'
import type { Query } from '../../../src/core/query.js'
import { Rng, rngStream } from '../../../src/core/rng.js'
import { dot, norm, plus } from '../../../src/optimizers/flat.js'
import { solve } from '../../../src/optimizers/preconditioners/dense.js'
import { drift, relax } from '../../../src/optimizers/second-order/device.js'
import { spectrumOf } from '../../../src/optimizers/second-order/spectrum.js'
import { method } from '../../../src/optimizers/second-order/tngd.js'
import { vectors } from '../session.js'
import { Inquiry } from './inquiry.js'

const diagonal = (values: readonly number[]) =>
  Float64Array.from({ length: values.length ** 2 }, (_, k) =>
    k % (values.length + 1) ? 0 : values[k / (values.length + 1)],
  )
const near = (a: ArrayLike<number>, b: readonly number[], tolerance: number) =>
  b.forEach((value, i) => {
    expect(Math.abs(a[i] - value)).toBeLessThan(tolerance)
  })

/** f = |rows x - y|^2/(2 N), of which rows'rows/N is the Fisher, Gauss-Newton and Hessian matrix. */
function leastSquares(rows: readonly Float64Array[], y: readonly number[], config: object, seed = 1) {
  const n = rows[0].length
  const inquiry = new Inquiry(method, vectors(Array(n).fill(0)), { config, seed })
  const residuals = (x: Float64Array) => rows.map((row, i) => dot(row, x) - y[i])
  const mean = (weights: readonly number[]) => {
    const sum = new Float64Array(n)
    rows.forEach((row, i) => {
      for (let j = 0; j < n; j++) sum[j] += (weights[i] * row[j]) / rows.length
    })
    return sum
  }
  const product = (v: Float64Array) => mean(rows.map((row) => dot(row, v)))
  const asked: Query[] = []
  const oracle = (query: Query, [x, ...directions]: Float64Array[]) => {
    asked.push(query)
    const [want] = query.wants
    if (want.kind === 'gradient') return { gradients: [{ x: mean(residuals(x)) }] }
    if (want.kind === 'hvp') return { products: directions.map((v) => ({ x: product(v) })) }
    if (query.purpose !== 'curvature' || want.kind !== 'quantities') throw new Error(`unexpected ${want.kind}`)
    const matrix = () =>
      Array.from({ length: n }, (_, i) => product(Float64Array.from({ length: n }, (_, j) => Number(i === j))))
    const told = want.quantities[0].name === 'rows' ? rows : matrix()
    return { quantities: [{ [want.quantities[0].name]: Float64Array.from(told.flatMap((row) => Array.from(row))) }] }
  }
  return {
    inquiry,
    asked,
    steps: (count: number) => inquiry.by(count, oracle),
    loss: (x = inquiry.x) => residuals(x).reduce((sum, r) => sum + r * r, 0) / (2 * rows.length),
    gradient: (x: Float64Array) => mean(residuals(x)),
    matrix: Float64Array.from({ length: n * n }, (_, k) =>
      rows.reduce((sum, row) => sum + (row[Math.floor(k / n)] * row[k % n]) / rows.length, 0),
    ),
  }
}

test('[tngd] the device: exact, by Euler steps, and through a session', () => {
  const spectrum = spectrumOf(diagonal([4, 1, 0.25]), 3)
  const [zero, ones] = [new Float64Array(3), new Float64Array(3).fill(1)]
  const rng = new Rng(rngStream(1, 'device'))
  const [short, long] = [
    [0.24542109, 0.63212056, 0.88479687],
    [0.25, 0.9999546, 3.67166],
  ]
  near(relax(spectrum, 0, zero, ones, 1, 0, rng), short, 1e-7)
  near(relax(spectrum, 0, zero, ones, 10, 0, rng), long, 1e-7)
  const u = new Float64Array(3)
  for (let k = 0; k < 1000; k++)
    drift(
      u,
      u.map((value, i) => [4, 1, 0.25][i] * value),
      ones,
      0.001,
      0,
      rng,
    )
  near(u, short, 1e-3)

  // sqrt(3) times the roots of A as rows: their outer products have A as their mean.
  const rows = [4, 1, 0.25].map((value, i) => Float64Array.from([0, 1, 2], (j) => (i === j ? Math.sqrt(3 * value) : 0)))
  for (const [time, expected] of [
    [1, short],
    [10, long],
  ] as const)
    for (const source of ['rows', 'matrix', 'axes'])
      for (const timeStep of [undefined, 0.001]) {
        const { inquiry } = leastSquares(rows, [0, 0, 0], { time, source, damping: 0, timeStep })
        inquiry.reply({ gradients: [{ x: ones }] })
        const told = {
          rows: { quantities: [{ rows: Float64Array.from(rows.flatMap((row) => Array.from(row))) }] },
          matrix: { quantities: [{ fisher: diagonal([4, 1, 0.25]) }] },
          axes: {
            products: [4, 1, 0.25].map((value, i) => ({
              x: Float64Array.from([0, 1, 2], (j) => (i === j ? value : 0)),
            })),
          },
        }
        inquiry.reply(told[source as 'rows'])
        near(
          inquiry.x.map((x) => -x),
          [...expected],
          timeStep ? 1e-3 : 1e-7,
        )
      }
})

describe('[tngd] least squares, 200 x 10, column scales from 1 to 0.01', () => {
  const rng = new Rng(rngStream(2, 'data'))
  const truth = Float64Array.from({ length: 10 }, () => rng.normal())
  const rows = Array.from({ length: 200 }, () =>
    Float64Array.from({ length: 10 }, (_, j) => 10 ** ((-2 * j) / 9) * rng.normal()),
  )
  const y = rows.map((row) => dot(row, truth) + 0.01 * rng.normal())
  const lossAfter = (config: object) => {
    const session = leastSquares(rows, y, { damping: 1e-4, source: 'rows', ...config })
    session.steps(30)
    return session.loss()
  }
  const natural = () => {
    const { loss, gradient, matrix } = leastSquares(rows, y, {})
    let x: Float64Array = new Float64Array(10)
    const A = matrix.map((value, k) => value + (k % 11 ? 0 : 1e-4))
    for (let t = 0; t < 30; t++) x = plus(x, -1, solve(A, gradient(x), 10))
    return loss(x)
  }

  test('the loss falls with the time of the device, to that of the natural gradient', () => {
    const losses = [1, 10, 100, 1000, 10000].map((time) => lossAfter({ time }))
    for (let i = 1; i < losses.length; i++) expect(losses[i]).toBeLessThan(losses[i - 1])
    expect(Math.abs(losses[4] / natural() - 1)).toBeLessThan(0.02)
    expect(losses[0]).toBeGreaterThan(20 * natural())
    // Without a time, until it has settled.
    expect(Math.abs(lossAfter({}) / natural() - 1)).toBeLessThan(0.02)
  })

  test('noise: the stationary covariance is A^-1/beta, and a hot device does not converge', () => {
    const still = lossAfter({ time: 10000 })
    expect(lossAfter({ time: 10000, inverseTemperature: 1e6 })).toBeLessThan(1.25 * still)
    expect(lossAfter({ time: 10000, inverseTemperature: 1e2 })).toBeGreaterThan(100 * still)
  })

  test('short times are gradient descent with the rate learningRate*time', () => {
    const session = leastSquares(rows, y, {
      time: 1e-6,
      learningRate: 1e5,
      source: 'matrix',
      curvature: 'gauss-newton',
    })
    session.steps(1)
    const step = session.gradient(new Float64Array(10)).map((g) => -0.1 * g)
    expect(norm(plus(session.inquiry.x, -1, step))).toBeLessThan(1e-6 * norm(step))
  })

  test('products alone: one per time step, and the curvature of the step', () => {
    const session = leastSquares(rows, y, { source: 'products', time: 50, damping: 0.01, timeStep: 0.1 })
    session.steps(1)
    expect(session.asked.filter(({ purpose }) => purpose === 'device').length).toBe(501)
    expect(new Set(session.asked.map(({ sampleKey }) => sampleKey))).toEqual(new Set(['s0']))
    const exact = leastSquares(rows, y, { source: 'rows', time: 50, damping: 0.01 })
    exact.steps(1)
    expect(norm(plus(session.inquiry.x, -1, exact.inquiry.x))).toBeLessThan(0.02)
    // Without a time step, one that is stable.
    const free = leastSquares(rows, y, { source: 'products', time: 20, damping: 0.01 })
    free.steps(3)
    expect(free.loss()).toBeLessThan(0.2 * free.loss(new Float64Array(10)))
  })
})

test('[tngd] 20,000 draws of a settled device', () => {
  const A = [2, 0.8, 0.8, 1]
  const spectrum = spectrumOf(Float64Array.from(A), 2)
  const rng = new Rng(rngStream(3, 'draws'))
  const sums = [0, 0, 0]
  for (let k = 0; k < 20_000; k++) {
    const [a, b] = relax(spectrum, 0, new Float64Array(2), new Float64Array(2), 100, 1 / 50, rng)
    sums[0] += a * a
    sums[1] += a * b
    sums[2] += b * b
  }
  const det = A[0] * A[3] - A[1] ** 2
  ;[A[3] / det, -A[1] / det, A[0] / det].forEach((value, i) => {
    expect(Math.abs(sums[i] / 20_000 / (value / 50) - 1)).toBeLessThan(0.03)
  })
})

test('[tngd] a warm device goes on from where it was; a late one first runs with the last gradient', () => {
  const rows = [Float64Array.of(Math.SQRT2, 0), Float64Array.of(0, Math.SQRT2)]
  const by = (config: object) => leastSquares(rows, [2, 2], { source: 'rows', damping: 0, time: 1, ...config })
  // A = I: u goes by 1 - e^-1 of the way to b.
  const way = 1 - Math.exp(-1)
  const b0 = -Math.SQRT2
  const cold = by({ learningRate: 0.5 })
  cold.steps(1)
  expect(cold.inquiry.x[0]).toBeCloseTo(-0.5 * way * b0, 12)
  const b1 = b0 - 0.5 * way * b0
  const warm = by({ learningRate: 0.5, warmStart: true })
  warm.steps(2)
  const u1 = way * b0
  expect(warm.inquiry.x[0]).toBeCloseTo(-0.5 * u1 - 0.5 * (u1 + way * (b1 - u1)), 12)
  const late = by({ learningRate: 0.5, warmStart: true, delay: 1 })
  late.steps(2)
  const before = u1 + way * (b0 - u1)
  expect(late.inquiry.x[0]).toBeCloseTo(-0.5 * u1 - 0.5 * (before + way * (b1 - before)), 12)
  expect(late.inquiry.metrics.deviceTime).toBe(3)
  const heavy = by({ learningRate: 0.5, momentum: 0.5 })
  heavy.steps(1)
  expect(heavy.inquiry.x[0]).toBeCloseTo(-0.25 * way * b0, 12)
})

test('[tngd] more parameters than a spectrum is computed of: Euler steps with the rows', () => {
  const rng = new Rng(rngStream(4, 'wide'))
  const rows = Array.from({ length: 3 }, () => Float64Array.from({ length: 2001 }, () => rng.normal() / 30))
  const session = leastSquares(rows, [1, -1, 2], { source: 'rows', damping: 1, time: 8 })
  session.steps(1)
  expect(session.inquiry.metrics.residual).toBeLessThan(2e-3)
  expect(session.inquiry.metrics.largestEigenvalue).toBeLessThan(2)
})

test('[tngd] what cannot be is refused by its place', () => {
  const refused = (config: object, message: string, n = 2) =>
    expect(() => new Inquiry(method, vectors(Array(n).fill(0)), { config })).toThrow(message)
  refused({ damping: 0 }, 'config.time: without damping')
  refused({ source: 'matrix' }, 'config.source: matrix takes at most 2000 parameters, got 2001', 2001)
})
