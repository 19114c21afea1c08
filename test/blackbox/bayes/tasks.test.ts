/** Earlier sessions as tasks: their models, and what they are worth to the methods that begin from them. */
import { describe, expect, it } from 'vitest'
import { method as auto } from '../../../src/blackbox/auto/auto.js'
import { Covariance } from '../../../src/blackbox/bayes/covariance.js'
import { defaultTheta, logPosterior, rhoOf } from '../../../src/blackbox/bayes/fit.js'
import { method as gp } from '../../../src/blackbox/bayes/gp.js'
import { method as gpBo } from '../../../src/blackbox/bayes/gp-bo.js'
import { Process } from '../../../src/blackbox/bayes/process.js'
import { combined, earlierMeans, spreads } from '../../../src/blackbox/bayes/tasks.js'
import { method as tpe } from '../../../src/blackbox/bayes/tpe.js'
import { method as cmaEs } from '../../../src/blackbox/evolution/cma-es.js'
import { workspace } from '../../../src/blackbox/linalg/linalg.js'
import { bestOf } from '../../../src/blackbox/space/earlier.js'
import { encodingOf } from '../../../src/blackbox/space/encoding.js'
import type { AnyMethod, EarlierSession } from '../../../src/core/method.js'
import { Rng, rngStream } from '../../../src/core/rng.js'
import type { Parameter, Params, SearchSpace } from '../../../src/core/space.js'
import { Driver, paramsOf, searchProblem } from '../drive.js'

const cube = (d: number): Parameter[] =>
  Array.from({ length: d }, (_, i) => ({ name: `x${i}`, type: 'float', low: 0, high: 1 }))
type Objective = (params: Params) => number
const known = new Map<Objective, EarlierSession[]>()
/** 30 evaluations of a run of gp. */
function history(f: Objective, parameters: readonly Parameter[], seed: number): EarlierSession {
  const runs = known.get(f) ?? []
  known.set(f, runs)
  if (runs[seed]) return runs[seed]
  const asked = new Driver(gp, searchProblem(parameters), {}, 100 + seed).play(30, (query) => f(paramsOf(query)))
  runs[seed] = { session: 'earlier', trials: asked.map(paramsOf).map((params) => ({ params, value: f(params) })) }
  return runs[seed]
}
/** Of each seed, the evaluations until the target is reached. */
function counts(
  method: AnyMethod,
  f: Objective,
  parameters: readonly Parameter[],
  target: number,
  { seeds = 7, most = 60, of }: { seeds?: number; most?: number; of?: (seed: number) => EarlierSession[] } = {},
): number {
  const found = Array.from({ length: seeds }, (_, seed) => {
    const driver = new Driver(method, searchProblem(parameters), {}, seed, of?.(seed))
    for (let n = 1; n <= most; n++) {
      const [query] = driver.ask()
      const value = f(paramsOf(query))
      driver.tell(query, value)
      if (value <= target) return n
    }
    return most + 1
  })
  return found.sort((a, b) => a - b)[seeds >> 1]
}

const vector = (params: Params) => Object.values(params) as number[]
const ellipsoid: Objective = (params) =>
  vector(params).reduce((sum, v, i) => sum + 10 ** (i / 2) * (v - 0.3 - 0.1 * i) ** 2, 0)
/** The same in other units, its minimum elsewhere. */
const shifted =
  (f: Objective, by: number): Objective =>
  (params) =>
    3 *
      f(Object.fromEntries(Object.entries(params).map(([name, v], i) => [name, (v as number) + (i % 2 ? -by : by)]))) +
    7
const waves: Objective = (params) =>
  vector(params).reduce((sum, v, i) => sum + Math.sin(5 * v + 2 * i) * (i % 2 ? 1 : -2), 0)
