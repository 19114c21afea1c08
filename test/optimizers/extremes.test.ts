import { beforeAll, describe, expect, test } from 'vitest'
import { jsonSchema } from '../../src/core/schema.js'
import { elements, type TensorSpec, type Tensors } from '../../src/core/tensor.js'
import { methods } from '../../src/optimizers/catalogue.gen.js'
import { loadEngines } from '../../src/optimizers/engines/index.js'
import { method as adafactor } from '../../src/optimizers/presets/adafactor.js'
import { method as sgd } from '../../src/optimizers/presets/sgd.js'
import { Session } from './session.js'

beforeAll(loadEngines)

/** Tensors that the methods take: factors of a matrix, bits, any. */
const space = (id: string) => {
  const factors = [
    [3, 2],
    [4, 2],
  ]
  const shapes = id === 'scaled-gd' ? factors : [[3, 4], [5]]
  const tensors = shapes.map((shape, i): TensorSpec => ({ name: 'ab'[i], shape, dtype: 'f32' }))
  const start = (i: number) => (id === 'rda' ? i % 2 : Math.sin(i + 1))
  const initial = tensors.map(({ name, shape }) => [
    name,
    Float32Array.from({ length: elements(shape) }, (_, i) => start(i)),
  ])
  return { kind: 'tensors' as const, tensors, initial: Object.fromEntries(initial) as Tensors }
}
const like = (x: Tensors, value: (i: number) => number) =>
  Object.fromEntries(Object.entries(x).map(([name, array]) => [name, Float32Array.from(array, (_, i) => value(i))]))
const finite = (x: Tensors) => Object.values(x).every((array) => array.every(Number.isFinite))

/** Methods made of a rule: those that can be composed. */
const rules = methods.filter(({ config }) => 'transforms' in (jsonSchema(config).properties as object))

describe.each(rules.map((method) => [method.id, method] as const))('%s in f32', (id, method) => {
  test.each([1e38, 3e38, 1e20, 1e-38, 0])('gradients of %d leave x and the points asked finite', (size) => {
    const config = method.recipes[0]?.config as object
    const session = new Session(method, space(id), { engine: 'wasm', config, value: () => 1, examples: () => [1, 2] })
    for (let k = 0; k < 12 && session.done === undefined; k++) {
      session.tell(like(session.asked, (i) => (k < 6 ? (i % 2 ? -size : size) : Math.sin(i + k))))
      expect(finite(session.state.x) && finite(session.asked), `query ${k + 1}`).toBe(true)
    }
  })
})

test('an element whose step overflows keeps its value; the others take theirs', () => {
  const session = new Session(sgd, space('sgd'), { engine: 'wasm', config: { learningRate: 10 } })
  const before = like(session.state.x, (i) => Math.sin(i + 1))
  session.tell(like(session.asked, (i) => (i === 1 ? 1e38 : 0.25)))
  for (const name of ['a', 'b'])
    for (const [i, x] of session.state.x[name].entries())
      expect(x).toBe(i === 1 ? before[name][1] : Math.fround(before[name][i] - 2.5))
})

test('[adafactor] gradients whose squares overflow f32 move x by their signs, and spoil no slot', () => {
  const session = new Session(adafactor, space('adafactor'), { engine: 'wasm' })
  const before = structuredClone(session.state.x)
  session.tell(like(session.asked, (i) => (i % 2 ? -1e38 : 1e38)))
  for (const [name, array] of Object.entries(session.state.x))
    for (const [i, x] of array.entries()) expect(Math.sign(before[name][i] - x)).toBe(i % 2 ? -1 : 1)
  expect(Object.values(session.state.slots).every(finite)).toBe(true)
})
