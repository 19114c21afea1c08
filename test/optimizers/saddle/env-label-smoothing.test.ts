import { describe, expect, test } from 'vitest'
import { method as sgd } from '../../../src/optimizers/presets/sgd.js'
import { largestStableRate, method, softTargets } from '../../../src/optimizers/saddle/env-label-smoothing.js'
import { Session, vectors } from '../session.js'
import { Game, type Operator, players } from './game.js'

const sigma = (x: number) => 1 / (1 + Math.exp(-x))
/** V(th, psi) = -[gamma log sigma(psi th) + (1 - gamma) log sigma(-psi th)]: its slope by the product psi th. */
const slope = (gamma: number, product: number) => sigma(product) - gamma
const dirac =
  (gamma: number): Operator =>
  ({ th, psi }) => {
    const s = slope(gamma, psi[0] * th[0])
    return { th: [s * psi[0]], psi: [s * th[0]] }
  }

describe('[env-label-smoothing] the Dirac example', () => {
  const radius = (gamma: number, learningRate: number) => {
    const config = { discriminator: ['psi'], task: false, labelSmoothing: gamma, learningRate }
    const game = new Game(method, players({ th: [1e-3], psi: [1e-3] }), config)
    let largest = 0
    for (let t = 0; t < 400 && largest < 10; t++) {
      game.tell(dirac(gamma)).tell(dirac(gamma))
      largest = Math.max(largest, Math.hypot(...game.x))
    }
    return largest
  }
  test.each([
    [1, 3.9],
    [0.9, 4.9],
    [0.75, 7.5],
  ])('gamma %f, rate %f: bounded', (gamma, rate) => {
    expect(radius(gamma, rate)).toBeLessThan(0.05)
  })
  test.each([
    [1, 4.1],
    [0.9, 5.2],
    [0.75, 8.5],
  ])('gamma %f, rate %f: unstable', (gamma, rate) => {
    expect(radius(gamma, rate)).toBeGreaterThan(1)
  })
  test.each([
    [1, 4],
    [0.9, 5],
    [0.75, 8],
  ])('gamma %f: the diagnostic gives %f', (gamma, rate) => {
    // The field (-dV/dth, dV/dpsi) near 0 by differences.
    const field = (th: number, psi: number) => {
      const s = slope(gamma, psi * th)
      return [-s * psi, s * th]
    }
    const product = (v: Float64Array) => {
      const h = 1e-4
      const [up, down] = [field(h * v[0], h * v[1]), field(-h * v[0], -h * v[1])]
      return Float64Array.from(up, (u, i) => (u - down[i]) / (2 * h))
    }
    const found = largestStableRate(product, Float64Array.of(1, 0.3))
    expect(Math.abs(found / rate - 1)).toBeLessThan(1e-3)
    expect(largestStableRate(product, Float64Array.of(1, 0.3), { discriminatorSteps: 4 }) / rate).toBeCloseTo(0.5, 3)
  })
})

// "Logit norm" above 8 holds of the gap of the two logits, log(4000) = 8.29 after 2,000 steps; their Euclidean norm, with
// the gap halved between them, is 5.9.
test('[env-label-smoothing] confidence is capped at gamma; without smoothing the logits grow without bound', () => {
  const train = (gamma: number, environments: number) => {
    const { own, other } = softTargets(gamma, environments)
    const e = Array.from({ length: environments }, (_, l) => (l === 0 ? own : other))
    const session = new Session(sgd, vectors(Array(environments).fill(0)), { config: { learningRate: 1 } })
    const softmax = () => {
      const exp = session.x.map(Math.exp)
      const total = exp.reduce((sum, v) => sum + v, 0)
      return exp.map((v) => v / total)
    }
    for (let t = 0; t < 2000; t++) session.tell(softmax().map((p, l) => p - e[l]))
    return { logits: session.x, softmax: softmax(), e }
  }
  const capped = train(0.9, 2)
  expect(Math.abs(capped.logits[0] - capped.logits[1] - Math.log(9))).toBeLessThan(1e-3)
  const plain = train(1, 2)
  expect(plain.logits[0] - plain.logits[1]).toBeGreaterThan(8)
  const many = train(0.8, 5)
  many.softmax.forEach((p, l) => {
    expect(Math.abs(p - many.e[l])).toBeLessThan(1e-6)
  })
})

test('env-label-smoothing: turns, samples, the weight of the adversary', () => {
  const asks = (config: object, count: number) => {
    const game = new Game(method, players({ x: [0], y: [0] }), config)
    return Array.from({ length: count }, () => {
      const { purpose, sampleKey } = game.query
      game.tell(() => ({ x: [1], y: [1] }))
      return `${purpose} ${sampleKey}`
    })
  }
  expect(asks({ discriminatorSteps: 2 }, 5)).toEqual([
    'domain s0.0',
    'domain s0.1',
    'task s0.2',
    'domain s0.2',
    'domain s1.0',
  ])
  expect(asks({ reversal: true }, 3)).toEqual(['task s0.0', 'domain s0.0', 'task s1.0'])

  const game = new Game(method, players({ x: [0], y: [0] }), { reversal: true, lambda: 0.5, learningRate: 0.1 })
  game.tell(() => ({ x: [3], y: [7] })).tell(() => ({ x: [2], y: [1] }))
  // The encoder goes down the task and up the domain loss, the discriminator down the domain loss.
  expect(game.x[0]).toBeCloseTo(-0.1 * (3 - 0.5 * 2), 12)
  expect(game.x[1]).toBeCloseTo(-0.1, 12)
  expect(game.metrics).toMatchObject({ targetOwn: 0.9, lambda: 0.5 })
  const ramp = new Game(method, players({ x: [0], y: [0] }), { ramp: 4, task: false, reversal: true })
  expect(ramp.metrics.lambda).toBe(0)
  ramp.tell(() => ({ x: [1], y: [1] })).tell(() => ({ x: [1], y: [1] }))
  expect(ramp.metrics.lambda).toBeCloseTo(2 / (1 + Math.exp(-5)) - 1, 12)
})