/** The same, with runs of its own. */
const plane: Objective = (params) => waves(params)
const branin: Objective = ({ x0, x1 }) => {
  const [x, y] = [15 * (x0 as number) - 5, 15 * (x1 as number)]
  const valley = y - (5.1 * x * x) / (4 * Math.PI ** 2) + (5 * x) / Math.PI - 6
  return valley ** 2 + 10 * (1 - 1 / (8 * Math.PI)) * Math.cos(x) + 10
}
const tuning: Parameter[] = [
  { name: 'rate', type: 'float', low: 1e-5, high: 1, log: true },
  { name: 'width', type: 'int', low: 8, high: 256, log: true },
  { name: 'rule', type: 'categorical', choices: ['sgd', 'adam', 'lion'] },
]
const trained =
  (rate: number, width: number): Objective =>
  (params) =>
    (Math.log10(params.rate as number) - rate) ** 2 +
    0.5 * (Math.log2(params.width as number) - width) ** 2 +
    { sgd: 1, adam: 0, lion: 0.4 }[params.rule as string]!

const similar = shifted(ellipsoid, 0.05)
const opposite: Objective = (params) => -ellipsoid(params)
const task = trained(-3, 6)
const similarTask = trained(-2.5, 6.5)

describe('the models', () => {
  const space: SearchSpace = { kind: 'search', parameters: [...cube(2), tuning[2]] }
  const encoding = encodingOf(space)
  const dimensions = { ordered: [0, 1], unordered: [2] }
  const f: Objective = ({ x0, x1, rule }) =>
    Math.sin(4 * (x0 as number)) + (x1 as number) ** 2 + (rule === 'sgd' ? 1 : 0)
  const draw = new Rng(rngStream(1, 'tasks'))
  const params = (): Params => encoding.decode([draw.uniform(), draw.uniform(), draw.uniform()])
  const trials = Array.from({ length: 40 }, params).map((params) => ({ params, value: -100 * f(params) }))
  const earlier = [{ session: 'a', trials }]
  const [mean] = earlierMeans(workspace(), encoding, dimensions, earlier, -1, {})
  const points = Array.from({ length: 12 }, () => encoding.encode(params()).u)

  it('are of values in units of their own, with the sign that is minimized', () => {
    const center = (list: readonly number[]) => list.map((v) => v - list.reduce((sum, w) => sum + w / list.length, 0))
    const inner = (x: readonly number[], y: readonly number[]) => x.reduce((sum, v, i) => sum + v * y[i], 0)
    const correlation = (at: readonly Params[]) => {
      const [a, b] = [at.map(f), at.map((params) => mean.value(encoding.encode(params).u))].map(center)
      return inner(a, b) / Math.sqrt(inner(a, a) * inner(b, b))
    }
    expect(correlation(trials.map(({ params }) => params))).toBeGreaterThan(0.999)
    expect(correlation(points.map((u) => encoding.decode(u)))).toBeGreaterThan(0.95)
    expect(spreads([mean], points)[0]).toBeGreaterThan(0.3)
    expect(spreads([mean], points)[0]).toBeLessThan(3)
    expect(spreads([mean], [points[0]])).toEqual([1])
  })
  it('have the gradients of their finite differences', () => {
    for (const trend of [mean, combined([mean, mean], [2, -0.5])])
      for (const u of points) {
        const h = 1e-5
        const slopes = [0, 1].map(
          (i) => (trend.value(u.with(i, u[i] + h)) - trend.value(u.with(i, u[i] - h))) / (2 * h),
        )
        expect([...trend.gradient(u)]).toEqual(slopes.map((slope) => expect.closeTo(slope, 5)))
      }
  })
  it('have factors with the gradient of the posterior density', () => {
    const extras = { tasks: 2, warped: [0], lengths: 'saas' as const }
    const theta = defaultTheta(3, extras)
    expect([...rhoOf(theta, 3, extras)]).toEqual([0.5, 0.5])
    rhoOf(theta, 3, extras).set([0.7, -0.2])
    const tasks = [mean, { value: (u: Float64Array) => u[0] }].map(({ value }) =>
      Float64Array.from(points, value.bind(mean)),
    )
    const data = { points, values: points.map((u) => f(encoding.decode(u))), noises: points.map(() => 0), tasks }
    const density = (at: Float64Array) => logPosterior(workspace(), dimensions, data, at, extras)
    const { gradient } = density(theta)
    const h = 1e-5
    const slopes = Array.from(
      theta,
      (t, k) => (density(theta.with(k, t + h)).value - density(theta.with(k, t - h)).value) / (2 * h),
    )
    expect([...gradient]).toEqual(slopes.map((slope) => expect.closeTo(slope, 3)))
  })
  it('are what a process lies about, gradients and drawn values included', () => {
    const theta = defaultTheta(3)
    const kernel = new Covariance('matern52', dimensions, theta)
    const data = points.map((u, i) => ({
      u,
      value: f(encoding.decode(u)),
      noise: 0,
      ...(i % 2 && { gradient: Float64Array.of(4 * Math.cos(4 * u[0]), 2 * u[1]) }),
    }))
    const trend = combined([mean], [0.8])
    const process = new Process(kernel, data, 'constant', undefined, trend)
    const residual = data.map(({ gradient, ...datum }) => ({
      ...datum,
      value: datum.value - trend.value(datum.u),
      ...(gradient && { gradient: gradient.map((g, j) => g - trend.gradient(datum.u)[j]) }),
    }))
    const plain = new Process(kernel, residual, 'constant')
    const u = encoding.encode(params()).u
    expect(process.at(u).mean).toBeCloseTo(plain.at(u).mean + trend.value(u), 10)
    expect(process.at(u).variance).toBe(plain.at(u).variance)
    const h = 1e-5
    const at = (rho: number) =>
      new Process(kernel, data, 'constant', undefined, combined([mean], [rho])).likelihood().value
    expect(process.slopeIn(mean)).toBeCloseTo((at(0.8 + h) - at(0.8 - h)) / (2 * h), 3)
    const [drawn, bare] = [process, plain].map((of) => of.fantasies([u], [Float64Array.of(1.5)])[0])
    expect(drawn.values[0]).toBeCloseTo(bare.values[0] + trend.value(u), 10)
    expect(drawn.process.at(points[0]).mean).toBeCloseTo(bare.process.at(points[0]).mean + trend.value(points[0]), 10)
  })
  it('give their best trials in turn', () => {
    const of = (...values: number[]) => ({
      session: '',
      trials: values.map((value) => ({ params: { v: value }, value })),
    })
    const both = [of(3, 1, 2), of(9, 1, 5)]
    expect(bestOf(both, 1, 4).map(({ v }) => v)).toEqual([1, 2, 5, 3])
    expect(bestOf(both, -1, 2).map(({ v }) => v)).toEqual([3, 9])
    expect(bestOf([], 1, 3)).toEqual([])
  })
})

