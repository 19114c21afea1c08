import { describe, expect, it } from 'vitest'
import { logExpectedImprovement } from '../../../src/blackbox/bayes/acquisition.js'
import { Covariance } from '../../../src/blackbox/bayes/covariance.js'
import { method } from '../../../src/blackbox/bayes/gp-bo.js'
import { expectedGain } from '../../../src/blackbox/bayes/information.js'
import { Process } from '../../../src/blackbox/bayes/process.js'
import * as worth from '../../../src/blackbox/bayes/worth.js'
import type { Observation, Query } from '../../../src/core/query.js'
import { Rng, rngStream } from '../../../src/core/rng.js'
import type { Parameter, Params, Problem } from '../../../src/core/space.js'
import { problem } from '../../problems/index.js'
import { Driver, paramsOf, searchProblem } from '../drive.js'

/** The integral of f under the standard normal density, by the trapezoidal rule between kinks. */
function quadrature(f: (z: number) => number, kinks: readonly number[]): number {
  const ends = [-10, ...kinks, 10]
  let sum = 0
  for (let k = 1; k < ends.length; k++) {
    const [from, to, n] = [ends[k - 1], ends[k], 20000]
    const h = (to - from) / n
    // Simpson's rule.
    for (let i = 0; i <= n; i++) {
      const z = from + i * h
      const weight = i === 0 || i === n ? 1 : i % 2 ? 4 : 2
      sum += (((weight * h) / 3) * f(z) * Math.exp(-0.5 * z * z)) / Math.sqrt(2 * Math.PI)
    }
  }
  return sum
}

const BRANIN = problem('branin')
const braninAt = (params: Params) =>
  BRANIN.answer({ id: '', points: [{ kind: 'params', params }], wants: [{ kind: 'value' }] }, () => ({})).values![0][0]
const braninGap = (driver: Driver) => driver.best() - BRANIN.optimum

/** Tells values with the arrays and constraints that a session's client would add. */
function tell(driver: Driver, query: Query, told: Omit<Observation, 'queryId' | 'status'>) {
  driver.step({ type: 'observation', query, observation: { queryId: query.id, status: 'ok', ...told } })
}
const x = (high = 1): Parameter => ({ name: 'x', type: 'float', low: 0, high })

describe('[bo-tutorial] the worth of an observation', () => {
  it('expected improvement and the knowledge gradient have their closed forms', () => {
    expect(Math.exp(logExpectedImprovement(-1.2, 0.5, -1).value)).toBeCloseTo(0.315219418, 9)
    expect(quadrature((z) => Math.max(0, 0.2 + 0.5 * z), [-0.4])).toBeCloseTo(0.315219418, 9)
    expect(expectedGain([0, 1], [1, 0])).toBeCloseTo(0.083315471, 9)
    expect(quadrature((z) => Math.max(z, 1) - 1, [1])).toBeCloseTo(0.083315471, 9)
    expect(expectedGain([1, 1], [0, 1])).toBeCloseTo(0.39894228, 9)
    expect(quadrature((z) => Math.max(1, 1 + z) - 1, [0])).toBeCloseTo(0.39894228, 9)
  })

  it('the envelope agrees with quadrature on random lines, equal slopes and dominated lines among them', () => {
    const rng = new Rng(rngStream(2, 'lines'))
    for (let round = 0; round < 20; round++) {
      const n = 1 + rng.integer(8)
      const a = Array.from({ length: n }, () => rng.normal())
      const b = Array.from({ length: n }, () => Math.round(3 * rng.normal()) / 2)
      const kinks = a.flatMap((ai, i) => a.map((aj, j) => (aj - ai) / (b[i] - b[j])))
      const inside = [...new Set(kinks.filter((c) => Math.abs(c) < 10))].sort((p, q) => p - q)
      const exact = quadrature((z) => Math.max(...a.map((ai, i) => ai + b[i] * z)), inside) - Math.max(...a)
      expect(Math.abs(expectedGain(a, b) - exact)).toBeLessThan(1e-9)
    }
  })

  it('without noise the noisy expected improvement is expected improvement', () => {
    const covariance = new Covariance(
      'matern52',
      { ordered: [0], unordered: [] },
      Float64Array.of(3, 0, Math.log(1e-12)),
    )
    const data = [0.1, 0.4, 0.8].map((u) => ({ u: Float64Array.of(u), value: Math.sin(9 * u), noise: 0 }))
    const process = new Process(covariance, data, 'constant')
    const worlds = [{ process, incumbent: Math.min(...data.map(({ value }) => value)) }]
    const own = (u: Float64Array) => [{ u, weight: 1 }]
    const noisy = worth.knowledgeGradient(
      worlds,
      data.map(({ u }) => own(u)),
      own,
      'given',
    )
    for (const u of [0.2, 0.55, 0.95])
      expect(noisy(Float64Array.of(u))).toBeCloseTo(worth.improvement(worlds)(Float64Array.of(u)), 4)
  })
})

