import { describe, expect, test } from 'vitest'
import { Rng, rngStream } from '../../../src/core/rng.js'
import { method as accelerated, distanceOf } from '../../../src/optimizers/second-order/accel-cubic-inexact.js'
import { method as lazyNewton } from '../../../src/optimizers/second-order/lazy-newton.js'
import { cubicModel, quarticModel } from '../../../src/optimizers/second-order/models.js'
import { spectrumOf } from '../../../src/optimizers/second-order/spectrum.js'
import { logistic } from './logistic.js'
import { multiply, Newton, type Smooth, type Vector } from './smooth.js'

const smooth = logistic({ n: 300, d: 20, scale: (j) => 1 / (j + 1), ridge: 1e-4, separable: true })
const start = new Float64Array(20)
// The third derivative of the logistic loss is at most 1/(6*sqrt(3)), and the mean of |a_1|^3 is 2*sqrt(2/pi).
const L2 = 0.15
/** By damped Newton steps until nothing changes. */
const optimum = smooth.value(new Newton(lazyNewton, start, { refresh: 1, adaptive: true }, smooth).steps(80).x, null!)
const gap = (x: Vector) => smooth.value(x, null!) - optimum

/** Largest eigenvalue of the Hessian at the start: bounds it everywhere for a logistic loss. */
const L1 = Math.max(...spectrumOf(Float64Array.from(smooth.hessian(start, null!)), 20).values)

function nesterov(steps: number): number {
  let x = new Float64Array(start)
  let previous = x
  for (let k = 1; k <= steps; k++) {
    const y = x.map((v, i) => v + ((k - 1) / (k + 2)) * (v - previous[i]))
    const g = smooth.gradient(y, null!)
    previous = x
    x = y.map((v, i) => v - g[i] / L1)
  }
  return gap(x)
}

