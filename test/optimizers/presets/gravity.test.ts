import { expect, test } from 'vitest'
import { method as gravity } from '../../../src/optimizers/presets/gravity.js'
import { Session, vectors } from '../session.js'

const initZero = { initZero: true }

test('[gravity] the larger gradient moves less', () => {
  const session = new Session(gravity, vectors([0, 0]), { config: initZero }).tell([2, -1])
  expect(session.x[0]).toBeCloseTo(-0.0043137, 7)
  expect(session.x[1]).toBeCloseTo(0.0073333, 7)
  // A tensor without a gradient has no largest one, and stays.
  expect(new Session(gravity, vectors([1]), { config: initZero }).tell([0]).x).toEqual([1])
})

test('[gravity] the decay of the velocity over the steps', () => {
  const session = new Session(gravity, vectors([0]), { config: initZero })
  const expected: Record<number, number> = { 1: 0.633333, 2: 0.7, 10: 0.833333, 1000: 0.899202 }
  for (let t = 1; t <= 1000; t++) {
    session.tell([1])
    if (expected[t]) expect(session.metrics.betahat).toBeCloseTo(expected[t], 6)
  }
  expect(new Session(gravity, vectors([0]), { config: { t0: 0 } }).tell([1]).metrics.betahat).toBe(0.5)
})

test('[gravity] gradients far below the largest pass; small ones everywhere make it momentum', () => {
  const session = new Session(gravity, vectors([0, 0]), { config: { ...initZero, learningRate: 1 } }).tell([1e-4, 0.5])
  const zeta = -session.x[0] / (1 - 1.9 / 3)
  expect(Math.abs(zeta - 1e-4)).toBeLessThan(1e-11)

  const small = new Session(gravity, vectors([0]), { config: initZero })
  let x = 0
  let v = 0
  for (let t = 1; t <= 50; t++) {
    const g = 0.01 * Math.cos(t)
    const betahat = (0.9 * t + 1) / (t + 2)
    v = betahat * v + (1 - betahat) * g
    x -= 0.1 * v
    small.tell([g])
    expect(Math.abs(small.x[0] / x - 1)).toBeLessThan(1e-3)
  }
})

test('[gravity] the initial velocity is drawn once, from the seed of the session', () => {
  const n = 10_000
  const run = (seed: number) => {
    const session = new Session(gravity, vectors(Array(n).fill(0)), { seed, config: { alpha: 0.02 } })
    return session.tell(Array(n).fill(0)).x.map((x) => -x / 0.1 / (1.9 / 3))
  }
  const first = run(1)
  expect(Math.sqrt(first.reduce((sum, v) => sum + v * v, 0) / n) / 0.2).toBeCloseTo(1, 1)
  expect(run(1)).toEqual(first)
  expect(run(2)).not.toEqual(first)
})
