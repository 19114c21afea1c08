import { expect, test } from 'vitest'
import type { AnyMethod } from '../../../src/core/method.js'
import { method as adabelief } from '../../../src/optimizers/presets/adabelief.js'
import { method as adam } from '../../../src/optimizers/presets/adam.js'
import { method as adam3 } from '../../../src/optimizers/presets/adam3.js'
import { method as adamw } from '../../../src/optimizers/presets/adamw.js'
import { method as sgd } from '../../../src/optimizers/presets/sgd.js'
import { method as xgrad } from '../../../src/optimizers/presets/xgrad.js'
import { of, Session, vectors } from '../session.js'

const ahead = (steps: number, config: object = {}) => ({ ...config, driver: { id: 'xgrad', steps } })
const bowl = of((x) => Array.from(x, (v, i) => v * 10 ** i)) // gradient of (x^2 + 10 y^2)/2

test('[xgrad] s = 0 is the base rule; s = mu around momentum is the method of Nesterov', () => {
  for (const [method, config] of [
    [sgd, { learningRate: 0.05, momentum: 0.9, weightDecay: 0.1 }],
    [adam, { learningRate: 0.05 }],
    [adamw, { learningRate: 0.05, weightDecay: 0.1 }],
    [adabelief, { learningRate: 0.05 }],
    [adam3, { learningRate: 0.05 }],
  ] as [AnyMethod, object][]) {
    const base = new Session(method, vectors([1, 1]), { config }).steps(50, bowl)
    expect(new Session(method, vectors([1, 1]), { config: ahead(0, config) }).steps(50, bowl).x).toEqual(base.x)
  }
  const session = new Session(sgd, vectors([1, 1]), { config: ahead(0.9, { learningRate: 0.05, momentum: 0.9 }) })
  const x = [1, 1]
  const v = [0, 0]
  for (let t = 0; t < 20; t++) {
    for (const i of [0, 1]) {
      v[i] = 0.9 * v[i] + 10 ** i * (x[i] - 0.05 * 0.9 * v[i])
      x[i] -= 0.05 * v[i]
    }
    session.steps(1, bowl).x.forEach((xi, i) => {
      expect(Math.abs(xi - x[i])).toBeLessThan(1e-12)
    })
  }
})

test('[xgrad] the exact first iterates on x^2/2', () => {
  const iterates = (config: object) => {
    const session = new Session(sgd, vectors([1]), { config: { learningRate: 0.1, momentum: 0.9, ...config } })
    return [0, 1, 2].map(() => session.steps(1, bowl).x[0])
  }
  for (const [config, expected] of [
    [ahead(1), [0.9, 0.73, 0.521]],
    [{}, [0.9, 0.72, 0.486]],
    [ahead(0.9), [0.9, 0.729, 0.51759]],
  ] as const)
    iterates(config).forEach((x, t) => {
      expect(Math.abs(x - expected[t])).toBeLessThan(1e-15)
    })
})

test('[xgrad] how far prediction gets on the ellipse in 100 steps', () => {
  for (const [steps, expected] of [
    [0, 5.76e-3],
    [1, 2.84e-4],
    [2, 1.16e-6],
  ]) {
    const config = ahead(steps, { learningRate: 0.05, momentum: 0.9 })
    const length = Math.hypot(...new Session(sgd, vectors([1, 1]), { config }).steps(100, bowl).x)
    expect(Math.abs(length / expected - 1)).toBeLessThan(0.05)
  }
})

test('xgrad: predicts the direction of Adam at the learning rate of the next step, and no decoupled decay', () => {
  const adams = { learningRate: 0.1, beta1: 0.9, beta2: 0.999, eps: 1e-8 }
  const schedule = { id: 'linear', steps: 10 }
  const transforms = [{ id: 'weight-decay', rate: 0.5 }]
  for (const [method, more, decay] of [
    [adam, {}, 0],
    [adamw, { weightDecay: 0.3 }, 0.3],
    [adam, { transforms }, 0.5],
  ] as [AnyMethod, object, number][]) {
    const session = new Session(method, vectors([1]), { config: ahead(2, { ...adams, schedule, ...more }) })
    let [x, m, v] = [1, 0, 0]
    for (let t = 1; t <= 5; t++) {
      const g = session.asked.x[0] + 1
      session.tell([g])
      const rate = session.metrics.learningRate
      m = 0.9 * m + 0.1 * g
      v = 0.999 * v + 0.001 * g * g
      const direction = m / (1 - 0.9 ** t) / (Math.sqrt(v / (1 - 0.999 ** t)) + 1e-8)
      x = x - rate * decay * x - rate * direction
      expect(session.x[0]).toBeCloseTo(x, 12)
      expect(session.answer.x[0]).toBe(session.x[0])
      const next = 0.1 * (1 - t / 10)
      expect(session.asked.x[0]).toBeCloseTo(x - next * 2 * direction, 12)
    }
  }
})

test('xgrad: one query a step; the predicted point stays in the set; a restart changes nothing', () => {
  const config = ahead(3, { learningRate: 0.5, momentum: 0.9 })
  const boxed = new Session(sgd, vectors([1], { low: 0.4 }), { config }).tell([1])
  expect(boxed.x).toEqual([0.5])
  expect(boxed.asked.x[0]).toBe(0.4)
  const plain = new Session(xgrad, vectors([1, 1])).steps(20, bowl)
  const restarted = new Session(xgrad, vectors([1, 1]))
  for (let k = 0; k < 20; k++) {
    restarted.steps(1, bowl)
    restarted.restart()
  }
  expect(restarted.state).toEqual(plain.state)
  expect(plain.metrics.gradients).toBe(20)
  // A rate of zero has no direction to go on with.
  const still = new Session(sgd, vectors([1]), { config: ahead(1, { learningRate: 0, momentum: 0.9 }) })
  expect(still.steps(3, bowl).asked.x[0]).toBe(1)
})

test('xgrad: around AdaBelief and AdaM3, which share but what they square', () => {
  for (const [method, squared] of [
    [adabelief, (g: number, m: number) => g - m],
    [adam3, (_: number, m: number) => m],
  ] as [AnyMethod, (g: number, m: number) => number][]) {
    const session = new Session(method, vectors([1]), { config: ahead(1, { learningRate: 0.1, eps: 1e-8 }) })
    let [x, m, s] = [1, 0, 0]
    for (let t = 1; t <= 5; t++) {
      const g = session.asked.x[0] + 1
      session.tell([g])
      m = 0.9 * m + 0.1 * g
      s = 0.999 * s + 0.001 * squared(g, m) ** 2 + 1e-8
      const direction = m / (1 - 0.9 ** t) / (Math.sqrt(s / (1 - 0.999 ** t)) + 1e-8)
      x -= 0.1 * direction
      expect(session.x[0]).toBeCloseTo(x, 12)
      expect(session.asked.x[0]).toBeCloseTo(x - 0.1 * direction, 12)
    }
  }
})
