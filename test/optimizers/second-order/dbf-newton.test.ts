import { describe, expect, test } from 'vitest'
import { Rng, rngStream } from '../../../src/core/rng.js'
import {
  method as dbfNewton,
  directionOf,
  momentumOf,
  observe,
} from '../../../src/optimizers/second-order/dbf-newton.js'
import { Newton, type Smooth, type Vector } from './smooth.js'

const DEFAULTS = { alpha: 0.9, beta: 0.2 }

/** Half the mean square of y - a.x over 100 examples, of which each sample key draws five, with replacement. */
function linearGaussian(problem: number, run: number) {
  const [n, d, batch] = [100, 2, 5]
  const rng = new Rng(rngStream(problem, 'problem'))
  const theta = Array.from({ length: d }, () => 1 + rng.normal())
  // The covariance of the features is 0.9*I + 0.1*11'.
  const rows = Array.from({ length: n }, () => {
    const shared = Math.sqrt(0.1) * rng.normal()
    return Array.from({ length: d }, () => Math.sqrt(0.9) * rng.normal() + shared)
  })
  const labels = rows.map((a) => a[0] * theta[0] + a[1] * theta[1] + rng.normal())
  const start = [rng.normal(), rng.normal()]
  const all = rows.map((_, i) => i)
  const drawn = new Map<string, number[]>()
  const batchOf = (key: string) => {
    let indices = drawn.get(key)
    if (!indices) {
      const draw = new Rng(rngStream(run, `batch ${key}`))
      drawn.set(key, (indices = Array.from({ length: batch }, () => draw.integer(n))))
    }
    return indices
  }
  const mean = (of: (i: number) => number, indices: readonly number[]) =>
    indices.reduce((sum, i) => sum + of(i), 0) / indices.length
  const residual = (x: Vector) => (i: number) => rows[i][0] * x[0] + rows[i][1] * x[1] - labels[i]
  const value = (x: Vector, indices = all) => mean((i) => residual(x)(i) ** 2 / 2, indices)
  const gradient = (x: Vector, indices = all) => [0, 1].map((j) => mean((i) => residual(x)(i) * rows[i][j], indices))
  const hessian = (indices = all) => [0, 1, 2, 3].map((at) => mean((i) => rows[i][at >> 1] * rows[i][at & 1], indices))
  const [a, b, , c] = hessian()
  const g = gradient([0, 0])
  const best = [-(c * g[0] - b * g[1]) / (a * c - b * b), -(a * g[1] - b * g[0]) / (a * c - b * b)]
  const smooth: Smooth = {
    value: (x, { sampleKey }) => value(x, batchOf(sampleKey!)),
    gradient: (x, { sampleKey }) => gradient(x, batchOf(sampleKey!)),
    hessian: (_, { sampleKey }) => hessian(batchOf(sampleKey!)),
  }
  return { smooth, start, gap: (x: Vector) => value(x) - value(best) }
}

describe('[dbf-newton]', () => {
  test('two observations in one dimension', () => {
    const H = Float64Array.of(0.5)
    const belief = observe(observe(null, Float64Array.of(1), H, DEFAULTS), Float64Array.of(0.4), H, DEFAULTS)
    expect(belief.mean[0]).toBeCloseTo(0.846354, 5)
    expect(belief.covariance[0]).toBeCloseTo(0.369974, 5)
    expect(directionOf(belief)[0]).toBeCloseTo(-2.287603, 5)
    // The same through a session: x goes 1 and then 2.287603 down.
    const told = [1, 0.4]
    const smooth: Smooth = { value: () => 0, gradient: () => [told.shift()!], hessian: () => H }
    const newton = new Newton(dbfNewton, [0], { lineSearch: false }, smooth).steps(2)
    expect(newton.x[0]).toBeCloseTo(-2 - 2.287603, 5)
    const plain = { value: () => 0, gradient: () => [0.4], hessian: () => H }
    const baseline = { variant: 'stochastic-newton', lineSearch: false }
    expect(new Newton(dbfNewton, [0], baseline, plain).steps(1).x[0]).toBeCloseTo(-0.8, 10)
  })

  test('a linear-Gaussian sum: at most 0.6 of the gap that the stochastic Newton method leaves', () => {
    const gaps = { filtered: 0, 'stochastic-newton': 0 }
    for (let problem = 0; problem < 3; problem++)
      for (let run = 0; run < 200; run++)
        for (const variant of ['filtered', 'stochastic-newton'] as const) {
          const { smooth, start, gap } = linearGaussian(problem, run)
          gaps[variant] += gap(new Newton(dbfNewton, start, { variant }, smooth).steps(30).x) / 600
        }
    expect(gaps.filtered).toBeLessThanOrEqual(0.6 * gaps['stochastic-newton'])
  })

  test('of what is always the same the direction converges, longer than that of Newton', () => {
    const H = Float64Array.of(1, 0.3, 0.3, 0.5)
    const g = Float64Array.of(1, -1)
    let belief = observe(null, g, H, DEFAULTS)
    const directions = [directionOf(belief)]
    for (let t = 1; t < 300; t++) directions.push(directionOf((belief = observe(belief, g, H, DEFAULTS))))
    const change = directions[299].map((value, i) => value - directions[199][i])
    expect(Math.hypot(...change)).toBeLessThan(1e-10)
    expect(Math.hypot(...directions[299])).toBeGreaterThan(Math.hypot(...directions[0]))
  })

  test('momenta are the weight of the direction before', () => {
    // With Q^-1 = H^-1: s' = -Sig'^-1*mu' = -H^-1*g + alpha*P^-1*Sig*s.
    const H = Float64Array.of(0.6, 0.1, 0.1, 0.4)
    const first = observe(null, Float64Array.of(1, 2), H, DEFAULTS)
    const second = observe(first, Float64Array.of(0, 0), H, DEFAULTS)
    const M = momentumOf(first, DEFAULTS)
    const s = directionOf(first)
    directionOf(second).forEach((value, i) => {
      expect(value).toBeCloseTo(M[2 * i] * s[0] + M[2 * i + 1] * s[1], 8)
    })
  })

  test('a Hessian of lower rank, products for a matrix, and the lengths of the search', () => {
    const flat: Smooth = {
      value: ([x]: Vector & Iterable<number>) => x * x,
      gradient: (x) => [2 * x[0], 0],
      hessian: () => [2, 0, 0, 0],
    }
    const newton = new Newton(dbfNewton, [1, 1], { lineSearch: false, learningRate: 0.3 }, flat).steps(60)
    expect(Math.abs(newton.x[0])).toBeLessThan(1e-3)
    expect(newton.x[1]).toBeCloseTo(1, 6)
    const { smooth, start } = linearGaussian(0, 0)
    const [matrix, products] = ['matrix', 'products'].map((hessian) =>
      new Newton(dbfNewton, start, { hessian }, smooth).steps(5),
    )
    expect(products.x).toEqual(matrix.x)
    expect([1, 1 / 2, 1 / 4, 1 / 8, 1 / 16]).toContain(matrix.metrics.stepLength)
    expect(matrix.metrics.momentum).toBeGreaterThan(0)
  })
})
