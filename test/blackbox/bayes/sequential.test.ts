/** What can go wrong with values and spaces, for all methods that share sequential.ts. */
import { describe, expect, it } from 'vitest'
import { method as configBo } from '../../../src/blackbox/bayes/config-bo.js'
import { method as dumbo } from '../../../src/blackbox/bayes/dumbo.js'
import { method as goUcb } from '../../../src/blackbox/bayes/go-ucb.js'
import { method as gpBo } from '../../../src/blackbox/bayes/gp-bo.js'
import type { AnyMethod } from '../../../src/core/method.js'
import type { Query } from '../../../src/core/query.js'
import { checkParams, type Parameter } from '../../../src/core/space.js'
import { Driver, paramsOf, searchProblem, type Told } from '../drive.js'

const floats = (d: number): Parameter[] =>
  Array.from({ length: d }, (_, i) => ({ name: `x${i}`, type: 'float', low: 0, high: 1 }))
const bowl = (query: Query) =>
  Object.values(paramsOf(query)).reduce<number>((sum, v, i) => sum + ((v as number) - 0.3 - 0.05 * (i % 8)) ** 2, 0)

const METHODS: readonly [string, AnyMethod, object][] = [
  ['gp-bo', gpBo, { nInitial: 4, nCandidates: 128, nStarts: 2 }],
  ['gp-bo, kg', gpBo, { nInitial: 4, acquisition: 'kg', nCandidates: 64, nStarts: 1, gridSize: 16, fantasies: 4 }],
  ['config-bo', configBo, { nInitial: 4, nCandidates: 128 }],
  ['dumbo', dumbo, { nInitial: 4, samples: 2 }],
  ['go-ucb', goUcb, { nInitial: 4, hidden: 2, nStarts: 2, nCandidates: 64 }],
]

describe.each(METHODS)('%s', (_, method, config) => {
  const run = (parameters: Parameter[], trials: number, f: (query: Query, i: number) => Told, width = 1) => {
    const problem = searchProblem(parameters)
    const driver = new Driver(method, problem, config, 1)
    let i = 0
    const asked = driver.play(trials, (query) => f(query, i++), width)
    for (const query of asked) expect(checkParams({ kind: 'search', parameters }, paramsOf(query), 'point')).toEqual([])
    return { driver, asked, keys: new Set(asked.map((query) => JSON.stringify(paramsOf(query)))) }
  }

  it.each<[string, (query: Query, i: number) => Told]>([
    ['a constant objective', () => 0.1],
    ['all infeasible', () => 'infeasible'],
    ['all failed', () => 'failed'],
    ['some infinite and NaN', (q, i) => (i % 4 === 3 ? [Number.NaN, Infinity, -Infinity][i % 3] : bowl(q))],
    ['huge values of both signs', (q) => (bowl(q) - 0.2) * 1e308],
    ['tiny values', (q) => bowl(q) * 1e-300],
    ['a large offset', (q) => bowl(q) + 1e9],
    ['one outlier', (q, i) => (i === 7 ? 1e200 : bowl(q))],
  ])('%s: new points to the end', (_, f) => {
    const { keys } = run(floats(2), 14, f, 2)
    expect(keys.size).toBe(14)
  })

  it('told noise beyond all numbers', () => {
    const driver = new Driver(method, searchProblem(floats(2)), config)
    for (let i = 0; i < 12; i++) {
      const [query] = driver.ask()
      const observation = {
        queryId: query.id,
        status: 'ok',
        values: [[bowl(query)]],
        noise: [[i % 3 ? 0 : 1e300]],
      } as const
      driver.step({ type: 'observation', query, observation })
    }
    expect(driver.ask()).toHaveLength(1)
  })

  it('one parameter, and equal points told many times', () => {
    const driver = new Driver(method, searchProblem(floats(1)), config)
    for (let i = 0; i < 15; i++) driver.add({ x0: 0.5 + (i % 3) * 1e-12 }, 1 + (i % 5) * 0.1)
    const told = driver.play(5, bowl)
    expect(new Set(told.map((query) => JSON.stringify(paramsOf(query)))).size).toBe(5)
  })

  it('a finite space is gone through once, and the end is said', () => {
    const parameters: Parameter[] = [
      { name: 'a', type: 'int', low: 0, high: 3 },
      { name: 'b', type: 'ordinal', choices: ['s', 'm', 'l'] },
    ]
    const { driver, keys } = run(parameters, 30, (query) => paramsOf(query).a as number, 3)
    expect(keys.size).toBe(12)
    const { short, status } = driver.step({ type: 'capacity', count: 1 })
    expect(short?.until === 'never' || status.phase === 'done').toBe(true)
  })

  it('forty parameters', () => {
    expect(run(floats(40), 8, bowl).keys.size).toBe(8)
  })
})