describe('[bo-tutorial] gp-bo', () => {
  it("comes within 0.02 of Branin's minimum in 6 initial and 29 further points, from five seeds", () => {
    for (let seed = 0; seed < 5; seed++) {
      const driver = new Driver(method, BRANIN.problem, { nInitial: 6 }, seed)
      driver.play(35, (query) => braninAt(paramsOf(query)))
      expect(braninGap(driver)).toBeLessThan(0.02)
    }
    const rng = new Rng(rngStream(1, 'random'))
    const gaps = Array.from({ length: 101 }, () =>
      Math.min(...Array.from({ length: 35 }, () => braninAt({ x1: -5 + 15 * rng.uniform(), x2: 15 * rng.uniform() }))),
    ).sort((a, b) => a - b)
    expect(gaps[50] - BRANIN.optimum).toBeGreaterThan(0.2)
  })

  it('interpolates values and gradients, and needs no more evaluations with gradients than without', () => {
    const h = 1e-6
    const slope = (p: Params, name: string) =>
      (braninAt({ ...p, [name]: (p[name] as number) + h }) - braninAt({ ...p, [name]: (p[name] as number) - h })) /
      (2 * h)
    const needed = (gradients: boolean, seed: number) => {
      const driver = new Driver(method, BRANIN.problem, { nInitial: 6, gradients }, seed)
      for (let i = 1; i <= 35; i++) {
        const [query] = driver.ask()
        const p = paramsOf(query)
        const inner = { ...p, x1: Math.min(9.999, Math.max(-4.999, p.x1 as number)) }
        const gradient = Float64Array.of(slope(inner, 'x1'), slope(p, 'x2'))
        tell(driver, query, { values: [[braninAt(p)]], ...(gradients && { quantities: [{ gradient }] }) })
        if (braninGap(driver) < 0.02) return i
      }
      return 36
    }
    const median = (counts: number[]) => counts.sort((a, b) => a - b)[2]
    const seeds = [0, 1, 2, 3, 4]
    expect(median(seeds.map((seed) => needed(true, seed)))).toBeLessThanOrEqual(
      median(seeds.map((seed) => needed(false, seed))),
    )

    const theta = Float64Array.of(3, 2, 0.3, Math.log(1e-12))
    const rng = new Rng(rngStream(3, 'gradients'))
    for (const kind of ['matern52', 'rbf'] as const) {
      const data = Array.from({ length: 6 }, () => ({
        u: Float64Array.of(rng.uniform(), rng.uniform()),
        value: rng.normal(),
        noise: 0,
        gradient: Float64Array.of(rng.normal(), rng.normal()),
      }))
      const process = new Process(new Covariance(kind, { ordered: [0, 1], unordered: [] }, theta), data, 'constant')
      for (const { u, value, gradient } of data) {
        expect(Math.abs(process.at(u).mean - value)).toBeLessThan(1e-6)
        for (const axis of [0, 1]) {
          const at = (step: number) => process.at(u.with(axis, u[axis] + step)).mean
          const step = 1e-4
          // Fourth order differences: their error is below the tolerance.
          const central = (8 * (at(step) - at(-step)) - (at(2 * step) - at(-2 * step))) / (12 * step)
          expect(Math.abs(central - gradient[axis])).toBeLessThan(1e-6)
        }
      }
    }
  })

  it.each(['ei', 'noisy-ei', 'kg', 'es', 'mes', 'ucb', 'pi'] as const)(
    'finds the minimum of a wave by %s',
    (acquisition) => {
      const f = (v: number) => Math.sin(12 * v) + 2 * (v - 0.6) ** 2
      const config = { acquisition, nInitial: 4, gridSize: 32, samples: 128, nCandidates: 128, nStarts: 2 }
      const driver = new Driver(method, searchProblem([x()]), config, 2)
      driver.play(18, (query) => f(paramsOf(query).x as number))
      const least = Math.min(...Array.from({ length: 1001 }, (_, i) => f(i / 1000)))
      expect(driver.best() - least).toBeLessThan(0.02)
      const { metrics } = driver.estimate()
      expect(Math.abs((metrics?.posteriorMean as number) - driver.best())).toBeLessThan(0.05)
      expect(metrics?.posteriorDeviation).toBeLessThan(0.2)
    },
  )

  it('proposes four points at a time, apart from each other', () => {
    for (const acquisition of ['ei', 'kg', 'noisy-ei', 'es', 'mes', 'ucb', 'pi'] as const) {
      const driver = new Driver(method, BRANIN.problem, {
        acquisition,
        nInitial: 6,
        fantasies: 4,
        nCandidates: 256,
        nStarts: 3,
      })
      driver.play(8, (query) => braninAt(paramsOf(query)))
      const points = driver.ask(4).map((query) => {
        const p = paramsOf(query)
        return [(p.x1 as number) + 5, p.x2 as number].map((v) => v / 15)
      })
      expect(points).toHaveLength(4)
      points.forEach((a, i) => {
        for (const b of points.slice(0, i)) expect(Math.hypot(a[0] - b[0], a[1] - b[1])).toBeGreaterThan(1e-3)
      })
    }
  })
})

