import { beforeAll, expect, test } from 'vitest'
import { Rng, rngStream } from '../../../src/core/rng.js'
import { loadEngines } from '../../../src/optimizers/engines/index.js'
import { method as adam } from '../../../src/optimizers/presets/adam.js'
import { method as rsSgdm } from '../../../src/optimizers/presets/rs-sgdm.js'
import { method as sgd } from '../../../src/optimizers/presets/sgd.js'
import { of, Session, vectors } from '../session.js'

beforeAll(loadEngines)

const scaling = (distribution: string) => [{ id: 'random-scaling', distribution }]

test('[random-scaling] the identity on |x| holds for exponential numbers, and not for uniform ones', () => {
  const draws = 200_000
  const sides = (distribution: string) => {
    const config = { learningRate: 1, transforms: scaling(distribution), reportNorm: false }
    const session = new Session(sgd, vectors([0]), { config, engine: 'wasm' })
    let [difference, slope, before] = [0, 0, 0]
    for (let k = 0; k < draws; k++) {
      session.tell([-1])
      const s = session.state.x.x[0] - before
      before = session.state.x.x[0]
      difference += (Math.abs(-1 + s) - 1) / draws
      slope += Math.sign(-1 + s) / draws
    }
    return [difference, slope]
  }
  for (const side of sides('exponential')) expect(Math.abs(side - (2 / Math.E - 1))).toBeLessThan(0.003)
  const [difference, slope] = sides('uniform')
  expect(Math.abs(difference + 0.5)).toBeLessThan(0.003)
  expect(Math.abs(slope)).toBeLessThan(0.003)
})

test('[random-scaling] always 1 is SGD with momentum, to the bit; the online learner is the same in other words', () => {
  const gradients = Array.from({ length: 100 }, (_, k) => Math.sin(1 + k * k))
  const one = new Session(rsSgdm, vectors([1]), { config: { momentum: 0.9, transforms: scaling('one') } })
  const plain = new Session(rsSgdm, vectors([1]), { config: { momentum: 0.9, transforms: [] } })
  let [x, m] = [1, 0]
  for (const g of gradients) {
    m = 0.9 * m + (1 - 0.9) * g
    x -= 0.1 * m
    plain.tell([g])
    expect(plain.x[0]).toBe(x)
    expect(one.tell([g]).x[0]).toBeCloseTo(x, 14)
  }

  const [eta, mu, beta] = [0.1, 0.5, 0.95]
  const momentum = beta / (1 + eta * mu)
  const learningRate = (momentum * eta) / (1 - momentum)
  const session = new Session(rsSgdm, vectors([1]), { config: { momentum, learningRate } })
  let [y, d] = [1, 0]
  for (const g of gradients) {
    d = (beta / (1 + eta * mu)) * (d - eta * g)
    session.tell([g])
    y += session.metrics.scale * d
    expect(Math.abs(session.x[0] - y)).toBeLessThan(1e-12)
  }
})

test('[random-scaling] a non-smooth, non-convex function with noise: the average arrives', () => {
  const f = (x: number, y: number) => Math.abs(x) + 0.5 * Math.abs(y - Math.abs(x))
  for (let seed = 0; seed < 6; seed++) {
    const rng = new Rng(rngStream(seed, 'noise'))
    const config = { learningRate: 0.01, momentum: 0.9, reportNorm: false }
    const session = new Session(rsSgdm, vectors([1, 0]), { config, engine: 'wasm', seed })
    session.steps(
      20_000,
      of(({ 0: x, 1: y }) => {
        const side = 0.5 * Math.sign(y - Math.abs(x))
        return [Math.sign(x) - side * Math.sign(x) + rng.normal(), side + rng.normal()]
      }),
    )
    expect(session.estimate.kind).toBe('average')
    const [x, y] = session.answer.x
    expect(f(x, y)).toBeLessThanOrEqual(0.05)
  }
})

test('[random-scaling] on a quadratic the mean trace is that of SGD with momentum', () => {
  const seeds = 400
  const steps = 30
  const config = { learningRate: 0.1, momentum: 0.9, reportNorm: false }
  const run = (seed: number, more: object = {}) => {
    const session = new Session(rsSgdm, vectors([1]), { config: { ...config, ...more }, seed, engine: 'wasm' })
    return Array.from(
      { length: steps },
      () =>
        session.steps(
          1,
          of((x) => [x[0]]),
        ).x[0],
    )
  }
  const plain = run(0, { transforms: [] })
  const traces = Array.from({ length: seeds }, (_, seed) => run(seed))
  for (let t = 0; t < steps; t++) {
    const values = traces.map((trace) => trace[t])
    const mean = values.reduce((sum, v) => sum + v, 0) / seeds
    const variance = values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / (seeds - 1)
    expect(Math.abs(mean - plain[t])).toBeLessThan(5 * Math.sqrt(variance / seeds))
  }
})

test('[random-scaling] one number for all tensors, for any rule; a radius bounds the step before it', () => {
  const session = new Session(adam, vectors({ a: [0, 0], b: [0] }), {
    config: { eps: 0, transforms: [{ id: 'random-scaling' }] },
  }).tell({ a: [1, -2], b: [3] })
  const { scale } = session.metrics
  for (const [x, side] of [
    [session.state.x.a[0], -1],
    [session.state.x.a[1], 1],
    [session.state.x.b[0], -1],
  ])
    expect(x).toBeCloseTo(side * 0.001 * scale, 12)
  const bounded = new Session(rsSgdm, vectors([0, 0]), { config: { radius: 0.01, transforms: [] } }).tell([300, 400])
  expect(bounded.x[0]).toBeCloseTo(-0.006, 12)
  expect(bounded.x[1]).toBeCloseTo(-0.008, 12)
})
