import { beforeAll, describe, expect, it } from 'vitest'
import type { AnyMethod } from '../../src/core/method.js'
import { Rng, rngStream } from '../../src/core/rng.js'
import { parseConfig } from '../../src/core/schema.js'
import { loadEngine, loadEngines } from '../../src/optimizers/engines/index.js'
import { method as adam, adam as adamPreset } from '../../src/optimizers/presets/adam.js'
import { method as rule } from '../../src/optimizers/presets/rule.js'
import { method as sgd } from '../../src/optimizers/presets/sgd.js'
import { kernelOf, program } from '../../src/optimizers/step-program.js'
import { openManager } from '../../src/sessions/index.js'
import { MemoryStore } from '../../src/sessions/stores/memory.js'
import { findVulkan } from './engines/vulkan.js'
import { of, Session, vectors } from './session.js'

beforeAll(loadEngines)

const ENGINES = ['interpreter', 'wasm'] as const
type Vector = readonly number[]
const dot = (a: Vector, b: Vector) => a.reduce((sum, value, i) => sum + value * b[i], 0)
const norm = (a: Vector) => Math.sqrt(dot(a, a))
const minus = (a: Vector, b: Vector) => a.map((value, i) => value - b[i])
const mean = (all: readonly Vector[]) => all[0].map((_, i) => all.reduce((sum, a) => sum + a[i] / all.length, 0))

const START = [1, -2, 3, 0.5]
const gradientAt = (k: number): Vector => START.map((_, i) => Math.sin(7 * k + i) + 0.5)

/** Noise scale and signal-to-noise ratio after steps of K gradients each, by appendix A.1 of McCandlish et al. */
function noiseOf(steps: readonly (readonly Vector[])[]) {
  let [signal, noise] = [0, 0]
  for (const parts of steps) {
    const small = parts.reduce((sum, g) => sum + dot(g, g) / parts.length, 0)
    const large = dot(mean(parts), mean(parts))
    signal = 0.99 * signal + (0.01 * (parts.length * large - 1 * small)) / (parts.length - 1)
    noise = 0.99 * noise + (0.01 * (small - large)) / (1 / 1 - 1 / parts.length)
  }
  return { noiseScale: noise / signal, signalToNoise: (steps.at(-1)!.length * signal) / noise }
}

function expectFigures(metrics: { readonly [name: string]: number }, expected: { [name: string]: number }) {
  for (const [name, value] of Object.entries(expected))
    expect(Math.abs(metrics[name] - value), `${name}: ${metrics[name]}`).toBeLessThan(
      1e-9 * Math.max(1, Math.abs(value)),
    )
}

