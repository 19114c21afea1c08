import { describe, expect, it } from 'vitest'
import { Covariance } from '../../../src/blackbox/bayes/covariance.js'
import { defaultTheta, fitHyperparameters, logPosterior, logPrior } from '../../../src/blackbox/bayes/fit.js'
import { method } from '../../../src/blackbox/bayes/gp.js'
import { method as gpBo } from '../../../src/blackbox/bayes/gp-bo.js'
import { LENGTH_PRIORS, logLengthPrior, ownOf } from '../../../src/blackbox/bayes/lengths.js'
import { fitProcess, Process } from '../../../src/blackbox/bayes/process.js'
import { workspace } from '../../../src/blackbox/linalg/linalg.js'
import { Rng, rngStream } from '../../../src/core/rng.js'
import type { Parameter } from '../../../src/core/space.js'
import { encodeTree } from '../../../src/core/tree.js'
import { Driver, paramsOf, searchProblem } from '../drive.js'

const density = (prior: (typeof LENGTH_PRIORS)[number], theta: Float64Array, d: number) => {
  const gradient = new Float64Array(theta.length)
  return { value: logLengthPrior(prior, d, theta, gradient), gradient }
}

describe.each(LENGTH_PRIORS)('the %s prior', (lengths) => {
  it('has the gradient of its differences', () => {
    // Two dimensions, signal, noise, and log tau where there is one.
    const theta = Float64Array.from([0.7, -3, 0.4, -5, -1.9].slice(0, 4 + ownOf(lengths)))
    const { gradient } = density(lengths, theta, 2)
    theta.forEach((t, k) => {
      const [up, down] = [1e-5, -1e-5].map((h) => density(lengths, theta.with(k, t + h), 2).value)
      expect(gradient[k]).toBeCloseTo((up - down) / 2e-5, 7)
    })
  })

  it('gives the posterior density the gradient of its differences, with a warp between', () => {
    const rng = new Rng(rngStream(6, 'lengths'))
    const points = Array.from({ length: 9 }, () => Float64Array.of(rng.uniform(), rng.uniform()))
    const data = { points, values: points.map(([a, b]) => Math.sin(6 * a) + 0.1 * b), noises: points.map(() => 0) }
    const extras = { lengths, warped: [1] }
    const theta = defaultTheta(2, extras).map((t, k) => t + 0.1 * (k + 1))
    const at = (t: Float64Array) => logPosterior(workspace(), { ordered: [0, 1], unordered: [] }, data, t, extras)
    expect(theta).toHaveLength(6 + ownOf(lengths))
    at(theta).gradient.forEach((slope, k) => {
      const [up, down] = [1e-5, -1e-5].map((h) => at(theta.with(k, theta[k] + h)).value)
      expect(slope).toBeCloseTo((up - down) / 2e-5, 4)
    })
  })
})

describe('densities of single lengths', () => {
  const differences = (prior: (typeof LENGTH_PRIORS)[number], d: number, [from, to]: number[], tail: number[]) =>
    density(prior, Float64Array.of(to, ...Array(d - 1).fill(0), ...tail), d).value -
    density(prior, Float64Array.of(from, ...Array(d - 1).fill(0), ...tail), d).value

  it('saas is a half-Cauchy distribution of w and of tau, by their logarithms', () => {
    const halfCauchy = (w: number, scale: number) => Math.log(w / (1 + (w / scale) ** 2))
    for (const tau of [0.01, 0.3])
      expect(differences('saas', 3, [Math.log(0.02), Math.log(5)], [0, 0, Math.log(tau)])).toBeCloseTo(
        halfCauchy(5, tau) - halfCauchy(0.02, tau),
        10,
      )
    const ofTau = (tau: number) => density('saas', Float64Array.of(0, 0, Math.log(tau)), 0).value
    expect(ofTau(2) - ofTau(0.05)).toBeCloseTo(halfCauchy(2, 0.1) - halfCauchy(0.05, 0.1), 10)
    // Far out too, where cosh has no number.
    expect(density('saas', Float64Array.of(900, -900, 0, 0, 0), 2).value).toBeCloseTo(-1800 - Math.log(10.1), 10)
  })

  it('log-normal has its median at the dimension-scaled length', () => {
    // Of lengths l and m^2 / l, m the median, the density differs by the ratio of l alone.
    for (const d of [2, 50]) {
      const median = Math.exp(Math.SQRT2) * Math.sqrt(d)
      const [short, long] = [median / 7, median * 7].map((l) => -2 * Math.log(l))
      expect(differences('log-normal', d, [short, long], [0, 0])).toBeCloseTo(-Math.log(49), 10)
    }
  })
})

