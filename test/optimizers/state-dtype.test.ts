/** Slots in fewer bytes between steps, as an option of every rule. */
import { beforeAll, describe, expect, it, test } from 'vitest'
import type { AnyMethod, EngineId } from '../../src/core/method.js'
import { Rng, rngStream } from '../../src/core/rng.js'
import { parseConfig } from '../../src/core/schema.js'
import type { Problem, TensorsSpace } from '../../src/core/space.js'
import { elements, type Tensors } from '../../src/core/tensor.js'
import { decodeTree, encodeTree, type Tree } from '../../src/core/tree.js'
import { methods } from '../../src/optimizers/catalogue.gen.js'
import { loadEngine } from '../../src/optimizers/engines/index.js'
import { packedBytes } from '../../src/optimizers/engines/packing/codec.js'
import { method as adam } from '../../src/optimizers/presets/adam.js'
import { createSessions } from '../../src/sessions/index.js'
import { CLASSES, type Digits, loadDigits, PIXELS, range, take } from '../golden/digits.js'
import { findVulkan } from './engines/vulkan.js'
import { crossEntropy, Network, softmax } from './network.js'
import { Session } from './session.js'

const ENGINES: readonly EngineId[] = ['interpreter', 'wasm', 'tensorflow', 'webgpu']
beforeAll(async () => {
  await findVulkan()
  for (const engine of ENGINES) await loadEngine(engine)
})

const PACKED = ['bf16', 'int8'] as const
const byId = (id: string): AnyMethod => methods.find((method) => method.id === id)!

/** A matrix and a vector that are packed, of which the vector ends within a block, and a vector that is not. */
const space = (dtype: 'f32' | 'f64' = 'f64'): TensorsSpace => {
  const shapes = { w: [64, 70], b: [64], v: [4500] }
  const tensors = Object.entries(shapes).map(([name, shape]) => ({ name, shape, dtype }))
  const start = (n: number) => Float64Array.from({ length: n }, (_, i) => 1.5 + Math.cos(7.7 * i))
  return {
    kind: 'tensors',
    tensors,
    initial: Object.fromEntries(tensors.map((t) => [t.name, start(elements(t.shape))])),
  }
}
/** Of a quadratic function whose curvatures go from 0.01 to 1, with noise that depends on the point. */
const slope = (x: Tensors) =>
  Object.fromEntries(
    Object.entries(x).map(([name, array]) => [
      name,
      Float64Array.from(array, (value, i) => 10 ** (-(i % 5) / 2) * value + 0.1 * Math.sin(31 * value + i)),
    ]),
  )
const run = (method: AnyMethod, steps: number, config: object, engine: EngineId = 'wasm', of = space()) =>
  new Session(method, of, { config, engine }).steps(steps, slope)
const bytesOf = ({ state }: Session) => encodeTree(state as unknown as Tree)
const same = (a: Session, b: Session) => expect(Buffer.compare(bytesOf(a), bytesOf(b))).toBe(0)

/** Largest difference, as a share of the largest number of its tensor. */
function apart(a: Tensors, b: Tensors): number {
  let most = 0
  for (const [name, array] of Object.entries(a)) {
    const largest = Math.max(...Array.from(array, Math.abs)) || 1
    for (const [i, value] of array.entries()) most = Math.max(most, Math.abs(value - b[name][i]) / largest)
  }
  return most
}

