import { beforeAll, expect, test } from 'vitest'
import { loadEngines } from '../../../src/optimizers/engines/index.js'
import { method as dAdaptation } from '../../../src/optimizers/presets/d-adaptation.js'
import { method as dog } from '../../../src/optimizers/presets/dog.js'
import { method as sania } from '../../../src/optimizers/presets/sania.js'
import { method as sgd } from '../../../src/optimizers/presets/sgd.js'
import { method as uDog } from '../../../src/optimizers/presets/u-dog.js'
import { of, Session, vectors } from '../session.js'

beforeAll(loadEngines)

const near = (found: ArrayLike<number>, expected: readonly number[], tolerance: number) => {
  for (const [i, e] of expected.entries()) expect(Math.abs(found[i] - e)).toBeLessThan(tolerance)
}

test('[u-dog] an ill-conditioned bowl: far ahead of DoG and of gradient descent', () => {
  const h = Array.from({ length: 50 }, (_, i) => 1000 ** (-i / 49))
  const value = (x: ArrayLike<number>) => h.reduce((sum, hi, i) => sum + 0.5 * hi * x[i] ** 2, 0)
  const end = (method: { id: string }, config: object) =>
    value(
      new Session(method as typeof uDog, vectors(h.map(() => 1)), { config, engine: 'wasm' }).steps(
        600,
        of((x) => h.map((hi, i) => hi * x[i])),
      ).answer.x,
    )
  const accelerated = end(uDog, { reps: 1e-4 })
  expect(accelerated).toBeLessThan(2e-5)
  expect(accelerated).toBeCloseTo(5.2e-6, 7)
  expect(end(uDog, { variant: 'a-dog', repsRel: 1e-6 })).toBeLessThan(5e-5)
  expect(end(dog, {})).toBeGreaterThan(3e-3)
  const plain = end(sgd, { learningRate: 1 })
  expect(plain).toBeGreaterThan(9e-4)
  expect(plain).toBeLessThan(1.1e-3)
})

test('[u-dog] the first steps', () => {
  const one = new Session(uDog, vectors([1, 3]), { config: { reps: 0.01 } }).steps(
    2,
    of((x) => [2 * x[0], 0]),
  )
  expect(Array.from(one.answer.x)).toEqual([0.99, 3])
  const two = new Session(uDog, vectors([3, 4]), { config: { reps: 0.01 } }).steps(
    4,
    of((x) => [x[0], x[1]]),
  )
  near(two.answer.x, [2.986024, 3.981365], 1e-5)
  expect(two.estimate.kind).toBe('average')
  expect(two.metrics.gradients).toBe(4)
})

test('[u-dog] keeps to a set, and may have a step size per tensor', () => {
  const boxed = new Session(uDog, vectors([0.5], { low: -1, high: 1 }), { config: { reps: 0.1 } })
  for (let k = 0; k < 200; k++) {
    boxed.steps(
      1,
      of((x) => [x[0] - 3]),
    )
    for (const point of [boxed.x[0], boxed.answer.x[0], boxed.state.slots.y.x[0]])
      expect(Math.abs(point)).toBeLessThanOrEqual(1)
  }
  expect(boxed.answer.x[0]).toBeGreaterThan(0.9)
  for (const variant of ['u-dog', 'a-dog']) {
    const run = (scale: number) => {
      const config = { variant, granularity: 'tensor', reps: 0.1, eps: 0 }
      const session = new Session(uDog, vectors({ a: [1], b: [1] }), { config })
      session.steps(40, ({ a, b }) => ({ a: [a[0]], b: [scale * b[0]] }))
      return [session.answer.a[0], session.answer.b[0]]
    }
    // The other tensor's gradients do not matter, nor does the scale of its own.
    near(run(1e4), run(1), 1e-12)
  }
})

test('[d-adaptation] the first steps of sgd and adam', () => {
  const parabola = of((x) => [x[0]])
  const config = { variant: 'sgd', d0: 0.1 }
  const session = new Session(dAdaptation, vectors([1]), { config }).steps(3, parabola)
  expect(Math.abs(session.x[0] - 0.729)).toBeLessThan(1e-9)
  expect(Math.abs(session.metrics.d - 0.18)).toBeLessThan(1e-9)
  for (const g of [5, -0.1]) {
    const [x] = new Session(dAdaptation, vectors([0])).tell([g]).x
    expect(Math.abs(x / (-3.1623e-6 * Math.sign(g)) - 1)).toBeLessThan(1e-4)
  }
})

