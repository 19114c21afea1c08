import { describe, expect, it } from 'vitest'
import { nextPlace, startLine, tellPlace } from '../../../src/blackbox/local-search/line.js'
import { method } from '../../../src/blackbox/local-search/powell.js'
import type { Query } from '../../../src/core/query.js'
import type { Problem } from '../../../src/core/space.js'
import { Driver } from '../drive.js'

function minimum(f: (t: number) => number, a: number, b: number, tolerance: number) {
  const line = startLine(a, b, f(0))
  const places: number[] = []
  for (let t = nextPlace(line, tolerance); t !== undefined && places.length < 100; t = nextPlace(line, tolerance)) {
    places.push(t)
    tellPlace(line, f(t))
  }
  return { x: line.x, places }
}

describe('along a line', () => {
  it('a parabola is found by three places, and seen to be found', () => {
    for (const center of [-0.31, 0.02, 0.77]) {
      const { x, places } = minimum((t) => 3 * (t - center) ** 2 + 1, -1, 1, 0.01)
      expect(x).toBeCloseTo(center, 12)
      expect(places.length).toBeLessThanOrEqual(4)
    }
  })

  it.each([
    ['a kink', (t: number) => Math.abs(t - 0.4), 0.4],
    ['a quartic', (t: number) => (t + 0.6) ** 4, -0.6],
    ['the end of the interval', (t: number) => -t, 1],
    ['a wall', (t: number) => (t > 0.25 ? Number.POSITIVE_INFINITY : (t - 0.2) ** 2), 0.2],
  ])('%s', (_, f, at) => {
    const { x, places } = minimum(f, -1, 1, 1e-4)
    expect(Math.abs(x - at)).toBeLessThan(0.01)
    for (const t of places) expect(Math.abs(t)).toBeLessThanOrEqual(1)
  })
})

const problem = (start: number[], bounds: { low?: number; high?: number } = {}): Problem => ({
  space: {
    kind: 'tensors',
    tensors: [{ name: 'x', shape: [start.length], dtype: 'f64' }],
    initial: { x: Float64Array.from(start) },
    ...bounds,
  },
  objectives: [{ name: 'f', direction: 'minimize' }],
})
const xOf = (query: Query) => {
  const [point] = query.points
  if (point.kind !== 'tensors') throw new Error('expected tensors')
  return Array.from(point.tensors.x)
}
/** A quadratic whose axes are not the coordinates, of condition 1e4 and more. */
const rotated = (x: readonly number[]) =>
  x.reduce((sum, v, i) => {
    const y = x.reduce((total, w) => total + 0.5 * w, 0.5 * v)
    return sum + 10 ** i * (y - 1) ** 2
  }, 0)

it('directions become conjugate: a skew quadratic in 5 coordinates needs few hundred evaluations', () => {
  for (const seed of [1, 2, 3]) {
    const driver = new Driver(method, problem([0, 0, 0, 0, 0]), {}, seed)
    const asked = driver.play(700, (query) => rotated(xOf(query)))
    expect(Math.min(...asked.map((query) => rotated(xOf(query))))).toBeLessThan(1e-8)
  }
})

it('keeps to bounds, and finds a minimum that lies on them', () => {
  const driver = new Driver(method, problem([0.5, 0.5, 0.5], { low: 0, high: 1 }))
  const f = (x: number[]) => (x[0] - 2) ** 2 + (x[1] + 1) ** 2 + (x[2] - 0.3) ** 2 + x[0] * x[2]
  const asked = driver.play(400, (query) => f(xOf(query)))
  for (const query of asked) for (const v of xOf(query)) expect(v >= 0 && v <= 1).toBe(true)
  const [{ point }] = driver.estimate().points
  const x = point.kind === 'tensors' ? Array.from(point.tensors.x) : []
  // At x0 = 1 the slope in x2 is 2 (x2 - 0.3) + 1 > 0 everywhere.
  expect(x).toEqual([1, 0, 0].map((v) => expect.closeTo(v, 4)))
})

it('ends when a sweep moves nothing, and says so', () => {
  const driver = new Driver(method, problem([3]))
  const asked = driver.play(500, (query) => (xOf(query)[0] - 1) ** 2)
  expect(asked.length).toBeLessThan(100)
  expect(driver.outcome?.status).toEqual({
    phase: 'done',
    reason: 'a sweep has moved no farther than the tolerance',
  })
  expect(driver.best()).toBeLessThan(1e-12)
})