describe('what is packed', () => {
  test.each(PACKED)('%s: the large tensors of slots, and nothing else', (stateDtype) => {
    const session = run(adam, 3, { stateDtype })
    const { slots, packed, x } = session.state
    for (const slot of ['m', 'v']) {
      expect(Object.keys(slots[slot])).toEqual(['b'])
      expect(slots[slot].b).toBeInstanceOf(Float64Array)
      expect(Object.fromEntries(Object.entries(packed![slot]).map(([name, bytes]) => [name, bytes.length]))).toEqual({
        w: packedBytes(stateDtype, 4480),
        v: packedBytes(stateDtype, 4500),
      })
    }
    expect(Object.values(x).every((array) => array instanceof Float64Array)).toBe(true)
    const full = run(adam, 3, {})
    expect(full.state.packed).toBeUndefined()
    // In Adam a tensor knows nothing of the others.
    expect([...x.b, ...slots.m.b, ...slots.v.b]).toEqual(
      [full.state.x, full.state.slots.m, full.state.slots.v].flatMap(({ b }) => [...b]),
    )
  })

  test('the metrics tell elements and bytes of the slots', () => {
    const of = (stateDtype: string) => run(adam, 1, { stateDtype }, 'wasm', space('f32')).metrics
    const [large, small] = [2 * (4480 + 4500), 2 * 64]
    for (const stateDtype of ['full', ...PACKED]) expect(of(stateDtype).slotElements).toBe(large + small)
    expect(of('full').slotBytes).toBe(4 * (large + small))
    expect(of('bf16').slotBytes).toBe(2 * large + 4 * small)
    // 18 blocks of 256 each.
    expect(of('int8').slotBytes).toBe(large + 4 * 4 * 18 + 4 * small)
  })

  test('memory while a session runs: x, the gradient, and the slots as they are packed', () => {
    const n = 1 << 20
    const tensors = [{ name: 'w', shape: [1024, 1024], dtype: 'f32' as const }]
    const perParameter = (stateDtype: string) => {
      const session = new Session(adam, { kind: 'tensors', tensors }, { config: { stateDtype }, engine: 'wasm' })
      session.tell({ w: new Float32Array(n).fill(1) })
      return [session.state.x.w.buffer.byteLength / n, bytesOf(session).length / n]
    }
    // Tables and parts take 128 KiB, in whole pages.
    const slack = 0.125
    for (const [stateDtype, slots] of [
      ['full', 8],
      ['bf16', 4],
      ['int8', 2 + 2 / 64],
    ] as const) {
      // biome-ignore format: pairs
      const [resident, stored] = perParameter(stateDtype)
      expect(resident).toBeLessThanOrEqual(8 + slots + slack)
      expect(stored).toBeLessThan(4 + slots + slack)
      expect(stored).toBeGreaterThan(4 + slots)
    }
  })

  test.each([
    ['schedule-free', {}, ['v']],
    ['dog', {}, []],
    ['prodigy', {}, ['m', 'v', 's']],
    ['asgd', {}, []],
    ['innaprop', {}, ['v']],
    ['sgd', { momentum: 0.9, averaging: { id: 'swa' } }, ['v']],
    ['sgd', { momentum: 0.9, transforms: [{ id: 'lookahead', policy: 'average' }] }, ['v', 'slowMomentum']],
    ['rmsprop', { centered: true, momentum: 0.5, weightDecay: 0.1 }, ['v', 'average_2', 'u']],
  ])('points stay as they are: %s %o', (id, config, slots) => {
    const { state } = run(byId(id), 2, { ...config, stateDtype: 'int8' })
    expect(Object.keys(state.packed ?? {}).sort()).toEqual([...slots].sort())
  })

  test('a rule as text: its points and moments are told apart by what they do', () => {
    const text = 'start = t == 1 ? x : start\nm = beta*m + (1 - beta)*(g + 0.1*(x - start))\nx = x - lr*m'
    const slots = { start: { kind: 'tensor' }, m: { kind: 'tensor', initial: 0.3 } }
    const config = { text, slots, hyperparameters: { beta: 0.9 }, stateDtype: 'int8' }
    expect(Object.keys(run(byId('rule'), 2, config).state.packed!)).toEqual(['m'])
  })

  test('a change of the config leaves it as it is', () => {
    const session = run(byId('sgd'), 2, { momentum: 0.9, stateDtype: 'int8' })
    Object.assign(session.run.config as object, { weightDecay: 0.9 })
    ;(session.run.memo as Map<string, unknown>).clear()
    session.steps(2, slope)
    expect(Object.keys(session.state.packed!)).toEqual(['v'])
    expect(Object.values(session.state.x).every((array) => array.every(Number.isFinite))).toBe(true)
  })

  test('a space of small tensors has nothing to pack', () => {
    const few: TensorsSpace = { kind: 'tensors', tensors: [{ name: 'w', shape: [4095], dtype: 'f64' }] }
    const [packed, full] = ['int8', 'full'].map((stateDtype) => run(adam, 3, { stateDtype }, 'wasm', few))
    same(packed, full)
  })

  it('refuses what it does not know, and says where', () => {
    for (const stateDtype of ['f16', 8, null])
      expect(() => parseConfig(adam.config, { stateDtype })).toThrow(/^config\.stateDtype: /)
  })
})

