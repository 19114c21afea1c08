import { describe, expect, it } from 'vitest'
import { normalCdf, normalDensity } from '../../../src/blackbox/bayes/acquisition.js'
import { method } from '../../../src/blackbox/bayes/gp.js'
import { gumbelMinima, informationOver, logInformation, logInformationAbout } from '../../../src/blackbox/bayes/mes.js'
import { Surrogate } from '../../../src/blackbox/bayes/surrogate.js'
import { workspace } from '../../../src/blackbox/linalg/linalg.js'
import { Rng, rngStream } from '../../../src/core/rng.js'
import type { Parameter } from '../../../src/core/space.js'
import { encodeTree } from '../../../src/core/tree.js'
import { problem } from '../../problems/index.js'
import { Driver, paramsOf, searchProblem } from '../drive.js'

describe('the information about the least value', () => {
  it('is the entropy that a normal loses when it is cut off below', () => {
    for (const gamma of [-2, -0.5, 0, 1, 2.5]) {
      const mass = normalCdf(gamma)
      let entropy = 0
      const [n, from, to] = [40000, -gamma, 12]
      for (let i = 0; i < n; i++) {
        const density = normalDensity(from + ((i + 0.5) * (to - from)) / n) / mass
        entropy -= (density * Math.log(density) * (to - from)) / n
      }
      const whole = 0.5 * Math.log(2 * Math.PI * Math.E)
      expect(Math.exp(logInformation(gamma).value)).toBeCloseTo(whole - entropy, 6)
    }
  })

  it('is eq. 6 where that has digits', () => {
    for (let gamma = -8; gamma <= 4; gamma += 0.37) {
      const cdf = normalCdf(gamma)
      const direct = (gamma * normalDensity(gamma)) / (2 * cdf) - Math.log(cdf)
      expect(Math.exp(logInformation(gamma).value)).toBeCloseTo(direct, 9)
    }
  })

  it('falls smoothly from where the least value is sure to lie to where it never does', () => {
    let last = Number.POSITIVE_INFINITY
    for (let gamma = -60; gamma < 1000; gamma += gamma < 30 ? 0.21 : 37) {
      const { value, slope } = logInformation(gamma)
      expect(value).toBeLessThan(last)
      last = value
      const h = 1e-4
      const difference = (logInformation(gamma + h).value - logInformation(gamma - h).value) / (2 * h)
      expect(Math.abs(slope / difference - 1)).toBeLessThan(1e-4)
    }
    for (const gamma of [-1e9, -100, 1e7]) {
      expect(Number.isFinite(logInformation(gamma).value)).toBe(true)
      expect(Number.isFinite(logInformation(gamma).slope)).toBe(true)
    }
  })

  it('averages over draws, with the derivatives of its differences', () => {
    const minima = [-1, -0.4, -2.2]
    const at = (mean: number, deviation: number) => logInformationAbout(minima, mean, deviation).value
    const mean = minima.reduce((sum, y) => sum + Math.exp(logInformation((0.3 - y) / 0.6).value) / 3, 0)
    expect(at(0.3, 0.6)).toBeCloseTo(Math.log(mean), 12)
    for (const [m, s] of [
      [0.3, 0.6],
      [-2.5, 0.1],
      [30, 0.5],
    ]) {
      const { dMean, dDeviation } = logInformationAbout(minima, m, s)
      const h = 1e-6
      expect(dMean / ((at(m + h, s) - at(m - h, s)) / (2 * h))).toBeCloseTo(1, 5)
      expect(dDeviation / ((at(m, s + h) - at(m, s - h)) / (2 * h))).toBeCloseTo(1, 5)
    }
  })

  it('has the gradient of its differences under a model', () => {
    const ws = workspace()
    const rng = new Rng(rngStream(2, 'mes'))
    ws.scope(() => {
      const points = Array.from({ length: 9 }, () => Float64Array.of(rng.uniform(), rng.uniform()))
      const noises = points.map(() => 0)
      const model = new Surrogate(ws, { ordered: [0, 1], unordered: [] }, Float64Array.of(2, 1, 0, -6), 9)
      model.factorize(points, noises)
      model.condition(
        points.map(([a, b]) => Math.sin(5 * a) + b),
        noises,
      )
      const { values, gradients } = informationOver([-1.5, -1.1], model)
      const at = Array.from({ length: 5 }, () => Float64Array.of(rng.uniform(), rng.uniform()))
      gradients(at).forEach(({ value, gradient }, i) => {
        expect(value).toBeCloseTo(values([at[i]])[0], 10)
        for (const axis of [0, 1]) {
          const [up, down] = values([1e-6, -1e-6].map((h) => at[i].with(axis, at[i][axis] + h)))
          expect(gradient[axis]).toBeCloseTo((up - down) / 2e-6, 4)
        }
      })
    })
  })
})

