import { expect, test } from 'vitest'
import type { Query } from '../../../src/core/query.js'
import { Rng, rngStream } from '../../../src/core/rng.js'
import { beginLanczos, extendLanczos } from '../../../src/optimizers/diagnostics/lanczos.js'
import { dot, sphere } from '../../../src/optimizers/flat.js'
import { pictureOf } from '../../../src/optimizers/second-order/krylov.js'
import { method } from '../../../src/optimizers/second-order/polynomial-precond.js'
import {
  elementary,
  elementaryOfOthers,
  polynomialAt,
  tracesOf,
} from '../../../src/optimizers/second-order/symmetric-polynomials.js'
import { vectors } from '../session.js'
import { Inquiry } from './inquiry.js'

/** f = sum b_i x_i^2/2, from ones, with B its Hessian. */
function quadratic(b: readonly number[], config: object, seed = 1) {
  const inquiry = new Inquiry(method, vectors(b.map(() => 1)), { config, seed })
  const times = (x: Float64Array) => x.map((xi, i) => b[i] * xi)
  const value = (x: Float64Array) => 0.5 * dot(x, times(x))
  const counts = { products: 0, values: 0 }
  const oracle = ({ wants }: Query, [x, ...directions]: Float64Array[]) => {
    const kinds = wants.map(({ kind }) => kind)
    counts.products += directions.length
    counts.values += Number(kinds.includes('value'))
    return {
      ...(kinds.includes('gradient') && { gradients: [{ x: times(x) }] }),
      ...(kinds.includes('value') && { values: [[value(x)]] }),
      ...(kinds.includes('hvp') && { products: directions.map((d) => ({ x: times(d) })) }),
      ...(kinds.includes('quantities') && {
        quantities: [
          {
            hessian: Float64Array.from({ length: b.length ** 2 }, (_, k) =>
              k % (b.length + 1) ? 0 : b[k / (b.length + 1)],
            ),
          },
        ],
      }),
    }
  }
  const f = () => value(inquiry.x)
  /** Steps until f is at most this much. */
  const until = (target: number, most = 10_000) => {
    while (f() > target && inquiry.estimate.step < most) inquiry.by(1, oracle)
    return inquiry.estimate.step
  }
  return { inquiry, oracle, f, until, counts }
}
const LONG = [1000, 300, ...Array.from({ length: 48 }, (_, i) => 1 + i / 47)]
const fixed = (config: object) => ({ source: 'matrix', step: 'fixed', ...config })

test('[polynomial-precond] B = diag(100, 2, 1): eigenvalues of P_t B', () => {
  const b = [100, 2, 1]
  const expected = [
    [100, 2, 1],
    [300, 202, 102],
    [200, 200, 200],
  ]
  const traces = [1, 2].map((p) => b.reduce((sum, value) => sum + value ** p, 0))
  const e = elementary(traces)
  expected.forEach((values, t) => {
    const others = elementaryOfOthers(b, t)
    values.forEach((value, i) => {
      expect(others[i] * b[i]).toBeCloseTo(value, 9)
      expect(polynomialAt(e, t, b[i]) * b[i]).toBeCloseTo(value, 9)
    })
    const { inquiry, oracle } = quadratic(b, fixed({ tau: t }))
    inquiry.by(1, oracle)
    const { predictedCondition, stepConstant } = inquiry.metrics
    expect(predictedCondition).toBeCloseTo([100, 300 / 102, 1][t], 9)
    expect(stepConstant).toBeCloseTo(Math.max(...values), 9)
    // One step of the method: x - P g/M.
    values.forEach((value, i) => {
      expect(inquiry.x[i]).toBeCloseTo(1 - value / Math.max(...values), 12)
    })
  })
})

test('[polynomial-precond] two eigenvalues far above the rest: condition numbers and steps to 1e-8 of f', () => {
  const condition = [1000, 271.33, 61.14, 33.35]
  const steps = [6349, 1721, 386, 209]
  steps.forEach((count, tau) => {
    const { inquiry, f, until } = quadratic(LONG, fixed({ tau }))
    const reached = until(1e-8 * f())
    const found = inquiry.metrics.predictedCondition
    expect(Math.abs(found / condition[tau] - 1)).toBeLessThan(1e-3)
    expect(Math.abs(reached - count)).toBeLessThanOrEqual(0.01 * count)
  })
})

