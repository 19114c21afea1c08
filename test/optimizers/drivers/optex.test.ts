import { expect, test } from 'vitest'
import type { AnyMethod } from '../../../src/core/method.js'
import { Rng, rngStream } from '../../../src/core/rng.js'
import type { Tensors } from '../../../src/core/tensor.js'
import { gradientModel, medianDistance, weightsAt } from '../../../src/optimizers/gradient-model.js'
import { method as adam } from '../../../src/optimizers/presets/adam.js'
import { method as adamw } from '../../../src/optimizers/presets/adamw.js'
import { method as optex } from '../../../src/optimizers/presets/optex.js'
import { method as sgd } from '../../../src/optimizers/presets/sgd.js'
import { of, Session, vectors } from '../session.js'

const around = (learningRate: number, driver: object = {}) => ({ learningRate, driver: { id: 'optex', ...driver } })
const rosenbrock = ({ x }: Tensors) => {
  let sum = 0
  for (let i = 0; i + 1 < x.length; i++) sum += 100 * (x[i + 1] - x[i] ** 2) ** 2 + (1 - x[i]) ** 2
  return sum
}
const slope = of((x) => {
  const g = new Float64Array(x.length)
  for (let i = 0; i + 1 < x.length; i++) {
    const error = x[i + 1] - x[i] ** 2
    g[i] += -400 * x[i] * error - 2 * (1 - x[i])
    g[i + 1] += 200 * error
  }
  return g
})
const start = vectors(Array(20).fill(-0.5))
const bowl = of((x) => [x[0], 10 * x[1]])

test('[optex] N = 1 is the wrapped rule', () => {
  for (const [method, more] of [
    [sgd, { momentum: 0.9 }],
    [adam, {}],
    [adamw, { weightDecay: 0.1, transforms: [{ id: 'gradient-noise' }] }],
  ] as [AnyMethod, object][]) {
    const plain = new Session(method, vectors([1, 1]), { config: { learningRate: 0.05, ...more } }).steps(50, bowl)
    const config = { ...around(0.05, { parallel: 1 }), ...more }
    expect(new Session(method, vectors([1, 1]), { config }).steps(50, bowl).x).toEqual(plain.x)
  }
})

test('[optex] without noise the model gives the gradients that it knows', () => {
  const rng = new Rng(rngStream(0, 'places'))
  const vector = () => Float64Array.from({ length: 5 }, () => rng.normal())
  const places = Array.from({ length: 12 }, vector)
  const gradients = places.map(vector)
  for (const kernel of ['matern52', 'rbf'] as const) {
    const model = gradientModel(places, { kernel, noise: 0, lengthscale: medianDistance(places) })
    for (const [j, place] of places.entries()) {
      const weights = weightsAt(model, place)
      for (let i = 0; i < 5; i++) {
        const predicted = gradients.reduce((sum, g, k) => sum + weights[k] * g[i], 0)
        expect(Math.abs(predicted - gradients[j][i])).toBeLessThan(1e-8)
      }
    }
    // A place that is there twice counts once.
    const twice = weightsAt(gradientModel([...places, places[0]], { kernel, noise: 0, lengthscale: 1 }), places[0])
    expect(twice[0] + twice[12]).toBeCloseTo(1, 8)
  }
})

test('[optex] Rosenbrock in 20 dimensions: 25 rounds of four are worth 50 steps of Adam', () => {
  const value = (config: object, answers: number) => {
    const session = new Session(adam, start, { config: { learningRate: 0.05, ...config } })
    for (let round = 0; round < answers; round++) session.steps(1, slope)
    return rosenbrock(session.answer)
  }
  expect(value({ driver: { id: 'optex', parallel: 4 } }, 25)).toBeLessThan(19)
  expect(value({}, 25)).toBeCloseTo(48.8, 0)
  expect(value({}, 50)).toBeCloseTo(18.9, 0)
})

test('[optex] from the third round on N points a query; the history is no longer than it may be', () => {
  const session = new Session(adam, start, { config: around(0.05, { parallel: 5, history: 7 }) })
  for (let round = 1; round <= 10; round++) {
    expect(session.query.points).toHaveLength(round < 3 ? 1 : 5)
    session.steps(1, slope)
    const kept = Object.keys(session.state.driver.arrays!).filter((name) => name.startsWith('place'))
    expect(kept.length).toBeLessThanOrEqual(7)
  }
  expect(Object.keys(session.state.driver.points).filter((name) => name.startsWith('gradient'))).toHaveLength(7)
})

test('optex: the step of the last point, of the least loss, or of the smallest gradient', () => {
  const value = ({ x }: Tensors) => (x[0] ** 2 + 10 * x[1] ** 2) / 2
  for (const select of ['last', 'value', 'gradient'] as const) {
    const session = new Session(sgd, vectors([1, 1]), { config: around(0.15, { select, lengthscale: 0.1 }), value })
    expect(session.wants('value')).toBe(select === 'value')
    for (let round = 0; round < 12; round++) {
      const points = session.query.points.map((point) => Array.from(session.view((point as { name: string }).name).x))
      const sizes = points.map(([x, y]) =>
        select === 'value' ? value({ x: Float64Array.of(x, y) }) : Math.hypot(x, 10 * y),
      )
      const best = select === 'last' ? points.length - 1 : sizes.indexOf(Math.min(...sizes))
      session.steps(1, bowl)
      expect(session.metrics.accepted).toBe(best + 1)
      const [x, y] = points[best]
      expect(session.x[0]).toBeCloseTo(x - 0.15 * x, 12)
      expect(session.x[1]).toBeCloseTo(y - 0.15 * 10 * y, 12)
    }
  }
})

test('optex: a model of a linear field foretells it, with tuned lengthscales and by some of the elements', () => {
  const ill = of((x) => Array.from(x, (v, i) => v * (1 + i)))
  for (const driver of [{ lengthscale: 'tuned' }, { kernel: 'rbf', lengthscale: 'tuned' }, { dims: 3 }, { dims: 50 }]) {
    const session = new Session(sgd, vectors([1, 1, 1, 1, 1]), { config: around(0.05, driver) }).steps(40, ill)
    expect(session.state.driver.orders?.dims ?? []).toHaveLength(driver.dims === 3 ? 3 : 0)
    const plain = new Session(sgd, vectors([1, 1, 1, 1, 1]), { config: { learningRate: 0.05 } })
    plain.steps(session.state.t, ill)
    session.x.forEach((x, i) => {
      expect(Math.abs(x - plain.x[i])).toBeLessThan(0.1)
    })
    expect(session.state.asked).toBeLessThan(session.state.t / 2)
  }
})

test('optex: random fields, projections and restarts; the slots of the rule stay as they are while points are foretold', () => {
  const config = {
    ...around(0.05),
    transforms: [{ id: 'gradient-noise' }],
    schedule: { id: 'linear', steps: 100 },
    averaging: { id: 'ema', decay: 0.9 },
  }
  const space = vectors([1, 1], { low: 0.4 })
  const plain = new Session(optex, space, { config })
  const restarted = new Session(optex, space, { config })
  for (let round = 1; round <= 8; round++) {
    plain.steps(1, bowl)
    restarted.steps(1, bowl)
    restarted.restart()
    expect(plain.state.t).toBe(round < 3 ? round : 2 + 4 * (round - 2))
    expect(
      Math.min(...plain.query.points.flatMap((p) => Array.from(plain.view((p as { name: string }).name).x))),
    ).toBeGreaterThanOrEqual(0.4)
  }
  expect(restarted.state).toEqual(plain.state)
})
