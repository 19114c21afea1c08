import { expect, test } from 'vitest'
import { Rng, rngStream } from '../../../src/core/rng.js'
import type { Tensors } from '../../../src/core/tensor.js'
import { gini, graphPrior, pixelPrior, sparsePrior } from '../../../src/optimizers/diagnostics/attribution.js'
import { method } from '../../../src/optimizers/estimation/expected-gradients.js'
import { method as sgd } from '../../../src/optimizers/presets/sgd.js'
import { Session, vectors } from '../session.js'
import { Asker } from './asker.js'

type Fn = { value(x: ArrayLike<number>): number; gradient(x: ArrayLike<number>): ArrayLike<number> }

/** Attributions of a function at x, all queries answered. */
function attribute({ value, gradient }: Fn, x: readonly number[], config: object, seed = 1) {
  const session = new Asker(method, vectors(x), config, seed)
  while (session.done === undefined) {
    const of = <T>(answer: (x: ArrayLike<number>) => T): T[] => session.points.map((point: Tensors) => answer(point.x))
    if (session.query.purpose === 'completeness') session.tell({ values: of((at) => [value(at)]) })
    else session.tell({ gradients: of((at) => ({ x: Float64Array.from(gradient(at)) })) })
    session.restart()
  }
  return { phi: Array.from(session.answer.x), completenessError: session.metrics.completenessError }
}
const normals = (rng: Rng, n: number) => Array.from({ length: n }, () => rng.normal())

test('[expected-gradients] linear: w_i*(x_i - mean), whatever alpha; nothing is missed', () => {
  const rng = new Rng(rngStream(1, 'linear'))
  const [w, x] = [normals(rng, 5), normals(rng, 5)]
  const references = Array.from({ length: 8 }, () => normals(rng, 5))
  const linear: Fn = { value: (at) => w.reduce((sum, wi, i) => sum + wi * at[i], 0), gradient: () => w }
  for (const seed of [1, 2]) {
    // Every reference comes equally often.
    const { phi, completenessError } = attribute(linear, x, { references, samples: 80, batch: 7 }, seed)
    for (const [i, value] of phi.entries()) {
      const mean = references.reduce((sum, reference) => sum + reference[i] / 8, 0)
      expect(Math.abs(value - w[i] * (x[i] - mean))).toBeLessThan(1e-12)
    }
    expect(Math.abs(completenessError)).toBeLessThan(1e-12)
  }
})

test('[expected-gradients] a product is shared between its factors', () => {
  const product: Fn = { value: (x) => x[0] * x[1], gradient: (x) => [x[1], x[0]] }
  const even = attribute(product, [3, -2], { alpha: 'even', samples: 10 })
  for (const value of even.phi) expect(value).toBeCloseTo(-3, 12)
  expect(even.completenessError).toBeCloseTo(0, 12)
  const random = attribute(product, [3, -2], { samples: 40_000, batch: 1000 })
  for (const value of random.phi) expect(Math.abs(value + 3)).toBeLessThan(0.05)
  const mean = attribute(product, [3, -2], { alpha: 'even', samples: 10, times: 'one', completeness: false })
  expect(mean.phi.map((v) => Math.round(v * 1e9) / 1e9)).toEqual([-1, 1.5])
})

test('[expected-gradients] a tanh network: what the attributions miss shrinks with the samples', () => {
  const rng = new Rng(rngStream(3, 'network'))
  const [features, hidden] = [6, 8]
  const W = Array.from({ length: hidden }, () => normals(rng, features).map((w) => w / Math.sqrt(features)))
  const v = normals(rng, hidden).map((w) => w / Math.sqrt(hidden))
  const units = (x: ArrayLike<number>) => W.map((row) => Math.tanh(row.reduce((sum, w, i) => sum + w * x[i], 0)))
  const network: Fn = {
    value: (x) => units(x).reduce((sum, h, k) => sum + v[k] * h, 0),
    gradient(x) {
      const h = units(x)
      return Array.from({ length: features }, (_, i) =>
        h.reduce((sum, hk, k) => sum + v[k] * (1 - hk * hk) * W[k][i], 0),
      )
    },
  }
  const x = normals(rng, features)
  const references = Array.from({ length: 50 }, () => normals(rng, features))
  const missed = (samples: number) =>
    Math.abs(attribute(network, x, { references, samples, batch: 1000 }).completenessError)
  expect(missed(20_000)).toBeLessThanOrEqual(0.02)
  expect(missed(200)).toBeLessThanOrEqual(0.2)
})

test('[expected-gradients] Gini: of equals, of one among many, and of any scale', () => {
  expect(gini([2, 2, 2, 2])).toBe(0)
  expect(gini([0, 0, 3, 0, 0])).toBeCloseTo(1 - 1 / 5, 15)
  const values = [0.3, 1.5, 0.1, 4]
  expect(gini(values.map((v) => 8 * v))).toBe(gini(values))
  let pairs = 0
  for (const a of values) for (const b of values) pairs += Math.abs(a - b)
  expect(gini(values)).toBeCloseTo(pairs / (2 * 4 * values.reduce((sum, v) => sum + v, 0)), 14)
  expect(gini([0, 0])).toBe(0)
})

test('[expected-gradients] the priors of a batch', () => {
  const phi = [1, -2, 3, 0, /**/ 0, 1, 0, 1]
  expect(pixelPrior(phi, { rows: 2, columns: 2 })).toBe((3 + 2 + 2 + 3 + (1 + 0 + 0 + 1)) / 2)
  const a = [0.5, 1.5, 1.5, 0.5]
  expect(sparsePrior(phi, 4)).toBeCloseTo(-gini(a), 15)
  const edges = [
    { from: 0, to: 1, weight: 2 },
    { from: 1, to: 2, weight: 5 },
  ]
  expect(graphPrior(phi, 4, edges)).toBe(2)
})

test('[expected-gradients] a session adds the gradient of the prior, and reports its value', () => {
  const driver = { id: 'attribution-prior', prior: 'sparse', lambda: 0.5, features: 2 }
  const session = new Session(sgd, vectors([0]), {
    config: { learningRate: 1, driver },
    quantities: () => ({ attributions: [1, 0, -1, 0] }),
  })
  session.steps(1, (_, { purpose, sampleKey }) => {
    expect(sampleKey).toBe('s1.0')
    return { x: [purpose === 'prior.sparse' ? 4 : 1] }
  })
  expect(session.x).toEqual([-3])
  expect(session.metrics.prior).toBe(-0.5)
  const wrong = (more: object) => () =>
    new Session(sgd, vectors([0]), { config: { driver: { id: 'attribution-prior', ...more } } })
  expect(wrong({ prior: 'pixel' })).toThrow('config.driver.grid: the prior "pixel" needs the size of images')
  expect(wrong({ prior: 'graph' })).toThrow('config.driver.edges')
  expect(wrong({ features: 5, grid: { rows: 2, columns: 2 } })).toThrow('config.driver.features')
  expect(wrong({ features: 2, edges: [{ from: 0, to: 2 }] })).toThrow('config.driver.edges[0]: there is no feature 2')
})
