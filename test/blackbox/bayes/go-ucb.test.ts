import { describe, expect, it } from 'vitest'
import { ascend, closedForm, ellipsoidOf, widthIn } from '../../../src/blackbox/bayes/ellipsoid.js'
import { type Family, generalizedLinear, LINKS, network } from '../../../src/blackbox/bayes/families.js'
import { method } from '../../../src/blackbox/bayes/go-ucb.js'
import { regress } from '../../../src/blackbox/bayes/regression.js'
import { Rng, rngStream } from '../../../src/core/rng.js'
import type { Parameter } from '../../../src/core/space.js'
import { Driver, paramsOf, searchProblem } from '../drive.js'

const random = (rng: Rng, n: number) => Float64Array.from({ length: n }, () => rng.normal())
const cube = (rng: Rng, n: number) => Float64Array.from({ length: n }, () => rng.uniform())

describe('[go-ucb]', () => {
  it('the ellipsoid of w x in one dimension', () => {
    // f_w(x) = w x, so that the gradients are the points; w0 = 1.
    const [one, two] = [Float64Array.of(1), Float64Array.of(2)]
    const { s, b, center, ...rest } = ellipsoidOf(Float64Array.of(1), 1, [one, two], [1, 2], [2, 3])
    expect(s[0]).toBeCloseTo(6, 12)
    expect(b[0]).toBeCloseTo(8, 12)
    expect(center[0]).toBeCloseTo(1.5, 12)
    const beta = 0.7
    expect(Math.sqrt(beta) * widthIn({ s, b, center, ...rest }, one)).toBeCloseTo(Math.sqrt(beta / 6), 12)
  })

  it('the closed form of generalized linear models agrees with projected gradient ascent', () => {
    const rng = new Rng(rngStream(1, 'cases'))
    for (let round = 0; round < 50; round++) {
      const d = 1 + rng.integer(5)
      const family = generalizedLinear(d, LINKS[round % 3])
      const w0 = random(rng, d + 1).map((v) => 0.5 * v)
      const points = Array.from({ length: 3 + rng.integer(10) }, () => cube(rng, d))
      const gradients = points.map((u) => family.inParameters(w0, u))
      const predictions = points.map((u) => family.value(w0, u))
      const values = predictions.map((v) => v + 0.3 * rng.normal())
      const ellipsoid = ellipsoidOf(w0, 0.5, gradients, predictions, values)
      const [u, beta] = [cube(rng, d), 0.2 + rng.uniform()]
      for (const sign of [1, -1] as const) {
        const exact = closedForm(family.linear as NonNullable<Family['linear']>, ellipsoid, beta, sign, u)
        const found = sign * ascend(family, ellipsoid, beta, sign, u, false, { steps: 400, rate: 0.3 }).value
        expect(Math.abs(found - exact)).toBeLessThan(1e-4)
        // Without a ball all is known: the greedy point.
        expect(closedForm(family.linear!, ellipsoid, 0, sign, u)).toBeCloseTo(family.value(ellipsoid.center, u), 12)
        expect(sign * ascend(family, ellipsoid, 0, sign, u, false, { steps: 9, rate: 0.3 }).value).toBeCloseTo(
          family.value(ellipsoid.center, u),
          12,
        )
      }
    }
  })

  const D = 8
  const parameters = Array.from({ length: D }, (_, i): Parameter => ({ name: `x${i}`, type: 'float', low: 0, high: 1 }))
  const vector = (query: Parameters<typeof paramsOf>[0]) =>
    Float64Array.from(parameters, ({ name }) => paramsOf(query)[name] as number)
  const truth = network(D, 4)

  for (const [name, extra] of [
    ['realizable', 0],
    ['misspecified', 0.05],
  ] as const)
    it(`${name}: ends better than the 40 random points by 0.1 and more`, () => {
      for (let seed = 0; seed < 2; seed++) {
        const world = new Rng(rngStream(seed, 'world'))
        const w = truth.draw(world)
        const driver = new Driver(
          method,
          searchProblem(parameters, 'maximize'),
          { nInitial: 40, hidden: 4, nStarts: 5 },
          seed,
        )
        const noiseless: number[] = []
        driver.play(60, (query) => {
          const u = vector(query)
          noiseless.push(truth.value(w, u) + extra * Math.sin(3 * u[0]))
          return noiseless[noiseless.length - 1] + 0.02 * world.normal()
        })
        expect(Math.max(...noiseless) - Math.max(...noiseless.slice(0, 40))).toBeGreaterThanOrEqual(0.1)
        expect(driver.estimate().metrics).toMatchObject({ radius: expect.any(Number), bound: expect.any(Number) })
      }
    })
})