describe('[bo-tutorial] each option beats ignoring it', () => {
  const seeds = [0, 1, 2]
  const total = (run: (seed: number) => number) => seeds.reduce((sum, seed) => sum + run(seed), 0)
  const wave = (v: number) => Math.sin(12 * v) + 2 * (v - 0.6) ** 2
  const least = Math.min(...Array.from({ length: 10001 }, (_, i) => wave(i / 10000)))
  const regret = (driver: Driver, f: (v: number) => number, optimum: number) => {
    const [{ point }] = driver.estimate().points
    return point.kind === 'params' ? f(point.params.x as number) - optimum : Number.NaN
  }

  it('fidelity: cheap evaluations, at the same cost in all', () => {
    const cost = (p: Params) => 0.1 + (p.s as number)
    const f = (p: Params) => wave(p.x as number) + 0.3 * (1 - (p.s as number)) * Math.cos(5 * (p.x as number))
    const run = (seed: number, config: object, parameters: Parameter[]) => {
      const driver = new Driver(method, searchProblem(parameters), { nInitial: 3, ...config }, seed)
      for (let spent = 0; spent < 8; ) {
        const [query] = driver.ask()
        const p = { s: 1, ...paramsOf(query) }
        spent += cost(p)
        tell(driver, query, {
          values: [[f(p)]],
          ...('fidelity' in config && { quantities: [{ cost: Float64Array.of(cost(p)) }] }),
        })
      }
      return regret(driver, wave, least)
    }
    const s: Parameter = { name: 's', type: 'float', low: 0, high: 1 }
    for (const kind of ['linear', 'told'])
      expect(total((seed) => run(seed, { fidelity: { parameter: 's', cost: kind } }, [x(), s]))).toBeLessThan(
        total((seed) => run(seed, {}, [x()])),
      )
  })

  it('constraints: the best feasible point', () => {
    const broken = (v: number) => 0.25 - Math.abs(v - 0.4)
    const feasible = Math.min(
      ...Array.from({ length: 10001 }, (_, i) => (broken(i / 10000) <= 0 ? wave(i / 10000) : 9)),
    )
    const run = (seed: number, constrained: boolean) => {
      const p: Problem = { ...searchProblem([x()]), ...(constrained && { constraints: ['g'] }) }
      const driver = new Driver(method, p, { nInitial: 3 }, seed)
      let best = 9
      for (let i = 0; i < 12; i++) {
        const [query] = driver.ask()
        const v = paramsOf(query).x as number
        if (broken(v) <= 0) best = Math.min(best, wave(v))
        tell(driver, query, { values: [[wave(v)]], ...(constrained && { constraints: [[broken(v)]] }) })
      }
      if (constrained) expect(driver.best()).toBe(best)
      return best - feasible
    }
    expect(total((seed) => run(seed, true))).toBeLessThan(0.5 * total((seed) => run(seed, false)))
  })

  it('environments: the mean over conditions', () => {
    const w: Parameter = { name: 'w', type: 'categorical', choices: ['dry', 'wet'] }
    const f = (v: number, weather: string) => (weather === 'dry' ? 3 * (v - 0.1) ** 2 - 0.5 : (v - 0.8) ** 2)
    const mean = (v: number) => 0.2 * f(v, 'dry') + 0.8 * f(v, 'wet')
    const optimum = Math.min(...Array.from({ length: 10001 }, (_, i) => mean(i / 10000)))
    const run = (seed: number, config: object) => {
      const driver = new Driver(method, searchProblem([x(), w]), config, seed)
      driver.play(16, (query) => f(paramsOf(query).x as number, paramsOf(query).w as string))
      return regret(driver, mean, optimum)
    }
    const aware = total((seed) => run(seed, { environment: { parameter: 'w', weights: [0.2, 0.8] } }))
    expect(aware).toBeLessThan(0.01)
    expect(aware).toBeLessThan(0.1 * total((seed) => run(seed, {})))
  })

  it('tasks: what a related task told', () => {
    const task: Parameter = { name: 'task', type: 'categorical', choices: ['old', 'new'] }
    const run = (seed: number, config: object, parameters: Parameter[]) => {
      const driver = new Driver(method, searchProblem(parameters), { nInitial: 1, ...config }, seed)
      if (parameters.length > 1)
        for (let i = 0; i <= 20; i++) driver.add({ x: i / 20, task: 'old' }, 1.2 * wave(i / 20) + 0.3)
      let told = 0
      // Three evaluations of the new task; those of the old one cost nothing.
      for (let i = 0; i < 20 && told < 3; i++) {
        const [query] = driver.ask()
        const p = paramsOf(query)
        if (p.task !== 'old') told++
        driver.tell(query, p.task === 'old' ? 1.2 * wave(p.x as number) + 0.3 : wave(p.x as number))
      }
      return regret(driver, wave, least)
    }
    const related = total((seed) => run(seed, { task: { parameter: 'task', target: 'new' } }, [x(), task]))
    expect(related).toBeLessThan(0.1)
    expect(related).toBeLessThan(total((seed) => run(seed, {}, [x()])))
  })
})

