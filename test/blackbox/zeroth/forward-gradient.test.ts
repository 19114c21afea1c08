import { beforeAll, describe, expect, test } from 'vitest'
import { method } from '../../../src/blackbox/zeroth/forward-gradient.js'
import type { Observation, Query } from '../../../src/core/query.js'
import { Rng, rngStream } from '../../../src/core/rng.js'
import type { TensorsSpace } from '../../../src/core/space.js'
import type { FloatArray, Tensors } from '../../../src/core/tensor.js'
import { loadEngines } from '../../../src/optimizers/engines/index.js'
import { Session, vector, xOf } from './session.js'

beforeAll(loadEngines)

const still = { id: 'sgd', config: { learningRate: 0 } }
const dot = (a: ArrayLike<number>, b: ArrayLike<number>) => {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i]
  return sum
}
const estimateOf = (session: Session) => (session.state as { own: { estimate: Float64Array } }).own.estimate

/** The estimate for f = a'x from told guesses. */
function told(a: readonly number[], guesses: readonly (readonly number[])[], config: object): number[] {
  const session = new Session(method, vector(a.map(() => 0)), {
    guess: 'told',
    guesses: guesses.length,
    optimizer: still,
    ...config,
  })
  const [first] = session.ask()
  expect(first).toMatchObject({ purpose: 'told', wants: [{ kind: 'gradient' }] })
  session.tell(first, { gradients: guesses.map((u) => ({ x: Float64Array.from(u) })) })
  const [second] = session.ask()
  expect(second).toMatchObject({ purpose: 'derivative', wants: [{ kind: 'directional' }] })
  expect(second.sampleKey).toBe(first.sampleKey)
  session.tell(second, { derivatives: second.points.slice(1).map((u) => dot(a, xOf(u))) })
  return Array.from(estimateOf(session))
}

describe('[forward-gradient] f = a x, a = (3, 4)', () => {
  const a = [3, 4]
  test.each([
    [[[1, 0]], 'projection', [3, 0]],
    [[[1, 0]], 'unnormalised', [3, 0]],
    [[[2, 0]], 'projection', [3, 0]],
    [[[2, 0]], 'unnormalised', [12, 0]],
    [[[3, 4]], 'projection', [3, 4]],
    [[[2, 0]], 'sign', [2, 0]],
    [
      [
        [1, 2],
        [-1, 0.5],
      ],
      'span',
      [3, 4],
    ],
    [
      [
        [1, 2],
        [2, 4],
      ],
      'span',
      [2.2, 4.4],
    ],
  ])('guesses %j, %s', (guesses, estimator, expected) => {
    told(a, guesses, { estimator }).forEach((v, i) => {
      expect(Math.abs(v - expected[i])).toBeLessThan(1e-12)
    })
  })
})

/** Means of the estimates of random guesses. */
function mean(a: readonly number[], steps: number, config: object) {
  const session = new Session(method, vector(a.map(() => 0)), { optimizer: still, ...config })
  const sum = a.map(() => 0)
  const seen = new Map<string, number[]>()
  for (let t = 0; t < steps; t++) {
    const [query] = session.ask()
    const u = xOf(query.points[1])
    session.tell(query, { derivatives: [dot(a, u)] })
    const e = estimateOf(session)
    e.forEach((v, i) => {
      sum[i] += v / steps
    })
    seen.set([...u].join(), Array.from(e))
  }
  return { mean: sum, seen }
}

test('[forward-gradient] random guesses are unbiased', () => {
  const a = [1, -2, 3, 0.5, -1]
  const found = mean(a, 20_000, { guess: 'gaussian' }).mean
  expect(Math.hypot(...found.map((v, i) => v - a[i]))).toBeLessThan(0.05 * Math.hypot(...a))
  // Rademacher: the mean over the four sign patterns is exact.
  const { seen } = mean([3, 4], 60, { guess: 'rademacher' })
  expect(seen.size).toBe(4)
  for (const i of [0, 1]) expect([...seen.values()].reduce((sum, e) => sum + e[i] / 4, 0)).toBe([3, 4][i])
})

