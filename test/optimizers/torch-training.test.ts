import { beforeAll, expect, test } from 'vitest'
import { parseConfig } from '../../src/core/schema.js'
import type { TensorsSpace } from '../../src/core/space.js'
import { methods } from '../../src/optimizers/catalogue.gen.js'
import { loadEngines } from '../../src/optimizers/engines/index.js'
import { method as adam } from '../../src/optimizers/presets/adam.js'
import { method as adamw } from '../../src/optimizers/presets/adamw.js'
import { method as sgd } from '../../src/optimizers/presets/sgd.js'
import { schedules } from '../../src/optimizers/schedules/index.js'
import golden from '../golden/torch-training.json' with { type: 'json' }
import { of, Session, vectors } from './session.js'

beforeAll(loadEngines)

const near = (found: ArrayLike<number>, expected: readonly number[], where = '') => {
  expect(found.length).toBe(expected.length)
  for (const [i, e] of expected.entries())
    expect(Math.abs(found[i] - e), `${where}, element ${i}`).toBeLessThan(1e-10 * Math.max(1, Math.abs(e)))
}

test.each(golden.schedules)('learning rates of torch.optim.lr_scheduler.$torch', ({ schedule: config, rates }) => {
  const parsed = parseConfig(schedules.schema, config)
  const schedule = schedules.of(parsed)
  expect(schedule.check?.(parsed) ?? []).toEqual([])
  near(
    rates.map((_, t) => schedule.rate(parsed, 0.1, t + 1)),
    rates,
  )
})

test.each(golden.matrices)(
  '$torch of torch.optim on a matrix of $shape',
  ({ method, config, shape, trajectory, average }) => {
    const initial = { x: Float64Array.from({ length: 6 }, (_, i) => -1 + 0.5 * i) }
    const space: TensorsSpace = { kind: 'tensors', tensors: [{ name: 'x', shape, dtype: 'f64' }], initial }
    const session = new Session(methods.find(({ id }) => id === method)!, space, { config })
    for (const [t, point] of trajectory.entries()) {
      session.steps(1, ({ x }) => ({ x: Array.from(x, (v, i) => Math.sin(v * (i + 1))) }))
      near(session.x, point, `step ${t + 1}`)
    }
    if (average) near(session.answer.x, average, 'average')
  },
)

const start = [2, -1, 1.5]
const slope = (x: ArrayLike<number>) => [1, 3, 10].map((c, i) => c * (x[i] - 0.5))
const { training } = golden

test.each([
  ['ema', { id: 'ema', decay: 0.9, start: 'first' }],
  ['swa', { id: 'swa' }],
] as const)('averages of torch.optim.swa_utils: %s', (name, averaging) => {
  const session = new Session(sgd, vectors(start), { config: { learningRate: 0.05, averaging } })
  for (const [t, point] of training[name].entries()) near(session.steps(1, of(slope)).answer.x, point, `step ${t + 1}`)
})

test('an average of every third iterate from the sixth on', () => {
  const config = { learningRate: 0.05, averaging: { id: 'swa', from: 6, every: 3 } }
  const session = new Session(sgd, vectors([1]), { config })
  const counted: number[] = []
  for (let t = 1; t <= 20; t++) {
    session.tell([Math.sin(t)])
    if (t >= 6 && (t - 6) % 3 === 0) counted.push(session.x[0])
    const mean = counted.reduce((sum, x) => sum + x / counted.length, 0)
    expect(session.answer.x[0]).toBeCloseTo(t < 6 ? session.x[0] : mean, 12)
  }
})

test('gradients of three batches accumulated for a step of Adam', () => {
  const driver = { id: 'accumulate', batches: 3 }
  const session = new Session(adam, vectors(start), { config: { learningRate: 0.05, driver } })
  const keys = new Set<string>()
  for (const [t, point] of training.accumulated.entries()) {
    session.steps(1, ({ x }, { sampleKey }) => {
      keys.add(sampleKey!)
      const k = Number(sampleKey!.split('.')[1])
      return { x: slope(Array.from(x, (v) => v + 0.1 * k)) }
    })
    if (t === 10) session.restart()
    near(session.x, point, `step ${t + 1}`)
  }
  expect(keys.size).toBe(3 * training.accumulated.length)
  const sum = new Session(sgd, vectors([0]), { config: { learningRate: 1, driver: { ...driver, reduction: 'sum' } } })
  expect(sum.tell([1]).tell([2]).tell([4]).x).toEqual([-7])
})