describe('[accel-cubic-inexact]', () => {
  test('logistic regression with exact derivatives: ahead of cubic Newton and of gradient descent', () => {
    const steps = 100
    expect(gap(new Newton(accelerated, start, { L2 }, smooth).steps(steps).x)).toBeLessThan(1e-5)
    const cubic = new Newton(lazyNewton, start, { refresh: 1, M: L2 }, smooth).steps(steps)
    expect(gap(cubic.x)).toBeGreaterThan(2e-4)
    expect(nesterov(steps)).toBeGreaterThan(2e-4)
  })

  test('a Hessian of zero, damped by L1: as good as accelerated gradient descent up to a factor', () => {
    const blind = { ...smooth, hessian: () => new Float64Array(400) }
    const config = { L2, delta2: L1 / 2 }
    const told = new Newton(accelerated, start, config, blind).steps(50)
    expect(gap(told.x)).toBeLessThanOrEqual(3 * nesterov(50))
    // The same without asking for it.
    const free = new Newton(accelerated, start, { ...config, subsolver: 'first-order' }, smooth).steps(50)
    free.x.forEach((value, i) => {
      expect(value).toBeCloseTo(told.x[i], 9)
    })
    expect(free.told).toEqual({ gradient: 100 })
  })

  test('the model is solved', () => {
    const H = Float64Array.of(1, 0, 0, 2)
    const g = Float64Array.of(3, 4)
    const { u, residual } = cubicModel(g, H, 2, 0)
    expect(residual).toBeLessThan(1e-9)
    const gradient = multiply(H, u).map((product, i) => g[i] + product + Math.hypot(...u) * u[i])
    expect(Math.hypot(...gradient)).toBeLessThan(1e-9)
    const newton = new Newton(accelerated, start, {}, smooth).steps(3)
    expect(newton.metrics.residual).toBeLessThan(1e-9)
  })

  test('products one by one lead where the whole Hessian does', () => {
    const exact = new Newton(accelerated, start, { L2 }, smooth).steps(20)
    const fine = new Newton(accelerated, start, { L2, subsolver: 'krylov', accuracy: 1e-12 }, smooth).steps(20)
    expect(gap(fine.x)).toBeCloseTo(gap(exact.x), 8)
    const coarse = new Newton(accelerated, start, { L2, subsolver: 'krylov' }, smooth).steps(100)
    expect(gap(coarse.x)).toBeLessThan(1e-5)
    // Two points per query: the iterate, and the direction.
    expect(coarse.told.hvp).toBeLessThan(2 * 100 * 20)
    expect(coarse.told.quantities).toBeUndefined()
  })

  test('the damping that the noise calls for beats none', () => {
    const sigma1 = 0.05
    const run = (config: object) => {
      const rng = new Rng(rngStream(3, 'noise'))
      const noise = () => (sigma1 / Math.sqrt(20)) * rng.normal()
      const noisy = { ...smooth, gradient: (x: Vector) => Array.from(smooth.gradient(x, null!), (g) => g + noise()) }
      return new Newton(accelerated, start, { L2, ...config }, noisy).steps(150)
    }
    const [damped, free] = [run({ sigma1, R: 28 }), run({})]
    expect(damped.metrics.damping).toBeCloseTo((sigma1 / 28) * 152 ** 1.5, 9)
    expect(damped.metrics.kap).toBeGreaterThan(0)
    expect(gap(damped.x)).toBeLessThan(0.25 * gap(start))
    expect(gap(damped.x)).toBeLessThan(gap(free.x) / 2)
  })

  test('order 3: its model is solved, and on a quartic it is ahead of order 2', () => {
    const rng = new Rng(rngStream(8, 'quartic'))
    const [d, rows] = [4, 12]
    const A = Array.from({ length: rows }, () => Array.from({ length: d }, () => rng.normal()))
    const along = (x: Vector) => A.map((a) => a.reduce((sum, v, j) => sum + v * x[j], 0) - 1)
    const tensor = (x: Vector, power: number, order: number) => {
      const z = along(x)
      return Float64Array.from({ length: d ** order }, (_, at) => {
        const indices = Array.from({ length: order }, (_, k) => Math.floor(at / d ** k) % d)
        return z.reduce((sum, zi, i) => sum + zi ** power * indices.reduce((product, j) => product * A[i][j], 1), 0)
      })
    }
    // The sum of z^4/24: its fourth derivative is constant, and at most the sum of |a|^4.
    const quartic: Smooth = {
      value: (x) => along(x).reduce((sum, z) => sum + z ** 4 / 24, 0),
      gradient: (x) => tensor(x, 3, 1).map((value) => value / 6),
      hessian: (x) => tensor(x, 2, 2).map((value) => value / 2),
      quantities: { third: (x) => tensor(x, 1, 3) },
    }
    const L3 = A.reduce((sum, a) => sum + a.reduce((s, v) => s + v * v, 0) ** 2, 0) / 4
    const from = [3, -2, 4, 1]
    const g = Float64Array.from(quartic.gradient(from, null!))
    const H = Float64Array.from(quartic.hessian(from, null!))
    const D = tensor(from, 1, 3)
    const model = { M: 3 * L3, damping: 0.1, accuracy: 1e-12 }
    const { u } = quarticModel(g, H, D, model)
    const bent = Float64Array.from({ length: d * d }, (_, at) =>
      u.reduce((sum, value, k) => sum + value * D[k * d * d + at], 0),
    )
    const shift = 0.1 + (model.M * Math.hypot(...u) ** 2) / 6
    g.forEach((value, i) => {
      expect(value + multiply(H, u)[i] + multiply(bent, u)[i] / 2 + shift * u[i]).toBeCloseTo(0, 6)
    })
    const best = quartic.value(new Newton(lazyNewton, from, { adaptive: true, refresh: 1 }, quartic).steps(60).x, null!)
    const left = (config: object) =>
      quartic.value(new Newton(accelerated, from, config, quartic).steps(25).x, null!) - best
    // The Hessian has no Lipschitz constant on the whole; this one holds between start and minimum.
    const L2 = 6 * L3
    expect(left({ order: 3, L3 })).toBeLessThan(left({ L2 }))
    expect(left({ order: 3, L3 })).toBeLessThan(1e-3)
    const refused = () => new Newton(accelerated, from, { order: 3, subsolver: 'krylov' }, quartic)
    expect(refused).toThrow('config.order')
  })

  test('the distance of the estimating sequence', () => {
    const r = distanceOf(0.5, 2, 2, 3)
    expect(0.5 * r + r * r).toBeCloseTo(3, 12)
    const s = distanceOf(0.5, 2, 3, 3)
    expect(0.5 * s + s ** 3 / 3).toBeCloseTo(3, 12)
    expect(distanceOf(0, 1, 2, 0)).toBe(0)
  })

  test('restarts in the middle change nothing', () => {
    const plain = new Newton(accelerated, start, { subsolver: 'krylov' }, smooth)
    const again = new Newton(accelerated, start, { subsolver: 'krylov' }, smooth)
    for (let n = 0; n < 40; n++) {
      plain.tell()
      again.restart().tell()
    }
    expect(again.x).toEqual(plain.x)
  })
})
