import { beforeAll, expect, test } from 'vitest'
import { Rng, rngStream } from '../../../src/core/rng.js'
import { loadEngines } from '../../../src/optimizers/engines/index.js'
import { method as adam } from '../../../src/optimizers/presets/adam.js'
import { method as sgd } from '../../../src/optimizers/presets/sgd.js'
import { CLASSES, loadDigits, PIXELS, range, take } from '../../golden/digits.js'
import { accuracy, crossEntropy, Network } from '../network.js'
import { of, Session, vectors } from '../session.js'

beforeAll(loadEngines)

test('[gradient-noise] the standard deviation falls by the schedule', () => {
  const session = new Session(sgd, vectors([0]), { config: { transforms: [{ id: 'gradient-noise' }] } })
  const expected: Record<number, number> = { 1: 0.1, 2: 0.082645, 100: 0.0281838 }
  for (let t = 1; t <= 100; t++) {
    session.tell([0])
    if (expected[t]) expect(Math.abs(session.metrics.noise - expected[t])).toBeLessThan(1e-6)
  }
})

test('[gradient-noise] in the order given: clip(g) + noise, not clip(g + noise); eta 0 is no transform', () => {
  const clip = { id: 'clip-norm', threshold: 1 }
  const noise = { id: 'gradient-noise', eta: 0.5 }
  const g = [60, -80]
  /** The gradient that the rule is given: SGD of rate 1 from 0 moves by its negative. */
  const given = (transforms: object[]) =>
    new Session(sgd, vectors([0, 0]), { config: { learningRate: 1, transforms }, seed: 5 }).tell(g).x.map((x) => 0 - x)
  const field = new Session(sgd, vectors([0, 0]), { config: { learningRate: 1, transforms: [noise] }, seed: 5 })
    .tell([0, 0])
    .x.map((x) => 0 - x)
  expect(Math.hypot(...field)).toBeGreaterThan(0)
  expect(given([clip, noise])).toEqual([0.6 + field[0], -0.8 + field[1]])
  const other = given([noise, clip])
  expect(Math.hypot(...other)).toBeCloseTo(1, 12)
  expect(Math.hypot(...given([clip, noise]).map((v, i) => v - other[i]))).toBeGreaterThan(0.01)

  for (const method of [sgd, adam]) {
    const run = (transforms: object[]) =>
      new Session(method, vectors([1, -2, 3]), { config: { transforms } }).steps(
        50,
        of((x) => Array.from(x, Math.sin)),
      ).x
    expect(run([{ ...noise, eta: 0 }])).toEqual(run([]))
  }
})

test('[gradient-noise] the same noise after a restart, and from every seed another', () => {
  const run = (seed: number, restart: boolean) => {
    const session = new Session(sgd, vectors([0, 0]), { config: { transforms: [{ id: 'gradient-noise' }] }, seed })
    for (let t = 0; t < 10; t++) {
      if (restart) session.restart()
      session.tell([1, 1])
    }
    return session.x
  }
  expect(run(1, true)).toEqual(run(1, false))
  expect(run(2, false)).not.toEqual(run(1, false))
})

test('[gradient-noise] ten hidden layers from a poor start learn with noise', () => {
  const digits = loadDigits()
  const count = 1400
  const held = take(digits, range(count, digits.labels.length))
  const network = new Network([PIXELS, ...Array(10).fill(50), CLASSES], held.labels.length)
  const run = (seed: number, transforms: object[]) => {
    const rng = new Rng(rngStream(seed, 'deep-poor-start'))
    const initial = Object.fromEntries(
      network.specs.map(({ name, shape }) => [
        name,
        new Float64Array(shape.reduce((n, d) => n * d, 1)).map(() => (shape.length > 1 ? 0.1 * rng.normal() : 0)),
      ]),
    )
    const space = { kind: 'tensors' as const, tensors: network.specs, initial }
    const config = { learningRate: 0.1, transforms, reportNorm: false }
    const session = new Session(sgd, space, { engine: 'wasm', seed, config })
    session.steps(1500, (x) => {
      const batch = take(
        digits,
        Array.from({ length: 50 }, () => rng.integer(count)),
      )
      return network.gradient(x, batch.pixels, crossEntropy(batch.labels, CLASSES))
    })
    return accuracy(network.forward(session.state.x, held.pixels), held.labels)
  }
  // What is reached by step 1,500 depends on when the plateau ends, and varies by 0.2 between seeds: six seeds tell a
  // difference of 0.1 only now and then (1 to 6 give 0.04, 7 to 12 give 0.2). Twelve are taken, from 1 on.
  const seeds = range(1, 13)
  const mean = (transforms: object[]) => seeds.reduce((sum, seed) => sum + run(seed, transforms) / seeds.length, 0)
  const [noisy, plain] = [mean([{ id: 'gradient-noise', eta: 0.01 }]), mean([])]
  expect(noisy - plain).toBeGreaterThanOrEqual(0.1)
}, 300_000)
