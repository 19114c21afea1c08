import { expect, test } from 'vitest'
import { method } from '../../../src/blackbox/zeroth/gfm-plus.js'
import type { Query } from '../../../src/core/query.js'
import { Rng, rngStream } from '../../../src/core/rng.js'
import { of, Session, vector, xOf } from './session.js'

/** The estimate v of one round from x: (x - next)/learningRate. */
const estimate = (f: (x: Float64Array) => number, start: readonly number[], config: object) => {
  const session = new Session(method, vector(start), { learningRate: 1, output: 'last', ...config })
  session.rounds(1, of(f))
  return Array.from(session.x, (value, i) => start[i] - value)
}

test('[gfm-plus] coordinates are exact on linear functions for any delta; |x| in one dimension', () => {
  const a = [3, -1, 0.5, 2]
  const linear = (x: Float64Array) => x.reduce((sum, value, i) => sum + a[i] * value, 7)
  for (const delta of [1e-2, 0.1, 1, 30])
    estimate(linear, [0, 0, 0, 0], { estimator: 'gfm', directions: 'coordinates', b: 4, delta }).forEach((v, i) => {
      expect(Math.abs(v - a[i])).toBeLessThan(1e-12)
    })
  for (const directions of ['coordinates', 'sphere']) {
    const [v] = estimate((x) => Math.abs(x[0]), [0.05], { estimator: 'gfm', directions, b: 1, delta: 0.1 })
    expect(v).toBeCloseTo(0.5, 12)
  }
})

test('[gfm-plus] with m = 1 and bBig = b it is gfm, bit for bit', () => {
  const f = of((x) => Math.abs(x[0]) + Math.abs(x[1] - 2 * x[0]))
  const trace = (config: object) => {
    const xs: number[] = []
    const session = new Session(method, vector([1, -1]), { b: 3, output: 'last', ...config })
    for (let t = 0; t < 50; t++) xs.push(...session.rounds(1, f).x)
    return xs
  }
  const plus = trace({ estimator: 'gfm-plus', m: 1, bBig: 3 })
  expect(plus).toEqual(trace({ estimator: 'gfm' }))
  expect(new Set(plus).size).toBeGreaterThan(20)
  expect(trace({ estimator: 'gfm-plus', m: 2, bBig: 3 })).not.toEqual(plus)
})

test('[gfm-plus] capped absolute regression: the recursive estimate errs less at equal values', () => {
  const rng = new Rng(rngStream(1, 'regression'))
  const d = 20
  const rows = Array.from({ length: 500 }, () => Float64Array.from({ length: d }, () => rng.normal()))
  const solution = Array.from({ length: d }, () => rng.normal())
  const product = (row: Float64Array, x: ArrayLike<number>) => {
    let sum = 0
    for (let i = 0; i < d; i++) sum += row[i] * x[i]
    return sum
  }
  const targets = rows.map((row) => product(row, solution) + 0.1 * rng.normal())
  const f = (x: Float64Array) => {
    let sum = 0
    for (let i = 0; i < rows.length; i++) sum += Math.min(Math.abs(product(rows[i], x) - targets[i]), 6)
    return sum / rows.length
  }
  const gradient = (x: Float64Array) => {
    const g = new Float64Array(d)
    rows.forEach((row, i) => {
      const r = product(row, x) - targets[i]
      if (Math.abs(r) < 6) for (let j = 0; j < d; j++) g[j] += (Math.sign(r) * row[j]) / rows.length
    })
    return g
  }
  /** Mean squared distance of v_t and the gradient over the second half of 40,000 values. */
  const error = (config: object) => {
    const session = new Session(method, vector(Array(d).fill(0)), { output: 'last', learningRate: 0.01, ...config })
    const errors: number[] = []
    while (session.metrics.evaluations < 40_000) {
      const x = session.x
      const g = gradient(x)
      session.rounds(1, of(f))
      const v = session.x.map((value, i) => (x[i] - value) / 0.01)
      errors.push(v.reduce((sum, value, i) => sum + (value - g[i]) ** 2, 0))
    }
    const half = errors.slice(errors.length >> 1)
    return half.reduce((sum, value) => sum + value, 0) / half.length
  }
  const plus = error({ m: 10, bBig: 400, b: 10 })
  const plain = error({ estimator: 'gfm', b: 58 })
  expect(plus).toBeLessThan(plain / 3)
})

test('[gfm-plus] a period asks for 2 bBig + 4 b (m - 1) values, on one sample at both points', () => {
  const queries: Query[] = []
  const session = new Session(method, vector([1, 2]), { bBig: 6, b: 2, m: 4, output: 'last' })
  session.rounds(
    4,
    of((x) => x[0]),
    (asked) => queries.push(...asked),
  )
  expect(session.metrics.evaluations).toBe(2 * 6 + 4 * 2 * 3)
  expect(new Set(queries.map(({ sampleKey }) => sampleKey)).size).toBe(queries.length)
  const corrections = queries.filter(({ purpose }) => purpose === 'correction')
  expect(corrections).toHaveLength(6)
  for (const { points } of corrections) {
    // The same direction at the point and the one before.
    const [plus, minus, plusBefore, minusBefore] = points.map(xOf)
    plus.forEach((value, i) => {
      expect(value - minus[i]).toBeCloseTo(plusBefore[i] - minusBefore[i], 12)
    })
  }
})

test('[gfm-plus] the output is uniform among the iterates', () => {
  const counts = new Array(4).fill(0)
  for (let seed = 0; seed < 2000; seed++) {
    const config = { estimator: 'gfm', b: 1, learningRate: 1, directions: 'coordinates' }
    const session = new Session(method, vector([0]), config, seed)
    session.rounds(
      4,
      of((x) => x[0]),
    )
    counts[Math.round(-session.x[0])]++
  }
  for (const count of counts) expect(Math.abs(count - 500)).toBeLessThan(80)
})

test('gfm-plus: warm start, answers in any order, infeasible directions', () => {
  const purposes = (config: object) => {
    const seen: (string | undefined)[] = []
    new Session(method, vector([1, 1]), { bBig: 3, b: 1, m: 2, ...config }).rounds(
      5,
      of((x) => x[0]),
      (asked) => seen.push(`${asked[0].purpose} ${asked.length}`),
    )
    return seen
  }
  expect(purposes({ warmStart: 2 })).toEqual(['estimate 1', 'estimate 1', 'estimate 3', 'correction 1', 'estimate 3'])

  const f = of((x) => x[0] ** 2 + x[1])
  const [ordered, reversed] = [0, 1].map(() => new Session(method, vector([1, 1]), { bBig: 4, b: 2, output: 'last' }))
  for (let round = 0; round < 6; round++) {
    ordered.rounds(1, f)
    const queries = [...reversed.ask(10)].reverse()
    for (const query of queries) {
      if (round === 0) reversed.tell(query, 'failed')
      else reversed.tell(query, f(query))
      reversed.restart()
    }
    // What failed is asked again.
    if (round === 0) for (const query of reversed.ask(10)) reversed.tell(query, f(query))
    expect(reversed.x).toEqual(ordered.x)
  }

  const session = new Session(method, vector([1, 1]), { estimator: 'gfm', b: 2, learningRate: 1, output: 'last' })
  const [first, second] = session.ask(2)
  session.tell(first, 'infeasible')
  session.tell(second, f(second))
  const [plus, minus] = second.points.map(xOf)
  const w = plus.map((value, i) => (value - minus[i]) / 0.2)
  const [up, down] = f(second)
  session.x.forEach((value, i) => {
    expect(value).toBeCloseTo(1 - ((up - down) / 0.1) * w[i], 10)
  })
})
