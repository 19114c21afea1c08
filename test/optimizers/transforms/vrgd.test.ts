import { beforeAll, expect, test } from 'vitest'
import type { AnyMethod } from '../../../src/core/method.js'
import { Rng, rngStream } from '../../../src/core/rng.js'
import { generalizationRatio, gsnrHistogram } from '../../../src/optimizers/diagnostics/gsnr.js'
import { loadEngines } from '../../../src/optimizers/engines/index.js'
import { method as sgd } from '../../../src/optimizers/presets/sgd.js'
import { method as vrAdam } from '../../../src/optimizers/presets/vr-adam.js'
import { method as vrLamb } from '../../../src/optimizers/presets/vr-lamb.js'
import { method as vrLars } from '../../../src/optimizers/presets/vr-lars.js'
import { method as vrMomentum } from '../../../src/optimizers/presets/vr-momentum.js'
import { method as vrSgd } from '../../../src/optimizers/presets/vr-sgd.js'
import { Session, vectors } from '../session.js'

beforeAll(loadEngines)

const shards = (count: number) => ({ driver: { id: 'shards', shards: count } })
const random = (seed: number, count: number) => {
  const rng = new Rng(rngStream(seed, 'gradients'))
  return () => Array.from({ length: count }, () => rng.normal())
}
/** Factors of one tensor from the gradients of its shards, and their mean. */
function factors(gradients: number[][], gamma = 0.1) {
  const mean = (of: (g: number[]) => number) => gradients.reduce((sum, g) => sum + of(g), 0) / gradients.length
  const g = gradients[0].map((_, i) => mean((shard) => shard[i]))
  const ratio = g.map((gi, i) => gi ** 2 / (mean((shard) => (shard[i] - gi) ** 2) + 1e-12))
  const typical = ratio.reduce((sum, r) => sum + r, 0) / ratio.length
  return { g, r: ratio.map((value) => Math.min(Math.max(value / typical, gamma), 1)) }
}

test('[vrgd] three shards, one step', () => {
  const session = new Session(vrSgd, vectors([0, 0]), { config: { learningRate: 1, ...shards(3) } })
  const keys = new Set<string | undefined>()
  for (const g of [
    [1, 2],
    [3, 2.1],
    [2, -3.9],
  ]) {
    keys.add(session.query.sampleKey)
    session.tell(g)
  }
  expect(keys.size).toBe(3)
  expect(session.state.t).toBe(1)
  const [mean, spread] = [session.view('mean').x, session.view('spread').x]
  for (const [found, expected] of [
    [mean[0], 2],
    [mean[1], 0.0666667],
    [spread[0], 0.666667],
    [spread[1], 7.868889],
    [session.x[0], -2],
    [session.x[1], -0.00666667],
  ])
    expect(Math.abs(found - expected)).toBeLessThan(1e-6)
  expect(session.metrics.factor).toBeCloseTo(0.55, 12)
})

test('[vrgd] on noisy regression the best test loss is lower than that of SGD', () => {
  const [n, d, k] = [64, 40, 8]
  const best = (transforms: object[], seed: number) => {
    const rng = new Rng(rngStream(seed, 'regression'))
    const truth = Array.from({ length: d }, (_, j) => (j < 5 ? 1 : 0))
    const sample = (count: number) =>
      Array.from({ length: count }, () => {
        const features = Array.from({ length: d }, () => rng.normal())
        return { features, label: features.reduce((sum, f, j) => sum + f * truth[j], rng.normal()) }
      })
    const [training, unseen] = [sample(n), sample(1000)]
    const residual = (x: ArrayLike<number>, { features, label }: { features: number[]; label: number }) =>
      features.reduce((sum, f, j) => sum + f * x[j], -label)
    const config = { learningRate: 0.1, transforms, ...shards(k) }
    const session = new Session(sgd, vectors(Array(d).fill(0)), { config, engine: 'wasm' })
    let lowest = Number.POSITIVE_INFINITY
    for (let t = 0; t < 300; t++) {
      session.steps(1, ({ x }, { sampleKey }) => {
        const shard = Number(sampleKey!.split('.')[1])
        const g = new Float64Array(d)
        for (const example of training.slice((shard * n) / k, ((shard + 1) * n) / k)) {
          const r = residual(x, example) / (n / k)
          for (let j = 0; j < d; j++) g[j] += r * example.features[j]
        }
        return { x: g }
      })
      // Every step at first, where the lowest loss is.
      if (t < 60 || t % 10 === 0)
        lowest = Math.min(
          lowest,
          unseen.reduce((sum, e) => sum + residual(session.state.x.x, e) ** 2, 0) / unseen.length,
        )
    }
    return lowest
  }
  const mean = (transforms: object[]) => [0, 1, 2, 3, 4].reduce((sum, seed) => sum + best(transforms, seed) / 5, 0)
  const [scaled, plain] = [mean([{ id: 'vrgd' }]), mean([])]
  expect(scaled).toBeLessThanOrEqual(0.95 * plain)
})

