import { describe, expect, test } from 'vitest'
import { method as cbo } from '../../../src/blackbox/evolution/cbo.js'
import { consensusPoint, consensusWeights } from '../../../src/blackbox/evolution/consensus.js'
import { method as hopping } from '../../../src/blackbox/evolution/consensus-hopping.js'
import type { AnyMethod } from '../../../src/core/method.js'
import { of, Session, vector, xOf } from '../zeroth/session.js'

test('[consensus-based] the consensus is exact; without temperature it is the best particle', () => {
  const v = Float64Array.of(0, 1, 2)
  const values = Float64Array.of(1, 0, 2)
  expect([...consensusWeights(values, Math.LN2)]).toEqual([0.5, 1, 0.25].map((w) => expect.closeTo(w, 12)))
  expect(consensusPoint(v, values, Math.LN2, 1)![0]).toBeCloseTo(0.857142857, 9)
  expect(consensusPoint(v, values, 1e15, 1)![0]).toBe(1)
  expect(consensusPoint(v, values.fill(Number.POSITIVE_INFINITY), 1, 1)).toBeUndefined()
})

test('[consensus-based] a hop is the proximal step of a quadratic, which an elite mean is not', () => {
  const N = 200_000
  const config = { particles: N, sigma: 0.3, alpha: 5, pointsPerQuery: N, compareGradient: true }
  const session = new Session(hopping, vector([1]), config)
  const [query] = session.ask()
  const v = query.points.map((point) => xOf(point)[0])
  session.tell(
    query,
    v.map((x) => x * x),
  )
  // E = x^2 has h = 2: 1/(1 + alpha h sigma^2).
  expect(Math.abs(session.x[0] - 1 / 1.9)).toBeLessThan(0.01)
  const elite = v.sort((a, b) => a * a - b * b).slice(0, N / 10)
  expect(Math.abs(elite.reduce((a, b) => a + b, 0) / elite.length - 1 / 1.9)).toBeGreaterThan(0.02)
  // The hop against the explicit step -alpha sigma^2 E'(1) = -0.9.
  const [gradient] = session.ask()
  expect([gradient.wants, xOf(gradient.points[0])[0]]).toEqual([[{ kind: 'gradient' }], 1])
  session.tell(gradient, { gradients: [{ x: Float64Array.of(2) }] })
  expect(session.metrics.cosine).toBeCloseTo(1, 12)
  expect(session.metrics.ratio).toBeCloseTo((1 - 1 / 1.9) / 0.9, 1)
})

const { PI } = Math
const canyon = ([x, y]: ArrayLike<number> & Iterable<number>) => {
  const a = y - ((x - 1) * (x - 4) ** 2) / 8 - 2
  const b = -x - 1.6 * y
  return (
    25 * (1 - Math.exp(-1.4 * a ** 2 * Math.exp(-0.002 * x ** 4))) +
    0.4 * x ** 2 +
    0.2 * y ** 2 +
    1.1625 * (2 - Math.cos(0.75 * PI * x) - Math.cos(0.75 * PI * y)) +
    4 * Math.exp(1 - 2 * a ** 4) * Math.max((1 - Math.exp(-9 * b ** 2)) * Math.sign(b), 0)
  )
}

describe('[consensus-based] through the canyon to the global minimizer 0', () => {
  const arrives = (method: AnyMethod, config: object, seed: number) => {
    const session = new Session(method, vector([8, 8]), { ...config, pointsPerQuery: 200 }, seed)
    session.rounds(250, of(canyon))
    return Math.hypot(...session.x) < 0.3
  }
  const count = (method: AnyMethod, config: object) =>
    Array.from({ length: 50 }, (_, seed) => arrives(method, config, seed)).filter(Boolean).length
  test('cbo', () => {
    const n = count(cbo, { spread: 0.5 })
    expect(n).toBeGreaterThanOrEqual(45)
  })
  test('hopping', () => {
    const n = count(hopping, {})
    expect(n).toBeGreaterThanOrEqual(35)
  })
  test('where gradient descent stops on the way', () => {
    const h = 1e-6
    let [x, y] = [8, 8]
    for (let t = 0; t < 20_000; t++) {
      const dx = (canyon([x + h, y]) - canyon([x - h, y])) / (2 * h)
      const dy = (canyon([x, y + h]) - canyon([x, y - h])) / (2 * h)
      x -= 0.001 * dx
      y -= 0.001 * dy
    }
    expect([x, y, canyon([x, y])]).toEqual([2.34, 2.47, 3.86].map((v) => expect.closeTo(v, 2)))
  })
})
