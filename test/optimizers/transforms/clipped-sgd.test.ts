import { beforeAll, expect, test } from 'vitest'
import { Rng, rngStream } from '../../../src/core/rng.js'
import { clippingBias, extraSteps } from '../../../src/optimizers/diagnostics/clipping-bias.js'
import { loadEngines } from '../../../src/optimizers/engines/index.js'
import { method as clippedSgd } from '../../../src/optimizers/presets/clipped-sgd.js'
import { method as sgd } from '../../../src/optimizers/presets/sgd.js'
import { of, Session, vectors } from '../session.js'

beforeAll(loadEngines)

const clip = (threshold: number) => ({ transforms: [{ id: 'clip-norm', threshold }] })

/** Noise of mean 0 that is seldom large: its variance is (1 - p)/p. */
const p = 0.1
const rare = (1 - p) / p

test('[clipped-sgd] stochastic gradients: the fixed point is off by p*c/(1 - p), whatever the learning rate', () => {
  // Walks at once stand for one long walk. Each element is a problem of dimension one, where the norm is the magnitude:
  // clipping the elements is clipping the norm of each. One walk in ten, at random, has the rare noise of a step.
  const walks = 50
  const end = (threshold: number, learningRate: number) => {
    const rng = new Rng(rngStream(1, 'noise'))
    const config = { learningRate, transforms: [{ id: 'clip-value', threshold }], reportNorm: false }
    const session = new Session(sgd, vectors(Array(walks).fill(0)), { config, engine: 'wasm' })
    const noisy = of((x) => {
      const g = Float64Array.from(x, (xi) => xi - 1)
      for (let block = 0; block < walks; block += 1 / p) g[block + Math.floor(rng.uniform() / p)] += 1 + rare
      return g
    })
    // Eight time constants to settle, two to measure.
    session.steps(8 / learningRate, noisy)
    let sum = 0
    for (let t = 0; t < 2 / learningRate; t++) for (const xi of session.steps(1, noisy).state.x.x) sum += xi
    return sum / ((2 / learningRate) * walks)
  }
  for (const learningRate of [0.01, 0.001]) {
    for (const [c, expected] of [
      [0.5, 0.9444],
      [1, 0.8889],
      [2, 0.7778],
      [5, 0.4444],
    ]) {
      const x = end(c, learningRate)
      expect(Math.abs(x - expected)).toBeLessThan(0.005)
      expect(x).toBeCloseTo(1 - (p * c) / (1 - p), 2)
    }
    for (const c of [10, 20]) expect(Math.abs(end(c, learningRate))).toBeLessThan(0.02)
  }
  const told = [2, -0.3, 0.7, -9]
  const [norms, values] = ['clip-norm', 'clip-value'].map((id) => {
    const session = new Session(sgd, vectors([0]), { config: { transforms: [{ id, threshold: 0.5 }] } })
    return told.map((g) => session.tell([g]).x[0])
  })
  for (const [k, x] of norms.entries()) expect(x).toBeCloseTo(values[k], 15)
})

test('[clipped-sgd] exact gradients: the threshold adds steps at the start, whatever the accuracy', () => {
  const steps = (threshold: number) => {
    const session = new Session(clippedSgd, vectors([100]), { config: { learningRate: 0.5, ...clip(threshold) } })
    const reached: number[] = []
    for (const eps of [1e-2, 1e-4, 1e-6]) {
      while (Math.abs(session.x[0]) > eps) session.tell(session.x)
      reached.push(session.state.t)
    }
    return reached
  }
  expect(steps(0.1)).toEqual([2002, 2008, 2015])
  expect(steps(1)).toEqual([205, 212, 218])
  expect(steps(10)).toEqual([28, 35, 42])
  expect(extraSteps(1, 5000, 1e-2, 0.1) / extraSteps(1, 5000, 1e-2, 10)).toBeCloseTo(100, 9)
})

test('[clipped-sgd] the diagnostic: the bias of that noise, and none of symmetric noise', () => {
  const told = Array.from({ length: 10 }, (_, k) => [k === 0 ? rare : -1])
  const { mean, bias, clipped, variance, bound } = clippingBias(told, 1)
  expect(mean[0]).toBeCloseTo(-0.8, 12)
  expect(bias[0]).toBeCloseTo(-0.8, 12)
  expect(clipped).toBeCloseTo(0.1, 12)
  expect(variance).toBeCloseTo(9, 12)
  expect(bound).toBeCloseTo(3, 12)
  expect(clippingBias(told, 18).bound).toBeCloseTo(0.5, 12)

  const rng = new Rng(rngStream(2, 'noise'))
  const half = Array.from({ length: 20 }, () => [3 * rng.normal(), 3 * rng.normal()])
  const symmetric = clippingBias([...half, ...half.map((g) => g.map((gi) => -gi))], 1)
  expect(Math.hypot(...symmetric.bias)).toBeLessThan(1e-12)
  expect(symmetric.clipped).toBeGreaterThan(0.5)
})
