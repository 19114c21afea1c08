import { describe, expect, test } from 'vitest'
import { batchOf, method } from '../../../src/blackbox/zeroth/zo-smoothed-agd.js'
import type { Query } from '../../../src/core/query.js'
import type { TensorsSpace } from '../../../src/core/space.js'
import { type Oracle, of, Session, vector } from './session.js'

/** The estimate of one round, by a plain step of size 1. */
function estimate(f: (x: Float64Array) => number, start: readonly number[], config: object, seed = 1) {
  const session = new Session(method, vector(start), { engine: 'gd', learningRate: 1, ...config }, seed)
  session.rounds(1, of(f))
  return Array.from(session.x, (value, i) => start[i] - value)
}

test('[zo-smoothed-agd] |x| in one dimension: every draw gives x/gamma', () => {
  for (let seed = 0; seed < 20; seed++) {
    const [g] = estimate((x) => Math.abs(x[0]), [0.05], { gamma: 0.1, batch: 1 }, seed)
    expect(g).toBeCloseTo(0.5, 12)
  }
})

test('[zo-smoothed-agd] a linear function: the mean of 200,000 draws is its gradient within 2 percent', () => {
  const c = [1, -2, 3, 0.5, -1]
  const linear = (x: Float64Array) => x.reduce((sum, value, i) => sum + c[i] * value, 0)
  const g = estimate(linear, [0, 0, 0, 0, 0], { gamma: 0.1, batch: 1000, workers: 200 })
  expect(Math.hypot(...g.map((value, i) => value - c[i]))).toBeLessThan(0.02 * Math.hypot(...c))
})

const players: TensorsSpace = {
  kind: 'tensors',
  tensors: [
    { name: 'x', shape: [], dtype: 'f64' },
    { name: 'y', shape: [], dtype: 'f64' },
  ],
  initial: { x: Float64Array.of(1), y: Float64Array.of(1) },
}
const xy = ({ points: [{ point }] }: Session['estimate']) => {
  if (point.kind !== 'tensors') throw new Error('expected tensors')
  return [point.tensors.x[0], point.tensors.y[0]]
}
const product: Oracle = ({ points }) =>
  points.map((point) => (point.kind === 'tensors' ? point.tensors.x[0] * point.tensors.y[0] : Number.NaN))

describe('[zo-smoothed-agd] the saddle of x*y from values', () => {
  const saddle = { gamma: 0.01, batch: 100, learningRate: 0.3, maximizers: ['y'] }
  test.each([0, 1, 2])('extragradient arrives, descent-ascent leaves (seed %i)', (seed) => {
    const arrives = new Session(method, players, { ...saddle, engine: 'extragradient' }, seed)
    arrives.rounds(600, product)
    expect(arrives.estimate.step).toBe(300)
    expect(Math.hypot(...xy(arrives.estimate))).toBeLessThanOrEqual(1e-4)
    const leaves = new Session(method, players, { ...saddle, engine: 'gd' }, seed)
    leaves.rounds(300, product)
    expect(Math.hypot(...xy(leaves.estimate))).toBeGreaterThanOrEqual(10)
  })
  test('mirror-prox serves the average of the points ahead', () => {
    const session = new Session(method, players, { ...saddle, engine: 'mirror-prox' })
    session.rounds(600, product)
    expect(session.estimate.kind).toBe('average')
    expect(Math.hypot(...xy(session.estimate))).toBeLessThan(0.05)
  })
})

test('zo-smoothed-agd: stm with coordinates of one dimension is the closed form', () => {
  // In one dimension the estimate of a quadratic is its gradient, whatever is drawn.
  const session = new Session(method, vector([1]), { gamma: 0.1, batch: 1, learningRate: 0.25 })
  const L = 4
  let [x, z, A] = [1, 1, 0]
  for (let t = 0; t < 30; t++) {
    const a = (1 + Math.sqrt(1 + 4 * L * A)) / (2 * L)
    const y = (A * x + a * z) / (A + a)
    z -= a * 2 * y
    x = (A * x + a * z) / (A + a)
    A += a
    session.rounds(
      1,
      of(([v]) => v * v),
    )
    expect(session.x[0]).toBeCloseTo(x, 9)
  }
})

test('zo-smoothed-agd: accelerated engines beat plain descent at equal rounds on a non-smooth function', () => {
  const f = (x: Float64Array) => Math.abs(x[0] - 1) + Math.abs(x[1] + 1) / 50
  const after = (engine: string) => {
    const session = new Session(method, vector([0, 0]), { engine, lipschitz: 1, gamma: 0.05, batch: 30 })
    return f(session.rounds(150, of(f)).x)
  }
  const plain = after('gd')
  expect(after('stm')).toBeLessThan(0.7 * plain)
  expect(after('agd')).toBeLessThan(0.7 * plain)
})

test('zo-smoothed-agd: the batch by default, one sample per worker, and what is refused', () => {
  const queries: Query[] = []
  const session = new Session(method, vector([0, 0]), { workers: 3, targetEps: 0.1 })
  session.rounds(
    2,
    of((x) => x[0]),
    (asked) => queries.push(...asked),
  )
  const batch = Math.ceil(2 ** 0.75 / 0.1)
  expect(batchOf(session.run.config as never, 2)).toBe(batch)
  expect(queries).toHaveLength(6)
  for (const { points } of queries) expect(points).toHaveLength(2 * batch)
  expect(new Set(queries.map(({ sampleKey }) => sampleKey)).size).toBe(6)
  expect(session.metrics.evaluations).toBe(12 * batch)
  expect(() => new Session(method, players, { maximizers: ['y'] })).toThrow('config.engine')
  expect(() => new Session(method, players, { engine: 'gd', maximizers: ['w'] })).toThrow('"w" is not a tensor')
})