describe('Gumbel draws of the least value', () => {
  it('have the quartiles of the least of independent normals, and stay below what is reached', () => {
    const rng = new Rng(rngStream(3, 'gumbel'))
    const normals = Array.from({ length: 60 }, () => ({ mean: rng.normal(), variance: 0.1 + rng.uniform() }))
    const quartiles = (values: number[]) => {
      const sorted = values.sort((a, b) => a - b)
      return [0.25, 0.5, 0.75].map((p) => sorted[Math.floor(p * sorted.length)])
    }
    const truth = Array.from({ length: 20000 }, () =>
      normals.reduce((least, n) => Math.min(least, n.mean + Math.sqrt(n.variance) * rng.normal()), 99),
    )
    const drawn = quartiles(gumbelMinima(normals, 99, 20000, rng))
    // The standard error of each of the two is below 0.01.
    quartiles(truth).forEach((q, i) => {
      expect(Math.abs(drawn[i] - q)).toBeLessThan(0.05)
    })
    expect(Math.max(...gumbelMinima(normals, -2, 1000, rng))).toBe(-2)
    // Of one point that is known the least value is its own.
    gumbelMinima([{ mean: 1, variance: 1e-20 }], 5, 10, rng).forEach((y) => {
      expect(y).toBeCloseTo(1, 6)
    })
  })
})

describe('gp by max-value entropy search', () => {
  it("comes within 0.02 of Branin's minimum in 6 initial and 29 further points, from three seeds", () => {
    const branin = problem('branin')
    for (let seed = 0; seed < 3; seed++) {
      const driver = new Driver(method, branin.problem, { acquisition: 'mes' }, seed)
      driver.play(35, (query) => branin.answer(query, () => ({})).values![0][0])
      expect(driver.best() - branin.optimum).toBeLessThan(0.02)
    }
  })

  it('asks for apart points of mixed spaces, the same after a restart, warped too', () => {
    const mixed: Parameter[] = [
      { name: 'x', type: 'float', low: 0, high: 1 },
      { name: 'k', type: 'int', low: 1, high: 5 },
      { name: 'kind', type: 'categorical', choices: ['a', 'b'] },
    ]
    const config = { acquisition: 'mes', warp: true, nCandidates: 256, nStarts: 4 }
    const [whole, resumed] = [0, 1].map(() => new Driver(method, searchProblem(mixed), config, 3))
    for (let i = 0; i < 10; i++)
      for (const driver of [whole, resumed]) {
        const queries = driver.ask(3)
        expect(new Set(queries.map((query) => JSON.stringify(paramsOf(query)))).size).toBe(3)
        if (driver === resumed) driver.restart()
        const { x, k, kind } = paramsOf(queries[0])
        driver.tell(queries[0], Math.sin(9 * (x as number)) + (k as number) + (kind === 'a' ? 1 : 0))
        driver.tell(queries[1], 'failed')
      }
    expect(encodeTree(resumed.state)).toEqual(encodeTree(whole.state))
    expect(whole.best()).toBeLessThan(1)
  })
})
