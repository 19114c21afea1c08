import { describe, expect, it } from 'vitest'
import { method } from '../../../src/blackbox/auto/auto.js'
import { planFor } from '../../../src/blackbox/auto/choose.js'
import { evaluate, fitQuadratic, minimizeQuadratic } from '../../../src/blackbox/auto/quadratic.js'
import { learn, propose, startRegion, type Told } from '../../../src/blackbox/auto/trust-region.js'
import type { Run } from '../../../src/core/method.js'
import type { Event, Point, Query } from '../../../src/core/query.js'
import { Rng, rngStream } from '../../../src/core/rng.js'
import type { Parameter, Params, Problem } from '../../../src/core/space.js'
import { play } from '../../conformance/harness.js'
import { testProblem } from '../../problems/oracle.js'

const floats = (d: number): Parameter[] =>
  Array.from({ length: d }, (_, i) => ({ name: `x${i}`, type: 'float', low: -5, high: 5 }))
const bits = (d: number): Parameter[] =>
  Array.from({ length: d }, (_, i) => ({ name: `b${i}`, type: 'int', low: 0, high: 1 }))
const problemOf = (parameters: Parameter[], objectives = 1, constraints: string[] = []): Problem => ({
  space: { kind: 'search', parameters },
  objectives: Array.from({ length: objectives }, (_, i) => ({ name: `f${i}`, direction: 'minimize' })),
  constraints,
})
const stages = (problem: Problem, maxEvaluations?: number) =>
  planFor(problem, maxEvaluations).stages.map(({ id }) => id)
const alternatives = problemOf([
  { name: 'model', type: 'categorical', choices: ['line', 'bowl'] },
  { name: 'a', type: 'float', low: -1, high: 1, condition: { parent: 'model', values: ['line'] } },
  { name: 'x', type: 'float', low: -3, high: 3, condition: { parent: 'model', values: ['bowl'] } },
  { name: 'y', type: 'float', low: -3, high: 3, condition: { parent: 'model', values: ['bowl'] } },
])
const paramsOf = (query: Query) => (query.points[0] as { params: Params }).params

/** Drives the method one query at a time. `f` gives undefined for an evaluation that failed. */
function drive(problem: Problem, evaluations: number, f: (params: Params) => number | undefined, config = {}) {
  const run: Run<ReturnType<typeof method.config.parse>> = {
    config: method.config.parse(config),
    problem,
    engine: 'wasm',
    memo: new Map(),
  }
  let state = method.init(run, 1)
  const queries: Query[] = []
  let events: Event[] = []
  for (let i = 0; i < evaluations; i++) {
    const outcome = method.step(run, state, [...events, { type: 'capacity', count: 1 }])
    state = outcome.state
    const [query] = outcome.queries
    queries.push(query)
    const value = f(paramsOf(query))
    const observation =
      value === undefined
        ? ({ queryId: query.id, status: 'failed' } as const)
        : ({ queryId: query.id, status: 'ok', values: [[value]] } as const)
    events = [{ type: 'observation', query, observation }]
  }
  state = method.step(run, state, events).state
  return { queries, estimate: method.estimate(run, state) }
}
const sphere = (params: Params) => Object.values(params).reduce<number>((sum, x) => sum + (Number(x) - 1) ** 2, 0)

