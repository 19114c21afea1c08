import { describe, expect, it } from 'vitest'
import { defaultTheta, fitHyperparameters, logPosterior, warpOf } from '../../../src/blackbox/bayes/fit.js'
import { method } from '../../../src/blackbox/bayes/gp.js'
import { Warp } from '../../../src/blackbox/bayes/warp.js'
import { workspace } from '../../../src/blackbox/linalg/linalg.js'
import { Rng, rngStream } from '../../../src/core/rng.js'
import type { Parameter } from '../../../src/core/space.js'
import { encodeTree } from '../../../src/core/tree.js'
import { Driver, paramsOf, searchProblem } from '../drive.js'

const AXES = [0, 2]
const SHAPES = Float64Array.of(-0.7, 0.4, 0.9, -0.3)
const warp = new Warp(AXES, SHAPES)
const rng = new Rng(rngStream(4, 'warp'))
const points = Array.from({ length: 13 }, () =>
  Float64Array.of(rng.uniform(), (rng.integer(3) + 0.5) / 3, rng.uniform()),
)

describe('a warp', () => {
  it('is the distribution function of Kumaraswamy in its axes, nothing where both shapes are 1', () => {
    const u = Float64Array.of(0.3, 0.5, 0.6)
    const [first, second, third] = warp.at(u)
    expect(first).toBeCloseTo(1 - (1 - 0.3 ** Math.exp(-0.7)) ** Math.exp(0.4), 6)
    expect(second).toBe(0.5)
    expect(third).toBeCloseTo(1 - (1 - 0.6 ** Math.exp(0.9)) ** Math.exp(-0.3), 6)
    new Warp([0, 1, 2], new Float64Array(6)).at(u).forEach((v, i) => {
      expect(v).toBeCloseTo(u[i], 6)
    })
  })

  it('increases within the unit interval, with finite slopes to its ends', () => {
    for (const shapes of [SHAPES, Float64Array.of(-3, 3, 3, -3), Float64Array.of(-3, -3, 3, 3)]) {
      const steep = new Warp(AXES, shapes)
      const values = Array.from({ length: 101 }, (_, i) => Float64Array.of(i / 100, 0, i / 100))
      values
        .map((u) => steep.at(u))
        .forEach((v, i, all) => {
          for (const axis of AXES) {
            expect(v[axis]).toBeGreaterThanOrEqual(i ? all[i - 1][axis] : 0)
            expect(v[axis]).toBeLessThanOrEqual(1)
          }
          expect(steep.slopes(values[i]).every((s) => s >= 0 && s < 1e12)).toBe(true)
        })
    }
  })

  it('has the slopes of its differences, in points and in shapes', () => {
    const h = 1e-6
    for (const u of points) {
      const slopes = warp.slopes(u)
      expect(slopes[1]).toBe(1)
      const outer = Float64Array.of(1.3, 7, -0.6)
      const pulled = new Float64Array(5)
      warp.pull(u, outer, pulled, 1)
      expect(pulled[0]).toBe(0)
      AXES.forEach((axis, k) => {
        const along = (step: number) => warp.at(u.with(axis, u[axis] + step))[axis]
        expect(slopes[axis] / ((along(h) - along(-h)) / (2 * h))).toBeCloseTo(1, 5)
        for (const shape of [2 * k, 2 * k + 1]) {
          const by = (step: number) => new Warp(AXES, SHAPES.with(shape, SHAPES[shape] + step)).at(u)[axis]
          expect(pulled[1 + shape]).toBeCloseTo((outer[axis] * (by(h) - by(-h))) / (2 * h), 7)
        }
      })
    }
  })

  it('passes the gradient of an acquisition on', () => {
    const of = ([a, b, c]: Float64Array) => Math.sin(3 * a) + b * c * c
    const { values, gradients } = warp.unbent({
      values: (at) => at.map(of),
      gradients: (at) =>
        at.map((v) => ({
          value: of(v),
          gradient: Float64Array.of(3 * Math.cos(3 * v[0]), v[2] ** 2, 2 * v[1] * v[2]),
        })),
    })
    gradients(points).forEach(({ value, gradient }, i) => {
      expect(value).toBe(values(points)[i])
      for (const axis of [0, 1, 2]) {
        const [up, down] = values([1e-6, -1e-6].map((h) => points[i].with(axis, points[i][axis] + h)))
        expect(gradient[axis]).toBeCloseTo((up - down) / 2e-6, 5)
      }
    })
  })
})

