import { expect, test } from 'vitest'
import { Rng, rngStream } from '../../../src/core/rng.js'
import { method, select } from '../../../src/optimizers/estimation/wta-crs.js'
import { CLASSES, loadDigits, PIXELS, range, take } from '../../golden/digits.js'
import { accuracy, crossEntropy, Network } from '../network.js'
import { vectors } from '../session.js'
import { Asker } from './asker.js'

const told = (scores: readonly number[]) => ({ quantities: [{ x: Float64Array.from(scores) }] })

test('[wta-crs] one certain item of three, and the weights of those drawn', () => {
  const p = [0.5, 0.2, 0.1, 0.1, 0.05, 0.05]
  const weights = [1, 1.25, 2.5, 2.5, 5, 5]
  // (1 - P_c)/(k - c) is 0.3333, 0.25 and 0.3 for c = 0, 1, 2.
  const drawn = new Set<number>()
  const session = new Asker(method, vectors(Array(6).fill(1)), { keep: 3 })
  for (let round = 0; round < 100; round++) {
    const { x } = session.tell(told(p)).answer
    expect(session.metrics.winners).toBe(1)
    expect(x[0]).toBe(1)
    const times = Array.from(x.slice(1), (w, i) => w / weights[i + 1])
    for (const [i, count] of times.entries()) {
      expect(Math.abs(count - Math.round(count))).toBeLessThan(1e-12)
      if (count > 0) drawn.add(i + 1)
    }
    expect(Math.round(times.reduce((sum, count) => sum + count, 0))).toBe(2)
    if (round === 50) session.restart()
  }
  expect(drawn).toEqual(new Set([1, 2, 3, 4, 5]))
})

test('[wta-crs] all are kept where there are no more than k; no score at all keeps no one out', () => {
  expect(Array.from(new Asker(method, vectors([0, 0]), { keep: 2 }).tell(told([1, 0])).answer.x)).toEqual([1, 1])
  const { x } = new Asker(method, vectors(Array(4).fill(0)), { keep: 2 }).tell(told([0, 0, 0, 0])).answer
  expect(Array.from(x).reduce((sum, w) => sum + w, 0)).toBeCloseTo(4, 12)
  // Two have all of the score: certain with two, and nothing is left to draw with three.
  for (const keep of [2, 3])
    expect(
      Array.from(new Asker(method, vectors(Array(4).fill(0)), { keep }).tell(told([3, 0, 1, 0])).answer.x),
    ).toEqual([keep === 2 ? expect.any(Number) : 1, 0, keep === 2 ? expect.any(Number) : 1, 0])
  const fixed = new Asker(method, vectors(Array(6).fill(1)), { keep: 4, deterministicShare: 0.5 })
  expect(fixed.tell(told([1, 1, 1, 1, 1, 1])).metrics.winners).toBe(2)
})

test('[wta-crs] unbiased, with less variance than pure sampling; the largest alone are biased', () => {
  const [rows, inner, columns, k, draws] = [5, 64, 4, 16, 4000]
  const rng = new Rng(rngStream(4, 'products'))
  const scale = Array.from({ length: inner }, () => Math.exp(1.5 * rng.normal()))
  const X = Array.from({ length: inner }, (_, i) => Array.from({ length: rows }, () => scale[i] * rng.normal()))
  const Y = Array.from({ length: inner }, () => Array.from({ length: columns }, () => rng.normal()))
  const scores = X.map((x, i) => Math.hypot(...x) * Math.hypot(...Y[i]))
  const product = (weights: ArrayLike<number>) => {
    const out = new Float64Array(rows * columns)
    for (let i = 0; i < inner; i++)
      if (weights[i] > 0)
        for (let r = 0; r < rows; r++)
          for (let c = 0; c < columns; c++) out[r * columns + c] += weights[i] * X[i][r] * Y[i][c]
    return out
  }
  const exact = product(Array(inner).fill(1))
  const judge = (estimator: 'wta-crs' | 'crs' | 'topk') => {
    const mean = new Float64Array(exact.length)
    let [square, predicted] = [0, 0]
    for (let d = 0; d < draws; d++) {
      const { weights, variance } = select(scores, k, rng, { estimator })
      predicted = variance
      product(weights).forEach((value, at) => {
        mean[at] += value / draws
        square += (value - exact[at]) ** 2 / draws
      })
    }
    return { bias: Math.hypot(...mean.map((v, at) => v - exact[at])) / Math.hypot(...exact), square, predicted }
  }
  const [wta, crs, topk] = [judge('wta-crs'), judge('crs'), judge('topk')]
  expect(wta.bias).toBeLessThanOrEqual(0.04)
  expect(wta.square).toBeLessThanOrEqual(0.8 * crs.square)
  expect(topk.bias).toBeGreaterThanOrEqual(0.1)
  // Terms of random directions are nearly at right angles.
  for (const { square, predicted } of [wta, crs]) expect(Math.abs(square / predicted - 1)).toBeLessThan(0.2)
})

test('[wta-crs] softmax regression on digits from 30 of 100 rows is as good as from all', () => {
  const digits = loadDigits()
  const [learned, held] = [take(digits, range(0, 1400)), take(digits, range(1400, 1797))]
  const [batch, kept, steps, rate] = [100, 30, 800, 0.5]
  const network = new Network([PIXELS, CLASSES], held.labels.length)
  const train = (seed: number, sampled: boolean) => {
    const rng = new Rng(rngStream(seed, 'batches'))
    const model = { W0: new Float64Array(PIXELS * CLASSES), b0: new Float64Array(CLASSES) }
    const session = new Asker(method, vectors(Array(batch).fill(1)), { keep: kept }, seed)
    for (let t = 0; t < steps; t++) {
      const rows = Array.from({ length: batch }, () => rng.integer(1400))
      const { pixels, labels } = take(learned, rows)
      const errors = crossEntropy(labels, CLASSES)(network.forward(model, pixels))
      const length = (values: ArrayLike<number>, i: number, n: number) =>
        Math.hypot(...(values as Float64Array).subarray(i * n, (i + 1) * n))
      const scores = range(0, batch).map((i) => length(pixels, i, PIXELS) * length(errors, i, CLASSES))
      const weights = sampled ? session.tell(told(scores)).answer.x : new Float64Array(batch).fill(1)
      const { W0 } = network.gradient(model, pixels, () =>
        Float64Array.from(errors, (e, at) => e * weights[Math.floor(at / CLASSES)]),
      )
      for (let i = 0; i < W0.length; i++) model.W0[i] -= rate * W0[i]
    }
    return accuracy(network.forward(model, held.pixels), held.labels)
  }
  for (const seed of [0, 1, 2]) expect(Math.abs(train(seed, true) - train(seed, false))).toBeLessThanOrEqual(0.02)
})
