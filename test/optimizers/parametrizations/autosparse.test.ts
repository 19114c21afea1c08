import { beforeAll, expect, test } from 'vitest'
import type { TensorsSpace } from '../../../src/core/space.js'
import { loadEngines } from '../../../src/optimizers/engines/index.js'
import { alphaAt } from '../../../src/optimizers/parametrizations/autosparse.js'
import { method as adam } from '../../../src/optimizers/presets/adam.js'
import { method as preset } from '../../../src/optimizers/presets/autosparse.js'
import { method as sgd } from '../../../src/optimizers/presets/sgd.js'
import { Session, vectors } from '../session.js'

beforeAll(loadEngines)

const matrix = (shape: readonly number[], values: readonly number[]): TensorsSpace => ({
  kind: 'tensors',
  tensors: [{ name: 'x', shape, dtype: 'f64' }],
  initial: { x: Float64Array.from(values) },
})
const parametrization = { id: 'autosparse', decay: 'none', alpha0: 0.5, thresholdInit: -2 }
const start = [0.5, -0.2, 0.05]
const near = (found: ArrayLike<number>, expected: readonly number[], tolerance = 1e-6) => {
  expect(found.length).toBe(expected.length)
  for (const [i, e] of expected.entries()) expect(Math.abs(found[i] - e)).toBeLessThan(tolerance)
}

test('[autosparse] what is handed out, and the gradients of weights and threshold', () => {
  const session = new Session(sgd, matrix([1, 3], start), { config: { learningRate: 1, parametrization } })
  near(session.asked.x, [0.3807971, -0.0807971, 0])
  session.restart()
  session.tell([1, 1, 1])
  near(session.state.x.x, [0.5 - 1, -0.2 - 1, 0.05 - 0.5])
  near(session.state.x['x.threshold'], [-2 + 0.0524968])
  expect(session.metrics).toMatchObject({ alpha: 0.5, sparsity: 0, 'sparsity.x': 0 })
  expect(session.metrics['threshold.x']).toBeCloseTo(1 / (1 + Math.exp(2 - 0.0524968)), 6)
})

test('[autosparse] of a maximized objective, and with weight decay', () => {
  const config = { learningRate: 1, parametrization: { ...parametrization, weightDecay: 0.1 } }
  const run = (direction: 'minimize' | 'maximize', g: number) =>
    new Session(sgd, matrix([1, 3], start), { config, direction }).tell([g, g, g]).state.x
  near(run('minimize', 1).x, [0.5 - 1 - 0.05, -0.2 - 1 + 0.02, 0.05 - 0.5 - 0.005])
  near(run('minimize', 1)['x.threshold'], [-2 + 0.0524968 + 0.2])
  expect(run('maximize', -1)).toEqual(run('minimize', 1))
})

test('[autosparse] the share of dropped weights falls by its schedule', () => {
  const at = (t: number, more: object = {}) =>
    alphaAt({ alpha0: 0.75, decay: 'sigmoid-cosine', steps: 100, ...more }, t)
  expect(at(0)).toBe(0.75)
  expect(at(50)).toBeCloseTo(0.375, 12)
  expect(at(100)).toBeCloseTo(0.75 * 0.00247262, 8)
  expect(at(1000)).toBe(at(100))
  for (let t = 1; t <= 100; t++) expect(at(t)).toBeLessThanOrEqual(at(t - 1))
  expect(at(100, { decay: 'cosine' })).toBeCloseTo(0, 15)
  expect(at(100, { decay: 'none' })).toBe(0.75)
})

test('[autosparse] a threshold of 0 is the rule alone', () => {
  for (const method of [sgd, adam]) {
    const space = matrix([2, 2], [1, -2, 3, 0.5])
    const gradient = ({ x }: { readonly [name: string]: ArrayLike<number> }) => ({
      x: Array.from(x, (v, i) => (i + 1) * Math.sin(v)),
    })
    const config = { learningRate: 0.05, transforms: [{ id: 'clip-norm', threshold: 2 }] }
    const plain = new Session(method, space, { config }).steps(50, gradient)
    const sparse = new Session(method, space, {
      config: { ...config, parametrization: { id: 'autosparse', thresholdInit: -100 } },
    }).steps(50, gradient)
    expect(Array.from(sparse.answer.x)).toEqual(plain.x)
  }
})

test('[autosparse] channels, backward sparsity, and what is frozen', () => {
  const run = (more: object) =>
    new Session(sgd, matrix([2, 2], [0.5, 0.05, -0.05, -0.7]), {
      config: { learningRate: 0.1, parametrization: { ...parametrization, ...more } },
    })
  const channels = run({ granularity: 'channel' }).tell([1, 1, 2, 2])
  const slope = 0.1049936
  near(channels.state.x['x.threshold'], [-2 + 0.1 * slope * 1.5, -2 - 0.1 * slope * 3])

  near(run({ backwardSparsity: 0.5 }).tell([1, 1, 1, 1]).state.x.x, [0.4, 0.05, -0.05, -0.8])

  const frozen = run({ freezeAfter: 1, alpha0: 1 }).tell([0, 0, 0, 0])
  expect(Array.from(frozen.asked.x, Math.sign)).toEqual([1, 0, 0, -1])
  frozen.restart()
  frozen.tell([-10, -10, -10, -10])
  near(frozen.state.x.x, [1.5, 0.05, -0.05, 0.3])
  near(frozen.asked.x, [1.5 - 0.1192029, 0, 0, 0.3 - 0.1192029])
  near(frozen.state.x['x.threshold'], [-2])
})

test('[autosparse] weight decay raises thresholds until weights that do not matter are gone', () => {
  // Every second weight has a target; the others only noise around 0.
  const target = Array.from({ length: 40 }, (_, i) => (i % 2 === 0 ? 1 + i / 40 : 0))
  const session = new Session(
    preset,
    matrix(
      [4, 10],
      target.map((v) => 0.5 * v + 0.05),
    ),
    {
      engine: 'wasm',
      config: {
        schedule: { id: 'cosine', steps: 500 },
        parametrization: { id: 'autosparse', steps: 500, weightDecay: 0.005 },
      },
    },
  )
  session.steps(500, ({ x }) => ({ x: Array.from(x, (v, i) => v - target[i]) }))
  expect(session.metrics.sparsity).toBe(0.5)
  for (const [i, v] of session.answer.x.entries()) expect(Math.abs(v - target[i])).toBeLessThan(0.1)
})

test('[autosparse] what does not go together is refused where it is', () => {
  const wrong = (space: TensorsSpace, config: object) => () =>
    new Session(sgd, space, { config: { parametrization: { id: 'autosparse' }, ...config } })
  const space = matrix([1, 3], start)
  expect(wrong(vectors([1]), {})).toThrow('config.parametrization.tensors: the space has no tensor of two or more axes')
  const named = { parametrization: { id: 'autosparse', tensors: ['x', 'y'] } }
  expect(wrong(space, named)).toThrow('config.parametrization.tensors[1]: the space has no tensor "y"')
  expect(wrong({ ...space, low: 0 }, {})).toThrow('space.low: "autosparse" keeps to no bounds')
  expect(wrong(space, { ball: 1 })).toThrow('config.ball')
})
