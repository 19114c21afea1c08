import { expect, test } from 'vitest'
import { method } from '../../../src/blackbox/evolution/lm-ma-es.js'
import { encodeTree } from '../../../src/core/tree.js'
import { of, Session, vector } from '../zeroth/session.js'

/** Evaluations until f < 1e-8, Infinity beyond the budget. */
function evaluations(f: (x: Float64Array) => number, n: number, budget: number, config = {}): number {
  const session = new Session(method, vector(new Array(n).fill(1)), { sigma: 1, pointsPerQuery: 100, ...config }, 3)
  for (let count = 0; count < budget; ) {
    const [query] = session.ask()
    const values = of(f)(query)
    count += values.length
    if (Math.min(...values) < 1e-8) return count
    session.tell(query, values)
  }
  return Number.POSITIVE_INFINITY
}

test('lm-ma-es: converges on the sphere in 200 dimensions', () => {
  const count = evaluations((x) => x.reduce((sum, v) => sum + v * v, 0), 200, 30_000)
  expect(count).toBeLessThan(30_000)
})

test('lm-ma-es: learns the long axis of a cigar that is not along a coordinate', () => {
  const n = 20
  const axis = Array.from({ length: n }, (_, i) => Math.sin(i + 1))
  const length = Math.hypot(...axis)
  const cigar = (x: Float64Array) => {
    const along = x.reduce((sum, v, i) => sum + (v * axis[i]) / length, 0)
    return 1e6 * x.reduce((sum, v, i) => sum + (v - (along * axis[i]) / length) ** 2, 0) + along * along
  }
  expect(evaluations(cigar, n, 150_000)).toBeLessThan(150_000)
})

test('lm-ma-es: its state is linear in the number of coordinates', () => {
  const bytes = (n: number) =>
    encodeTree(new Session(method, vector(new Array(n).fill(1)), { populationSize: 10, memory: 10 }).state).length
  expect(bytes(4000) / bytes(2000)).toBeCloseTo(2, 1)
})
