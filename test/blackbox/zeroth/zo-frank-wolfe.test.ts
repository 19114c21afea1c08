import { describe, expect, test } from 'vitest'
import { topSingular, vertex } from '../../../src/blackbox/zeroth/linear-minimizer.js'
import { method } from '../../../src/blackbox/zeroth/zo-frank-wolfe.js'
import { Rng, rngStream } from '../../../src/core/rng.js'
import type { TensorsSpace } from '../../../src/core/space.js'
import { type Oracle, of, Session, vector, xOf } from './session.js'

const B = [0.6, 0.3, -0.3, 0, 0, 0, 0, 0, 0, 0]
const f = (x: ArrayLike<number>) => B.reduce((sum, b, i) => sum + 0.5 * (x[i] - b) ** 2, 0)
const OPTIMUM = 0.0066667
const zeros = Array(10).fill(0)

/** f with a linear term that belongs to the sample: every query has its own. */
function noisy(seed: number): Oracle {
  const rng = new Rng(rngStream(seed, 'noise'))
  return ({ points }) => {
    const linear = B.map(() => 0.5 * rng.normal())
    return points.map((point) => {
      const x = xOf(point)
      return linear.reduce((sum, value, i) => sum + value * x[i], f(x))
    })
  }
}

/** Mean of f - f* over 5 seeds after each of the numbers of steps. */
function excess(config: object, steps: readonly number[]): number[] {
  const sums = steps.map(() => 0)
  for (let seed = 0; seed < 5; seed++) {
    const session = new Session(method, vector(zeros), { set: 'l1', ...config }, seed)
    steps.forEach((until, i) => {
      session.rounds(until - session.estimate.step, noisy(seed))
      sums[i] += (f(session.x) - OPTIMUM) / 5
    })
  }
  return sums
}

describe('[zo-frank-wolfe] noisy least squares over the l1 ball', () => {
  test('rdsa below 0.06 after 3,000 steps and 0.02 after 30,000', () => {
    const [early, late] = excess({ scheme: 'rdsa' }, [3000, 30_000])
    expect(early).toBeLessThan(0.06)
    expect(late).toBeLessThan(0.02)
  })
  test('i-rdsa with 5 directions below 0.01 after 30,000 steps', () => {
    expect(excess({ scheme: 'i-rdsa', m: 5 }, [30_000])[0]).toBeLessThan(0.01)
  })
  test('without the average it stays above 0.15', () => {
    expect(excess({ scheme: 'rdsa', rho: 1 }, [3000])[0]).toBeGreaterThan(0.15)
  })
})

test('[zo-frank-wolfe] every iterate lies in the ball; values per step', () => {
  for (const [config, values] of [
    [{ scheme: 'rdsa' }, 2],
    [{ scheme: 'i-rdsa', m: 5 }, 6],
    [{ scheme: 'kw' }, 11],
  ] as const) {
    const session = new Session(method, vector(zeros), { set: 'l1', ...config })
    const oracle = noisy(1)
    for (let t = 0; t < 300; t++) {
      session.rounds(1, oracle)
      expect(session.x.reduce((sum, value) => sum + Math.abs(value), 0)).toBeLessThanOrEqual(1 + 1e-12)
    }
    expect(session.metrics.evaluations).toBe(300 * values)
  }
})

test('[zo-frank-wolfe] kw is exact on linear functions; with rho = 1 and steps 2/(t + 2) the classical path', () => {
  const a = [1, -2, 0.5]
  const linear = of((x) => x.reduce((sum, value, i) => sum + a[i] * value, 0))
  const session = new Session(method, vector([0.1, 0.2, 0.3]), { scheme: 'kw', set: 'l2', rho: 1, offset: 2 })
  session.rounds(1, linear)
  // The first step goes all the way to -a/|a|.
  session.x.forEach((value, i) => {
    expect(value).toBeCloseTo(-a[i] / Math.hypot(...a), 10)
  })
  expect(session.metrics.gap).toBeCloseTo(0.1 * 1 - 0.2 * 2 + 0.3 * 0.5 + Math.hypot(...a), 10)

  // A function that is linear along each coordinate: differences are exact for any spacing.
  const g = (x: ArrayLike<number>) => [x[1] + 1, x[0] - 1]
  const bilinear = of((x) => x[0] * x[1] + x[0] - x[1])
  const path = new Session(method, vector([0.2, -0.1]), { scheme: 'kw', set: 'l2', rho: 1, offset: 2 })
  let x = [0.2, -0.1]
  for (let t = 0; t < 50; t++) {
    const [p, q] = g(x)
    const length = Math.hypot(p, q)
    const step = 2 / (t + 2)
    x = [(1 - step) * x[0] - (step * p) / length, (1 - step) * x[1] - (step * q) / length]
    path.rounds(1, bilinear)
    path.x.forEach((value, i) => {
      expect(value).toBeCloseTo(x[i], 8)
    })
  }
})