const WIDTH = 16
const INPUTS = 8
const CLASSES = 4
const BATCH = 32

/** A network of two tanh layers and a linear one, with a linear auxiliary head on each of the first two. */
const network: TensorsSpace = {
  kind: 'tensors',
  tensors: [
    { name: 'W1', shape: [WIDTH, INPUTS], dtype: 'f64' },
    { name: 'W2', shape: [WIDTH, WIDTH], dtype: 'f64' },
    { name: 'W3', shape: [CLASSES, WIDTH], dtype: 'f64' },
    { name: 'H1', shape: [CLASSES, WIDTH], dtype: 'f64' },
    { name: 'H2', shape: [CLASSES, WIDTH], dtype: 'f64' },
  ],
}
const LAYERS = ['W1', 'W2']

function initial(seed: number): TensorsSpace {
  const rng = new Rng(rngStream(seed, 'weights'))
  const draw = (n: number, fan: number) => Float64Array.from({ length: n }, () => rng.normal() / Math.sqrt(fan))
  const of = Object.fromEntries(network.tensors.map(({ name, shape: [out, fan] }) => [name, draw(out * fan, fan)]))
  return { ...network, initial: of }
}
const times = (W: FloatArray, x: ArrayLike<number>, rows: number) =>
  Float64Array.from({ length: rows }, (_, i) => {
    let sum = 0
    for (let j = 0; j < x.length; j++) sum += W[i * x.length + j] * x[j]
    return sum
  })
const back = (W: FloatArray, d: Float64Array, columns: number) =>
  Float64Array.from({ length: columns }, (_, j) => {
    let sum = 0
    for (let i = 0; i < d.length; i++) sum += W[i * columns + j] * d[i]
    return sum
  })
const outer = (into: Float64Array, d: Float64Array, x: ArrayLike<number>) => {
  for (let i = 0; i < d.length; i++) for (let j = 0; j < x.length; j++) into[i * x.length + j] += (d[i] * x[j]) / BATCH
}
/** softmax(z) - onehot(label). */
const residual = (z: Float64Array, label: number) => {
  const top = Math.max(...z)
  const e = z.map((v) => Math.exp(v - top))
  const total = e.reduce((sum, v) => sum + v, 0)
  return e.map((v, i) => v / total - Number(i === label))
}

/** Gradients on a batch: of the loss at the end, and of the local losses (each layer by its own head; the last by its own). */
function gradients(w: Tensors, batch: { x: number[]; label: number }[]) {
  const zeros = () =>
    Object.fromEntries(network.tensors.map(({ name, shape: [r, c] }) => [name, new Float64Array(r * c)]))
  const truth = zeros()
  const local = zeros()
  for (const { x, label } of batch) {
    const h1 = times(w.W1, x, WIDTH).map(Math.tanh)
    const h2 = times(w.W2, h1, WIDTH).map(Math.tanh)
    const slope = (d: Float64Array, h: Float64Array) => d.map((v, i) => v * (1 - h[i] ** 2))
    const d3 = residual(times(w.W3, h2, CLASSES), label)
    const d2 = slope(back(w.W3, d3, WIDTH), h2)
    outer(truth.W3, d3, h2)
    outer(truth.W2, d2, h1)
    outer(truth.W1, slope(back(w.W2, d2, WIDTH), h1), x)
    outer(local.W3, d3, h2)
    const e1 = residual(times(w.H1, h1, CLASSES), label)
    const e2 = residual(times(w.H2, h2, CLASSES), label)
    outer(local.H1, e1, h1)
    outer(local.H2, e2, h2)
    outer(local.W1, slope(back(w.H1, e1, WIDTH), h1), x)
    outer(local.W2, slope(back(w.H2, e2, WIDTH), h2), h1)
  }
  return { truth, local }
}

