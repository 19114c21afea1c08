import { expect, test } from 'vitest'
import type { TensorsSpace } from '../../../src/core/space.js'
import { method, moments } from '../../../src/optimizers/saddle/vwgf.js'
import { Game, type Operator, players } from './game.js'

/** The quantile function of the standard normal, by bisection of erf's series. */
function quantile(p: number): number {
  const cdf = (x: number) => {
    let term = x
    let sum = x
    for (let k = 1; k < 200; k++) {
      term *= (-x * x) / (2 * k)
      sum += term / (2 * k + 1)
    }
    return 0.5 + sum / Math.sqrt(2 * Math.PI)
  }
  let [low, high] = [-5, 5]
  for (let k = 0; k < 60; k++) {
    const middle = (low + high) / 2
    if (cdf(middle) < p) low = middle
    else high = middle
  }
  return low
}
const line = (): TensorsSpace => {
  const n = 400
  const raw = Array.from({ length: n }, (_, i) => quantile((i + 0.5) / n))
  const size = Math.sqrt(raw.reduce((sum, v) => sum + v * v, 0) / n)
  const space = players({ x: raw.map((v) => 4 + (3 * v) / size) })
  return { ...space, tensors: [{ name: 'x', shape: [n, 1], dtype: 'f64' }] }
}
const spread = (x: readonly number[]) => {
  const { mean, covariance } = moments(Float64Array.from(x), x.length, 1)
  return { mean: mean[0], std: Math.sqrt(covariance[0]) }
}
const normal: Operator = ({ x }) => ({ x })
const kl = ({ mean, std }: { mean: number; std: number }) => 0.5 * (mean ** 2 + std ** 2 - 1) - Math.log(std)

test('[vwgf] KL to a standard normal: the closed form of every JKO step, and the fall of the divergence', () => {
  const game = new Game(method, line())
  const expected = [
    [2.666667, 2.154701],
    [1.777778, 1.63975],
    [1.185185, 1.341622],
  ]
  let before = kl(spread(game.x))
  for (let k = 0; k < 5; k++) {
    const now = spread(game.steps(1, normal).x)
    if (expected[k]) {
      expect(Math.abs(now.mean - expected[k][0])).toBeLessThan(1e-4)
      expect(Math.abs(now.std - expected[k][1])).toBeLessThan(1e-4)
    }
    expect(kl(now)).toBeLessThan(before)
    before = kl(now)
  }
  expect(before).toBeLessThanOrEqual(0.16)
  expect(game.metrics.transportCost).toBeGreaterThan(0)
})

test('[vwgf] without the max player the cloud collapses', () => {
  const game = new Game(method, line(), { critic: 'none' })
  expect(spread(game.steps(5, normal).x).std).toBeLessThan(0.5)
})

test('vwgf: a critic told by the client, two dimensions, and other spaces', () => {
  const cloud = (start: number[], shape: number[]): TensorsSpace => ({
    ...players({ x: start }),
    tensors: [{ name: 'x', shape, dtype: 'f64' }],
  })
  // The client tells the score of the Gaussian itself.
  const told: Operator = ({ x }, { purpose }) => {
    if (purpose === 'potential') return { x }
    const { mean, std } = spread(Array.from(x))
    return { x: x.map((v) => -(v - mean) / std ** 2) }
  }
  const start = [-1, 0.5, 2, 3]
  const client = new Game(method, cloud(start, [4, 1]), { critic: 'client' }).steps(2, told)
  const closed = new Game(method, cloud(start, [4, 1])).steps(2, normal)
  client.x.forEach((v, i) => {
    expect(v).toBeCloseTo(closed.x[i], 6)
  })

  // V = |x - (1, -2)|^2/2: the covariance of the particles comes to the identity.
  const plane = new Game(method, cloud([3, 0, 1, 1, 4, -1, 0, 2, 2, 5, 3, 3], [6, 2]), { innerSteps: 60 })
  plane.steps(25, ({ x }) => ({ x: x.map((v, i) => v - (i % 2 ? -2 : 1)) }))
  const { mean, covariance } = moments(Float64Array.from(plane.x), 6, 2)
  ;[1, -2].forEach((m, i) => {
    expect(mean[i]).toBeCloseTo(m, 2)
  })
  ;[1, 0, 0, 1].forEach((s, i) => {
    expect(covariance[i]).toBeCloseTo(s, 2)
  })
  expect(() => new Game(method, players({ x: [1] }))).toThrow('[particles, dimensions]')
})
