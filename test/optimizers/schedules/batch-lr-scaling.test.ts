import { expect, test } from 'vitest'
import { Rng, rngStream } from '../../../src/core/rng.js'
import { parseConfig } from '../../../src/core/schema.js'
import { hessianNoise, spectrum } from '../../../src/optimizers/diagnostics/lanczos.js'
import { dot, gaussian } from '../../../src/optimizers/flat.js'
import { heavyBallRates, method as lanczosLr } from '../../../src/optimizers/presets/lanczos-lr.js'
import { method as sgd } from '../../../src/optimizers/presets/sgd.js'
import { batchSharpness, effectiveBatch } from '../../../src/optimizers/schedules/batch-lr-scaling.js'
import { schedules } from '../../../src/optimizers/schedules/index.js'
import { Session, vectors } from '../session.js'

const measured = { sharpness: 10, noise: 1, parameters: 400 }
const expected = { 1: 40, 2: 28.284, 4: 20, 8: 15, 16: 12.5, 64: 10.625, 256: 10.15625 }

/** lam*v*v' plus symmetric noise whose elements have variance s^2/b. */
function noisyMatrix(rng: Rng, b: number): Float64Array[] {
  const { sharpness, noise, parameters: P } = measured
  const v = gaussian(rng, P)
  const length = Math.sqrt(dot(v, v))
  const rows = Array.from({ length: P }, (_, i) => v.map((vj) => (sharpness * v[i] * vj) / length ** 2))
  const scale = noise / Math.sqrt(b)
  for (let i = 0; i < P; i++)
    for (let j = 0; j <= i; j++) {
      const e = scale * rng.normal()
      rows[i][j] += i === j ? Math.SQRT2 * e : e
      if (i !== j) rows[j][i] += e
    }
  return rows
}

test('[batch-lr-scaling] the largest eigenvalue of a batch, by the formula and in random matrices', () => {
  const rng = new Rng(rngStream(1, 'matrices'))
  for (const [batch, value] of Object.entries(expected)) {
    const b = Number(batch)
    expect(Math.abs(batchSharpness(measured, b) - value)).toBeLessThan(b === 2 ? 5e-4 : 1e-4)
    let mean = 0
    for (let draw = 0; draw < 4; draw++) {
      const rows = noisyMatrix(rng, b)
      const product = (v: Float64Array) => Float64Array.from(rows, (row) => dot(row, v))
      mean += spectrum(product, rows.length, rng, 40)[0] / 4
    }
    expect(Math.abs(mean / value - 1)).toBeLessThan(0.04)
  }
  expect(batchSharpness(measured, 2)).toBeCloseTo(20 * Math.SQRT2, 12)
  expect(effectiveBatch(50, 100)).toBe(100)
  expect(batchSharpness(measured, effectiveBatch(100, 100))).toBe(10)
})

test('[batch-lr-scaling] rates: by the root at the edge of the noise, less where an outlier leads, then flat', () => {
  const ratio = (from: number, to: number, more: object) => {
    const config = parseConfig(schedules.schema, { id: 'batch-lr-scaling', baseBatch: from, batch: to, ...more })
    return schedules.of(config).rate(config, 0.1, 7) / 0.1
  }
  const low = { measured: { ...measured, sharpness: 0.01 } }
  for (const [rule, power] of [
    ['sgd', 1],
    ['adaptive', 0.5],
  ] as const) {
    expect(ratio(1, 2, { rule, ...low })).toBeCloseTo(Math.SQRT2 ** power, 14)
    expect(ratio(16, 32, { rule, measured })).toBeCloseTo((12.5 / 11.25) ** power, 14)
    expect(ratio(16, 32, { rule })).toBeCloseTo(2 ** power, 14)
    expect(ratio(16, 2 ** 40, { rule, measured })).toBeCloseTo(1.25 ** power, 6)
    expect(ratio(16, 100, { rule, measured: { ...measured, examples: 100 } })).toBeCloseTo(
      (batchSharpness(measured, 16 / 0.84) / 10) ** power,
      12,
    )
  }
  const schedule = { id: 'batch-lr-scaling', baseBatch: 16, batch: 64 }
  const session = new Session(sgd, vectors([0]), { config: { learningRate: 0.1, schedule } })
  expect(session.tell([1]).x[0]).toBeCloseTo(-0.4, 14)
})

test('[batch-lr-scaling] the noise of the Hessian from products of two batches', () => {
  const rng = new Rng(rngStream(2, 'noise'))
  const [one, two] = [noisyMatrix(rng, 4), noisyMatrix(rng, 4)]
  const v = Array.from({ length: 10 }, () => gaussian(rng, measured.parameters))
  const products = (rows: Float64Array[]) => v.map((direction) => rows.map((row) => dot(row, direction)))
  // The outliers of the two matrices, which would be the same for one loss, add less than a hundredth.
  const both = hessianNoise(products(one), products(two), 4)
  expect(both).toBeGreaterThan(0.95)
  expect(both).toBeLessThan(1.05)
})

test('[batch-lr-scaling] lanczos-lr: the spectrum of a batch sets both rates', () => {
  const rates = heavyBallRates([9, 4, 1, -3])!
  expect(rates.learningRate).toBeCloseTo((2 / (3 + 1)) ** 2, 14)
  expect(rates.momentum).toBeCloseTo(((3 - 1) / (3 + 1)) ** 2, 14)
  expect(heavyBallRates([-1, 0])).toBeUndefined()

  const h = Array.from({ length: 12 }, (_, i) => 1 + i ** 2)
  const space = vectors(h.map(() => 1))
  const run = {
    config: parseConfig(lanczosLr.config, {}),
    problem: { space, objectives: [{ name: 'loss', direction: 'minimize' as const }] },
    engine: 'interpreter' as const,
    memo: new Map(),
  }
  let { state, queries } = lanczosLr.step(run, lanczosLr.init(run, 1), [{ type: 'capacity', count: 1 }])
  const keys: (string | undefined)[] = []
  for (let k = 0; k < 60; k++) {
    const [query] = queries
    const [point] = query.points
    if (point.kind !== 'tensors') throw new Error('expected tensors')
    if (k < 14) keys.push(query.sampleKey)
    const gradients = [{ x: Float64Array.from(point.tensors.x, (xi, i) => h[i] * xi) }]
    const observation = { queryId: query.id, status: 'ok' as const, gradients }
    ;({ state, queries } = lanczosLr.step(run, state, [{ type: 'observation', query, observation }]))
  }
  // A gradient and a product for each dimension on the first batch, then the next batch.
  expect(keys).toEqual([...Array(13).fill('s0'), 's1'])
  const { metrics, step } = lanczosLr.estimate(run, state)
  expect(step).toBe(48)
  expect(metrics!.sharpness).toBeCloseTo(122, 6)
  const exact = heavyBallRates(h)!
  expect(metrics!.learningRate).toBeCloseTo(exact.learningRate, 8)
  expect(metrics!.momentum).toBeCloseTo(exact.momentum, 6)
  // Each step shortens the error by the root of the momentum, in the end.
  expect(Math.hypot(...state.own.x)).toBeLessThan(12 * 48 * exact.momentum ** (48 / 2))
})
