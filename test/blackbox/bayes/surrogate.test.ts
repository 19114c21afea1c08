import { describe, expect, it } from 'vitest'
import { defaultTheta, fitHyperparameters, logPrior } from '../../../src/blackbox/bayes/fit.js'
import { type Dimensions, Surrogate } from '../../../src/blackbox/bayes/surrogate.js'
import { workspace } from '../../../src/blackbox/linalg/linalg.js'
import { Rng, rngStream } from '../../../src/core/rng.js'
import golden from './golden.json' with { type: 'json' }

const ws = workspace()
const { process: known } = golden
const points = known.x.map((row) => Float64Array.from(row))
const queries = known.q.map((row) => Float64Array.from(row))
const plain: Dimensions = { ordered: [0, 1, 2], unordered: [] }
const theta = Float64Array.of(
  ...known.lengths.map((l) => -2 * Math.log(l)),
  Math.log(known.variance),
  Math.log(known.noise),
)

/** Coordinates 1 and 3 unordered, with few values. */
const mixed: Dimensions = { ordered: [0, 2], unordered: [1, 3] }
const rng = new Rng(rngStream(5, 'surrogate'))
const mixedPoints = Array.from({ length: 17 }, () =>
  Float64Array.of(rng.uniform(), (rng.integer(3) + 0.5) / 3, rng.uniform(), (rng.integer(2) + 0.5) / 2),
)
const mixedValues = mixedPoints.map((u) => Math.sin(4 * u[0]) + u[1] + (u[3] > 0.5 ? u[2] : 0))
const mixedTheta = Float64Array.of(1.5, 0.7, -0.3, 0.2, 0.4, -4)
const mixedNoises = mixedPoints.map((_, i) => (i % 4 === 0 ? 0.01 : 0))

function kernel(dimensions: Dimensions, theta: Float64Array, a: Float64Array, b: Float64Array): number {
  const order = [...dimensions.ordered, ...dimensions.unordered]
  let r2 = 0
  order.forEach((axis, k) => {
    const squared = k < dimensions.ordered.length ? (a[axis] - b[axis]) ** 2 : Number(a[axis] !== b[axis])
    r2 += Math.exp(theta[k]) * squared
  })
  const root = Math.sqrt(5 * r2)
  return Math.exp(theta[order.length]) * (1 + root + (5 / 3) * r2) * Math.exp(-root)
}

describe('the posterior', () => {
  it('agrees with scikit-learn: mean, deviation, constant and likelihood, with told noise', () => {
    ws.scope(() => {
      const model = new Surrogate(ws, plain, theta, points.length)
      model.factorize(points, known.told)
      model.condition(known.y, known.told)
      expect(model.mean).toBeCloseTo(known.constant, 11)
      model.predict(queries, false).forEach(({ mean, variance }, i) => {
        expect(mean).toBeCloseTo(known.mean[i], 11)
        expect(Math.sqrt(variance)).toBeCloseTo(known.deviation[i], 9)
      })
      expect(model.likelihood(known.y, known.told).value).toBeCloseTo(known.logLikelihood, 10)
    })
  })

  it('is the same whether rows are factored at once or added one by one', () => {
    for (const from of [1, 2, 5, 11])
      ws.scope(() => {
        const model = new Surrogate(ws, plain, theta, points.length)
        model.factorize(points.slice(0, from), known.told)
        while (model.rows < points.length) model.extend(points[model.rows], known.told[model.rows])
        model.condition(known.y, known.told)
        model.predict(queries, false).forEach(({ mean, variance }, i) => {
          expect(mean).toBeCloseTo(known.mean[i], 10)
          expect(Math.sqrt(variance)).toBeCloseTo(known.deviation[i], 9)
        })
      })
  })

  it('gives the same bits from a kept factor, in another room', () => {
    const predictions = (kept: boolean) =>
      ws.scope(() => {
        let model = new Surrogate(ws, plain, theta, points.length)
        model.factorize(points.slice(0, 7), known.told)
        for (const i of [7, 8]) model.extend(points[i], known.told[i])
        if (kept) {
          const factor = model.save()
          model = new Surrogate(ws, plain, theta, points.length + 20)
          model.restore(factor, points)
        }
        for (const i of [9, 10, 11]) model.extend(points[i], known.told[i])
        model.condition(known.y, known.told)
        return model.predict(queries, true)
      })
    expect(predictions(true)).toEqual(predictions(false))
  })

  it('of a believed point keeps its mean everywhere and has no variance left there', () => {
    ws.scope(() => {
      const model = new Surrogate(ws, plain, theta, points.length + 1)
      model.factorize(points, known.told)
      model.condition(known.y, known.told)
      const before = model.predict(queries, false)
      model.believe(queries[0])
      const after = model.predict(queries, false)
      after.forEach(({ mean, variance }, i) => {
        expect(mean).toBeCloseTo(before[i].mean, 12)
        expect(variance).toBeLessThanOrEqual(before[i].variance + 1e-12)
      })
      expect(after[0].variance).toBeLessThan(1.1 * known.noise)
    })
  })

  it('over mixed coordinates is that of the explicit formulas', () => {
    ws.scope(() => {
      const [a, b] = [mixedPoints.slice(0, 2), mixedPoints[2]]
      const noise = Math.exp(mixedTheta[5])
      const model = new Surrogate(ws, mixed, mixedTheta, 2)
      model.factorize(a, [0, 0])
      model.condition([1, -0.5], [0, 0])
      const k = (x: Float64Array, y: Float64Array) => kernel(mixed, mixedTheta, x, y)
      const [p, q, s] = [k(a[0], a[0]) + noise, k(a[0], a[1]), k(a[1], a[1]) + noise]
      const determinant = p * s - q * q
      const solve = (u: number, v: number) => [(s * u - q * v) / determinant, (p * v - q * u) / determinant]
      const ones = solve(1, 1)
      const constant = (ones[0] * 1 + ones[1] * -0.5) / (ones[0] + ones[1])
      const weights = solve(1 - constant, -0.5 - constant)
      const [ka, kb] = [k(a[0], b), k(a[1], b)]
      const [wa, wb] = solve(ka, kb)
      const [prediction] = model.predict([b], false)
      expect(prediction.mean).toBeCloseTo(constant + ka * weights[0] + kb * weights[1], 12)
      expect(prediction.variance).toBeCloseTo(k(b, b) - ka * wa - kb * wb, 12)
    })
  })

  it('has the gradients of its finite differences, in batches of any size', () => {
    ws.scope(() => {
      const model = new Surrogate(ws, mixed, mixedTheta, mixedPoints.length)
      model.factorize(mixedPoints, mixedNoises)
      model.condition(mixedValues, mixedNoises)
      const at = Array.from({ length: 131 }, (_, i) =>
        mixedPoints[i % 17].with(0, rng.uniform()).with(2, rng.uniform()),
      )
      const step = 1e-6
      model.predict(at, true).forEach(({ dMean, dVariance }, i) => {
        for (const axis of [0, 2]) {
          const [up, down] = model.predict(
            [step, -step].map((h) => at[i].with(axis, at[i][axis] + h)),
            false,
          )
          expect(dMean![axis]).toBeCloseTo((up.mean - down.mean) / (2 * step), 6)
          expect(dVariance![axis]).toBeCloseTo((up.variance - down.variance) / (2 * step), 6)
        }
        expect([dMean![1], dMean![3], dVariance![1], dVariance![3]]).toEqual([0, 0, 0, 0])
      })
    })
  })
})

