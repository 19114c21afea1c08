import { describe, expect, test } from 'vitest'
import { Rng, rngStream } from '../../../src/core/rng.js'
import { cubicStep } from '../../../src/optimizers/second-order/cubic.js'
import { method as lazyNewton, quadraticStep } from '../../../src/optimizers/second-order/lazy-newton.js'
import { spectrumOf } from '../../../src/optimizers/second-order/spectrum.js'
import { logistic } from './logistic.js'
import { multiply, Newton, type Smooth } from './smooth.js'

const diagonal = (...values: number[]) =>
  spectrumOf(
    Float64Array.from({ length: values.length ** 2 }, (_, at) => {
      const [i, j] = [Math.floor(at / values.length), at % values.length]
      return i === j ? values[i] : 0
    }),
    values.length,
  )
/** x^2 - y^2 + y^4/4 */
const saddle: Smooth = {
  value: ({ 0: x, 1: y }) => x * x - y * y + y ** 4 / 4,
  gradient: ({ 0: x, 1: y }) => [2 * x, -2 * y + y ** 3],
  hessian: ({ 1: y }) => [2, 0, 0, -2 + 3 * y * y],
}

describe('[lazy-newton]', () => {
  test('the steps in one dimension', () => {
    const g = Float64Array.of(1)
    expect(cubicStep(diagonal(0), g, 2)[0]).toBeCloseTo(-1, 6)
    expect(quadraticStep(diagonal(0), g, 2)[0]).toBeCloseTo(-Math.SQRT1_2, 6)
    expect(cubicStep(diagonal(-1), g, 2)[0]).toBeCloseTo(-(1 + Math.sqrt(5)) / 2, 6)
  })

  test.each(['cubic', 'quadratic'])(
    '%s: a Hessian every 20 steps does nearly as well as one at each',
    (regularizer) => {
      const smooth = logistic({ n: 200, d: 20, scale: (j) => 10 ** (-j / 19), ridge: 1e-3 })
      const run = (refresh?: number) => {
        const config = { regularizer, M: 1, tolerance: 1e-9, ...(refresh && { refresh }) }
        const newton = new Newton(lazyNewton, new Float64Array(20), config, smooth).steps(400)
        expect(newton.done).toContain('gradient')
        return { steps: newton.estimate.step, hessians: newton.metrics.hessians }
      }
      const [each, lazy] = [run(1), run()]
      expect(lazy.steps).toBeLessThanOrEqual(1.2 * each.steps)
      expect(lazy.hessians).toBeLessThanOrEqual(each.hessians / 10)
    },
  )

  test('a saddle: cubic leaves it by a random tie-break, quadratic refuses it', () => {
    for (const seed of [1, 2, 3])
      for (const config of [{ M: 10 }, { M: 10, refresh: 1 }, { adaptive: true }]) {
        const newton = new Newton(lazyNewton, [1, 0], config, saddle, { seed }).steps(200)
        expect(Math.abs(Math.abs(newton.x[1]) - Math.SQRT2)).toBeLessThan(1e-6)
        expect(Math.abs(newton.x[0])).toBeLessThan(1e-6)
      }
    const refused = new Newton(lazyNewton, [1, 0], { regularizer: 'quadratic' }, saddle).steps(5)
    expect(refused.done).toContain('eigenvalue -2')
    expect(refused.done).toContain('"cubic"')
    expect(refused.estimate.step).toBe(0)
  })

  test('cubic steps are global minima of their model, in the hard case too', () => {
    const rng = new Rng(rngStream(5, 'models'))
    for (let n = 0; n < 40; n++) {
      const d = 5
      const A = Array.from({ length: d * d }, () => rng.normal())
      const H = Float64Array.from({ length: d * d }, (_, at) => A[at] + A[(at % d) * d + Math.floor(at / d)])
      const spectrum = spectrumOf(H, d)
      const M = 10 ** (2 * rng.uniform() - 1)
      const lowest = spectrum.values.indexOf(Math.min(...spectrum.values))
      const axis = Float64Array.from({ length: d }, (_, i) => spectrum.vectors[i * d + lowest])
      let g = Float64Array.from({ length: d }, () => 10 ** (-2 * (n % 2)) * rng.normal())
      const part = g.reduce((sum, x, i) => sum + x * axis[i], 0)
      if (n % 2 === 1) g = g.map((x, i) => x - part * axis[i])
      const u = cubicStep(spectrum, g, M, 0, rng)
      const length = Math.hypot(...u)
      // Nesterov, Polyak 2006: stationary, and H + M*|u|/2*I positive semidefinite.
      multiply(H, u).forEach((x, i) => {
        expect(g[i] + x + (M / 2) * length * u[i]).toBeCloseTo(0, 8)
      })
      expect(spectrum.values[lowest] + (M / 2) * length).toBeGreaterThanOrEqual(-1e-8)
    }
  })

  test('an adaptive constant finds its size, and costs are counted', () => {
    const smooth = logistic({ n: 100, d: 6, ridge: 1e-3 })
    const newton = new Newton(lazyNewton, new Float64Array(6), { adaptive: true, M: 1e6 }, smooth).steps(60)
    expect(newton.metrics.M).toBeLessThan(1)
    expect(newton.metrics).toMatchObject({ hessians: 10, cost: newton.metrics.gradients + 60 })
    const fixed = new Newton(lazyNewton, new Float64Array(6), { hessian: 'products', refresh: 3 }, smooth)
    expect([1, 2, 3, 4].map(() => fixed.steps(1).metrics.refreshed)).toEqual([1, 0, 0, 1])
    const matrix = new Newton(lazyNewton, new Float64Array(6), { refresh: 3 }, smooth).steps(2).restart().steps(2)
    expect(fixed.x).toEqual(matrix.x)
  })
})
