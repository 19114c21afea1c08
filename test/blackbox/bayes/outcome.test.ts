import { describe, expect, it } from 'vitest'
import type { Row } from '../../../src/blackbox/bayes/data.js'
import { method as gp } from '../../../src/blackbox/bayes/gp.js'
import { method as gpBo } from '../../../src/blackbox/bayes/gp-bo.js'
import {
  OUTCOME_TRANSFORMS,
  transformed,
  transformOf,
  yeoJohnson,
  yeoJohnsonLikelihood,
} from '../../../src/blackbox/bayes/outcome.js'
import { normalQuantile } from '../../../src/blackbox/zeroth/module-noise.js'
import type { AnyMethod } from '../../../src/core/method.js'
import { Rng, rngStream } from '../../../src/core/rng.js'
import { parseConfig } from '../../../src/core/schema.js'
import type { Parameter, Params } from '../../../src/core/space.js'
import { encodeTree } from '../../../src/core/tree.js'
import { Driver, paramsOf, searchProblem } from '../drive.js'

const rowsOf = (values: readonly number[]): Row[] =>
  values.map((value) => ({ u: new Float64Array(1), value, noise: 0.5 }))
const rng = new Rng(rngStream(1, 'outcome'))
const SAMPLE = Array.from({ length: 41 }, () => Math.exp(1.5 * rng.normal()) - 2)
const floats = (d: number): Parameter[] =>
  Array.from({ length: d }, (_, i) => ({ name: `x${i}`, type: 'float', low: 0, high: 1 }))

describe.each(OUTCOME_TRANSFORMS)('%s', (kind) => {
  const { at, slope, inverse } = transformOf(kind, rowsOf(SAMPLE))
  const inside = Array.from({ length: 50 }, (_, i) => -1.9 + 0.03 * i)

  it('keeps the order of values, old and new', () => {
    const sorted = [-40, ...SAMPLE, 1000].sort((a, b) => a - b)
    sorted.slice(1).forEach((y, i) => {
      expect(at(y)).toBeGreaterThanOrEqual(at(sorted[i]))
    })
    // What is to be minimized stays apart.
    expect(at(sorted[0])).toBeLessThan(at(sorted[1]))
  })

  it('has an inverse, and the slope of its differences', () => {
    for (const y of inside) {
      expect(inverse(at(y))).toBeCloseTo(y, 9)
      if (SAMPLE.every((v) => Math.abs(v - y) > 1e-5))
        expect(slope(y)).toBeCloseTo((at(y + 1e-6) - at(y - 1e-6)) / 2e-6, 5)
    }
  })

  it('leaves infeasible rows, and takes any values', () => {
    for (const values of [
      [],
      [Number.NaN],
      [3],
      [3, 3, 3, 3],
      [1, 2],
      [1, 1, 1, 1, 1, 9],
      [-1e308, 0, 1e308, Number.NaN],
      [-1.7e308, -1.6e308, -1e308, -1e308],
      [1, 2, 3, 4, 1e200],
      [0, 5e-324, 1e-323, 1],
    ]) {
      const told = transformed(rowsOf(values), transformOf(kind, rowsOf(values)))
      told.forEach(({ value, noise }, i) => {
        expect(Number.isNaN(value)).toBe(Number.isNaN(values[i]))
        expect(noise).toBeGreaterThanOrEqual(0)
      })
      for (const y of [-1e300, 0, 1e300]) expect(transformOf(kind, rowsOf(values)).at(y)).not.toBeNaN()
    }
  })
})

describe('each transform', () => {
  it('winsorize cuts at the upper fence alone', () => {
    // Quartiles 2 and 4 of 1 to 5: the fence is 7.
    const { at } = transformOf('winsorize', rowsOf([3, 1, 5, 2, 4]))
    expect([-100, 6.9, 7.1, 1e200].map(at)).toEqual([-100, 6.9, 7, 7])
  })

  it("power has the exponents of scikit-learn's documentation", () => {
    for (const [values, lambda] of [
      [[1, 3, 4], 1.386],
      [[2, 2, 5], -3.1],
    ] as const) {
      const [below, here, above] = [-0.01, 0, 0.01].map((h) => yeoJohnsonLikelihood(values, lambda + h))
      expect(here).toBeGreaterThan(below)
      expect(here).toBeGreaterThan(above)
    }
    // Their transformed column (its digits are cut there), standardized by the deviation of the population.
    const z = [1, 3, 4].map(yeoJohnson(1.38668178).at)
    const mean = (z[0] + z[1] + z[2]) / 3
    const deviation = Math.sqrt(z.reduce((sum, v) => sum + (v - mean) ** 2, 0) / 3)
    ;[-1.316, 0.209, 1.106].forEach((v, i) => {
      expect((z[i] - mean) / deviation).toBeCloseTo(v, 2)
    })
  })

  it('power takes the skewness away, and an outlier too', () => {
    const skewness = (values: readonly number[]) => {
      const n = values.length
      const mean = values.reduce((sum, v) => sum + v / n, 0)
      const moment = (k: number) => values.reduce((sum, v) => sum + (v - mean) ** k / n, 0)
      return moment(3) / moment(2) ** 1.5
    }
    const bent = (values: readonly number[]) => values.map(transformOf('power', rowsOf(values)).at)
    expect(skewness(SAMPLE)).toBeGreaterThan(2)
    expect(Math.abs(skewness(bent(SAMPLE)))).toBeLessThan(0.3)
    expect(skewness([...SAMPLE, 1e6])).toBeGreaterThan(6)
    expect(Math.abs(skewness(bent([...SAMPLE, 1e6])))).toBeLessThan(1)
  })

  it('copula has the normal quantiles of mid-ranks at told values', () => {
    const { at } = transformOf('copula', rowsOf([10, 1e200, -3, 10]))
    expect(at(-3)).toBeCloseTo(normalQuantile(1 / 8), 12)
    expect(at(10)).toBeCloseTo(0, 12)
    expect(at(1e200)).toBeCloseTo(normalQuantile(7 / 8), 12)
    expect(at(3.5)).toBeCloseTo(normalQuantile(1 / 8) / 2, 12)
  })
})

