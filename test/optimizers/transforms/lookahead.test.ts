import { beforeAll, expect, test } from 'vitest'
import type { AnyMethod } from '../../../src/core/method.js'
import { Rng, rngStream } from '../../../src/core/rng.js'
import { loadEngines } from '../../../src/optimizers/engines/index.js'
import { method as adam } from '../../../src/optimizers/presets/adam.js'
import { method as sgd } from '../../../src/optimizers/presets/sgd.js'
import { of, Session, vectors } from '../session.js'

beforeAll(loadEngines)

const lookahead = (more: object = {}) => [{ id: 'lookahead', ...more }]
const gradients = Array.from({ length: 60 }, (_, k) => [Math.sin(1 + k * k), Math.cos(k), 0.1 * k])

test('[lookahead] one outer step: the slow weights are the estimate and where the next gradient is asked', () => {
  const session = new Session(sgd, vectors([1]), { config: { learningRate: 0.1, transforms: lookahead() } })
  for (let k = 1; k < 5; k++) {
    session.steps(
      1,
      of((x) => x),
    )
    expect(session.asked.x[0]).toBeCloseTo(0.9 ** k, 14)
    expect(session.answer.x[0]).toBe(1)
  }
  session.steps(
    1,
    of((x) => x),
  )
  const slow = 0.5 + 0.5 * 0.9 ** 5
  expect(Math.abs(slow - 0.795245)).toBeLessThan(1e-12)
  expect(Math.abs(session.answer.x[0] - slow)).toBeLessThan(1e-12)
  expect(session.asked.x[0]).toBe(session.answer.x[0])
})

test('[lookahead] alpha 1 is the rule alone, to the bit; k 1 with SGD is a smaller step', () => {
  for (const [method, config] of [
    [sgd, { momentum: 0.9 }],
    [sgd, {}],
    [adam, {}],
  ] as const) {
    const plain = new Session(method as AnyMethod, vectors([1, 2, 3]), { config })
    const transforms = lookahead({ alpha: 1, k: 3 })
    const wrapped = new Session(method as AnyMethod, vectors([1, 2, 3]), { config: { ...config, transforms } })
    for (const g of gradients) expect(wrapped.tell(g).x).toEqual(plain.tell(g).x)
  }
  const half = new Session(sgd, vectors([1, 2, 3]), { config: { learningRate: 0.05 } })
  const one = new Session(sgd, vectors([1, 2, 3]), {
    config: { learningRate: 0.1, transforms: lookahead({ k: 1, alpha: 0.5 }) },
  })
  for (const g of gradients) {
    one.tell(g)
    for (const [i, xi] of half.tell(g).x.entries()) expect(one.x[i]).toBeCloseTo(xi, 12)
  }
})

test('[lookahead] noisy quadratic: the variance of the slow weights is that of the analysis', () => {
  // 2000 independent walks of 100 outer steps each, after 20 to forget the start.
  const replicas = 2000
  const rng = new Rng(rngStream(7, 'noise'))
  const variance = (transforms: object[]) => {
    const config = { learningRate: 0.5, transforms, reportNorm: false }
    const session = new Session(sgd, vectors(Array(replicas).fill(0)), { config, engine: 'wasm' })
    let sum = 0
    for (let outer = 0; outer < 120; outer++) {
      session.steps(
        5,
        of((x) => Float64Array.from(x, (xi) => xi + rng.normal())),
      )
      if (outer >= 20) sum += Array.from(session.answer.x).reduce((total, xi) => total + xi * xi, 0)
    }
    return sum / (100 * replicas)
  }
  const [slow, plain] = [variance(lookahead()), variance([])]
  expect(Math.abs(slow / 0.1134 - 1)).toBeLessThan(0.03)
  expect(Math.abs(plain / (1 / 3) - 1)).toBeLessThan(0.03)
  expect(Math.abs(slow / plain / 0.340207 - 1)).toBeLessThan(0.03)
})

test('[lookahead] what a synchronization does to the momentum', () => {
  for (const policy of ['keep', 'reset', 'average']) {
    const transforms = lookahead({ k: 3, alpha: 0.25, policy })
    const session = new Session(sgd, vectors([1, 2, 3]), { config: { learningRate: 0.1, momentum: 0.9, transforms } })
    let [x, slow] = [1, 1]
    let [v, slowV] = [0, 0]
    for (const [k, g] of gradients.entries()) {
      v = 0.9 * v + g[0]
      x -= 0.1 * v
      if (k % 3 === 2) {
        slow += 0.25 * (x - slow)
        x = slow
        if (policy === 'reset') v = 0
        if (policy === 'average') {
          slowV += 0.25 * (v - slowV)
          v = slowV
        }
      }
      session.tell(g)
      if (k === 30) session.restart()
      expect(session.x[0]).toBeCloseTo(x, 12)
      expect(session.answer.x[0]).toBeCloseTo(slow, 12)
      expect(session.state.slots.v.x[0]).toBeCloseTo(v, 12)
    }
  }
  const stateless = new Session(sgd, vectors([1]), { config: { transforms: lookahead({ policy: 'reset' }) } })
  expect(() => stateless.tell([1])).not.toThrow()
})

test('[lookahead] the adaptive alpha is the minimum on the way, between its bounds', () => {
  const curvature = [1, 4, 9]
  const gradient = of((x) => curvature.map((h, i) => h * x[i]))
  const alphaLow = 0.2
  const config = { learningRate: 0.21, transforms: lookahead({ alpha: 'adaptive', alphaLow, k: 3 }) }
  const session = new Session(sgd, vectors([3, -2, 1]), { config })
  let unbounded = 0
  for (let outer = 0; outer < 10; outer++) {
    const slow = session.x
    const fast = slow.map((xi, i) => xi * (1 - 0.21 * curvature[i]) ** 3)
    const dot = (of: (i: number) => number) => curvature.reduce((sum, _, i) => sum + of(i), 0)
    const best =
      dot((i) => (slow[i] - fast[i]) * curvature[i] * slow[i]) / dot((i) => curvature[i] * (fast[i] - slow[i]) ** 2)
    const alpha = Math.min(Math.max(best, alphaLow), 1)
    if (alpha === best) unbounded++
    session.steps(3, gradient)
    expect(session.metrics.alpha).toBeCloseTo(alpha, 9)
    for (const [i, xi] of session.x.entries()) expect(xi).toBeCloseTo(slow[i] + alpha * (fast[i] - slow[i]), 10)
  }
  expect(unbounded).toBeGreaterThan(0)
  expect(
    () =>
      new Session(sgd, vectors([0]), { config: { transforms: lookahead({ alpha: 'adaptive', policy: 'average' }) } }),
  ).toThrow('config.transforms[0].policy')
})

test('[lookahead] slow weights stay in the set of the space', () => {
  const config = { learningRate: 1, transforms: lookahead({ k: 2 }) }
  const session = new Session(sgd, vectors([0.5], { low: 0, high: 1 }), { config })
  for (let t = 0; t < 12; t++) {
    session.tell([-5])
    expect(session.answer.x[0]).toBeLessThanOrEqual(1)
  }
  expect(session.answer.x[0]).toBe(1)
})
