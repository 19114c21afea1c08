import { expect, test } from 'vitest'
import { Rng, rngStream } from '../../../src/core/rng.js'
import { parseConfig } from '../../../src/core/schema.js'
import { method as sgd } from '../../../src/optimizers/presets/sgd.js'
import { method as sgdr } from '../../../src/optimizers/presets/sgdr.js'
import { schedules } from '../../../src/optimizers/schedules/index.js'
import { of, Session, vectors } from '../session.js'

const rate = (config: object, peak: number) => {
  const parsed = parseConfig(schedules.schema, config)
  const schedule = schedules.of(parsed)
  return {
    at: (t: number) => schedule.rate(parsed, peak, t),
    ends: (t: number) => schedule.cycle!(parsed, t) !== schedule.cycle!(parsed, t + 1),
  }
}

test('[sgdr] learning rates and restarts', () => {
  const config = { id: 'sgdr', period: 10, multiplier: 2, minimum: 0.001 }
  const expected = { 0: 0.1, 5: 0.0505, 9: 0.0034227, 10: 0.1, 20: 0.0505, 29: 0.00160943, 30: 0.1 }
  for (const stepsPerEpoch of [1, 3, 20]) {
    const { at, ends } = rate({ ...config, stepsPerEpoch }, 0.1)
    for (const [epoch, eta] of Object.entries(expected))
      expect(Math.abs(at(Number(epoch) * stepsPerEpoch + 1) - eta)).toBeLessThan(1e-7)
    const restarts: number[] = []
    for (let t = 1; t <= 160 * stepsPerEpoch; t++) if (ends(t)) restarts.push(t / stepsPerEpoch)
    expect(restarts).toEqual([10, 30, 70, 150])
  }
  // T_cur is fractional within an epoch.
  expect(rate({ ...config, stepsPerEpoch: 4 }, 0.1).at(3)).toBeCloseTo(
    0.001 + 0.5 * 0.099 * (1 + Math.cos(Math.PI * 0.05)),
    12,
  )
  const plain = rate({ id: 'cosine', steps: 40, minimum: 0.001 }, 0.1)
  const once = rate({ id: 'sgdr', period: 40, minimum: 0.001 }, 0.1)
  for (let t = 1; t <= 40; t++) expect(once.at(t)).toBe(plain.at(t))
  const falling = rate({ id: 'sgdr', period: 10, multiplier: 1, decay: 0.5 }, 0.1)
  expect([1, 11, 21].map(falling.at)).toEqual([0.1, 0.05, 0.025])
})

test('[sgdr] cycle ends are better than their middles, and the last one is the recommended snapshot', () => {
  const replicas = 400
  const schedule = { id: 'sgdr', period: 10, multiplier: 2, minimum: 0, stepsPerEpoch: 20 }
  const config = { learningRate: 0.5, schedule, reportNorm: false }
  const session = new Session(sgd, vectors(Array(replicas).fill(1)), { config })
  const rng = new Rng(rngStream(11, 'noise'))
  const noisy = of((x) => Array.from(x, (xi) => xi + rng.normal()))
  const error = (x: ArrayLike<number>) => Array.from(x).reduce((sum, xi) => sum + xi * xi, 0) / replicas
  expect(session.estimate.points).toEqual([{ point: { kind: 'view', name: 'x' } }])
  for (const [middle, end] of [
    [5, 10],
    [20, 30],
    [50, 70],
  ]) {
    session.steps(middle * 20 - session.state.t, noisy)
    const half = error(session.x)
    session.steps(end * 20 - session.state.t, noisy)
    const last = error(session.x)
    expect(last).toBeLessThanOrEqual(0.3 * half)
    expect(error(session.answer.x)).toBe(last)
    session.steps(7, noisy)
    expect(error(session.answer.x)).toBe(last)
    expect(error(session.x)).not.toBe(last)
    expect(session.metrics.cycle).toBe({ 10: 1, 30: 2, 70: 3 }[end])
  }
})

test('[sgdr] the preset is SGD with Nesterov momentum and the defaults of the paper', () => {
  const session = new Session(sgdr, vectors([1]))
  expect(session.run.config).toMatchObject({
    learningRate: 0.05,
    momentum: 0.9,
    nesterov: true,
    weightDecay: 5e-4,
    schedule: { id: 'sgdr', period: 10, multiplier: 2, minimum: 0 },
  })
  let x = 1
  let v = 0
  for (let t = 1; t <= 30; t++) {
    const g = x + 5e-4 * x
    session.tell([x])
    v = 0.9 * v + g
    x -= session.metrics.learningRate * (g + 0.9 * v)
    expect(session.x[0]).toBeCloseTo(x, 14)
  }
})

test('[sgdr] momentum is kept at a restart, or begins anew', () => {
  for (const resetMomentum of [false, true]) {
    const schedule = { id: 'sgdr', period: 3, multiplier: 1 }
    const session = new Session(sgdr, vectors([0]), { config: { schedule, resetMomentum, weightDecay: 0 } })
    let v = 0
    for (let t = 1; t <= 9; t++) {
      v = (resetMomentum && t % 3 === 1 ? 0 : 0.9 * v) + t
      expect(session.tell([t]).state.slots.v.x[0]).toBeCloseTo(v, 12)
    }
  }
})

test('warm-up, linear, step decay and the inverse schedules', () => {
  const at = (config: object, steps: number[]) => steps.map(rate(config, 0.8).at)
  expect(at({ id: 'constant', warmupSteps: 4 }, [1, 2, 3, 4, 5, 9])).toEqual(
    [0.25, 0.5, 0.75, 1, 1, 1].map((share) => 0.8 * share),
  )
  expect(at({ id: 'linear', steps: 4, warmupSteps: 2 }, [1, 2, 3, 5, 7, 99])).toEqual([0.4, 0.8, 0.8, 0.4, 0, 0])
  expect(at({ id: 'linear', steps: 4, final: 0.5 }, [1, 3, 5, 6])).toEqual([0.8, 0.8 * 0.75, 0.4, 0.4])
  expect(at({ id: 'step-decay', every: 2, factor: 0.5 }, [1, 2, 3, 4, 5])).toEqual([0.8, 0.8, 0.4, 0.4, 0.2])
  expect(at({ id: 'inverse-sqrt' }, [1, 4])).toEqual([0.8, 0.4])
  expect(at({ id: 'inverse-time', offset: 3 }, [1, 5])).toEqual([0.2, 0.1])
  expect(() => rate({ id: 'linear' }, 1)).toThrow(/steps/)
  expect(() => rate({ id: 'cosine', steps: 3, period: 2 }, 1)).toThrow(/period/)
})

test('the schedule and the learning rate may change while a session runs', () => {
  const session = new Session(sgd, vectors([0]), { config: { learningRate: 0.5 } }).tell([1])
  expect(session.x[0]).toBe(-0.5)
  Object.assign(session.run.config as object, {
    learningRate: 1,
    weightDecay: 0.5,
    schedule: parseConfig(schedules.schema, { id: 'inverse-time' }),
  })
  session.state = sgd.step(session.run as never, session.state, [
    { type: 'reconfigure', changed: ['learningRate', 'weightDecay', 'schedule'] },
  ]).state
  session.tell([1])
  expect(session.x[0]).toBe(-0.5 - 0.5 * (1 + 0.5 * -0.5))
})
