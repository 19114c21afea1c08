import { expect, test } from 'vitest'
import { method as adamw } from '../../../src/optimizers/presets/adamw.js'
import { method as ademamix } from '../../../src/optimizers/presets/ademamix.js'
import { method as lamb } from '../../../src/optimizers/presets/lamb.js'
import { method as lars } from '../../../src/optimizers/presets/lars.js'
import { method as prodigy } from '../../../src/optimizers/presets/prodigy.js'
import { method as scheduleFree } from '../../../src/optimizers/presets/schedule-free.js'
import { of, Session, vectors } from '../session.js'

const waves = Array.from({ length: 40 }, (_, k) => Math.sin(1 + k * k))
const near = (found: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number) => {
  for (let i = 0; i < expected.length; i++) expect(Math.abs(found[i] - expected[i])).toBeLessThan(tolerance)
}

test('LAMB: the first step of a tensor is lr times its norm, whatever the gradient; clip bounds the norm', () => {
  const step = (config: object, scale: number) => {
    const session = new Session(lamb, vectors({ a: [3, 4], b: [0] }), {
      config: { learningRate: 0.1, weightDecay: 0, eps: 0, ...config },
    }).tell({ a: [scale, -2 * scale], b: [scale] })
    const { a, b } = session.state.x
    return { a: Math.hypot(a[0] - 3, a[1] - 4), b: b[0] }
  }
  for (const scale of [1e-3, 1, 1e3]) expect(step({}, scale).a).toBeCloseTo(0.5, 12)
  expect(step({ clip: 2 }, 1).a).toBeCloseTo(0.2, 12)
  // A tensor at 0 moves like Adam.
  expect(step({}, 1).b).toBeCloseTo(-0.1, 12)
})

test('LARS: the first step of a tensor is lr*trust times its norm', () => {
  const config = { learningRate: 1, trust: 0.01, weightDecay: 0 }
  const session = new Session(lars, vectors({ a: [3, 4], b: [0] }), { config }).tell({ a: [30, -40], b: [7] })
  const { a, b } = session.state.x
  near(a, [3 - 0.05 * 0.6, 4 + 0.05 * 0.8], 1e-12)
  expect(b[0]).toBe(-7)
  session.tell({ a: [0, 0], b: [0] })
  // No gradient: momentum goes on.
  near(session.state.x.a, [3 - 1.9 * 0.03, 4 + 1.9 * 0.04], 1e-12)
})

test('Prodigy follows its equations, and its estimate finds the order of the distance', () => {
  const session = new Session(prodigy, vectors([1, 2]), { config: { d0: 1e-3 } })
  const x0 = [1, 2]
  const x = [1, 2]
  const [m, v, s] = [
    [0, 0],
    [0, 0],
    [0, 0],
  ]
  let [d, r] = [1e-3, 0]
  const q = Math.sqrt(0.999)
  for (let t = 0; t < 30; t++) {
    const g = [x[0] - 5, 3 * (x[1] + 2)]
    r = q * r + (d / 1e-3) * d * (g[0] * (x0[0] - x[0]) + g[1] * (x0[1] - x[1]))
    for (const i of [0, 1]) {
      s[i] = q * s[i] + (d / 1e-3) * d * g[i]
      m[i] = 0.9 * m[i] + 0.1 * d * g[i]
      v[i] = 0.999 * v[i] + 0.001 * d * d * g[i] ** 2
    }
    const old = d
    d = Math.max(d, r / (Math.abs(s[0]) + Math.abs(s[1])))
    for (const i of [0, 1]) x[i] -= (old * m[i]) / (Math.sqrt(v[i]) + d * 1e-8)
    session.tell(g)
    near(session.x, x, 1e-9)
    expect(session.metrics.d).toBeCloseTo(d, 12)
  }
  session.steps(
    500,
    of((y) => [y[0] - 5, 3 * (y[1] + 2)]),
  )
  expect(session.metrics.d).toBeGreaterThan(0.5)
  expect(session.metrics.d).toBeLessThan(10)
})

test('schedule-free: asks between the average and the iterate, and serves the average', () => {
  const config = { base: 'sgd', learningRate: 0.3, beta1: 0.8 }
  const session = new Session(scheduleFree, vectors([4]), { config })
  let [z, average] = [4, 4]
  for (let t = 1; t <= 20; t++) {
    const asked = 0.2 * z + 0.8 * average
    expect(session.asked.x[0]).toBeCloseTo(asked, 12)
    session.tell([asked])
    z -= 0.3 * asked
    average += (z - average) / t
    expect(session.answer.x[0]).toBeCloseTo(average, 12)
  }
  expect(session.estimate.kind).toBe('average')
  // A warm-up weighs its steps by the square of their rates.
  const warm = new Session(scheduleFree, vectors([4]), {
    config: { ...config, schedule: { id: 'constant', warmupSteps: 2 } },
  })
  warm.tell([1]).tell([1])
  const [z1, z2] = [4 - 0.15, 4 - 0.45]
  expect(warm.answer.x[0]).toBeCloseTo((0.15 ** 2 * z1 + 0.3 ** 2 * z2) / (0.15 ** 2 + 0.3 ** 2), 12)
})

test('AdEMAMix: with alpha 0 AdamW; with a warm-up the slow mean begins as the fast one', () => {
  const path = (method: { id: string }, config: object) => {
    const session = new Session(method as typeof adamw, vectors([1]), { config })
    return waves.map((g) => session.tell([g]).x[0])
  }
  const config = { learningRate: 0.01, weightDecay: 0.1 }
  near(path(ademamix, { ...config, alpha: 0 }), path(adamw, config), 1e-12)
  let [m, old, v, x] = [0, 0, 0, 1]
  const warmup = 20
  const found = path(ademamix, { learningRate: 0.01, warmup })
  for (const [k, g] of waves.entries()) {
    const t = k + 1
    const share = Math.min(t / warmup, 1)
    const [l1, l3] = [Math.log(0.9), Math.log(0.9999)]
    const beta3 = Math.min(Math.exp((l1 * l3) / ((1 - share) * l3 + share * l1)), 0.9999)
    m = 0.9 * m + 0.1 * g
    old = beta3 * old + (1 - beta3) * g
    v = 0.999 * v + 0.001 * g * g
    x -= (0.01 * (m / (1 - 0.9 ** t) + share * 5 * old)) / (Math.sqrt(v / (1 - 0.999 ** t)) + 1e-8)
    expect(found[k]).toBeCloseTo(x, 12)
  }
})