describe('hyperparameters', () => {
  const likelihood = (theta: Float64Array) =>
    ws.scope(() => {
      const model = new Surrogate(ws, mixed, theta, mixedPoints.length)
      model.factorize(mixedPoints, mixedNoises)
      return model.likelihood(mixedValues, mixedNoises)
    })

  it('have the likelihood gradient of its finite differences', () => {
    const { gradient } = likelihood(mixedTheta)
    mixedTheta.forEach((t, k) => {
      const h = 1e-5
      const slope =
        (likelihood(mixedTheta.with(k, t + h)).value - likelihood(mixedTheta.with(k, t - h)).value) / (2 * h)
      expect(gradient[k]).toBeCloseTo(slope, 6)
    })
  })

  it('have the prior gradient of its finite differences', () => {
    const gradient = new Float64Array(mixedTheta.length)
    logPrior(mixedTheta, gradient)
    const value = (theta: Float64Array) => logPrior(theta, new Float64Array(theta.length))
    mixedTheta.forEach((t, k) => {
      expect(gradient[k]).toBeCloseTo(
        (value(mixedTheta.with(k, t + 1e-5)) - value(mixedTheta.with(k, t - 1e-5))) / 2e-5,
        7,
      )
    })
  })

  it('are fitted to a stationary point above the start, long where a coordinate does not matter', () => {
    const data = { points: mixedPoints, values: mixedValues, noises: mixedNoises }
    const start = defaultTheta(4)
    const density = (theta: Float64Array) => {
      const { value, gradient } = likelihood(theta)
      return { value: value + logPrior(theta, gradient), gradient }
    }
    const fitted = fitHyperparameters(ws, mixed, data, [start], 200)
    expect(density(fitted).value).toBeGreaterThan(density(start).value + 1)
    // The noise ends at its lower bound: the function has none.
    for (const k of [0, 1, 2, 3, 4]) expect(Math.abs(density(fitted).gradient[k])).toBeLessThan(0.05)

    const noMatter = fitHyperparameters(
      ws,
      mixed,
      { ...data, values: mixedPoints.map((u) => Math.sin(6 * u[0])) },
      [start],
      200,
    )
    expect(noMatter[0]).toBeGreaterThan(noMatter[1] + 3)
  })
})

describe('matrices that are not numerically definite', () => {
  it('get jitter: equal points without noise', () => {
    const silent = mixedTheta.with(5, -80)
    const twins = [...mixedPoints, ...mixedPoints]
    const zeros = twins.map(() => 0)
    ws.scope(() => {
      const model = new Surrogate(ws, mixed, silent, twins.length + 1)
      model.factorize(twins, zeros)
      const values = [...mixedValues, ...mixedValues]
      const means = model.condition(values, zeros)
      means.forEach((mean, i) => {
        expect(mean).toBeCloseTo(values[i], 5)
      })
      model.extend(mixedPoints[0], 0)
      for (const { mean, variance } of model.predict([...mixedPoints, Float64Array.of(0.5, 0.5, 0.5, 0.75)], true)) {
        expect(Number.isFinite(mean)).toBe(true)
        expect(variance).toBeGreaterThan(0)
      }
    })
  })
})
