import { describe, expect, it } from 'vitest'
import { Covariance, KERNELS } from '../../../src/blackbox/bayes/covariance.js'
import { type Datum, fitProcess, Process } from '../../../src/blackbox/bayes/process.js'
import { Rng, rngStream } from '../../../src/core/rng.js'

const THETA = Float64Array.of(Math.log(4), Math.log(9), Math.log(0.7), Math.log(1.3), Math.log(1e-3))
const DIMENSIONS = { ordered: [0, 2], unordered: [1] }
const rng = new Rng(rngStream(5, 'process'))
const point = () => Float64Array.of(rng.uniform(), rng.integer(2) / 2, rng.uniform())
const data: Datum[] = Array.from({ length: 7 }, (_, i) => ({
  u: point(),
  value: rng.normal(),
  noise: i === 2 ? 0.1 : 0,
  ...(i % 2 && { gradient: Float64Array.of(rng.normal(), rng.normal()) }),
}))

describe.each(KERNELS)('a process with the %s kernel', (kind) => {
  const covariance = (theta: Float64Array = THETA) => new Covariance(kind, DIMENSIONS, theta)

  it('covariances of derivatives are the derivatives of covariances', () => {
    const [x, y] = [point(), point()]
    const block = covariance().block(x, y, true, true)
    expect(block[0]).toBeCloseTo(covariance().value(x, y), 14)
    const h = 1e-5
    const moved = (u: Float64Array, i: number, by: number) => u.with([0, 2][i], u[[0, 2][i]] + by)
    for (let i = 0; i < 2; i++) {
      const left = (v: Float64Array) =>
        (covariance().value(moved(x, i, h), v) - covariance().value(moved(x, i, -h), v)) / (2 * h)
      expect(block[3 * (i + 1)]).toBeCloseTo(left(y), 7)
      for (let j = 0; j < 2; j++)
        expect(block[3 * (i + 1) + j + 1]).toBeCloseTo((left(moved(y, j, h)) - left(moved(y, j, -h))) / (2 * h), 3)
    }
    for (let l = 0; l < 3; l++) {
      const by = (step: number) => covariance(THETA.with(l, THETA[l] + step)).block(x, y, true, true)
      const [up, down] = [by(1e-5), by(-1e-5)]
      covariance()
        .block(x, y, true, true, l)
        .forEach((slope, e) => {
          expect(slope).toBeCloseTo((up[e] - down[e]) / 2e-5, 6)
        })
    }
  })

  for (const prior of ['zero', 'constant'] as const)
    it(`its likelihood has the gradient of its finite differences (${prior} mean)`, () => {
      const at = (theta: Float64Array) => new Process(covariance(theta), data, prior).likelihood()
      at(THETA).gradient.forEach((slope, k) => {
        const [up, down] = [1e-5, -1e-5].map((step) => at(THETA.with(k, THETA[k] + step)).value)
        expect(slope).toBeCloseTo((up - down) / 2e-5, 4)
      })
    })

  it('its fantasies have the moments of the posterior', () => {
    const process = new Process(covariance(), data, 'constant')
    const [u, v] = [point(), point()]
    const draws = Array.from({ length: 4000 }, () => Float64Array.of(rng.normal(), rng.normal()))
    const drawn = process.fantasies([u, v], draws)
    const mean = (f: (i: number) => number) => draws.reduce((sum, _, i) => sum + f(i), 0) / draws.length
    const { mean: mu, variance } = process.at(u)
    const noise = process.covariance.noise
    expect(mean((i) => drawn[i].values[0])).toBeCloseTo(mu, 1)
    expect(mean((i) => (drawn[i].values[0] - mu) ** 2)).toBeCloseTo(variance + noise, 1)
    const both = mean((i) => (drawn[i].values[0] - mu) * (drawn[i].values[1] - process.at(v).mean))
    expect(both).toBeCloseTo(process.covary(u, process.whiten(u), v, process.whiten(v)), 1)
    // Told with little noise, they are what the process then believes.
    expect(drawn[0].process.at(u).variance).toBeLessThan(2 * noise)
    expect(drawn[0].process.at(u).mean).toBeCloseTo(drawn[0].values[0], 1)
  })

  it('its fit raises the density, and keeps a known noise', () => {
    const options = { kernel: covariance, prior: 'constant', maxEvaluations: 50 } as const
    const density = (theta: Float64Array) => new Process(covariance(theta), data, 'constant').likelihood().value
    const theta = fitProcess(data, [THETA], options)
    expect(density(theta)).toBeGreaterThan(density(THETA))
    expect(fitProcess(data, [THETA], { ...options, noise: 0.25 })[4]).toBe(Math.log(0.25))
  })
})
