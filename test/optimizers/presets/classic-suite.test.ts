import { expect, test } from 'vitest'
import { ravine, saddle } from '../../../examples/workloads/landscapes.js'
import { methods } from '../../../src/optimizers/catalogue.gen.js'
import { of, Session, vectors } from '../session.js'

const session = (id: string, start: readonly number[], config: object) =>
  new Session(methods.find((method) => method.id === id)!, vectors(start), { config })

const CLASSIC: Record<string, [string, object]> = {
  momentum: ['sgd', { learningRate: 0.1, momentum: 0.9 }],
  adagrad: ['adagrad', { learningRate: 0.01, eps: 1e-8, epsOn: 'square' }],
  adadelta: ['adadelta', {}],
  rmsprop: ['rmsprop', { learningRate: 0.001, decay: 0.9, eps: 1e-8, epsOn: 'square' }],
  adam: ['adam', { learningRate: 0.001 }],
  adamax: ['adamax', { learningRate: 0.002 }],
  nadam: ['nadam', { learningRate: 0.002, momentumSchedule: false }],
}

test('[classic-suite] first steps on x^2/2 from 1', () => {
  const expected = {
    momentum: 0.1,
    adagrad: 0.01,
    adadelta: 0.00316226,
    rmsprop: 0.00316228,
    adam: 0.001,
    adamax: 0.002,
    nadam: 0.0038,
  }
  for (const [name, step] of Object.entries(expected)) {
    const [x] = session(CLASSIC[name][0], [1], CLASSIC[name][1]).tell([1]).x
    // rmsprop: 0.001/sqrt(0.1 + 1e-8) is 0.0031622775, adadelta: sqrt(1e-6/(0.1 + 1e-6)) is 0.0031622619.
    expect(Math.abs(1 - x - step), name).toBeLessThan(1e-7)
  }
})

test('[classic-suite] Nesterov asks ahead of its iterate, momentum at it', () => {
  const parabola = of((x) => [x[0]])
  const config = { learningRate: 0.1, momentum: 0.9 }
  const nesterov = session('sgd', [1], { ...config, nesterov: true })
  // The point asked is theta - 0.9*v; the velocity of the literature is lr times the slot.
  const theta = () => nesterov.asked.x[0] + 0.1 * 0.9 * nesterov.state.slots.v.x[0]
  nesterov.steps(1, parabola)
  expect(nesterov.asked.x[0]).toBeCloseTo(0.81, 12)
  expect(theta()).toBeCloseTo(0.9, 12)
  nesterov.steps(1, parabola)
  expect(theta()).toBeCloseTo(0.729, 12)
  expect(session('sgd', [1], config).steps(1, parabola).asked.x[0]).toBeCloseTo(0.9, 12)
})

test('[classic-suite] in a ravine momentum needs at most a third of the steps of SGD', () => {
  const steps = (momentum: number) => {
    const run = session('sgd', [10, 1], { learningRate: 0.01, momentum })
    while (ravine.value(run.x) >= 1e-4) run.steps(1, of(ravine.gradient))
    return run.state.t
  }
  expect(steps(0.9)).toBeLessThanOrEqual(steps(0) / 3)
})

test('[classic-suite] adaptive rules leave a saddle, SGD does not', () => {
  const away = (id: string, config: object, most: number) => {
    const run = session(id, [1, 1e-6], config)
    while (Math.abs(run.x[1]) <= 0.1 && run.state.t < most) run.steps(1, of(saddle.gradient))
    return Math.abs(run.x[1]) > 0.1
  }
  for (const name of ['adagrad', 'adadelta', 'rmsprop']) expect(away(...CLASSIC[name], 200), name).toBe(true)
  expect(away('sgd', { learningRate: 0.001 }, 5000)).toBe(false)
})

test('[classic-suite] nadam without a momentum schedule, and amsgrad, are as in the overview', () => {
  const gradients = [1, -0.5, 2, 0.1]
  const nadam = session('nadam', [0], { momentumSchedule: false })
  const amsgrad = session('amsgrad', [0], {})
  let [m, v, top, x, y] = [0, 0, 0, 0, 0]
  for (const [k, g] of gradients.entries()) {
    const t = k + 1
    m = 0.9 * m + 0.1 * g
    v = 0.999 * v + 0.001 * g * g
    top = Math.max(top, v)
    const [b1, b2] = [1 - 0.9 ** t, 1 - 0.999 ** t]
    x -= (0.002 / (Math.sqrt(v / b2) + 1e-8)) * ((0.9 * m) / b1 + (0.1 * g) / b1)
    y -= (0.001 * m) / (Math.sqrt(top) + 1e-8)
    expect(nadam.tell([g]).x[0]).toBeCloseTo(x, 12)
    expect(amsgrad.tell([g]).x[0]).toBeCloseTo(y, 12)
  }
})