describe('thirty dimensions of which two matter', () => {
  const d = 30
  const f = (a: number, b: number) => Math.sin(5 * a) + 2 * (b - 0.3) ** 2
  const [first, second] = [4, 17]
  const names: Parameter[] = Array.from({ length: d }, (_, i) => ({ name: `x${i}`, type: 'float', low: 0, high: 1 }))

  it('saas finds which, from forty random points', () => {
    for (let seed = 0; seed < 3; seed++) {
      const rng = new Rng(rngStream(seed, 'sparse'))
      const points = Array.from({ length: 40 }, () => Float64Array.from({ length: d }, () => rng.uniform()))
      const raw = points.map((u) => f(u[first], u[second]))
      const mean = raw.reduce((sum, v) => sum + v / raw.length, 0)
      const data = { points, values: raw.map((v) => v - mean), noises: raw.map(() => 0) }
      const dimensions = { ordered: [...Array(d).keys()], unordered: [] }
      // Log of the ratio of the shortest other length to the longest one that matters.
      const separation = (lengths: (typeof LENGTH_PRIORS)[number]) => {
        const theta = fitHyperparameters(workspace(), dimensions, data, [defaultTheta(d, { lengths })], 60, { lengths })
        const others = Math.max(...dimensions.ordered.map((k) => (k === first || k === second ? -99 : theta[k])))
        return (Math.min(theta[first], theta[second]) - others) / 2
      }
      expect(separation('saas')).toBeGreaterThan(Math.log(10))
      expect(separation('saas')).toBeGreaterThan(separation('optuna'))
    }
  })

  it('gp comes closer with saas', () => {
    const regret = (lengthPrior: string, seed: number) => {
      const driver = new Driver(method, searchProblem(names), { lengthPrior, nCandidates: 512, nStarts: 4 }, seed)
      driver.play(40, (query) => {
        const p = paramsOf(query)
        return f(p[`x${first}`] as number, p[`x${second}`] as number)
      })
      return driver.best() + 1
    }
    const total = (lengthPrior: string) => [0, 1, 2].reduce((sum, seed) => sum + regret(lengthPrior, seed), 0)
    expect(total('saas')).toBeLessThan(total('optuna'))
  })

  it('fits the slower process the same way, with gradients', () => {
    const rng = new Rng(rngStream(8, 'sparse'))
    const data = Array.from({ length: 12 }, () => {
      const u = Float64Array.from({ length: 6 }, () => rng.uniform())
      const gradient = Float64Array.of(0, 5 * Math.cos(5 * u[1]), 0, 0, 0, 0)
      return { u, value: Math.sin(5 * u[1]), noise: 0, gradient }
    })
    const kernel = (theta: Float64Array) =>
      new Covariance('matern52', { ordered: [0, 1, 2, 3, 4, 5], unordered: [] }, theta)
    const lengths = 'saas'
    const options = { kernel, prior: 'constant', maxEvaluations: 60, lengths } as const
    const start = defaultTheta(6, { lengths })
    const theta = fitProcess(data, [start], options)
    expect(theta).toHaveLength(9)
    const posterior = (t: Float64Array) =>
      new Process(kernel(t), data, 'constant').likelihood().value + logPrior(t, new Float64Array(9), 6, lengths)
    expect(posterior(theta)).toBeGreaterThan(posterior(start))
    expect(theta[1] - Math.max(...[0, 2, 3, 4, 5].map((k) => theta[k]))).toBeGreaterThan(2 * Math.log(10))
  })

  it('gp-bo with saas finds which too', () => {
    const config = { lengthPrior: 'saas', nCandidates: 32, nStarts: 1 }
    const driver = new Driver(gpBo, searchProblem(names), config, 1)
    const rng = new Rng(rngStream(9, 'sparse'))
    for (let i = 0; i < 62; i++) {
      const point = Object.fromEntries(names.map(({ name }) => [name, rng.uniform()]))
      driver.add(point, f(point[`x${first}`], point[`x${second}`]))
    }
    driver.ask()
    const [{ theta }] = (driver.state as unknown as { own: { fits: { theta: Float64Array }[] } }).own.fits
    expect(theta).toHaveLength(d + 3)
    const others = Math.max(...names.map((_, k) => (k === first || k === second ? -99 : theta[k])))
    expect(Math.min(theta[first], theta[second])).toBeGreaterThan(others + 2 * Math.log(10))
  })

  it.each(['log-normal', 'saas'])('gp asks the same after a restart with %s', (lengthPrior) => {
    const config = { lengthPrior, warp: true, outcomeTransform: 'power', nCandidates: 128, nStarts: 2 }
    const [whole, resumed] = [0, 1].map(() => new Driver(method, searchProblem(names.slice(0, 4)), config, 3))
    for (let i = 0; i < 14; i++)
      for (const driver of [whole, resumed]) {
        const [query] = driver.ask(2)
        if (driver === resumed) driver.restart()
        const { x0, x1 } = paramsOf(query)
        driver.tell(query, f(x0 as number, x1 as number))
      }
    expect(encodeTree(resumed.state)).toEqual(encodeTree(whole.state))
    expect((whole.state as { fit?: { theta: Float64Array } }).fit?.theta).toHaveLength(
      4 + 2 + 8 + (lengthPrior === 'saas' ? 1 : 0),
    )
  })
})