test('[polynomial-precond] the Krylov step: few steps, and never worse than the polynomial of the same degree', () => {
  const steps = [2570, 21, 4, 3]
  steps.forEach((count, tau) => {
    for (const source of ['matrix', 'products']) {
      const { f, until } = quadratic(LONG, { variant: 'krylov-adaptive', step: 'fixed', source, tau })
      expect(Math.abs(until(1e-8 * f()) - count)).toBeLessThanOrEqual(1)
    }
    const rng = new Rng(rngStream(3, 'starts'))
    for (let k = 0; k < 10; k++) {
      const x = LONG.map(() => rng.normal())
      const after = (config: object) => {
        const { inquiry, oracle, f } = quadratic(LONG, fixed({ tau, ...config }))
        ;(inquiry.state as { own: object }).own = {
          ...(inquiry.state as { own: object }).own,
          x: Float64Array.from(x),
          before: Float64Array.from(x),
          y: Float64Array.from(x),
        }
        inquiry.by(1, oracle)
        return f()
      }
      expect(after({ variant: 'krylov-adaptive' })).toBeLessThanOrEqual(after({}) * (1 + 1e-9))
    }
  })
})

test('[polynomial-precond] by products alone: as many as the degree, and traces from random directions', () => {
  const { inquiry, oracle, f, until, counts } = quadratic(LONG, { tau: 2 })
  const asked = until(1e-8 * f())
  expect(asked).toBeLessThan(600)
  const before = counts.products
  inquiry.by(1, oracle)
  expect(counts.products - before).toBe(2)
  // The two eigenvalues that stand alone are cut.
  expect(inquiry.metrics.predictedCondition).toBeGreaterThan(30)
  expect(inquiry.metrics.predictedCondition).toBeLessThan(120)

  const rng = new Rng(rngStream(4, 'pictures'))
  const pictures = Array.from({ length: 8 }, () => {
    const lanczos = beginLanczos(sphere(rng, 50))
    for (let k = 0; k < 10; k++)
      extendLanczos(
        lanczos,
        lanczos.basis[k].map((value, i) => LONG[i] * value),
      )
    return pictureOf(lanczos, 50, 2)
  })
  const [estimated, exact] = [tracesOf(pictures, 2), [1, 2].map((p) => LONG.reduce((sum, b) => sum + b ** p, 0))]
  estimated.forEach((trace, i) => {
    expect(Math.abs(trace / exact[i] - 1)).toBeLessThan(0.01)
  })
})

test('[polynomial-precond] the step constant is found, momentum helps, and all sources agree', () => {
  const plain = quadratic(LONG, { source: 'matrix', tau: 1, stepConstant: 1 })
  const fast = quadratic(LONG, { source: 'matrix', tau: 1, variant: 'fast', stepConstant: 1 })
  const [slow, quick] = [plain.until(1e-8 * plain.f()), fast.until(1e-8 * fast.f())]
  expect(slow).toBeLessThan(2500)
  expect(quick).toBeLessThan(slow / 3)
  const matrix = quadratic([9, 3, 1], { source: 'matrix', tau: 1 })
  const axes = quadratic([9, 3, 1], { source: 'axes', tau: 1 })
  for (const { inquiry, oracle } of [matrix, axes]) inquiry.by(5, oracle)
  expect(axes.inquiry.estimate).toEqual({ ...matrix.inquiry.estimate })
  // At the minimum no value can fall: the session goes on without a step.
  const still = quadratic([9, 3, 1], { source: 'matrix', tau: 2 })
  still.inquiry.by(60, still.oracle)
  expect(still.f()).toBeLessThan(1e-25)
})

test('[polynomial-precond] what cannot be is refused by its place', () => {
  expect(() => quadratic([1, 2], { tau: 2 })).toThrow('config.tau: expected less than 2')
  expect(() => new Inquiry(method, vectors([1], { low: 0, high: 2 }), { config: { tau: 0 } })).toThrow('space.low')
  expect(() => new Inquiry(method, vectors(Array(2000).fill(0)), { config: { source: 'matrix' } })).toThrow(
    'space.tensors',
  )
})
