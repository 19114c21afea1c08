import { beforeAll, expect, test } from 'vitest'
import { Rng, rngStream } from '../../../src/core/rng.js'
import { loadEngines } from '../../../src/optimizers/engines/index.js'
import { method as adam } from '../../../src/optimizers/presets/adam.js'
import { method as betaGngd } from '../../../src/optimizers/presets/beta-gngd.js'
import { method as lion } from '../../../src/optimizers/presets/lion.js'
import { method as mars } from '../../../src/optimizers/presets/mars.js'
import { of, Session, vectors } from '../session.js'

beforeAll(loadEngines)

const near = (found: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number) => {
  for (let i = 0; i < expected.length; i++) expect(Math.abs(found[i] - expected[i])).toBeLessThan(tolerance)
}
const randoms = (name: string, count: number, size: number) => {
  const rng = new Rng(rngStream(1, name))
  return Array.from({ length: count }, () => Array.from({ length: size }, () => rng.normal()))
}

test('[mars] lion without clipping is Lion', () => {
  const [b1, b2] = [0.9, 0.99]
  const config = { variant: 'lion', beta1: b2, gamma: (b2 - b1) / b2, clip: false, start: 'zero', learningRate: 0.01 }
  const a = new Session(mars, vectors([0, 0, 0]), { config })
  const b = new Session(lion, vectors([0, 0, 0]), { config: { learningRate: 0.01 } })
  for (const g of randoms('gradients', 100, 3)) {
    // The momentum of mars is the direction of Lion: its mean of gradients with the newest one mixed in.
    const c = Array.from(b.state.slots.m.x, (m, i) => b1 * m + (1 - b1) * g[i])
    a.tell(g)
    b.tell(g)
    near(a.state.slots.m.x, c, 1e-12)
    near(a.x, b.x, 1e-12)
  }
})

test('[mars] with gamma 1 and the driver `previous` it is STORM', () => {
  const config = { variant: 'sgd', gamma: 1, clip: false, beta1: 0.9, driver: { id: 'previous' } }
  const session = new Session(mars, vectors([1, -2]), { config })
  const m = [0, 0]
  let gradients: number[][] = []
  for (const noise of randoms('noise', 50, 2)) {
    // Both gradients of a step are told on one sample.
    gradients = []
    const key = session.query.sampleKey
    session.steps(1, ({ x }, query) => {
      expect(query.sampleKey).toBe(key)
      gradients.push([x[0] + noise[0], 3 * x[1] + noise[1] * x[0]])
      return { x: gradients.at(-1)! }
    })
    const [g, past] = [gradients[0], gradients[1] ?? gradients[0]]
    for (let i = 0; i < 2; i++) m[i] = session.state.t === 1 ? 0.1 * g[i] : g[i] + 0.9 * (m[i] - past[i])
    near(session.state.slots.m.x, m, 1e-12)
  }
})

test('[mars] the first corrected gradient is clipped, whatever gamma', () => {
  for (const gamma of [0, 0.025, 1]) {
    const session = new Session(mars, vectors([0, 0]), { config: { gamma } }).tell([3, 4])
    near(session.state.slots.m.x, [0.05 * 0.6, 0.05 * 0.8], 1e-12)
  }
})

test('[mars] tracking the gradient of a noisy quadratic', () => {
  const d = 10
  const beta1 = 0.95
  const error = (gamma: number, exact: boolean, seed: number) => {
    const rng = new Rng(rngStream(seed, 'batches'))
    const h = Array.from({ length: d }, (_, i) => 0.1 + (0.9 * i) / (d - 1))
    const config = {
      ...{ variant: 'sgd', gamma, beta1, clip: false, learningRate: 0.05, reportNorm: false },
      driver: exact ? { id: 'previous' } : { id: 'step' },
    }
    const session = new Session(mars, vectors(h.map(() => 5)), { config, engine: 'wasm' })
    let sum = 0
    for (let t = 0; t < 400; t++) {
      const a = h.map(() => 0.1 * rng.normal())
      const b = h.map(() => 0.1 * rng.normal())
      const [x] = [session.state.x.x]
      const truth = h.map((hi, i) => hi * x[i])
      const batch = of((y) => h.map((hi, i) => (hi + a[i]) * y[i] + b[i]))
      session.steps(1, t === 0 ? of(() => truth) : batch)
      // m starts at the true gradient.
      if (t === 0) session.state.slots.m.x.set(truth)
      if (t > 0) sum += truth.reduce((s, g, i) => s + (session.state.slots.m.x[i] - g) ** 2, 0) / 399
    }
    return sum
  }
  const mean = (gamma: number, exact: boolean) =>
    [1, 2, 3, 4].reduce((sum, seed) => sum + error(gamma, exact, seed), 0) / 4
  const plain = mean(0, true)
  expect(mean(1, true) / plain).toBeLessThanOrEqual(0.01)
  expect(mean(0.025, true) / plain).toBeGreaterThan(0.9)
  expect(mean(0.025, true) / plain).toBeLessThan(0.97)
  expect(mean(1, false) / plain).toBeLessThanOrEqual(0.3)
})