describe('gp-bo refuses', () => {
  const issues = (config: object, parameters: Parameter[] = [x()]) => {
    const p = searchProblem(parameters)
    const { run } = new Driver(method, p, {})
    const parsed = { ...(run.config as object), ...config }
    return method.check?.(parsed as never, p).map(({ path }) => path)
  }
  const kind: Parameter = { name: 'kind', type: 'categorical', choices: ['a', 'b'] }
  it.each<[string, object, Parameter[], string[]]>([
    ['an unknown fidelity', { fidelity: { parameter: 'y' } }, [x()], ['config.fidelity.parameter']],
    ['a fidelity without order', { fidelity: { parameter: 'kind' } }, [kind], ['config.fidelity.parameter']],
    ['an unknown task', { task: { parameter: 'kind', target: 'c' } }, [kind], ['config.task.target']],
    [
      'weights that do not fit',
      { environment: { parameter: 'kind', weights: [1] } },
      [kind],
      ['config.environment.weights'],
    ],
    ['ei of a target', { acquisition: 'ei', task: { parameter: 'kind', target: 'a' } }, [kind], ['config.acquisition']],
    [
      'one parameter twice',
      { environment: { parameter: 'kind' }, task: { parameter: 'kind', target: 'a' } },
      [kind],
      ['config.task.parameter'],
    ],
  ])('%s', (_, config, parameters, paths) => {
    expect(issues(config, parameters)).toEqual(paths)
  })
})