describe('an earlier session of a similar task', () => {
  for (const method of [gp, gpBo] as AnyMethod[]) {
    const seeds = method === gp ? 7 : 9
    it(`saves ${method.id} three evaluations of ten on an ellipsoid`, { timeout: 120_000 }, () => {
      const of = (seed: number) => [history(similar, cube(4), seed)]
      const alone = counts(method, ellipsoid, cube(4), 0.01, { seeds })
      expect(counts(method, ellipsoid, cube(4), 0.01, { seeds, of })).toBeLessThanOrEqual(0.7 * alone)
    })
    it(`saves ${method.id} three evaluations of ten on mixed parameters`, { timeout: 120_000 }, () => {
      const of = (seed: number) => [history(similarTask, tuning, seed)]
      const alone = counts(method, task, tuning, 0.02, { seeds })
      expect(counts(method, task, tuning, 0.02, { seeds, of })).toBeLessThanOrEqual(0.7 * alone)
    })
  }
  it('saves cma-es three evaluations of ten', () => {
    const of = (seed: number) => [history(similar, cube(4), seed)]
    const alone = counts(cmaEs, ellipsoid, cube(4), 0.01, { most: 300 })
    expect(counts(cmaEs, ellipsoid, cube(4), 0.01, { most: 300, of })).toBeLessThanOrEqual(0.7 * alone)
  })
  it('gives tpe a good value at once', () => {
    const of = (seed: number) => [history(similarTask, tuning, seed)]
    expect(counts(tpe, task, tuning, 0.5, { of })).toBe(1)
    expect(counts(tpe, task, tuning, 0.5)).toBeGreaterThan(5)
  })
})