describe('optimization of what diverges at one side', () => {
  const f = (p: Params) => {
    const [a, b] = [p.x0 as number, p.x1 as number]
    return a > 0.75 ? 1e6 * (1 + b) : (a - 0.4) ** 2 + 0.5 * Math.sin(6 * b) + 0.5 * (b - 0.7) ** 2
  }
  const least = Math.min(...Array.from({ length: 10001 }, (_, i) => f({ x0: 0.4, x1: i / 10000 })))
  const regret = (method: AnyMethod, outcomeTransform: string, seed: number) => {
    const driver = new Driver(method, searchProblem(floats(2)), { nInitial: 6, outcomeTransform }, seed)
    driver.play(20, (query) => f(paramsOf(query)))
    return driver.best() - least
  }
  const total = (method: AnyMethod, transform: string) =>
    [0, 1, 2].reduce((sum, seed) => sum + Math.log(regret(method, transform, seed) + 1e-6), 0)

  it.each([gp, gpBo])('$id comes closer with each transform than without', (method) => {
    const without = total(method, 'standardize')
    for (const transform of OUTCOME_TRANSFORMS.slice(1)) expect(total(method, transform)).toBeLessThan(without)
  })

  it('gp asks the same after a restart, between fits as well', () => {
    const config = { outcomeTransform: 'copula', refitGrowth: 1.5 }
    const [whole, resumed] = [0, 1].map(() => new Driver(gp, searchProblem(floats(2)), config, 3))
    for (let i = 0; i < 20; i++)
      for (const driver of [whole, resumed]) {
        const [query] = driver.ask()
        if (driver === resumed) driver.restart()
        const values = [[f(paramsOf(query))]]
        driver.step({
          type: 'observation',
          query,
          observation: { queryId: query.id, status: 'ok', values, noise: [[0.01]] },
        })
      }
    expect(encodeTree(resumed.state)).toEqual(encodeTree(whole.state))
  })

  it.each([gp, gpBo])(
    '$id goes on where its stored configuration is from before there were these options',
    (method) => {
      const [now, stored] = [0, 1].map(() => new Driver(method, searchProblem(floats(2)), {}, 3))
      const config = stored.run.config as { [key: string]: unknown }
      for (const option of ['outcomeTransform', 'acquisition', 'warp', 'lengthPrior']) delete config[option]
      for (const driver of [now, stored]) driver.play(12, (query) => f(paramsOf(query)))
      expect(encodeTree(stored.state)).toEqual(encodeTree(now.state))
      expect(stored.estimate()).toEqual(now.estimate())
    },
  )

  it('gp-bo says what it believes in told units', () => {
    for (const outcomeTransform of OUTCOME_TRANSFORMS) {
      const driver = new Driver(gpBo, searchProblem(floats(1), 'maximize'), { outcomeTransform, nInitial: 4 }, 1)
      driver.play(14, (query) => -Math.exp(8 * Math.abs((paramsOf(query).x0 as number) - 0.3)))
      const { metrics } = driver.estimate()
      expect(metrics?.posteriorMean).toBeGreaterThan(-1.5)
      expect(metrics?.posteriorMean).toBeLessThan(-0.5)
      expect(metrics?.posteriorDeviation).toBeGreaterThan(0)
    }
  })

  it('gp-bo refuses a transform of what is in told units', () => {
    const problem = searchProblem(floats(1))
    const issues = (config: object) =>
      gpBo.check!(parseConfig(gpBo.config, config) as never, problem).map(({ path }) => path)
    expect(issues({ outcomeTransform: 'copula' })).toEqual([])
    for (const linear of [{ noise: 0 }, { gradients: true }, { environment: { parameter: 'x0' }, acquisition: 'kg' }]) {
      expect(issues(linear)).toEqual([])
      expect(issues({ outcomeTransform: 'copula', ...linear })).toEqual(['config.outcomeTransform'])
    }
  })
})