describe('the choice', () => {
  it('follows the space, the objectives and the budget', () => {
    const kind: Parameter = { name: 'kind', type: 'categorical', choices: ['a', 'b'] }
    const order: Parameter = { name: 'order', type: 'permutation', items: [...'abcdefgh'] }
    expect(stages(problemOf(floats(5)))).toEqual(['gp', 'cma-es'])
    expect(stages(problemOf([...floats(2), kind]))[0]).toBe('gp')
    expect(stages(problemOf([...floats(2), kind]))).not.toContain('cma-es')
    expect(stages(problemOf([order]))).toEqual(['gp', 'genetic'])
    expect(stages(problemOf([{ ...order, items: ['a', 'b', 'c'] }]))).toEqual(['gp'])
    expect(stages(problemOf(floats(100)))[0]).toBe('cma-es')
    expect(stages(problemOf(floats(2), 2))).toEqual(['ehvi', 'nsga2'])
    expect(stages(problemOf(floats(2), 4))).toEqual(['ehvi', 'nsga3'])
    expect(stages(problemOf(floats(50), 2))).toEqual(['nsga2'])
    expect(stages(problemOf(floats(2), 1, ['c']))[0]).toBe('gp-bo')
    expect(stages(problemOf([...bits(20), ...floats(1)]))).not.toContain('one-plus-one')
    expect(stages(problemOf(bits(41)))[0]).toBe('one-plus-one')
    expect(stages(problemOf([...bits(30), kind, kind]))[0]).toBe('gp')
    expect(planFor(problemOf(floats(2), 2), 100).stages[1].config).toEqual({ populationSize: 12 })
  })

  it('searches briefly where most parameters exist under conditions', () => {
    const kind: Parameter = { name: 'kind', type: 'categorical', choices: ['a', 'b'] }
    const under: Parameter = {
      name: 'under',
      type: 'int',
      low: 1,
      high: 9,
      condition: { parent: 'kind', values: ['a'] },
    }
    const [first] = planFor(alternatives).stages
    expect(first).toMatchObject({ id: 'gp', config: { nCandidates: 512, nStarts: 3 } })
    expect(planFor(problemOf([...floats(2), kind, under])).stages[0].config).toEqual({})
  })

  it('says with every query who asks and why, and counts what each has won', () => {
    const { queries, estimate } = drive(problemOf(floats(3)), 60, sphere)
    const members = new Set(queries.map(({ purpose }) => purpose?.split(':')[0]))
    expect(members).toEqual(new Set(['gp', 'trust-region']))
    expect(queries[0].purpose).toBe('gp: 3 coordinates and few values: a Gaussian process uses each of them')
    const { metrics = {} } = estimate
    expect(metrics['gp evaluations'] + metrics['trust-region evaluations']).toBe(60)
    expect(estimate.points[0].values?.[0]).toBeLessThan(1e-8)
  })
})

describe('turns', () => {
  it('go on where evaluations fail', () => {
    let count = 0
    const flaky = (params: Params) => (++count % 3 === 0 ? undefined : sphere(params))
    const { queries, estimate } = drive(problemOf(floats(2)), 90, flaky)
    expect(queries.slice(-20).some(({ purpose }) => purpose?.startsWith('trust-region'))).toBe(true)
    expect(estimate.points[0].values?.[0]).toBeLessThan(1e-6)
  })

  it('leave the descent out where the same point has several values', () => {
    const rng = new Rng(rngStream(1, 'noise'))
    const problem = problemOf([{ name: 'n', type: 'int', low: 0, high: 3 }, ...floats(1)])
    const { queries } = drive(problem, 20, (params) => sphere(params) + rng.normal())
    expect(queries.every(({ purpose }) => purpose?.startsWith('gp'))).toBe(true)
  })

  it("are the search distribution's after the model, but for descents from what it has found", () => {
    const rastrigin = (params: Params) =>
      Object.values(params).reduce<number>(
        (sum, x) => sum + Number(x) ** 2 + 10 - 10 * Math.cos(2 * Math.PI * Number(x)),
        0,
      )
    const { queries } = drive(problemOf(floats(3)), 800, rastrigin)
    const by = queries.map(({ purpose }) => purpose!.split(':')[0])
    const descents = by.slice(100).filter((member) => member === 'trust-region').length
    // Half of all points while they took turns.
    expect(descents).toBeGreaterThan(0)
    expect(descents).toBeLessThan(70)
  })

  it('hand what was told to the method of the next stage, in every space', () => {
    const problem = problemOf([...floats(1), { name: 'kind', type: 'categorical', choices: ['a', 'b'] }])
    const f = ({ x0, kind }: Params) => (Number(x0) - 1) ** 2 + (kind === 'a' ? 0 : 4)
    const { queries } = drive(problem, 115, f)
    const genetic = queries.findIndex(({ purpose }) => purpose?.startsWith('genetic'))
    expect(genetic).toBe(100)
    // Uniform points have 25/3 + 1 + 2 in the mean: a population that knew nothing would begin there.
    const values = queries.slice(genetic).map((query) => f(paramsOf(query)))
    expect(values.reduce((sum, value) => sum + value / values.length, 0)).toBeLessThan((25 / 3 + 3) / 2)
  })
})