test('zo-frank-wolfe: the vertices of all sets', () => {
  const space = vector([0, 0, 0], { low: -1, high: 2 })
  const d = Float64Array.of(1, -3, 2)
  const at = (set: Parameters<typeof vertex>[0]) => [...vertex(set, 2, space, d)]
  expect(at('l1')).toEqual([0, 2, 0])
  expect(at('simplex')).toEqual([0, 2, 0])
  expect(at('box')).toEqual([-1, 2, -1])
  expect(Math.hypot(...at('l2'))).toBeCloseTo(2, 12)

  const rng = new Rng(rngStream(1, 'matrix'))
  const a = Float64Array.from({ length: 12 }, () => rng.normal())
  const matrix: TensorsSpace = { kind: 'tensors', tensors: [{ name: 'x', shape: [3, 4], dtype: 'f64' }] }
  const { u, w } = topSingular(a, 3, 4)
  const v = vertex('nuclear', 2, matrix, a)
  const inner = (x: ArrayLike<number>, y: ArrayLike<number>) =>
    Array.from(x).reduce((sum, value, i) => sum + value * y[i], 0)
  const best = inner(v, a)
  // No other matrix of rank 1 and norm 2 has a smaller inner product.
  for (let trial = 0; trial < 200; trial++) {
    const p = Float64Array.from({ length: 3 }, () => rng.normal())
    const q = Float64Array.from({ length: 4 }, () => rng.normal())
    const outer = a.map((_, i) => (p[i >> 2] * q[i & 3] * 2) / Math.hypot(...p) / Math.hypot(...q))
    expect(inner(outer, a)).toBeGreaterThanOrEqual(best - 1e-9)
  }
  // A w = sigma u.
  for (let i = 0; i < 3; i++) expect(inner(a.subarray(4 * i, 4 * i + 4), w)).toBeCloseTo((-best / 2) * u[i], 8)
})

test('zo-frank-wolfe: refuses a start outside, a box without bounds, a nuclear norm of a vector', () => {
  const start = (space: TensorsSpace, config: object) => () => new Session(method, space, config)
  expect(start(vector([2, 0]), { set: 'l1' })).toThrow('space.initial')
  expect(start(vector([0.5, 0.2]), { set: 'simplex' })).toThrow('space.initial')
  expect(start(vector([0, 0]), { set: 'box' })).toThrow('low and high')
  expect(start(vector([0, 0], { low: 0 }), { set: 'l1' })).toThrow('box')
  expect(start(vector([0, 0]), { set: 'nuclear' })).toThrow('one matrix')
  const free: TensorsSpace = { kind: 'tensors', tensors: [{ name: 'x', shape: [4], dtype: 'f64' }] }
  expect([...new Session(method, free, { set: 'simplex' }).x]).toEqual([0.25, 0.25, 0.25, 0.25])
})

test('zo-frank-wolfe: a random output and a fixed step', () => {
  const session = new Session(method, vector(zeros), { set: 'l1', step: 0.01, output: 'random' })
  session.rounds(500, noisy(3))
  const last = new Session(method, vector(zeros), { set: 'l1', step: 0.01 })
  last.rounds(500, noisy(3))
  expect(session.x).not.toEqual(last.x)
  expect(f(last.x) - OPTIMUM).toBeLessThan(0.15)
})