test('[d-adaptation] da: gradients times 1024 change no bit', () => {
  for (const option of ['I', 'II']) {
    const run = (scale: number) => {
      const config = { variant: 'da', option, d0: 1e-3 }
      const session = new Session(dAdaptation, vectors([1, -2]), { config })
      return Array.from({ length: 200 }, () => {
        session.steps(
          1,
          of((x) => [scale * x[0], scale * 3 * x[1]]),
        )
        return [...session.x, session.metrics.d]
      })
    }
    expect(run(1024)).toEqual(run(1))
    expect(run(1).at(-1)![2]).toBeGreaterThan(0.1)
  }
})

test('[d-adaptation] da serves the mean of iterates, weighted by d', () => {
  const session = new Session(dAdaptation, vectors([1]), { config: { variant: 'da', d0: 0.1 } })
  let [sum, weights] = [0, 0]
  for (let k = 0; k < 50; k++) {
    const d = k === 0 ? 0.1 : session.metrics.d
    sum += d * session.x[0]
    weights += d
    session.steps(
      1,
      of((x) => [x[0] - 3]),
    )
    expect(session.answer.x[0]).toBeCloseTo(sum / weights, 12)
  }
})

test('[d-adaptation] sgd on a quadratic, from any first estimate', () => {
  const n = Array.from({ length: 10 }, (_, i) => i + 1)
  const loss = (x: ArrayLike<number>) => n.reduce((sum, h, i) => sum + 0.5 * h * (x[i] - h) ** 2, 0)
  const zero = n.map(() => 0)
  for (const d0 of [1e-8, 1e-6, 1e-3]) {
    const session = new Session(dAdaptation, vectors(zero), { config: { variant: 'sgd', d0 }, engine: 'wasm' })
    session.steps(
      2000,
      of((x) => n.map((h, i) => h * (x[i] - h))),
    )
    expect(loss(session.x) / loss(zero)).toBeLessThan(1e-20)
    expect(session.metrics.d).toBeGreaterThan(10)
    expect(session.metrics.d).toBeLessThan(19.63)
  }
})

test('[d-adaptation] every variant finds a distance, and gets there', () => {
  for (const variant of ['da', 'sgd', 'adam', 'adagrad', 'lion']) {
    const config = { variant, schedule: { id: 'linear', steps: 2000 } }
    const session = new Session(dAdaptation, vectors([0, 0]), { config, engine: 'wasm' }).steps(
      2000,
      of((x) => [x[0] - 3, 4 * (x[1] - 4)]),
    )
    // The sums of adam and lion forget: their estimate is of the order of the distance, 5, and no bound.
    expect(session.metrics.d, variant).toBeLessThan(variant === 'adam' || variant === 'lion' ? 25 : 5)
    expect(session.metrics.d, variant).toBeGreaterThan(0.1)
    const [a, b] = session.answer.x
    expect((a - 3) ** 2 + 4 * (b - 4) ** 2, variant).toBeLessThan(0.03 * (9 + 4 * 16))
  }
})

test('[d-adaptation] the growth of the estimate can be limited', () => {
  const config = { variant: 'sgd', d0: 1e-6, growthRate: 1.5 }
  const session = new Session(dAdaptation, vectors([0]), { config })
  let before = 1e-6
  for (let k = 0; k < 50; k++) {
    const { d } = session.steps(
      1,
      of((x) => [x[0] - 1]),
    ).metrics
    expect(d).toBeLessThanOrEqual(1.5 * before * (1 + 1e-12))
    before = d
  }
  expect(before).toBeGreaterThan(1e-3)
})

const polyak = (start: readonly number[], config: object, value: (x: ArrayLike<number>) => number) =>
  new Session(sania, vectors(start), { config, value: ({ x }) => value(x) })

