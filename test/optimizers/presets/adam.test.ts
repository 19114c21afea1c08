import { expect, test } from 'vitest'
import { method as adam } from '../../../src/optimizers/presets/adam.js'
import { method as adamax } from '../../../src/optimizers/presets/adamax.js'
import { method as sgd } from '../../../src/optimizers/presets/sgd.js'
import { of, Session, vectors } from '../session.js'

const rosenbrock = ([x, y]: ArrayLike<number> & Iterable<number>) => [
  -2 * (1 - x) - 400 * x * (y - x * x),
  200 * (y - x * x),
]

test('[adam] two scalar steps of Adam and AdaMax', () => {
  const config = { learningRate: 0.1 }
  const a = new Session(adam, vectors([0]), { config }).tell([2])
  expect(a.x[0]).toBeCloseTo(-0.0999999995, 9)
  expect(a.tell([-1]).x[0]).toBeCloseTo(-0.1266337033, 9)
  const b = new Session(adamax, vectors([0]), { config }).tell([2])
  expect(b.x[0]).toBeCloseTo(-0.1, 9)
  expect(b.tell([-1]).x[0]).toBeCloseTo(-0.1210737053, 9)
})

test('[adam] a diagonal rescaling of the gradients leaves the trajectory, with eps 0; that of SGD changes', () => {
  const scales = [1e-3, 1, 1e3]
  const run = (method: typeof adam, scale: readonly number[], config: object) => {
    const session = new Session(method, vectors([1, 2, 3]), { config })
    const path: number[] = []
    for (let k = 0; k < 200; k++) path.push(...session.tell(scale.map((s, i) => s * Math.sin(1 + k * (i + 1)))).x)
    return path
  }
  const spread = (method: typeof adam, config: object) => {
    const plain = run(method, [1, 1, 1], config)
    return Math.max(...run(method, scales, config).map((x, i) => Math.abs(x - plain[i])))
  }
  expect(spread(adam, { learningRate: 0.01, eps: 0 })).toBeLessThan(1e-12)
  expect(spread(sgd as unknown as typeof adam, { learningRate: 0.01 })).toBeGreaterThan(0.1)
})

test('[adam] beta1 = 0 is RMSProp with bias correction; 100 steps on Rosenbrock agree with the equations', () => {
  for (const beta1 of [0, 0.9]) {
    const lr = 0.02
    const session = new Session(adam, vectors([-1.2, 1]), { config: { learningRate: lr, beta1 } })
    const x = [-1.2, 1]
    const m = [0, 0]
    const v = [0, 0]
    for (let t = 1; t <= 100; t++) {
      const g = rosenbrock(x)
      for (let i = 0; i < 2; i++) {
        m[i] += (1 - beta1) * (g[i] - m[i])
        v[i] += 0.001 * (g[i] * g[i] - v[i])
        const direction = beta1 === 0 ? g[i] : m[i] / (1 - beta1 ** t)
        x[i] -= (lr * direction) / (Math.sqrt(v[i] / (1 - 0.999 ** t)) + 1e-8)
      }
      session.tell(rosenbrock(session.x))
    }
    expect(Math.abs(session.x[0] - x[0])).toBeLessThan(1e-8)
    expect(Math.abs(session.x[1] - x[1])).toBeLessThan(1e-8)
  }
})

test('[adam] options: decay of beta1, lr/sqrt(t), averaged iterates, and moments that decay where there is no gradient', () => {
  const config = {
    learningRate: 0.1,
    beta1Decay: 0.5,
    schedule: { id: 'inverse-sqrt' },
    averaging: { id: 'ema', decay: 0.999 },
  }
  const session = new Session(adam, vectors([1, 1]), { config })
  let x = 1
  let m = 0
  let v = 0
  let mean = 0
  for (let t = 1; t <= 5; t++) {
    const g = t === 3 ? 0 : x
    session.tell([g, g])
    const b = 0.9 * 0.5 ** (t - 1)
    m = b * m + (1 - b) * g
    v = 0.999 * v + 0.001 * g * g
    x -= ((0.1 / Math.sqrt(t)) * (m / (1 - 0.9 ** t))) / (Math.sqrt(v / (1 - 0.999 ** t)) + 1e-8)
    mean = 0.999 * mean + 0.001 * x
    expect(session.x[0]).toBeCloseTo(x, 12)
    expect(session.state.slots.v.x[0]).toBeCloseTo(v, 15)
    expect(session.estimate.kind).toBe('average')
    expect(session.answer.x[0]).toBeCloseTo(mean / (1 - 0.999 ** t), 11)
    expect(session.metrics.learningRate).toBeCloseTo(0.1 / Math.sqrt(t), 15)
  }
})

test('[adam] an element that never had a gradient stays, with eps 0 and in AdaMax', () => {
  for (const [method, config] of [
    [adam, { eps: 0 }],
    [adamax, {}],
  ] as const) {
    const session = new Session(method, vectors([1, 1]), { config })
    session.steps(
      3,
      of(() => [0, 1]),
    )
    expect(session.x[0]).toBe(1)
    expect(session.x[1]).toBeLessThan(1)
  }
})
