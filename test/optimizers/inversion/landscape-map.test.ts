import { beforeAll, expect, test } from 'vitest'
import { type Decoder, diagonalDecoder, randomDecoder } from '../../../examples/workloads/decoder.js'
import { Rng, rngStream } from '../../../src/core/rng.js'
import type { TensorsSpace } from '../../../src/core/space.js'
import type { FloatArray, Tensors } from '../../../src/core/tensor.js'
import { loadEngines } from '../../../src/optimizers/engines/index.js'
import { method } from '../../../src/optimizers/inversion/landscape-map.js'
import { byRow, MAPS, type MapKind, mapOf } from '../../../src/optimizers/inversion/maps.js'
import { method as adam } from '../../../src/optimizers/presets/adam.js'
import { method as sgd } from '../../../src/optimizers/presets/sgd.js'
import { Session, vectors } from '../session.js'
import { type Client, Turns } from '../turns.js'

beforeAll(loadEngines)

const BATCH = 32
const space = (problems: number, d: number, map: number, initial?: Tensors): TensorsSpace => ({
  kind: 'tensors',
  tensors: [
    { name: 'z', shape: [problems, d], dtype: 'f64' },
    { name: 'map', shape: [map], dtype: 'f64' },
  ],
  initial: initial as TensorsSpace['initial'],
})

/** The targets of a batch: outputs of standard normal latents, by its key. */
function targets(decoder: Decoder, key: string, count = BATCH): number[][] {
  const rng = new Rng(rngStream(1, key))
  return Array.from({ length: count }, () =>
    decoder.outputs(Array.from({ length: decoder.latents }, () => rng.normal())),
  )
}
/** Sums over the problems of a batch. */
function losses(decoder: Decoder, all: readonly number[][], z: FloatArray) {
  const d = decoder.latents
  const gradient = new Float64Array(z.length)
  let value = 0
  all.forEach((x, i) => {
    const told = decoder.loss(z.subarray(i * d, (i + 1) * d), x)
    value += told.value
    gradient.set(told.gradient, i * d)
  })
  return { value, gradient }
}
const client =
  (decoder: Decoder): Client =>
  (points, { sampleKey }) => {
    const all = targets(decoder, sampleKey!)
    const told = points.map(({ z }) => losses(decoder, all, z))
    return {
      values: told.map(({ value }) => [value]),
      gradients: points.map(({ map }, i) => ({ z: told[i].gradient, map: map.map(() => 0) })),
    }
  }
type Own = {
  phi: Float64Array
  gradient: Float64Array
  drawn: number
  buffer: { points: Float64Array[] }[]
  updates: number
}
const ownOf = (session: Turns) => (session.state as { own: Own }).own

const train = (decoder: Decoder, updates: number, config: object = {}, size = decoder.latents ** 2) => {
  const session = new Turns(method, space(BATCH, decoder.latents, size), { config: { updates, ...config } })
  while (ownOf(session).updates < updates) session.tell(client(decoder))
  return session
}

const TEST = 100
/** Mean loss on new problems after so many steps of SGD. */
function solve(decoder: Decoder, steps: number, config: object, map?: Tensors[string]) {
  const all = targets(decoder, 'test', TEST)
  const d = decoder.latents
  const start = map && { z: new Float64Array(TEST * d), map }
  const session = new Session(
    sgd,
    map
      ? space(TEST, d, map.length, start)
      : { ...space(TEST, d, 1), tensors: [{ name: 'z', shape: [TEST, d], dtype: 'f64' }] },
    { config },
  )
  session.steps(steps, (x) => ({ z: losses(decoder, all, x.z).gradient }))
  return losses(decoder, all, session.answer.z).value / TEST
}

test('[landscape-map] a decoder: few steps in the learned coordinates against the best plain descent', () => {
  const decoder = randomDecoder(new Rng(rngStream(1, 'decoder')))
  const { map } = train(decoder, 500).answer
  for (const steps of [5, 10]) {
    const plain = Math.min(...[0.05, 0.1, 0.2, 0.4, 0.8].map((learningRate) => solve(decoder, steps, { learningRate })))
    const mapped = solve(decoder, steps, { learningRate: 0.2, parametrization: { id: 'landscape-map' } }, map)
    expect(mapped).toBeLessThanOrEqual(plain / 4)
  }
})

/** The condition number of D*M for a 2 by 2 map. */
function condition(D: readonly number[], M: ArrayLike<number>): number {
  const [a, b, c, d] = Array.from(M, (m, i) => D[Math.floor(i / 2)] * m)
  const [trace, det] = [a * a + b * b + c * c + d * d, Math.abs(a * d - b * c)]
  const root = Math.sqrt(Math.max(0, trace ** 2 - 4 * det ** 2))
  return (trace + root) / 2 / det
}

