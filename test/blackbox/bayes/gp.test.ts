import { describe, expect, it } from 'vitest'
import { method } from '../../../src/blackbox/bayes/gp.js'
import type { Run } from '../../../src/core/method.js'
import type { Observation, Query } from '../../../src/core/query.js'
import { parseConfig } from '../../../src/core/schema.js'
import { checkParams, type Parameter, type Params, type Problem, type SearchSpace } from '../../../src/core/space.js'
import { decodeTree, encodeTree, type Tree } from '../../../src/core/tree.js'
import { problem } from '../../problems/index.js'

type State = ReturnType<typeof method.init>
type Config = Parameters<typeof method.init>[0]['config']
type Told = Omit<Observation, 'queryId'>

const floats = (d: number): Parameter[] =>
  Array.from({ length: d }, (_, i) => ({ name: `x${i}`, type: 'float', low: 0, high: 1 }))
const MIXED: Parameter[] = [
  { name: 'rate', type: 'float', low: 1e-4, high: 1, log: true },
  { name: 'layers', type: 'int', low: 1, high: 6 },
  { name: 'width', type: 'int', low: 4, high: 512, log: true },
  { name: 'kind', type: 'categorical', choices: ['a', 'b', 'c'] },
  { name: 'size', type: 'ordinal', choices: ['s', 'm', 'l'] },
  { name: 'dropout', type: 'float', low: 0, high: 0.9, step: 0.1, condition: { parent: 'kind', values: ['b', 'c'] } },
]
const mixedValue = (p: Params) =>
  (Math.log10(p.rate as number) + 2) ** 2 +
  ((p.layers as number) - 4) ** 2 / 4 +
  (Math.log2(p.width as number) - 6) ** 2 / 8 +
  (p.kind === 'b' ? 3 * ((p.dropout as number) - 0.3) ** 2 : 1) +
  (p.size === 'm' ? 0 : 0.5)

/** A session in little: asks, tells, and keeps what was asked. */
class Session {
  readonly space: SearchSpace
  readonly problem: Problem
  state: State
  memo = new Map<string, unknown>()
  readonly asked: Query[] = []
  private readonly config: Config

  constructor(
    parameters: Parameter[],
    more: { config?: object; seed?: number; direction?: 'minimize' | 'maximize' } = {},
  ) {
    this.space = { kind: 'search', parameters }
    this.problem = { space: this.space, objectives: [{ name: 'f', direction: more.direction ?? 'minimize' }] }
    this.config = parseConfig(method.config, more.config ?? {})
    this.state = method.init(this.run, more.seed ?? 1)
  }
  get run(): Run<Config> {
    return { config: this.config, problem: this.problem, engine: 'wasm', memo: this.memo }
  }
  ask(count = 1) {
    const outcome = method.step(this.run, this.state, [{ type: 'capacity', count }])
    this.state = outcome.state
    this.asked.push(...outcome.queries)
    for (const query of outcome.queries) expect(checkParams(this.space, paramsOf(query), 'point')).toEqual([])
    return outcome
  }
  tell(query: Query, told: Told | number) {
    const rest: Told = typeof told === 'number' ? { status: 'ok', values: [[told]] } : told
    const observation: Observation = { queryId: query.id, ...rest }
    this.state = method.step(this.run, this.state, [{ type: 'observation', query, observation }]).state
  }
  /** Asks and tells one by one. */
  play(f: (params: Params, i: number) => Told | number, trials: number) {
    for (let i = 0; i < trials; i++) for (const query of this.ask().queries) this.tell(query, f(paramsOf(query), i))
    return this
  }
  /** Through bytes and with an empty memo, as after a restart. */
  restart() {
    this.state = decodeTree(encodeTree(this.state as unknown as Tree)) as unknown as State
    this.memo = new Map()
  }
  get best() {
    return method.estimate(this.run, this.state).points[0]
  }
  get keys() {
    return this.asked.map((query) => JSON.stringify(paramsOf(query)))
  }
}
function paramsOf({ points: [point] }: Query): Params {
  if (point.kind !== 'params') throw new Error('expected params')
  return point.params
}
const bowl = (p: Params) =>
  Object.values(p).reduce<number>((sum, v, i) => sum + ((v as number) - 0.3 - 0.05 * (i % 8)) ** 2, 0)