/** A matrix that is packed and a vector that is not. */
const { tensors, initial = {} } = space()
const small: TensorsSpace = { kind: 'tensors', tensors: tensors.slice(0, 2), initial: { w: initial.w, b: initial.b } }
const problem: Problem = { space: small, objectives: [{ name: 'loss', direction: 'minimize' }] }

/** Gradient methods that take these tensors and ask nothing but gradients, without matrices on the host. */
const plain = methods.filter((method) => {
  const { shape } = method.config as unknown as { shape?: object }
  if (method.facts.heavy || !shape || !('stateDtype' in shape)) return false
  const config = parseConfig(method.config, {})
  const asks = method.needs(config, problem)
  return asks.every((kind) => kind === 'gradient') && !method.check?.(config, problem).length
})

describe('every rule', () => {
  it('are many', () => expect(plain.length).toBeGreaterThan(60))

  // In float64 the engines differ by 1e-15, far less than what decides how a number is rounded.
  it.each(plain.map(({ id }) => id))('%s: wasm does what the interpreter does', (id) => {
    const config = { stateDtype: id.length % 2 ? 'int8' : 'bf16' }
    const [a, b] = (['wasm', 'interpreter'] as const).map((engine) => run(byId(id), 2, config, engine, small))
    expect(apart(a.state.x, b.state.x)).toBeLessThan(1e-11)
    expect(a.state.packed).toEqual(b.state.packed)
  })
})

/** Around a rule: what takes several passes, asks elsewhere, runs on copies of the state, or goes by rows. */
const AROUND: readonly [string, object][] = [
  ['adam', { driver: { id: 'sam' }, transforms: [{ id: 'clip-norm', threshold: 1 }] }],
  ['adam', { driver: { id: 'extragradient' }, ball: 50 }],
  ['adam', { driver: { id: 'optex' } }],
  ['adamw', { schedule: { id: 'cosine', steps: 6 }, averaging: { id: 'ema' } }],
  ['lamb', { transforms: [{ id: 'lookahead', k: 2 }] }],
  ['adafactor', { beta1: 0.9 }],
  ['adafactor', { beta1: 0.9, factored: false }],
  ['novograd', { amsgrad: true }],
  ['lion', { transforms: [{ id: 'gradient-noise' }, { id: 'cautious' }], weightDecay: 0.1 }],
  ['sgd', { momentum: 0.9, transforms: [{ id: 'clip-norm', threshold: 1, groups: 'tensor' }] }],
]

describe.each(AROUND)('%s %o', (id, more) => {
  const method = byId(id)

  test.each(PACKED)(
    '%s: the same from the same seed, resumed after every step, and on the interpreter',
    (stateDtype) => {
      const config = { ...more, stateDtype }
      const [first, resumed, other] = (['wasm', 'wasm', 'interpreter'] as const).map(
        (engine) => new Session(method, space(), { config, engine }),
      )
      for (let t = 0; t < 3; t++) {
        for (const session of [first, resumed, other]) session.steps(1, slope)
        resumed.restart()
        same(first, resumed)
      }
      expect(apart(first.state.x, other.state.x)).toBeLessThan(1e-11)
      expect(first.state.packed).toEqual(other.state.packed)
    },
  )
})

test.each(PACKED)('%s: forks and imported sessions go on bit for bit', async (stateDtype) => {
  const sessions = await createSessions({ store: { kind: 'memory' } })
  const { tensors, initial } = space('f32')
  const objectives = [{ name: 'loss', direction: 'minimize' as const }]
  const started = {
    method: 'adam',
    config: { stateDtype },
    problem: { space: { ...small, tensors, initial }, objectives },
  }
  const descend = async (id: string) => {
    for (let step = 0; step < 3; step++) {
      const { queries } = await sessions.step(id, { observations: [], count: 1 })
      const gradients = [(await sessions.view(id, 'x', slope)) as Tensors]
      const observations = queries.map((query) => ({ queryId: query.id, status: 'ok' as const, gradients }))
      await sessions.step(id, { observations, count: 0 })
    }
    return (await sessions.get(id, { stateHash: true })).stateHash
  }
  await sessions.create({ ...started, seed: 7 }, { id: 'a' })
  await descend('a')
  await sessions.fork('a', { id: 'fork' })
  const chunks: Uint8Array[] = []
  for await (const chunk of sessions.export('a')) chunks.push(chunk)
  async function* whole() {
    yield* chunks
  }
  await sessions.import(whole(), { id: 'imported' })
  const hash = await descend('a')
  expect(await descend('fork')).toBe(hash)
  expect(await descend('imported')).toBe(hash)
  await sessions.close()
})

