import { beforeAll, expect, test } from 'vitest'
import type { TensorsSpace } from '../../src/core/space.js'
import { loadEngines } from '../../src/optimizers/engines/index.js'
import { method as adamw } from '../../src/optimizers/presets/adamw.js'
import { method as frugal } from '../../src/optimizers/presets/frugal.js'
import { method as prodigy } from '../../src/optimizers/presets/prodigy.js'
import { method as sgd } from '../../src/optimizers/presets/sgd.js'
import { Session } from './session.js'

beforeAll(loadEngines)

const space = (names: readonly string[], groups: { [name: string]: string } = {}): TensorsSpace => ({
  kind: 'tensors',
  tensors: names.map((name) => ({ name, shape: [2, 2], dtype: 'f64', group: groups[name] })),
  initial: Object.fromEntries(names.map((name, k) => [name, Float64Array.of(1 + k, -2, 0.5, 3)])),
})
const gradient = (x: { readonly [name: string]: ArrayLike<number> }) =>
  Object.fromEntries(Object.entries(x).map(([name, values]) => [name, Array.from(values, (v, i) => Math.sin(v + i))]))
const groupOf = { b: 'bias', c: 'head' }

test('each group is moved as by a session of its own', () => {
  const common = { learningRate: 0.02, weightDecay: 0.1, beta1: 0.8 }
  const groups = { bias: { weightDecay: 0 }, head: { learningRate: 0.002, beta1: 0.5 } }
  const schedule = { id: 'cosine', steps: 40, warmupSteps: 5 }
  for (const engine of ['interpreter', 'wasm'] as const) {
    const config = { ...common, schedule, groups }
    const all = new Session(adamw, space(['a', 'b', 'c'], groupOf), { config, engine }).steps(30, gradient)
    for (const [name, more] of [
      ['a', {}],
      ['b', groups.bias],
      ['c', groups.head],
    ] as const) {
      const start = { ...space([name]), initial: { [name]: space(['a', 'b', 'c']).initial![name] } }
      const alone = new Session(adamw, start, { config: { ...common, schedule, ...more }, engine }).steps(30, gradient)
      Array.from(all.state.x[name]).forEach((v, i) => void expect(v).toBeCloseTo(alone.state.x[name][i], 13))
    }
  }
})

test('what only some groups have is in the rule of all, and what none has in none', () => {
  const run = (config: object) => new Session(sgd, space(['a', 'b'], groupOf), { config }).steps(5, gradient).state
  const some = run({ groups: { bias: { momentum: 0.9 } } })
  expect(some.slots.v.a).toBeDefined()
  expect(Array.from(some.x.a)).toEqual(Array.from(run({}).x.a))
  expect(Array.from(some.x.b)).toEqual(Array.from(run({ momentum: 0.9 }).x.b))
  expect(run({ groups: {} }).x).toEqual(run({}).x)
})

test('groups that are not there, and numbers that cannot differ, are refused', () => {
  const wrong = (method: typeof sgd, groups: object) => () =>
    new Session(method, space(['a', 'b'], groupOf), { config: { groups } })
  expect(wrong(sgd, { head: { learningRate: 1 } })).toThrow('config.groups.head: the space has no tensor of this group')
  expect(wrong(sgd, { bias: { beta1: 1 } })).toThrow('config.groups.bias.beta1: the rule has no such number')
  expect(wrong(sgd, { bias: { learningRate: -1 } })).toThrow('config.groups.bias.learningRate')
  // The density of FRUGAL is no number of its rule.
  expect(wrong(frugal as never, { bias: { density: 0.5 } })).toThrow(
    'config.groups.bias.density: cannot differ between groups in this rule',
  )
  // Prodigy estimates one distance of all tensors.
  expect(wrong(prodigy as never, { bias: { learningRate: 0.5 } })).toThrow('config')
})