describe.each(ENGINES)('on %s', (engine) => {
  const start = (method: AnyMethod, config: object, more: object = {}, space = vectors([...START])) =>
    new Session(method, space, { config: { diagnostics: true, ...config }, engine, ...more })

  it('the norm, the update ratio and the cosine are those of what is told and where x goes', () => {
    const transforms = [
      { id: 'weight-decay', rate: 0.1 },
      { id: 'clip-norm', threshold: 0.3 },
    ]
    const session = start(adam, { learningRate: 0.1, transforms, ball: 3 })
    for (let k = 0; k < 4; k++) {
      const before = session.x
      session.tell(gradientAt(k))
      const [g, last] = [gradientAt(k), gradientAt(k - 1)]
      expectFigures(session.metrics, {
        gradientNorm: norm(g),
        updateRatio: norm(minus(session.x, before)) / norm(before),
        nonFinite: 0,
        steps: k + 1,
        ...(k > 0 && { gradientCosine: dot(g, last) / (norm(g) * norm(last)) }),
      })
      expect('gradientCosine' in session.metrics).toBe(k > 0)
    }
  })

  it('a ratio to nothing is left out, and so is a figure of what was not told', () => {
    const session = start(sgd, {}, {}, vectors([0, 0]))
    session.tell([0, 0])
    expect(session.metrics).toMatchObject({ gradientNorm: 0, nonFinite: 0 })
    for (const name of ['updateRatio', 'gradientCosine', 'noiseScale', 'signalToNoise', 'rayleigh', 'sharpness'])
      expect(session.metrics).not.toHaveProperty(name)
  })

  it('parameters that are not finite are counted', () => {
    const session = start(sgd, { learningRate: 1e10 })
    session.tell([1e300, 1, 1e300, 1e300])
    expect(session.metrics).toMatchObject({ nonFinite: 3 })
    expect(session.metrics).not.toHaveProperty('updateRatio')
  })

  it.each(['mean', 'sum'])('accumulate: the noise of several gradients, of which the rule gets the %s', (reduction) => {
    const session = start(sgd, { learningRate: 0.01, driver: { id: 'accumulate', batches: 3, reduction } })
    const steps = [0, 1, 2].map((step) => [0, 1, 2].map((k) => gradientAt(3 * step + k)))
    for (const g of steps.flat()) session.tell(g)
    expect(session.state.t).toBe(3)
    expectFigures(session.metrics, noiseOf(steps))
  })

  it('batch-size: the noise of the parts of a batch', () => {
    const driver = { id: 'batch-size', workers: 4 }
    const session = start(sgd, { learningRate: 0.01, driver })
    const parts = [0, 1, 2, 3].map(gradientAt)
    for (const g of parts) session.tell(g)
    expectFigures(session.metrics, noiseOf([parts]))
  })

  const H = [
    [3, 1, 0, 0],
    [1, -4, 0.5, 0],
    [0, 0.5, 2, 1],
    [0, 0, 1, 1],
  ]
  const times = (v: ArrayLike<number>) => H.map((row) => dot(row, Array.from(v)))
  const product = (_: unknown, { x }: { [name: string]: ArrayLike<number> }) => ({ x: times(x) })

  it.each(['hessian', 'difference'])('the sharpness along a random direction, of products by %s', (products) => {
    const session = start(sgd, { learningRate: 0.01, driver: { id: 'hutchinson', products } }, { product })
    session.steps(1, of(times))
    const v = Array.from(session.state.driver.points.probe.x)
    const near = products === 'hessian' ? 9 : 6
    expect(session.metrics.rayleigh).toBeCloseTo(dot(v, times(v)) / dot(v, v), near)
    expect(session.metrics.sharpness).toBeCloseTo(norm(times(v)) / norm(v), near)
  })

  it('of the products of a step, the direction that is stretched most', () => {
    const seen: Vector[] = []
    const spied = (x: unknown, direction: { [name: string]: ArrayLike<number> }) => {
      seen.push(Array.from(direction.x))
      return product(x, direction)
    }
    const positive = (v: ArrayLike<number>) => times(v).map((value, i) => value + 6 * v[i])
    const driver = { id: 'newton', products: 'hessian' }
    const session = start(
      sgd,
      { learningRate: 0.01, driver },
      {
        product: (x: unknown, direction: { [name: string]: ArrayLike<number> }) => {
          spied(x, direction)
          return { x: positive(direction.x) }
        },
      },
    )
    session.steps(2, of(positive))
    const second = seen.slice(seen.length / 2)
    expect(second.length).toBeGreaterThan(2)
    const [most] = second.toSorted((a, b) => norm(positive(b)) / norm(b) - norm(positive(a)) / norm(a))
    expectFigures(session.metrics, {
      sharpness: norm(positive(most)) / norm(most),
      rayleigh: dot(most, positive(most)) / dot(most, most),
    })
  })

  it('without them nothing is other than it was, and with them no parameter is', () => {
    const config = { learningRate: 0.1, transforms: [{ id: 'clip-norm', threshold: 1 }], averaging: { id: 'ema' } }
    const [plain, measured] = [start(adam, { ...config, diagnostics: false }), start(adam, config)]
    const old = start(adam, { ...config, diagnostics: false })
    delete (old.run.config as { diagnostics?: boolean }).diagnostics
    for (let k = 0; k < 5; k++) for (const session of [plain, measured, old]) session.tell(gradientAt(k))
    expect(old.state).toEqual(plain.state)
    expect(Object.keys(plain.state)).not.toContain('diagnostics')
    expect(Object.keys(plain.state.slots)).toEqual(['m', 'v', 'average'])
    const { lastGradient, lastLength, ...slots } = measured.state.slots
    expect([measured.state.x, slots]).toEqual([plain.state.x, plain.state.slots])
    expect(Array.from(lastGradient.x)).toEqual(gradientAt(4))
    expect(lastLength.all[0]).toBeCloseTo(norm(gradientAt(4)), 12)
  })

  it.each([
    ['accumulate', { driver: { id: 'accumulate', batches: 2 } }, 4],
    ['hutchinson', { driver: { id: 'hutchinson', products: 'hessian' } }, 4],
    ['optex', { driver: { id: 'optex' } }, 4],
    ['moments in bf16', { stateDtype: 'bf16' }, 4096],
  ])('restarts change no bit: %s', (_, config, size) => {
    const wide = { ...vectors({ x: Array.from({ length: size }, (_, i) => Math.cos(i)) }) }
    const bowl = (x: ArrayLike<number>) => Array.from(x, (value, i) => value * (1 + (i % 3)) - 1)
    const more = { product: (_: unknown, v: { [name: string]: ArrayLike<number> }) => ({ x: bowl(v.x) }) }
    const [plain, restarted] = [0, 1].map(() => start(adam, config, more, wide))
    for (let k = 0; k < 9; k++) {
      plain.reply(of(bowl))
      restarted.reply(of(bowl))
      restarted.restart()
    }
    expect(restarted.state).toEqual(plain.state)
    expect(restarted.metrics).toEqual(plain.metrics)
  })
})