describe('an earlier session that misleads', () => {
  const misleading: [string, Objective, number, number, Objective][] = [
    ['is of the opposite sign, on an ellipsoid', ellipsoid, 4, 0.01, opposite],
    ['is of something else, on an ellipsoid', ellipsoid, 4, 0.01, waves],
    ['is of something else, on Branin', branin, 2, 0.45, plane],
  ]
  for (const [name, f, d, target, other] of misleading)
    for (const method of [gp, gpBo] as AnyMethod[])
      it(`${name}: ${method.id} takes at most three evaluations of ten more`, { timeout: 120_000 }, () => {
        const seeds = method === gp ? 7 : 5
        const of = (seed: number) => [history(other, cube(d), seed)]
        const alone = counts(method, f, cube(d), target, { seeds })
        expect(counts(method, f, cube(d), target, { seeds, of })).toBeLessThanOrEqual(1.3 * alone)
      })
})

describe('a run that begins from earlier sessions', () => {
  const parameters: Parameter[] = [...cube(2), { name: 'n', type: 'int', low: 1, high: 9 }]
  const f: Objective = ({ x0, x1, n }) => ((x0 as number) - 0.3) ** 2 + (x1 as number) * (n as number)
  const of = (by: number) => history((params) => f(params) + by * (params.x1 as number), parameters, by)
  const earlier = [of(1), { session: 'none', trials: [] }, of(-3)]
  const configs: [AnyMethod, object][] = [
    [gp, {}],
    [gp, { warp: true, acquisition: 'mes', outcomeTransform: 'power', lengthPrior: 'saas' }],
    [gpBo, {}],
    [gpBo, { acquisition: 'kg', outcomeTransform: 'copula', gridSize: 8, fantasies: 4, nStarts: 2, nCandidates: 64 }],
    [tpe, {}],
    [cmaEs, {}],
    [auto, {}],
  ]
  for (const [method, config] of configs)
    it(`is the same of the same seed and after every restart: ${method.id} ${JSON.stringify(config)}`, () => {
      const play = (seed: number, restarts: boolean, width = 1) => {
        const driver = new Driver(method, searchProblem(parameters), config, seed, earlier)
        const asked: Params[] = []
        while (asked.length < 10) {
          for (const query of driver.ask(width)) {
            asked.push(paramsOf(query))
            if (restarts) driver.restart()
            driver.tell(query, f(paramsOf(query)))
          }
          if (restarts) driver.restart()
        }
        return { asked, state: driver.state }
      }
      const whole = play(5, false)
      expect(play(5, false)).toEqual(whole)
      expect(play(5, true)).toEqual(whole)
      expect(play(6, false).asked).not.toEqual(whole.asked)
      expect(play(5, true, 3)).toEqual(play(5, false, 3))
    })
  it('asks no point twice in a finite space, and ends', () => {
    const finite: Parameter[] = [{ name: 'n', type: 'int', low: 1, high: 9 }]
    const trials = [3, 4, 5].map((n) => ({ params: { n }, value: n }))
    for (const method of [gp, gpBo] as AnyMethod[]) {
      const driver = new Driver(method, searchProblem(finite), {}, 1, [{ session: 'a', trials }])
      const asked = driver.play(20, (query) => paramsOf(query).n as number).map((query) => paramsOf(query).n)
      expect(asked[0]).toBe(3)
      expect(asked.toSorted()).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9])
    }
  })
  it('needs no spread of values: one trial, or equal ones', () => {
    for (const method of [gp, gpBo] as AnyMethod[])
      for (const values of [[1], [2, 2, 2]]) {
        const trials = values.map((value, i) => ({ params: { x0: 0.2 * i, x1: 0.5, n: 3 }, value }))
        const driver = new Driver(method, searchProblem(parameters), {}, 1, [{ session: 'a', trials }])
        expect(driver.play(8, () => 1)).toHaveLength(8)
      }
  })
})