describe('mutations', () => {
  // Leading ones: a bit counts where all before it are set, which a model of the values hardly tells before it happens.
  const leading = (params: Params) => -[...Object.values(params), 0].indexOf(0)
  const by = (queries: readonly Query[]) => queries.map(({ purpose }) => purpose!.split(':')[0])

  it('take turns with the model where most parameters have two values', () => {
    const { queries, estimate } = drive(problemOf(bits(14)), 120, leading)
    expect(by(queries).filter((member) => member === 'one-plus-one').length).toBe(60)
    expect(estimate.points[0].values).toEqual([-14])
  })

  it('go on from the best point when the model ends', () => {
    const { queries } = drive(problemOf(bits(14)), 40, leading, { maxEvaluations: 20 })
    expect(new Set(by(queries.slice(20)))).toEqual(new Set(['one-plus-one']))
    const asked = queries.map(paramsOf)
    const distance = (a: Params, b: Params) => Object.keys(a).filter((name) => a[name] !== b[name]).length
    // On average one bit is mutated; of a random point 7 would be others.
    const changed = asked.slice(20).map((child, i) => {
      const known = asked.slice(0, 20 + i)
      const best = Math.min(...known.map(leading))
      return Math.min(...known.filter((params) => leading(params) === best).map((parent) => distance(parent, child)))
    })
    expect(Math.max(...changed)).toBeLessThanOrEqual(4)
  })

  it('begin in a session of an earlier version, with what it has kept', () => {
    const run: Run<ReturnType<typeof method.config.parse>> = {
      config: method.config.parse({}),
      problem: problemOf(bits(14)),
      engine: 'wasm',
      memo: new Map(),
    }
    const [query] = method.step(run, method.init(run, 1), [{ type: 'capacity', count: 1 }]).queries
    const told = method.step(run, method.init(run, 1), [
      { type: 'observation', query, observation: { queryId: query.id, status: 'ok', values: [[-3]] } },
    ]).state
    const { beside: _, ...earlier } = told
    run.memo.clear()
    const state = method.migrate!(2, earlier)
    expect(method.estimate(run, state).points[0].values).toEqual([-3])
    const { queries } = method.step(run, state, [{ type: 'capacity', count: 2 }])
    expect(new Set(by(queries))).toEqual(new Set(['gp', 'one-plus-one']))
  })
})

describe('a batch', () => {
  it.each([
    ['a model with descents', problemOf(floats(2)), sphere],
    [
      'alternatives',
      alternatives,
      ({ model, a, x, y }: Params) =>
        model === 'line' ? Math.abs(Number(a)) + 1 : (Number(x) - 1) ** 2 + Number(y) ** 2,
    ],
    ['bits', problemOf(bits(9)), sphere],
  ] as const)('goes on bit by bit after restarts in its middle: %s', (name, problem, f) => {
    const objective = (point: Point) => f((point as { params: Params }).params)
    const oracle = testProblem(name, { problem, optimum: 0, offers: ['value'], objective }, {})
    const faults = ['failed', 'cancelled', 'pruned', 'infeasible'] as const
    const [whole, broken] = [false, true].map((restart) =>
      play(method, {}, oracle, { width: 8, maxEvaluations: 40, faults, restart }),
    )
    expect(broken.trace).toEqual(whole.trace)
  })
})