describe.each(['tensorflow', 'webgpu'] as const)('on %s', (engine) => {
  beforeAll(async () => {
    if (engine === 'webgpu') await findVulkan()
    await loadEngine(engine)
  })
  const single = {
    tensors: [{ name: 'x', shape: [START.length], dtype: 'f32' as const }],
    initial: { x: Float32Array.from(START) },
  }
  const transforms = [{ id: 'clip-norm', threshold: 0.3 }]

  it.each([
    ['steps', { transforms, ball: 3 }, ['updateRatio', 'gradientCosine']],
    ['several gradients a step', { driver: { id: 'accumulate', batches: 3 } }, ['noiseScale', 'signalToNoise']],
    ['products', { driver: { id: 'hutchinson', products: 'hessian' } }, ['rayleigh', 'sharpness']],
  ])('the figures are those of the interpreter to the digits of f32: %s', (_, config, names) => {
    const curved = (v: ArrayLike<number>) => Array.from(v, (value, i) => Math.fround((i + 1) * value))
    const product = (_: unknown, { x }: { [name: string]: ArrayLike<number> }) => ({ x: curved(x) })
    const [device, oracle] = [engine, 'interpreter' as const].map(
      (engine) =>
        new Session(adam, vectors([...START], single), {
          config: { learningRate: 0.1, diagnostics: true, ...config },
          engine,
          product,
        }),
    )
    for (const session of [device, oracle])
      for (let k = 0; k < 6; k++) session.reply(() => ({ x: gradientAt(k).map(Math.fround) }))
    for (const name of ['gradientNorm', 'nonFinite', ...names]) {
      const expected = oracle.metrics[name]
      expect(expected, name).toBeTypeOf('number')
      expect(Math.abs(device.metrics[name] - expected), name).toBeLessThan(1e-4 * Math.max(1, Math.abs(expected)))
    }
  })
})

it("a rule's own reports and slots of the same names get others", () => {
  const text = 'xBefore = xBefore + g\nx = x - lr*xBefore\nreport updateRatio = 7'
  const config = { text, slots: { xBefore: { kind: 'tensor' } }, learningRate: 0.1, diagnostics: true }
  const session = new Session(rule, vectors([1, 2]), { config }).tell([3, 4])
  expect(session.x).toEqual([1 - 0.1 * 3, 2 - 0.1 * 4])
  expect(session.metrics.updateRatio).toBeCloseTo(0.5 / Math.sqrt(5), 12)
  expect(session.metrics.updateRatio_2).toBe(7)
})

it('with moments in bf16 and several passes the update ratio is still that of x', () => {
  const config = { diagnostics: true, stateDtype: 'bf16', transforms: [{ id: 'clip-norm', threshold: 1 }], ball: 40 }
  const space = vectors(Array.from({ length: 4096 }, (_, i) => Math.cos(i)))
  const session = new Session(adam, space, { config: { ...config, learningRate: 0.1 }, engine: 'wasm' })
  for (let k = 0; k < 3; k++) {
    const before = session.x
    session.tell(before.map((value, i) => value - Math.sin(i + k)))
    expect(norm(session.x)).toBeLessThan(40 + 1e-9)
    expectFigures(session.metrics, { updateRatio: norm(minus(session.x, before)) / norm(before) })
  }
})