test('smaller steps on a plateau, as torch decides it', () => {
  const loss = (x: ArrayLike<number>) => [1, 3, 10].reduce((sum, c, i) => sum + 0.5 * c * (x[i] - 0.5) ** 2, 0)
  const transforms = [{ id: 'plateau', factor: 0.5, patience: 1, threshold: 0.05, cooldown: 2, minimum: 0.01 / 0.25 }]
  const session = new Session(sgd, vectors(start), {
    config: { learningRate: 0.25, momentum: 0.5, transforms },
    value: ({ x }) => loss(x),
  })
  for (const [t, point] of training.plateau.entries()) near(session.steps(1, of(slope)).x, point, `step ${t + 1}`)
  expect(session.metrics.scale).toBeLessThan(1)
  expect(session.query.wants.map(({ kind }) => kind)).toEqual(['gradient', 'value'])
})

test('groups of parameters with their own learning rate, betas and no decay', () => {
  const space = vectors({ a: start, b: start })
  const tensors = space.tensors.map((spec) => (spec.name === 'b' ? { ...spec, group: 'slow' } : spec))
  const groups = { slow: { learningRate: 0.01, weightDecay: 0, beta1: 0.5 } }
  const config = { learningRate: 0.05, weightDecay: 0.2, groups }
  const session = new Session(adamw, { ...space, tensors }, { config })
  for (const [t, point] of training.groups.entries()) {
    session.steps(1, ({ a, b }) => ({ a: slope(a), b: slope(b) }))
    near([...session.state.x.a, ...session.state.x.b], point, `step ${t + 1}`)
  }
})

test('weight decay of some tensors, as a transform of any rule', () => {
  const space: TensorsSpace = {
    kind: 'tensors',
    tensors: [
      { name: 'w', shape: [1, 2], dtype: 'f64' },
      { name: 'b', shape: [2], dtype: 'f64' },
    ],
    initial: { w: Float64Array.of(1, 2), b: Float64Array.of(1, 2) },
  }
  const run = (more: object) => {
    const config = { learningRate: 0.1, transforms: [{ id: 'weight-decay', rate: 0.5, ...more }] }
    const { x } = new Session(sgd, space, { config }).tell({ w: [0, 0], b: [0, 0] }).state
    return [...x.w, ...x.b]
  }
  for (const mode of ['coupled', 'decoupled']) {
    expect(run({ mode })).toEqual([0.95, 1.9, 0.95, 1.9])
    expect(run({ mode, tensors: 'matrices' })).toEqual([0.95, 1.9, 1, 2])
    expect(run({ mode, tensors: ['b'] })).toEqual([1, 2, 0.95, 1.9])
  }
  expect(() => run({ tensors: ['c'] })).toThrow('config.transforms[0].tensors[0]: the space has no tensor "c"')
})

test('schedules that are made of others, and tables, are checked', () => {
  const wrong = (schedule: object) => () => new Session(sgd, vectors([0]), { config: { schedule } })
  const constant = { id: 'constant' }
  expect(wrong({ id: 'sequence', parts: [constant, constant], milestones: [] })).toThrow(
    'config.schedule.milestones: expected 1, between 2 schedules',
  )
  expect(wrong({ id: 'sequence', parts: [constant, constant, constant], milestones: [5, 5] })).toThrow(
    'config.schedule.milestones[1]: expected more than 5',
  )
  const table = {
    id: 'piecewise',
    points: [
      { step: 4, share: 1 },
      { step: 4, share: 2 },
    ],
  }
  expect(wrong({ id: 'product', parts: [table] })).toThrow('config.schedule.parts[0].points[1]: expected more than 4')
  const parsed = parseConfig(schedules.schema, {
    id: 'piecewise',
    between: 'linear',
    points: [
      { step: 2, share: 1 },
      { step: 6, share: 0.5 },
    ],
  })
  expect([1, 2, 4, 6, 9].map((t) => schedules.of(parsed).rate(parsed, 2, t))).toEqual([2, 2, 1.5, 1, 1])
})