describe('the trust region', () => {
  const at = (...u: number[]) => Float64Array.from(u)

  it('judges a step from the value at which it was asked', () => {
    const [asked, other] = [0, 1].map(() => startRegion({ u: at(0.5, 0.5), value: 10 }))
    for (const region of [asked, other]) region.open.a = { expected: 8, from: 10, reach: 1 }
    const rows = [{ u: at(0.5, 0.5), value: 10 }]
    learn(asked, 'a', { u: at(0.6, 0.5), value: 8 }, rows)
    // Another point became the center first; the step kept what it had promised all the same.
    learn(other, 'b', { u: at(0.4, 0.5), value: 7.9 }, rows)
    learn(other, 'a', { u: at(0.6, 0.5), value: 8 }, rows)
    expect(other.radius).toBe(asked.radius)
    expect(asked.radius).toBeGreaterThan(startRegion(rows[0]).radius)
  })

  it('lets the model propose whose predictions were closer', () => {
    const region = startRegion({ u: at(0.5, 0.5), value: 1 })
    region.radius = 0.01
    const rng = new Rng(rngStream(5, 'points'))
    // A narrow quadratic about (0.502, 0.5) where points are near, and nothing of it far away.
    const f = (u: Float64Array) => {
      const square = ((u[0] - 0.502) / 0.01) ** 2 + ((u[1] - 0.5) / 0.01) ** 2
      return square < 100 ? square : 1000 - square
    }
    const rows: Told[] = [0.01, 0.01, 0.01, 0.01, 0.5, 0.5, 0.5, 0.5].map((size) => {
      const u = region.center.map((c) => c + size * (2 * rng.uniform() - 1))
      return { u, value: f(u) }
    })
    region.value = f(region.center)
    rows.push({ u: region.center, value: region.value })
    const first = propose(region, rows, rng)
    expect(first.asked.rivals).toBeDefined()
    region.open.a = first.asked
    const told = { u: first.u, value: f(first.u) }
    learn(region, 'a', told, rows)
    const [near, wide] = first.asked.rivals!.map((expected) => Math.abs(expected - told.value))
    expect(Math.sign(region.errors[0] - region.errors[1])).toBe(Math.sign(near - wide))
    // What it proposes next is the expectation of the better one.
    const { asked } = propose(region, [...rows, told], rng)
    const index = region.errors[1] <= region.errors[0] ? 1 : 0
    expect(asked.rivals![index]).toBeCloseTo(asked.expected, 6)
  })

  it('needs no more values of a quadratic than determine it and a few', () => {
    const f = (params: Params) =>
      Object.values(params).reduce<number>((sum, x, i) => sum + 10 ** i * (Number(x) - 0.7) ** 2, 0)
    const { estimate } = drive(problemOf(floats(4)), 15 + 10, f)
    expect(estimate.points[0].values?.[0]).toBeLessThan(1e-6)
  })
})

describe('quadratic models', () => {
  it('are exact where the points suffice, and find the minimum in the box', () => {
    const rng = new Rng(rngStream(3, 'points'))
    const f = ([a, b]: ArrayLike<number> & Iterable<number>) => 3 + 2 * a - b + 2 * a * a + a * b + 1.5 * b * b
    const points = Array.from({ length: 6 }, () => Float64Array.from([2 * rng.uniform() - 1, 2 * rng.uniform() - 1]))
    const model = fitQuadratic(
      points,
      points.map(f),
      points.map(() => 0),
    )!
    const at = Float64Array.from([0.3, -0.7])
    expect(evaluate(model, at).value).toBeCloseTo(f(at), 8)
    // The gradient (2 + 4a + b, -1 + a + 3b) is zero at a = -7/11, b = 6/11.
    const free = minimizeQuadratic(model, Float64Array.from([-1, -1]), Float64Array.from([1, 1]), [new Float64Array(2)])
    expect([...free]).toEqual([expect.closeTo(-7 / 11, 5), expect.closeTo(6 / 11, 5)])
    const bound = minimizeQuadratic(model, Float64Array.from([-0.5, -1]), Float64Array.from([1, 1]), [
      new Float64Array(2),
    ])
    expect([...bound]).toEqual([expect.closeTo(-0.5, 5), expect.closeTo(0.5, 5)])
  })
})