const infeasible: Told = { status: 'infeasible' }
const failed: Told = { status: 'failed' }
const finiteState = (state: State) =>
  state.fit && [...state.fit.theta, state.fit.center, state.fit.scale].every(Number.isFinite)

describe('gp', () => {
  it('finds the minimum of a smooth function closely', () => {
    const session = new Session(floats(3)).play(bowl, 30)
    expect(session.best.values?.[0]).toBeLessThan(1e-4)
  })

  it("comes within 0.02 of Branin's minimum in 6 initial and 29 further points, from five seeds", () => {
    const { problem: branin, answer, optimum } = problem('branin')
    const { parameters } = branin.space as SearchSpace
    for (let seed = 0; seed < 5; seed++) {
      const session = new Session([...parameters], { seed })
      for (let i = 0; i < 35; i++) {
        const [query] = session.ask().queries
        session.tell(
          query,
          answer(query, () => ({})),
        )
      }
      expect((session.best.values?.[0] as number) - optimum).toBeLessThan(0.02)
    }
  })

  it('finds the best of mixed and conditional parameters', () => {
    const session = new Session(MIXED).play(mixedValue, 60)
    expect(session.best.values?.[0]).toBeLessThan(0.05)
    expect(session.best.point).toMatchObject({ params: { kind: 'b', size: 'm', layers: 4 } })
  })

  it('maximizes the negative along the same path', () => {
    const up = new Session(floats(2), { direction: 'maximize' }).play((p) => -bowl(p), 20)
    const down = new Session(floats(2)).play(bowl, 20)
    expect(up.keys).toEqual(down.keys)
    expect(up.best.values?.[0]).toBe(-(down.best.values?.[0] as number))
  })

  for (const [name, parameters, f] of [
    ['floats', floats(2), bowl],
    ['mixed parameters', MIXED, mixedValue],
  ] as const)
    it(`asks the same after a restart at any step: ${name}`, () => {
      const told = (p: Params, i: number): Told | number => (i % 11 === 5 ? failed : i % 13 === 7 ? infeasible : f(p))
      const whole = new Session([...parameters])
      const resumed = new Session([...parameters])
      for (let i = 0; i < 32; i++)
        for (const session of [whole, resumed]) {
          const { queries } = session.ask(i % 6 === 0 ? 3 : 1)
          if (session === resumed) session.restart()
          for (const query of queries.slice(0, i % 4 === 0 ? 1 : undefined))
            session.tell(query, told(paramsOf(query), i))
          if (session === resumed) session.restart()
        }
      expect(resumed.keys).toEqual(whole.keys)
      expect(encodeTree(resumed.state as unknown as Tree)).toEqual(encodeTree(whole.state as unknown as Tree))
      expect(whole.state.fit?.rows).toBeGreaterThan(20)
    })

  it('depends on the seed and on nothing else', () => {
    const run = (seed: number) => new Session(floats(2), { seed }).play(bowl, 15).keys
    expect(run(3)).toEqual(run(3))
    expect(run(3)).not.toEqual(run(4))
  })

  it('keeps the points of a batch apart', () => {
    const session = new Session(floats(2)).play(bowl, 14)
    const points = session.ask(8).queries.map((query) => Object.values(paramsOf(query)) as number[])
    expect(points).toHaveLength(8)
    points.forEach((a, i) => {
      for (const b of points.slice(0, i)) expect(Math.hypot(a[0] - b[0], a[1] - b[1])).toBeGreaterThan(1e-3)
    })
  })

  it('takes tells in any order, with others still open', () => {
    const session = new Session(floats(2))
    for (let round = 0; round < 5; round++) {
      const { queries } = session.ask(6)
      for (const query of [...queries].reverse().slice(1)) session.tell(query, bowl(paramsOf(query)))
    }
    expect(Object.keys(session.state.open)).toHaveLength(5)
    expect(session.best.values?.[0]).toBeLessThan(0.01)
  })

  it('learns from points that it did not ask for', () => {
    const session = new Session(floats(2), { config: { nInitial: 5 } })
    for (let i = 0; i < 25; i++) {
      const params = { x0: ((i * 7) % 25) / 25, x1: i / 25 }
      const query: Query = { id: `mine${i}`, points: [{ kind: 'params', params }], wants: [{ kind: 'value' }] }
      session.tell(query, bowl(params))
    }
    const [query] = session.ask().queries
    expect(bowl(paramsOf(query))).toBeLessThan(0.01)
  })
})