test('[sania] the first steps on x^2/2, and of a logistic loss', () => {
  const session = polyak([2], { eps: 1e-30 }, (x) => x[0] ** 2 / 2)
  for (const x of [1.5, 1.26, 1.0992365]) {
    session.steps(
      1,
      of((w) => [w[0]]),
    )
    expect(Math.abs(session.x[0] - x)).toBeLessThan(1e-6)
    expect(session.metrics.alpha).toBe(1)
  }
  const logistic = polyak([0], { eps: 1e-30 }, (w) => Math.log1p(Math.exp(-w[0])))
  for (const w of [2, 2.4511685]) {
    logistic.steps(
      1,
      of((x) => [-1 / (1 + Math.exp(x[0]))]),
    )
    expect(Math.abs(logistic.x[0] - w)).toBeLessThan(1e-6)
  }
})

const A = [
  [4, 1, 0.5],
  [1, 3, -0.7],
  [0.5, -0.7, 0.2 + 0.5],
]
const times = (x: ArrayLike<number>) => A.map((row) => row.reduce((sum, a, j) => sum + a * x[j], 0))
const solution = [1, -2, 3]
const from = (x: ArrayLike<number>) => solution.map((s, i) => x[i] - s)
const form = (x: ArrayLike<number>) => times(from(x)).reduce((sum, v, i) => sum + 0.5 * v * from(x)[i], 0)

test('[sania] newton reaches the minimum of a quadratic in one step', () => {
  const config = { variant: 'newton', fstar: 7, driver: { id: 'newton' } }
  const session = polyak([3, 3, -3], config, (x) => 7 + form(x)).steps(
    1,
    of((x) => times(from(x))),
  )
  near(session.x, solution, 1e-6)
  expect(session.metrics.alpha).toBeCloseTo(1, 2)
  // The driver is what makes the direction: without it the variant is refused.
  expect(() => polyak([0], { variant: 'newton' }, () => 0)).toThrow('config.driver')
})

test('[sania] hutchinson learns the diagonal of the Hessian', () => {
  const config = { variant: 'hutchinson', driver: { id: 'hutchinson' }, beta2: 0.9 }
  const h = [1, 10, 100]
  const session = polyak([1, 1, 1], config, (x) => h.reduce((sum, hi, i) => sum + 0.5 * hi * x[i] ** 2, 0)).steps(
    1,
    of((x) => h.map((hi, i) => hi * x[i])),
  )
  near(session.x, [0, 0, 0], 1e-6)
  near(
    session.state.slots.S.x,
    h.map((hi) => 0.1 * hi),
    1e-8,
  )
})

test('[sania] columns of data times a vector: the squared variants have the same losses', () => {
  const rows = Array.from({ length: 20 }, (_, i) => [Math.sin(i + 1), Math.cos(3 * i), Math.sin(i * i)])
  const labels = rows.map((a) => Math.sign(a[0] - 0.5 * a[1] + 0.3))
  const losses = (variant: string, scale: readonly number[], driver: object = { id: 'step' }) => {
    const data = rows.map((a, k) => a.map((ai, i) => labels[k] * ai * scale[i]))
    const margins = (x: ArrayLike<number>) => data.map((a) => a.reduce((sum, ai, i) => sum + ai * x[i], 0))
    const loss = (x: ArrayLike<number>) => margins(x).reduce((sum, z) => sum + Math.log1p(Math.exp(-z)) / 20, 0)
    const session = polyak([0, 0, 0], { variant, eps: 1e-30, driver }, loss)
    return Array.from({ length: 20 }, () => {
      session.steps(
        1,
        of((x) => {
          const p = margins(x).map((z) => 1 / (1 + Math.exp(z)))
          return [0, 1, 2].map((i) => -data.reduce((sum, a, k) => sum + (p[k] * a[i]) / 20, 0))
        }),
      )
      return loss(session.x)
    })
  }
  const change = (variant: string) => {
    const plain = losses(variant, [1, 1, 1])
    return Math.max(...losses(variant, [10, 0.1, 3]).map((value, k) => Math.abs(value / plain[k] - 1)))
  }
  for (const variant of ['adagrad-sqr', 'adam-sqr']) expect(change(variant)).toBeLessThan(1e-7)
  for (const variant of ['adagrad', 'adam', 'identity']) expect(change(variant)).toBeGreaterThan(1e-2)
})
