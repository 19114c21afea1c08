import { expect, test } from 'vitest'
import { method as dog } from '../../../src/optimizers/presets/dog.js'
import { method as sgd } from '../../../src/optimizers/presets/sgd.js'
import { of, Session, vectors } from '../session.js'

const parabola = of((x) => [2 * (x[0] - 1)])

test('[dog] the first three steps on (x - 1)^2', () => {
  const session = new Session(dog, vectors([0]))
  for (const x of [1e-6, 1.70711e-6, 2.6927e-6])
    expect(Math.abs(session.steps(1, parabola).x[0] - x)).toBeLessThan(1e-10)
})

test('[dog] with eps 0 the scale of the gradients does not matter; for SGD it does', () => {
  const run = (method: typeof dog, scale: number, config: object) => {
    const session = new Session(method, vectors([1, -2]), { config })
    const path: number[] = []
    for (let k = 0; k < 100; k++)
      path.push(
        ...session.steps(
          1,
          of((x) => [scale * 2 * x[0], scale * 20 * x[1]]),
        ).x,
      )
    return path
  }
  const worst = (method: typeof dog, scale: number, config: object) => {
    const plain = run(method, 1, config)
    return Math.max(...run(method, scale, config).map((x, i) => Math.abs(x / plain[i] - 1)))
  }
  for (const scale of [1e-3, 1e3]) expect(worst(dog, scale, { eps: 0 })).toBeLessThan(1e-12)
  expect(worst(sgd as unknown as typeof dog, 1e-3, { learningRate: 0.01 })).toBeGreaterThan(0.1)
})

test('[dog] ldog of one tensor is dog; of two tensors it has a step size each', () => {
  const both = (['dog', 'ldog'] as const).map((variant) =>
    new Session(dog, vectors([1, -2]), { config: { variant } }).steps(
      100,
      of((x) => [2 * x[0], 20 * x[1]]),
    ),
  )
  expect(both[1].x).toEqual(both[0].x)

  const etas = (variant: 'dog' | 'ldog') => {
    const session = new Session(dog, vectors({ a: [1], b: [1] }), { config: { variant } }).tell({ a: [1], b: [1e4] })
    return [1 - session.state.x.a[0], (1 - session.state.x.b[0]) / 1e4]
  }
  const [a, b] = etas('ldog')
  expect(a / b).toBeGreaterThan(100)
  const [c, d] = etas('dog')
  expect(c / d).toBeCloseTo(1, 3)
})

test('[dog] serves the polynomial-decay average, and reports eta and rbar', () => {
  const session = new Session(dog, vectors([0]))
  let mean = 0
  for (let t = 1; t <= 50; t++) {
    const x = session.steps(1, parabola).x[0]
    const w = 9 / (t + 8)
    mean = (1 - w) * mean + w * x
    expect(session.answer.x[0]).toBeCloseTo(mean, 14)
  }
  expect(session.estimate.kind).toBe('average')
  const { eta, rbar } = session.metrics
  expect(rbar).toBeGreaterThan(1e-6)
  expect(eta).toBeCloseTo(rbar / Math.sqrt(session.state.slots.G.all[0]), 15)
})

test('[dog] tdog follows its equation, initialRate sets the first step', () => {
  const session = new Session(dog, vectors([0]), { config: { variant: 'tdog', repsRel: 0.1 } })
  let x = 0
  let sum = 0
  let l = 0
  let rbar = 0.1
  const l0 = 2
  for (let t = 0; t < 20; t++) {
    const g = 2 * (x - 1)
    l = Math.max(l, Math.abs(g))
    rbar = Math.max(rbar, Math.abs(x))
    const theta = Math.log((60 * Math.log(6 * Math.max(t, 1))) / 0.01)
    const logs = 1 + Math.log(1 + (t * l ** 2) / l0 ** 2)
    x -= (rbar / Math.sqrt(8 ** 4 * theta ** 2 * logs ** 2 * (sum + 16 * l * l))) * g
    sum += g * g
    expect(session.steps(1, parabola).x[0]).toBeCloseTo(x, 12)
  }
  const first = new Session(dog, vectors([0]), { config: { initialRate: 0.25 } })
  expect(first.steps(1, parabola).x[0]).toBe(0.5)
})