describe('what can go wrong with values', () => {
  it('a constant objective', () => {
    const session = new Session(floats(2)).play(() => 0.1, 25)
    expect(new Set(session.keys).size).toBe(25)
    expect(finiteState(session.state)).toBe(true)
  })

  it('one told trial is enough for the model', () => {
    const session = new Session(floats(2), { config: { nInitial: 1 } }).play(bowl, 12)
    expect(session.state.fit?.rows).toBeGreaterThan(1)
    expect(session.best.values?.[0]).toBeLessThan(0.05)
  })

  it('all failed: goes on, with new points', () => {
    const session = new Session(floats(2)).play(() => failed, 20)
    expect(new Set(session.keys).size).toBe(20)
    expect(method.estimate(session.run, session.state).points).toEqual([])
  })

  it('all infeasible: spreads, and never repeats a point', () => {
    const session = new Session(floats(2)).play(() => infeasible, 25)
    expect(new Set(session.keys).size).toBe(25)
    expect(finiteState(session.state)).toBe(true)
  })

  it('an infeasible half is left, a failed point may come back', () => {
    const half = (p: Params) =>
      ((p.x0 as number) > 0.5
        ? infeasible
        : { status: 'ok', values: [[(p.x0 as number) ** 2 - (p.x0 as number) * 1.4 + (p.x1 as number)]] }) as Told
    const session = new Session(floats(2)).play(half, 40)
    // The unconstrained minimum is at x0 = 0.7; the best that is feasible is the edge.
    expect((session.best.point as { params: Params }).params.x0).toBeGreaterThan(0.45)
    const late = session.asked.slice(20).filter((query) => (paramsOf(query).x0 as number) > 0.55)
    expect(late.length).toBeLessThan(8)

    const coin: Parameter[] = [{ name: 'c', type: 'categorical', choices: ['a', 'b'] }]
    const retry = new Session(coin)
    const [first] = retry.ask(2).queries
    retry.tell(first, failed)
    expect(paramsOf(retry.ask().queries[0])).toEqual(paramsOf(first))
    retry.tell(retry.asked[2], infeasible)
    expect(retry.ask()).toMatchObject({ queries: [], short: { until: 'tell' } })
  })

  it('NaN and infinite values', () => {
    const values = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
    const session = new Session(floats(2)).play((p, i) => (i % 4 === 3 ? values[i % 3] : bowl(p)), 30)
    expect(finiteState(session.state)).toBe(true)
    expect(Math.min(...session.state.rows.flatMap(({ value }) => (Number.isNaN(value) ? [] : [value])))).toBeLessThan(
      0.01,
    )
  })

  for (const [name, map] of [
    ['huge', (v: number) => v * 1e300],
    ['huge of both signs', (v: number) => (v - 0.3) * 1e308],
    ['tiny', (v: number) => v * 1e-300],
    ['a large offset', (v: number) => v + 1e9],
    ['one outlier', (v: number, i: number) => (i === 15 ? 1e200 : v)],
  ] as const)
    it(`${name}: still moves to the best`, () => {
      let best = Number.POSITIVE_INFINITY
      const session = new Session(floats(2)).play((p, i) => {
        best = Math.min(best, bowl(p))
        return map(bowl(p), i)
      }, 30)
      expect(finiteState(session.state)).toBe(true)
      expect(best).toBeLessThan(0.01)
    })

  it('told noise: repeats of a noisy point count for less than an exact one', () => {
    const session = new Session(floats(1), { config: { nInitial: 1 } })
    const at = (x: number, value: number, noise?: number) => {
      const query: Query = {
        id: `u${x}${value}`,
        points: [{ kind: 'params', params: { x0: x } }],
        wants: [{ kind: 'value' }],
      }
      session.tell(query, { status: 'ok', values: [[value]], ...(noise && { noise: [[noise]] }) })
    }
    for (const x of [0, 0.2, 0.4, 0.6, 0.8, 1]) at(x, (x - 0.6) ** 2)
    at(0.05, -3, 100)
    expect(Math.abs((paramsOf(session.ask().queries[0]).x0 as number) - 0.6)).toBeLessThan(0.15)
  })

  it('pruned trials count with their last value, told or reported', () => {
    const session = new Session(floats(1))
    const [a, b, c] = session.ask(3).queries
    session.tell(a, { status: 'pruned', values: [[5]] })
    session.state = method.step(session.run, session.state, [
      { type: 'report', query: b, step: 1, value: 9 },
      { type: 'report', query: b, step: 2, value: 7 },
    ]).state
    session.tell(b, { status: 'pruned' })
    session.tell(c, { status: 'pruned' })
    expect(session.state.rows.map(({ value }) => value)).toEqual([5, 7])
    expect(method.estimate(session.run, session.state).points).toEqual([])
  })

  it('cancelled trials leave no trace but their number', () => {
    const session = new Session(floats(1))
    session.tell(session.ask().queries[0], { status: 'cancelled' })
    expect(session.state).toMatchObject({ rows: [], failed: [], open: {} })
  })
})