/** Mean cosine of the estimate and the true gradient of the first two layers over the last three quarters of a run. */
function cosine(config: object): number {
  const rng = new Rng(rngStream(5, 'data'))
  const teacher = Float64Array.from({ length: CLASSES * INPUTS }, () => rng.normal())
  const sample = () => {
    const x = Array.from({ length: INPUTS }, () => rng.normal())
    const z = times(teacher, x, CLASSES)
    return { x, label: z.indexOf(Math.max(...z)) }
  }
  const optimizer = { id: 'sgd', config: { learningRate: 0.05, momentum: 0.9 } }
  const session = new Session(method, initial(1), { optimizer, ...config })
  const steps = 200
  let sum = 0
  for (let t = 0; t < steps; t++) {
    const batch = Array.from({ length: BATCH }, sample)
    const answer = (query: Query): Partial<Observation> => {
      const [at, ...directions] = query.points.map((p) => (p.kind === 'tensors' ? p.tensors : {}))
      const { truth, local } = gradients(at, batch)
      if (query.wants[0].kind === 'gradient') return { gradients: [local] }
      const along = (u: Tensors) => Object.entries(truth).reduce((s, [name, g]) => s + dot(g, u[name]), 0)
      return { derivatives: directions.map(along) }
    }
    const before = session.estimate.points[0].point
    while (session.estimate.step === t) {
      const [query] = session.ask()
      session.tell(query, answer(query))
    }
    if (t < steps / 4 || before.kind !== 'tensors') continue
    const { truth } = gradients(before.tensors, batch)
    // The tensors lie one after the other, and the first two come first.
    const g = LAYERS.flatMap((name) => Array.from(truth[name]))
    const e = estimateOf(session).slice(0, g.length)
    sum += dot(e, g) / Math.hypot(...e) / Math.hypot(...g) / (0.75 * steps)
  }
  return sum
}

test('[forward-gradient] local guesses point along the true gradient of a network, random ones hardly', () => {
  const direct = ['W3', 'H1', 'H2']
  expect(cosine({ guess: 'local', estimator: 'projection', granularity: 'layer', direct })).toBeGreaterThan(0.5)
  const optimizer = { id: 'sgd', config: { learningRate: 1e-4, momentum: 0.9 } }
  expect(Math.abs(cosine({ guess: 'gaussian', optimizer }))).toBeLessThan(0.05)
})

test('forward-gradient: by layers, local targets, the reported cosine', () => {
  const space: TensorsSpace = {
    kind: 'tensors',
    tensors: [
      { name: 'a', shape: [1], dtype: 'f64' },
      { name: 'b', shape: [1], dtype: 'f64' },
    ],
  }
  const pair = (a: number, b: number) => ({ a: Float64Array.of(a), b: Float64Array.of(b) })
  const base = { guess: 'told', estimator: 'projection', optimizer: still }
  const session = new Session(method, space, { ...base, granularity: 'layer', diagnose: true })
  session.tell(session.ask()[0], { gradients: [pair(2, 5)] })
  const [query] = session.ask()
  expect(query.points.slice(1)).toMatchObject([{ tensors: pair(2, 0) }, { tensors: pair(0, 5) }])
  session.tell(query, { derivatives: [2 * 3, 5 * -1] })
  expect([...estimateOf(session)]).toEqual([3, -1])
  const [truth] = session.ask()
  expect(truth.purpose).toBe('truth')
  session.tell(truth, { gradients: [pair(3, 1)] })
  expect(session.metrics.cosine).toBeCloseTo(0.8, 12)

  const local = new Session(method, space, { ...base, target: 'local' })
  local.tell(local.ask()[0], { gradients: [pair(2, 5)] })
  expect([...estimateOf(local)]).toEqual([2, 5])
  expect(local.estimate.step).toBe(1)

  const direct = new Session(method, space, { ...base, direct: ['b'] })
  direct.tell(direct.ask()[0], { gradients: [pair(2, 5)] })
  direct.tell(direct.ask()[0], { derivatives: [6] })
  expect([...estimateOf(direct)]).toEqual([3, 5])
  expect(() => new Session(method, space, { direct: ['a'] })).toThrow('config.direct')
  expect(() => new Session(method, space, { ...base, direct: ['c'] })).toThrow('"c" is not a tensor')
})