test('[mars] gamma 0 is AdamW on clipped gradients; vectors may be left to AdamW', () => {
  const config = { learningRate: 0.01, beta1: 0.9, beta2: 0.95 }
  const space = { ...vectors({ v: [1, 2], w: [1, 1, 1, 1] }) }
  const shaped = { ...space, tensors: [space.tensors[0], { ...space.tensors[1], shape: [2, 2] }] }
  const plain = new Session(adam, vectors([1, 2]), { config })
  const clipped = new Session(mars, vectors([1, 2]), { config: { ...config, gamma: 0 } })
  const mixed = new Session(mars, shaped, { config: { learningRate: 0.01, variant: 'lion', optimize1d: false } })
  for (const g of randoms('adamw', 30, 2).map((pair) => pair.map((gi) => 0.1 * gi))) {
    plain.tell(g)
    clipped.tell(g)
    mixed.tell({ v: g, w: [...g, ...g] })
    near(clipped.x, plain.x, 1e-12)
    near(mixed.state.x.v, plain.x, 1e-12)
  }
  const steps = mixed.state.x.w.map((x) => Math.abs(x - 1) / 0.01)
  for (const step of steps) expect(Math.abs(step - Math.round(step))).toBeLessThan(1e-9)
})

test('[beta-gngd] x^4: every step multiplies x by the same number', () => {
  const session = new Session(betaGngd, vectors([10]))
  let x = 10
  for (let t = 0; t < 10; t++) {
    session.steps(
      1,
      of((y) => [4 * y[0] ** 3]),
    )
    x *= 1 - 0.1 * 4 ** (1 / 3)
    expect(Math.abs(session.x[0] / x - 1)).toBeLessThan(1e-9)
  }
  expect(Math.abs(session.x[0] - 1.775423)).toBeLessThan(1e-6)
})

test('[beta-gngd] a quartic: the power decides', () => {
  const norm = (beta: number) => {
    const session = new Session(betaGngd, vectors([10, -5]), { config: { beta, learningRate: 0.01 }, engine: 'wasm' })
    session.steps(
      2000,
      of((x) => [4 * x[0] ** 3, 4 * x[1] ** 3]),
    )
    return Math.hypot(...session.x.map((x) => 4 * x ** 3))
  }
  expect(norm(2 / 3)).toBeLessThan(1e-20)
  expect(norm(1)).toBeGreaterThan(1e-8)
  expect(norm(1)).toBeLessThan(1e-5)
  expect(norm(0)).not.toBeLessThan(Number.POSITIVE_INFINITY)
})

test('[beta-gngd] SPIDER: with period 1, and with all samples, its estimate is the gradient', () => {
  const centres = randoms('centres', 7, 3)
  const sample = (x: ArrayLike<number>, i: number) => centres[i].map((c, j) => (1 + i) * (x[j] - c) ** 3)
  const full = (x: ArrayLike<number>) =>
    [0, 1, 2].map((j) => centres.reduce((sum, _, i) => sum + sample(x, i)[j] / centres.length, 0))
  const run = (config: object, gradient = full) => {
    const session = new Session(betaGngd, vectors([2, 2, 2]), { config: { beta: 1, learningRate: 0.05, ...config } })
    return { session, path: Array.from({ length: 30 }, () => session.steps(1, of(gradient)).x) }
  }
  const exact = run({}).path
  const everyStep = run({ driver: { id: 'previous', period: 1 } })
  expect(everyStep.path).toEqual(exact)
  expect(everyStep.session.metrics.gradients).toBe(30)
  const recursive = run({ driver: { id: 'previous', period: 10 } })
  for (const [t, x] of recursive.path.entries()) near(x, exact[t], 1e-10)
  // Three anchors; two gradients for each of the other steps.
  expect(recursive.session.metrics.gradients).toBe(3 + 2 * 27)
})

test('[beta-gngd] SPIDER with batches: anchors ask for big ones, the pairs between for the same small one', () => {
  const session = new Session(betaGngd, vectors([2]), {
    config: { beta: 1, learningRate: 0.01, driver: { id: 'previous', period: 4 } },
  })
  const asked: string[] = []
  const keys: (string | undefined)[] = []
  session.steps(9, ({ x }, query) => {
    asked.push(query.purpose!)
    keys.push(query.sampleKey)
    return { x: [x[0]] }
  })
  const cycle = ['anchor', 'step', 'previous', 'step', 'previous', 'step', 'previous']
  expect(asked).toEqual([...cycle, ...cycle, 'anchor'])
  expect(keys[1]).toBe(keys[2])
  expect(keys[2]).not.toBe(keys[3])
})
