import { describe, expect, test } from 'vitest'
import { signNetwork, signNetworkLoss, uniformTransport } from '../../../examples/workloads/particle-measures.js'
import { energyDistance, energyGradient } from '../../../src/blackbox/particles/functionals.js'
import { method } from '../../../src/blackbox/particles/particle-gd.js'
import type { Query } from '../../../src/core/query.js'
import type { TensorsSpace } from '../../../src/core/space.js'
import { Session, xOf } from '../zeroth/session.js'

const cloud = (start: readonly number[], d = 1): TensorsSpace => ({
  kind: 'tensors',
  tensors: [{ name: 'x', shape: [start.length / d, d], dtype: 'f64' }],
  initial: { x: Float64Array.from(start) },
})
/** Samples that stand for U[0, 1]: the middles of equal shares. */
const uniform = Float64Array.from({ length: 1000 }, (_, i) => (i + 0.5) / 1000)
const sampled = ({ wants }: Query) => {
  expect(wants).toMatchObject([{ kind: 'quantities', quantities: [{ name: 'samples', shape: [-1, 1] }] }])
  return { quantities: [{ samples: uniform }] }
}
const told = (query: Query) => {
  const { gradient, value } = uniformTransport(xOf(query.points[0]))
  return { gradients: [{ x: gradient }], values: [[value]] }
}
function run(n: number, config: object, oracle: (query: Query) => object, steps = 3000) {
  const session = new Session(method, cloud(new Array(n).fill(0.2)), config)
  for (let k = 0; k < steps; k++) {
    const [query] = session.ask()
    session.tell(query, oracle(query))
  }
  return session
}
const sorted = (x: Float64Array) => [...x].sort((a, b) => a - b)

describe('[particle-gd] transport to U[0, 1] from one point', () => {
  test.each([
    [20, 1e-6],
    [50, 1e-6],
  ])('%i particles, told samples', (n, tolerance) => {
    const session = run(n, { functional: 'energy-distance' }, sampled)
    for (const [i, x] of sorted(session.x).entries()) expect(Math.abs(x - (2 * i + 1) / (2 * n))).toBeLessThan(1e-3)
    expect(Math.abs(uniformTransport(session.x).value - 1 / (6 * n * n))).toBeLessThan(tolerance)
    expect(Math.abs(session.metrics.best - 1 / (6 * n * n))).toBeLessThan(tolerance)
  })

  test('20 particles, told gradients', () => {
    const session = run(20, {}, told)
    for (const [i, x] of sorted(session.x).entries()) expect(Math.abs(x - (2 * i + 1) / 40)).toBeLessThan(1e-3)
    expect(Math.abs(uniformTransport(session.x).value - 4.1667e-4)).toBeLessThan(1e-6)
  })

  test('without noise the particles stay together, in the middle', () => {
    for (const [config, oracle] of [
      [{ functional: 'energy-distance', noise: 0 }, sampled],
      [{ noise: 0 }, told],
    ] as const) {
      const session = run(20, config, oracle)
      expect(new Set(session.x).size).toBe(1)
      expect(Math.abs(session.x[0] - 0.5)).toBeLessThan(1e-3)
      expect(Math.abs(uniformTransport(session.x).value - 1 / 6)).toBeLessThan(1e-6)
    }
  })

  test('the error falls with the square of the number of particles', () => {
    const best = (n: number) => run(n, { values: true }, told).metrics.best
    expect(best(10) / best(40)).toBeGreaterThan(16 * 0.95)
    expect(best(10) / best(40)).toBeLessThan(16 * 1.05)
  })
})

test('[particle-gd] a sign network in the plane is fitted by moving its angles', () => {
  const target = [-2.5, -1.2, -0.3, 0.4, 1.1, 1.9, 2.4, 3]
  // The loss is the mean square difference of the networks over the circle.
  const angles = [0.3, 2, -1, -2.9, 1.4]
  const inputs = Array.from({ length: 200_000 }, (_, k) => (2 * Math.PI * (k + 0.5)) / 200_000)
  const mean =
    inputs.reduce((sum, x) => sum + (signNetwork(angles, x) - signNetwork(target, x)) ** 2, 0) / inputs.length
  expect(signNetworkLoss(angles, target).value).toBeCloseTo(mean, 4)
  const session = new Session(method, cloud(new Array(8).fill(0.2)), { learningRate: 0.1, values: true })
  const start = signNetworkLoss(session.x, target).value
  for (let k = 0; k < 4000; k++) {
    const [query] = session.ask()
    const { value, gradient } = signNetworkLoss(xOf(query.points[0]), target)
    session.tell(query, { gradients: [{ x: gradient }], values: [[value]] })
  }
  // Unlike the line, the circle has other stationary points.
  expect(signNetworkLoss(session.x, target).value).toBeLessThan(start / 20)
})

test('particle-gd: the built-in gradients are those of the functional', () => {
  const w = Float64Array.of(0.1, 0.9, -0.4, 1.3, 0.7, 0.2)
  const samples = Float64Array.of(0.5, 0.5, -1, 2, 0.3, 0.8, 1, 1)
  const n = 3
  const gradient = energyGradient(w, samples, 2)
  w.forEach((_, i) => {
    const at = (h: number) =>
      energyDistance(
        w.map((x, j) => (i === j ? x + h : x)),
        samples,
        2,
      )
    expect(gradient[i]).toBeCloseTo((n * (at(1e-5) - at(-1e-5))) / 2e-5, 8)
  })
  expect(energyDistance(samples, samples, 2)).toBeCloseTo(0, 14)
})

test('particle-gd: a potential and repulsion of pairs, smooth', () => {
  // V = |w|^2/2 and W = -0.5 |w - w'|^2/2 over 4 particles: w_i moves by w_i - 0.5 (w_i - mean).
  const session = new Session(method, cloud([1, 2, 3, 6]), {
    functional: 'potential-interaction',
    regularity: 'smooth',
    learningRate: 0.1,
    strength: -0.5,
    values: true,
  })
  const [query] = session.ask()
  const w = xOf(query.points[0])
  session.tell(query, { gradients: [{ x: w }], values: [[w.reduce((sum, x) => sum + (x * x) / 2, 0)]] })
  const [next] = session.ask()
  expect([...xOf(next.points[0])]).toEqual([1, 2, 3, 6].map((x) => expect.closeTo(x - 0.1 * (x - 0.5 * (x - 3)), 12)))
  // Mean of V: 6.25; half the mean of W over pairs: -0.5/4 * 7 (twice the variance 3.5).
  expect(session.metrics.value).toBeCloseTo(6.25 - 0.875, 12)
})

test('particle-gd: refuses what is no cloud', () => {
  const wrong = { ...cloud([1, 2]), tensors: [{ name: 'x', shape: [2], dtype: 'f64' as const }] }
  expect(() => new Session(method, wrong)).toThrow('space.tensors: expected one tensor of shape')
  expect(() => new Session(method, { ...cloud([1, 2]), high: 3 })).toThrow('space.high')
})