describe('go-ucb with the model of the client', () => {
  it('fits it by its answers, and finds its best point', () => {
    // f_w(x) = w0 exp(-(x - w1)^2 / 0.1) + w2 y, to be maximized; x in [-1, 1], y in [0, 2].
    const f = (w: ArrayLike<number>, x: ArrayLike<number>) => w[0] * Math.exp(-((x[0] - w[1]) ** 2) / 0.5) + w[2] * x[1]
    const gradient = (w: ArrayLike<number>, x: ArrayLike<number>) => {
      const bell = Math.exp(-((x[0] - w[1]) ** 2) / 0.5)
      return Float64Array.of(bell, w[0] * bell * 4 * (x[0] - w[1]), x[1])
    }
    const truth = [2, 0.4, -0.5]
    const space: Parameter[] = [
      { name: 'x', type: 'float', low: -1, high: 1 },
      { name: 'y', type: 'float', low: 0, high: 2 },
    ]
    const config = { model: 'told', initial: [1, 0, 0], nInitial: 12, nCandidates: 256, noise: 0.05 }
    const driver = new Driver(method, searchProblem(space, 'maximize'), config, 1)
    const rng = new Rng(rngStream(1, 'noise'))
    const purposes: (string | undefined)[] = []
    let trials = 0
    while (trials < 30) {
      const [query] = driver.ask()
      purposes.push(query.purpose)
      if (query.purpose) {
        expect(driver.ask()).toHaveLength(0)
        expect(driver.outcome?.short).toMatchObject({ until: 'tell' })
        const quantities = query.points.map((point) => {
          if (point.kind !== 'tensors') throw new Error('expected tensors')
          const { w, x } = point.tensors
          return { prediction: Float64Array.of(f(w, x)), gradient: gradient(w, x) }
        })
        driver.step({ type: 'observation', query, observation: { queryId: query.id, status: 'ok', quantities } })
      } else {
        const { x: a, y: b } = paramsOf(query)
        driver.tell(query, f(truth, [a as number, b as number]) + 0.02 * rng.normal())
        trials++
      }
      if (trials % 7 === 3) driver.restart()
    }
    expect(purposes).toContain('fit')
    expect(purposes).toContain('screening')
    expect(driver.best()).toBeGreaterThan(1.85)
    const { own } = driver.state as unknown as { own: { told: { w: Float64Array } } }
    truth.forEach((w, i) => {
      expect(Math.abs(own.told.w[i] - w)).toBeLessThan(0.1)
    })
    expect(driver.estimate().metrics).toMatchObject({ bound: expect.any(Number), radius: expect.any(Number) })
  })

  it('needs a start for its parameters', () => {
    const { run } = new Driver(method, searchProblem([{ name: 'x', type: 'float', low: 0, high: 1 }]))
    const config = { ...(run.config as object), model: 'told' } as never
    expect(method.check?.(config, run.problem)).toMatchObject([{ path: 'config.initial' }])
    expect(method.needs(config, run.problem)).toEqual(['value', 'quantities'])
  })
})

describe('go-ucb', () => {
  it.each([['network', network(3, 4)], ...LINKS.map((link) => [link, generalizedLinear(3, link)] as const)] as const)(
    'derivatives of the family: %s',
    (_, family) => {
      const rng = new Rng(rngStream(2, 'family'))
      const [w, u, h] = [family.draw(rng), cube(rng, 3), 1e-6]
      expect(w).toHaveLength(family.size)
      family.inParameters(w, u).forEach((g, k) => {
        const at = (step: number) => family.value(w.with(k, w[k] + step), u)
        expect(g).toBeCloseTo((at(h) - at(-h)) / (2 * h), 6)
      })
      family.inPoint(w, u).forEach((g, k) => {
        const at = (step: number) => family.value(w, u.with(k, u[k] + step))
        expect(g).toBeCloseTo((at(h) - at(-h)) / (2 * h), 6)
      })
    },
  )

  it('the regression of phase I finds a model of its family', () => {
    const rng = new Rng(rngStream(5, 'regression'))
    const family = generalizedLinear(4, 'logistic')
    const w = random(rng, 5)
    const points = Array.from({ length: 60 }, () => cube(rng, 4))
    const { variance } = regress(
      family,
      points,
      points.map((u) => family.value(w, u)),
      3,
      rng,
    )
    expect(variance).toBeLessThan(1e-3)
  })

  it('a generalized linear model finds the best corner, with infeasible points and several open', () => {
    const kinds: Parameter[] = [
      { name: 'a', type: 'float', low: -2, high: 2 },
      { name: 'b', type: 'int', low: 0, high: 10 },
      { name: 'c', type: 'ordinal', choices: ['s', 'm', 'l'] },
    ]
    const driver = new Driver(method, searchProblem(kinds), { model: 'generalized-linear', nInitial: 10 }, 2)
    driver.play(
      40,
      (query) => {
        const { a, b, c } = paramsOf(query)
        if (a === 2) return 'infeasible'
        return (a as number) - 0.3 * (b as number) + (c === 'm' ? 0.5 : c === 'l' ? 1 : 0)
      },
      4,
    )
    expect(driver.best()).toBeLessThan(-4.5)
  })
})