test('[landscape-map] a linear decoder: the map takes its condition away', () => {
  const decoder = diagonalDecoder([10, 1])
  const session = new Turns(method, space(BATCH, 2, 4), { config: { updates: 1500, innerLearningRate: 0.005 } })
  const after = (updates: number) => {
    while (ownOf(session).updates < updates) session.tell(client(decoder))
    return condition([10, 1], session.answer.map)
  }
  expect(after(0)).toBe(10)
  expect(after(500)).toBeLessThan(5)
  expect(after(1500)).toBeLessThan(2.5)
})

test.each([
  ['linear', 16],
  ['affine', 20],
  ['mlp', 4 + 9 * 3],
] as [MapKind, number][])(
  '[landscape-map] the gradient of a %s map is that of the mean loss at the stored points',
  (map, size) => {
    const decoder = randomDecoder(new Rng(rngStream(2, 'decoder')))
    const session = train(decoder, 3, { map, start: 'normal', buffer: 2, updates: 100 }, size)
    while (session.query!.purpose !== 'map') session.tell(client(decoder))
    const { query } = session
    const { phi, buffer, drawn } = ownOf(session)
    const { points } = buffer[drawn]
    const all = targets(decoder, query!.sampleKey!)
    const J = (at: Float64Array) => {
      const M = mapOf(map, at, 4)
      const z = points.map((u) => byRow(u, 4, (row) => M.forward(row)))
      return z.reduce((sum, each) => sum + losses(decoder, all, each).value, 0) / points.length / BATCH
    }
    session.tell(client(decoder))
    const { gradient } = ownOf(session)
    for (let i = 0; i < size; i++) {
      const moved = (by: number) => phi.map((p, k) => (k === i ? p + by : p))
      expect(Math.abs(gradient[i] - (J(moved(1e-5)) - J(moved(-1e-5))) / 2e-5)).toBeLessThan(1e-5)
    }
  },
)

test.each(MAPS)('landscape-map: a gradient by z is pulled to one by u (%s)', (kind) => {
  const rng = new Rng(rngStream(3, 'pull'))
  const normals = (n: number) => Float64Array.from({ length: n }, () => rng.normal())
  const map = mapOf(kind, normals({ linear: 9, affine: 12, mlp: 3 + 7 * 5 }[kind]), 3)
  const [u, g] = [normals(3), normals(3)]
  const along = (at: Float64Array) => map.forward(at).reduce((sum, z, i) => sum + g[i] * z, 0)
  map.pull(u, g).forEach((slope, i) => {
    const moved = (by: number) => u.map((v, k) => (k === i ? v + by : v))
    expect(slope).toBeCloseTo((along(moved(1e-5)) - along(moved(-1e-5))) / 2e-5, 7)
  })
})

test('landscape-map: keys, purposes, the solve after training; the parametrization under any rule; sizes', () => {
  const decoder = diagonalDecoder([4, 1])
  const session = new Turns(method, space(BATCH, 2, 4), {
    config: { updates: 2, innerSteps: 3, innerLearningRate: 0.05 },
  })
  const asked: string[] = []
  for (let k = 0; k < 12; k++) {
    asked.push(`${session.query!.purpose} ${session.query!.sampleKey} ${session.query!.points.length}`)
    session.tell(client(decoder))
    session.restart()
  }
  const round = (k: number) => [...new Array(3).fill(`inner problems${k} 1`), `map problems${k} 3`]
  expect(asked).toEqual([...round(0), ...round(1), ...new Array(4).fill('solve solve 1')])

  // z = M u: with M = 2 a step in u of z - 1 is worth four in z.
  const one = vectors({ z: [0, 0], map: [2, 0, 0, 2] })
  const config = { learningRate: 0.1, parametrization: { id: 'landscape-map' } }
  const mapped = new Session(sgd, one, { config })
  mapped.steps(1, ({ z }) => ({ z: [z[0] - 1, z[1] - 1], map: [0, 0, 0, 0] }))
  expect(Array.from(mapped.answer.z)).toEqual([0.4, 0.4])
  expect(Array.from(mapped.answer.map)).toEqual([2, 0, 0, 2])
  const twins = [false, true].map((restart) => {
    const twin = new Session(sgd, one, { config, engine: 'wasm' })
    for (let t = 0; t < 20; t++) {
      twin.steps(1, ({ z }) => ({ z: [z[0] - 1, z[1] - 1], map: [0, 0, 0, 0] }))
      if (restart) twin.restart()
    }
    return Array.from(twin.answer.z)
  })
  expect(twins[1]).toEqual(twins[0])
  const rule = new Session(adam, one, { config: { ...config, transforms: [{ id: 'clip-norm', threshold: 1 }] } })
  rule.steps(200, ({ z }) => ({ z: [z[0] - 1, z[1] - 1], map: [0, 0, 0, 0] }))
  expect(rule.answer.z[0]).toBeCloseTo(1, 2)

  expect(() => new Turns(method, space(2, 4, 15))).toThrow('config.parameters')
  expect(() => new Turns(method, space(2, 4, 16), { config: { latents: 'y' } })).toThrow('config.latents')
  const wrong = { ...config, parametrization: { id: 'landscape-map', map: 'mlp' } }
  expect(() => new Session(sgd, one, { config: wrong })).toThrow('config.parametrization.parameters')
})