describe('fitted shapes', () => {
  const dimensions = { ordered: [2, 0], unordered: [1] }
  const noises = points.map((_, i) => (i % 3 ? 0 : 0.01))
  const values = points.map(([a, b, c]) => Math.sin(5 * a) + b + Math.log(0.01 + c))

  it('have the gradient of the posterior density that its differences have, for even and odd numbers of rows', () => {
    for (const n of [12, 13]) {
      const data = { points: points.slice(0, n), values: values.slice(0, n), noises: noises.slice(0, n) }
      const theta = Float64Array.of(1.2, 0.4, 0.3, 0.2, -3, ...SHAPES)
      const at = (t: Float64Array) => logPosterior(workspace(), dimensions, data, t, { warped: AXES })
      at(theta).gradient.forEach((slope, k) => {
        const [up, down] = [1e-5, -1e-5].map((h) => at(theta.with(k, theta[k] + h)).value)
        expect(slope).toBeCloseTo((up - down) / 2e-5, 5)
      })
    }
  })

  it('find the axis that is bent, and how', () => {
    const u = Array.from({ length: 40 }, () => Float64Array.of(rng.uniform(), rng.uniform()))
    const data = {
      points: u,
      values: u.map(([a, b]) => Math.sin(12 * a ** 0.3) + Math.sin(4 * b)),
      noises: u.map(() => 0),
    }
    const extras = { warped: [0, 1] }
    const both = { ordered: [0, 1], unordered: [] }
    const theta = fitHyperparameters(workspace(), both, data, [defaultTheta(2, extras)], 200, extras)
    const bent = warpOf(theta, 2, extras).at(Float64Array.of(0.1, 0.1))
    expect(bent[0]).toBeGreaterThan(0.2)
    expect(Math.abs(bent[1] - 0.1)).toBeLessThan(0.1)
  })
})

describe('gp with a warp', () => {
  const space: Parameter[] = [
    { name: 'rate', type: 'float', low: 0, high: 1 },
    { name: 'decay', type: 'float', low: 0, high: 1 },
  ]
  // Both matter in their logarithm, and nothing says so.
  const f = (rate: number, decay: number) =>
    (Math.log10(rate + 1e-3) + 1.7) ** 2 + 0.5 * (Math.log10(decay + 1e-3) + 1.3) ** 2
  const needed = (warp: boolean, seed: number) => {
    const driver = new Driver(method, searchProblem(space), { warp }, seed)
    for (let i = 1; i <= 30; i++) {
      const [query] = driver.ask()
      const { rate, decay } = paramsOf(query)
      driver.tell(query, f(rate as number, decay as number))
      if (driver.best() < 1e-3) return i
    }
    return 31
  }

  it('finds the minimum of a function of logarithms in fewer evaluations', () => {
    const seeds = [0, 1, 2, 3, 4]
    const total = (warp: boolean) => seeds.reduce((sum, seed) => sum + needed(warp, seed), 0)
    expect(total(true)).toBeLessThan(total(false))
  })

  it('asks the same after a restart', () => {
    const mixed: Parameter[] = [...space, { name: 'kind', type: 'categorical', choices: ['a', 'b'] }]
    const [whole, resumed] = [0, 1].map(() => new Driver(method, searchProblem(mixed), { warp: true }, 3))
    for (let i = 0; i < 18; i++)
      for (const driver of [whole, resumed]) {
        const queries = driver.ask(i % 5 ? 1 : 2)
        if (driver === resumed) driver.restart()
        const [query] = queries
        const { rate, decay, kind } = paramsOf(query)
        driver.tell(query, f(rate as number, decay as number) + (kind === 'a' ? 1 : 0))
      }
    expect(encodeTree(resumed.state)).toEqual(encodeTree(whole.state))
  })
})