describe.each(['wasm', 'tensorflow', 'webgpu'] as const)('%s in float32', (engine) => {
  test.each(['full', ...PACKED])('%s: a step comes as near to that of the interpreter', (stateDtype) => {
    const own = run(adam, 2, { stateDtype }, engine, space('f32'))
    const reference = new Session(adam, space('f32'), { config: { stateDtype }, engine: 'interpreter' })
    reference.state = decodeTree(bytesOf(own)) as unknown as typeof own.state
    ;(reference.run.memo as Map<string, unknown>).clear()
    reference.query = own.query
    const gradient = slope(own.state.x)
    for (const session of [own, reference]) session.tell(gradient)
    // What engines differ by, in shares of the largest number: engines/compare.ts.
    expect(apart(own.state.x, reference.state.x)).toBeLessThan(2e-5)
    for (const [slot, arrays] of Object.entries(own.state.packed ?? {}))
      for (const [name, bytes] of Object.entries(arrays)) {
        const other = reference.state.packed![slot][name]
        const codes = stateDtype === 'int8' ? 4 * 18 : 0
        const differing = bytes.filter((byte, i) => i >= codes && byte !== other[i]).length
        // Errors of a few times 2^-24 decide how a number is rounded between neighbours that are 2^-8 of it apart, in few
        // cases of 2^16.
        expect(differing / bytes.length).toBeLessThan(0.002)
      }
  })
})

describe('training', () => {
  const digits = loadDigits()
  const train = take(digits, range(0, 1024))
  const network = new Network([PIXELS, 64, CLASSES], 1024)
  const specs = network.specs.map((spec) => ({ ...spec, dtype: 'f32' as const }))

  function lossAfter(id: string, config: object): number {
    const rng = new Rng(rngStream(7, 'start'))
    const initial = Object.fromEntries(
      specs.map(({ name, shape }) => [
        name,
        Float32Array.from({ length: elements(shape) }, () => (shape.length > 1 ? rng.normal() * 0.17 : 0)),
      ]),
    )
    const session = new Session(byId(id), { kind: 'tensors', tensors: specs, initial }, { config, engine: 'wasm' })
    const batches = new Rng(rngStream(9, 'batches'))
    for (let t = 0; t < 120; t++) {
      const numbers = Array.from({ length: 32 }, () => batches.integer(1024))
      const batch: Digits = take(train, numbers)
      session.steps(1, (x) => network.gradient(x, batch.pixels, crossEntropy(batch.labels, CLASSES)))
    }
    const p = softmax(network.forward(session.state.x, train.pixels), CLASSES)
    return train.labels.reduce((sum, label, i) => sum - Math.log(p[CLASSES * i + label]) / train.labels.length, 0)
  }

  test.each([
    ['adam', { learningRate: 0.003 }],
    ['adamw', { learningRate: 0.003, weightDecay: 0.01 }],
    ['lion', { learningRate: 0.003 }],
    ['sgd', { learningRate: 0.1, momentum: 0.9 }],
    ['adafactor', { beta1: 0.9, relativeStep: false, scaleParameter: false, learningRate: 0.003 }],
  ])('%s: losses within 1.1 times that with full slots in bf16, and 1.2 times in int8', (id, config) => {
    const [full, bf16, int8] = ['full', ...PACKED].map((stateDtype) => lossAfter(id, { ...config, stateDtype }))
    expect(full).toBeLessThan(0.5)
    expect(bf16).toBeLessThan(1.1 * full)
    expect(int8).toBeLessThan(1.2 * full)
  })
})