it('the reductions are in the passes that a step makes anyway, and the slot is as wide as the others', () => {
  const tensors = [{ name: 'w', shape: [4096], dtype: 'f32' as const }]
  const kernel = (config: object) =>
    kernelOf(
      program(adamPreset.rule, parseConfig(adam.config, config), { kind: 'tensors', tensors }),
      tensors,
      'wasm',
      'f32',
    )
  expect(kernel({ diagnostics: true }).passes).toBe(1)
  const clipped = { transforms: [{ id: 'clip-norm', threshold: 1 }] }
  expect(kernel({ ...clipped, diagnostics: true }).passes).toBe(kernel(clipped).passes)
  expect(kernel({ diagnostics: true }).allocate().slots.lastGradient.w.byteLength).toBe(4 * 4096)
})

describe('several clients', () => {
  const problem = {
    space: { kind: 'tensors' as const, tensors: [{ name: 'w', shape: [50], dtype: 'f64' as const }] },
    objectives: [{ name: 'loss', direction: 'minimize' as const }],
  }
  async function begin(workers: number, reduction: string) {
    const store = new MemoryStore()
    const open = () => openManager({ store, clock: () => 0, threads: 0, engine: 'wasm' })
    const sessions = await open()
    const config = { learningRate: 1e-3, diagnostics: true, gathering: { id: 'barrier', workers, reduction } }
    await sessions.create({ method: 'sgd', problem, config, seed: 1 }, { id: 's' })
    /** One step of these gradients, told in the order of `order`. */
    const step = async (gradients: readonly Float64Array[], order = gradients.map((_, k) => k)) => {
      const { queries } = await sessions.step('s', { count: workers })
      for (const k of order) {
        const observations = [{ queryId: queries[k].id, status: 'ok' as const, gradients: [{ w: gradients[k] }] }]
        await sessions.step('s', { observations, count: 0 })
      }
    }
    return { sessions, open, step, metrics: async () => (await sessions.estimate('s')).metrics! }
  }

  it.each(['mean', 'sum'])(
    'the noise of their gradients, whatever their order, of which the rule gets the %s',
    async (reduction) => {
      const steps = [0, 1].map((t) =>
        [0, 1, 2].map((k) => Float64Array.from({ length: 50 }, (_, i) => Math.sin(50 * (3 * t + k) + i) + 0.3)),
      )
      const hashes = new Set<string>()
      for (const order of [
        [0, 1, 2],
        [2, 0, 1],
      ]) {
        const { sessions, open, step, metrics } = await begin(3, reduction)
        for (const gradients of steps) await step(gradients, order)
        expectFigures(await metrics(), noiseOf(steps.map((all) => all.map((g) => Array.from(g)))))
        hashes.add((await sessions.get('s')).stateHash)
        // The journal is replayed.
        const again = await open()
        hashes.add((await again.get('s')).stateHash)
        expect((await again.estimate('s')).metrics).toEqual(await metrics())
      }
      expect(hashes.size).toBe(1)
    },
  )

  /**
   * Gradients G + e with independent e_i of variance s_i^2. With K of them an estimate of tr(S) has variance 2*tr(S^2)/(K - 1), and
   * one of |G|^2 has 4*G'SG/K + 2*tr(S^2)/(K*(K - 1)); the average has (1 - 0.99)/(1 + 0.99) = 1/199 of it.
   */
  it('the noise scale is tr(S)/|G|^2 of noise with the covariance S, within four standard errors', async () => {
    const K = 4
    const G = Float64Array.from({ length: 50 }, (_, i) => 1.5 + 0.02 * i)
    const s = Float64Array.from({ length: 50 }, (_, i) => 1 + (i % 5))
    const total = (term: (g: number, s: number) => number) => G.reduce((sum, g, i) => sum + term(g, s[i]), 0)
    const [signal, noise] = [total((g) => g ** 2), total((_, s) => s ** 2)]
    const fourth = total((_, s) => s ** 4)
    const along = total((g, s) => (g * s) ** 2)
    const { step, metrics } = await begin(K, 'mean')
    const rng = new Rng(rngStream(3, 'noise'))
    for (let t = 0; t < 500; t++) await step(Array.from({ length: K }, () => G.map((g, i) => g + s[i] * rng.normal())))
    const relative = Math.hypot(
      Math.sqrt((2 * fourth) / (K - 1) / 199) / noise,
      Math.sqrt(((4 * along) / K + (2 * fourth) / (K * (K - 1))) / 199) / signal,
    )
    expect(relative).toBeLessThan(0.04)
    const { noiseScale, signalToNoise } = await metrics()
    expect(Math.abs(noiseScale / (noise / signal) - 1)).toBeLessThan(4 * relative)
    expect(Math.abs(signalToNoise / ((K * signal) / noise) - 1)).toBeLessThan(4 * relative)
  })
})
