import { describe, expect, it } from 'vitest'
import { method } from '../../../src/blackbox/sampling/random.js'
import { EXHAUSTED } from '../../../src/blackbox/space/fresh.js'
import { checkParams, type Parameter, type SearchSpace } from '../../../src/core/space.js'
import { Driver, paramsOf, searchProblem } from '../drive.js'

const parameters: Parameter[] = [
  { name: 'kind', type: 'categorical', choices: ['a', 'b'] },
  { name: 'n', type: 'int', low: 1, high: 3, condition: { parent: 'kind', values: ['a'] } },
  { name: 'flag', type: 'ordinal', choices: [false, true] },
]
const key = (params: object) => JSON.stringify(Object.entries(params).sort())

describe('random', () => {
  it('draws every value of a parameter equally often, and conditions as they say', () => {
    const driver = new Driver(method, searchProblem(parameters), {}, 3)
    const counts: Record<string, number> = {}
    for (const query of driver.ask(6000)) {
      const params = paramsOf(query)
      expect(checkParams(searchProblem(parameters).space as SearchSpace, params, 'params')).toEqual([])
      for (const [name, value] of Object.entries(params))
        counts[`${name}=${value}`] = (counts[`${name}=${value}`] ?? 0) + 1
    }
    // Five standard deviations of a binomial count.
    const near = (name: string, p: number) =>
      expect(Math.abs(counts[name] - 6000 * p), name).toBeLessThan(5 * Math.sqrt(6000 * p * (1 - p)))
    for (const name of ['kind=a', 'kind=b', 'flag=true', 'flag=false']) near(name, 1 / 2)
    for (const n of [1, 2, 3]) near(`n=${n}`, 1 / 6)
  })

  it('visits a finite space once when told to avoid repeats, and says when nothing is left', () => {
    const driver = new Driver(method, searchProblem(parameters), { avoidRepeats: true }, 1)
    const asked = driver.play(100, () => 1, 3)
    expect(asked.length).toBe(8)
    expect(new Set(asked.map((query) => key(paramsOf(query)))).size).toBe(8)
    driver.restart()
    expect(driver.ask(2)).toEqual([])
    expect(driver.outcome?.short).toEqual({ reason: EXHAUSTED, until: 'never' })
  })

  it('asks a failed point again, an infeasible or added one not', () => {
    const driver = new Driver(method, searchProblem(parameters), { avoidRepeats: true }, 1)
    driver.add({ kind: 'b', flag: true }, 5)
    const queries = driver.ask(100)
    expect(queries.length).toBe(7)
    driver.tell(queries[2], 'failed')
    driver.tell(queries[3], 'infeasible')
    driver.tell(queries[4], 'cancelled')
    const again = driver.ask(100).map((query) => key(paramsOf(query)))
    expect(new Set(again)).toEqual(new Set([2, 4].map((i) => key(paramsOf(queries[i])))))
  })

  it('repeats points of a finite space otherwise', () => {
    expect(new Driver(method, searchProblem(parameters), {}, 1).ask(20).length).toBe(20)
  })

  it.each(['minimize', 'maximize'] as const)('keeps the best completed point: %s', (direction) => {
    const driver = new Driver(method, searchProblem(parameters, direction), {}, 1)
    expect(driver.estimate().points).toEqual([])
    const queries = driver.ask(6)
    const told = [3, 1, Number.NaN, 7, 'pruned', 'infeasible'] as const
    queries.forEach((query, i) => {
      driver.tell({ ...query, trial: i }, told[i])
    })
    const best = direction === 'minimize' ? 1 : 3
    expect(driver.estimate()).toEqual({
      kind: 'best',
      points: [{ point: queries[best].points[0], values: [told[best]], trial: best }],
      step: 3,
    })
  })
})