test('[vrgd] factors lie in [gamma, 1], and the largest of every tensor is 1; one shard is refused', () => {
  const [a, b] = [random(1, 20), random(2, 7)]
  for (const gamma of [0.01, 0.1, 1]) {
    const config = { learningRate: 1, transforms: [{ id: 'vrgd', gamma }], ...shards(4) }
    const session = new Session(vrSgd, vectors({ a: Array(20).fill(0), b: Array(7).fill(0) }), { config })
    for (let t = 0; t < 20; t++) {
      const before = { a: session.state.x.a.slice(), b: session.state.x.b.slice() }
      for (let shard = 0; shard < 4; shard++) session.tell({ a: a(), b: b().map((g) => 100 * g) })
      for (const name of ['a', 'b'] as const) {
        const g = session.view('mean')[name]
        const found = Array.from(g, (gi, i) => (before[name][i] - session.state.x[name][i]) / gi)
        expect(Math.max(...found)).toBeCloseTo(1, 9)
        expect(Math.min(...found)).toBeGreaterThan(gamma - 1e-9)
      }
    }
  }
  expect(() => new Session(vrSgd, vectors([0]), { config: shards(1) })).toThrow(/driver/)
  expect(() => new Session(sgd, vectors([0]), { config: { transforms: [{ id: 'vrgd' }] } })).toThrow(
    'config.driver: sgd needs a driver that keeps "spread"',
  )
})

test('[vrgd] gamma 1 is the rule alone; without spread among shards the factor grows with the gradient', () => {
  const next = random(5, 3)
  const off = new Session(vrSgd, vectors([1, 2, 3]), { config: { transforms: [{ id: 'vrgd', gamma: 1 }] } })
  const plain = new Session(sgd, vectors([1, 2, 3]), { config: shards(8) })
  for (let k = 0; k < 40; k++) {
    const g = next()
    expect(off.tell(g).x).toEqual(plain.tell(g).x)
  }
  const same = new Session(vrSgd, vectors([0, 0, 0]), { config: { learningRate: 1, ...shards(2) } })
  same.tell([1, 2, 3]).tell([1, 2, 3])
  for (const [i, ratio] of [1, 4, 9].entries())
    expect(same.x[i]).toBeCloseTo(-(i + 1) * Math.min(1, (3 * ratio) / 14), 9)
})

test('[vrgd] the presets: momentum and LARS on the scaled gradient, Adam and LAMB with a mean of factors', () => {
  const start = [0.5, -1, 2]
  const learningRate = 0.1
  const make = (method: AnyMethod, more = {}) =>
    new Session(method, vectors(start), { config: { learningRate, ...shards(3), ...more } })
  const sessions = {
    momentum: make(vrMomentum),
    adam: make(vrAdam),
    lars: make(vrLars, { trust: 0.02, momentum: 0.9, weightDecay: 0.01 }),
    lamb: make(vrLamb),
  }
  const zero = () => [0, 0, 0]
  const x = { momentum: [...start], adam: [...start], lars: [...start], lamb: [...start] }
  const [v, u, p, m, s] = [zero(), zero(), zero(), zero(), zero()]
  const norm = (values: number[]) => Math.hypot(...values)
  const next = random(9, 3)
  for (let t = 1; t <= 5; t++) {
    const told = [next(), next(), next()]
    const { g, r } = factors(told)
    const rg = g.map((gi, i) => r[i] * gi)
    const local = (0.02 * norm(x.lars)) / (norm(rg) + 0.01 * norm(x.lars))
    const direction = zero()
    for (const i of g.keys()) {
      v[i] = 0.9 * v[i] + rg[i]
      x.momentum[i] -= learningRate * v[i]
      u[i] = 0.9 * u[i] + learningRate * local * (rg[i] + 0.01 * x.lars[i])
      p[i] = 0.9 * p[i] + 0.1 * r[i]
      const gh = (p[i] / (1 - 0.9 ** t)) * g[i]
      m[i] = 0.9 * m[i] + 0.1 * gh
      s[i] = 0.999 * s[i] + 0.001 * gh ** 2
      direction[i] = m[i] / (1 - 0.9 ** t) / (Math.sqrt(s[i] / (1 - 0.999 ** t)) + 1e-8)
      x.adam[i] -= learningRate * direction[i]
    }
    for (const i of g.keys()) x.lars[i] -= u[i]
    const full = direction.map((di, i) => di + 0.01 * x.lamb[i])
    const scale = (learningRate * norm(x.lamb)) / norm(full)
    for (const i of g.keys()) x.lamb[i] -= scale * full[i]
    for (const name of ['momentum', 'adam', 'lars', 'lamb'] as const) {
      for (const shard of told) sessions[name].tell(shard)
      for (const i of g.keys()) expect(sessions[name].x[i]).toBeCloseTo(x[name][i], 11)
    }
  }
})

test('[vrgd] the diagnostic: ratios by tensor, and the share of a step that generalizes', () => {
  const told = [
    [1, 2],
    [3, 2.1],
    [2, -3.9],
  ]
  const tensors = told.map(([a, b]) => ({ a: Float64Array.of(a, 0), b: Float64Array.of(b) }))
  // Ratios 6 and nothing in one tensor, 0.00056 in the other.
  expect(gsnrHistogram(tensors)).toEqual({ a: [1, 0, 0, 0, 0, 1, 0], b: [0, 1, 0, 0, 0, 0, 0] })
  expect(generalizationRatio(Array(4).fill([1, -2]))).toBe(1)
  const share = [4, 0.0666667 ** 2].map((signal, _, all) => signal / (all[0] + all[1]))
  const expected = 1 - (share[0] / (6 + 1 / 3) + share[1] / (0.000564812 + 1 / 3)) / 3
  expect(generalizationRatio(told)).toBeCloseTo(expected, 6)
})