describe('what can go wrong with spaces', () => {
  it('a finite space is gone through once, and the short answer says so', () => {
    const parameters: Parameter[] = [
      { name: 'a', type: 'categorical', choices: ['p', 'q', 'r'] },
      { name: 'b', type: 'int', low: 0, high: 4, condition: { parent: 'a', values: ['p', 'q'] } },
    ]
    const session = new Session(parameters)
    for (let i = 0; i < 4; i++)
      for (const query of session.ask(2).queries) session.tell(query, (paramsOf(query).b as number) ?? 9)
    const rest = session.ask(20)
    expect(rest.queries).toHaveLength(3)
    expect(rest.short?.until).toBe('tell')
    for (const query of rest.queries) session.tell(query, 1)
    expect(new Set(session.keys).size).toBe(11)
    expect(session.ask(1)).toMatchObject({
      queries: [],
      short: { until: 'never', reason: expect.stringContaining('finite') },
    })
  })

  it('a large finite space is searched without repeats', () => {
    const parameters = Array.from({ length: 4 }, (_, i): Parameter => ({ name: `k${i}`, type: 'int', low: 0, high: 9 }))
    const f = (p: Params) => Object.values(p).reduce<number>((sum, v, i) => sum + ((v as number) - 2 * i - 1) ** 2, 0)
    const session = new Session(parameters).play(f, 40)
    expect(new Set(session.keys).size).toBe(40)
    expect(session.best.values?.[0]).toBe(0)
  })

  it('parameters with one value, and one parameter alone', () => {
    const fixed: Parameter[] = [
      ...floats(1),
      { name: 'c', type: 'float', low: 2, high: 2 },
      { name: 'd', type: 'categorical', choices: ['only'] },
    ]
    expect(new Session(fixed).play((p) => bowl({ x0: p.x0 }), 15).best.values?.[0]).toBeLessThan(1e-3)
    expect(new Session(floats(1)).play(bowl, 15).best.values?.[0]).toBeLessThan(1e-4)
  })

  it('a hundred parameters', () => {
    const session = new Session(floats(100)).play(bowl, 25)
    const values = session.state.rows.map(({ value }) => value)
    expect(Math.min(...values.slice(10))).toBeLessThan(Math.min(...values.slice(0, 10)))
  })

  it('equal and nearly equal points', () => {
    const session = new Session(floats(2), { config: { nInitial: 1 } })
    for (let i = 0; i < 30; i++) {
      const params = { x0: 0.25 + (i % 3) * 1e-12, x1: 0.5 }
      session.tell({ id: `m${i}`, points: [{ kind: 'params', params }], wants: [{ kind: 'value' }] }, 1 + (i % 5) * 0.1)
    }
    session.play(bowl, 10)
    expect(finiteState(session.state)).toBe(true)
    expect(new Set(session.keys).size).toBe(10)
  })

  it('more trials than the model holds', () => {
    const session = new Session(floats(2), { config: { maxRows: 100 } })
    for (let i = 0; i < 300; i++) {
      const params = { x0: (i * 0.618034) % 1, x1: (i * 0.754878) % 1 }
      session.tell({ id: `m${i}`, points: [{ kind: 'params', params }], wants: [{ kind: 'value' }] }, bowl(params))
    }
    session.play(bowl, 5)
    session.restart()
    session.play(bowl, 5)
    expect(session.best.values?.[0]).toBeLessThan(1e-3)
  })
})
