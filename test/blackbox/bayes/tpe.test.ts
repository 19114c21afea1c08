import { describe, expect, it } from 'vitest'
import { method } from '../../../src/blackbox/bayes/tpe.js'
import { EXHAUSTED } from '../../../src/blackbox/space/fresh.js'
import type { Query } from '../../../src/core/query.js'
import { checkParams, type Parameter, type Params, type SearchSpace } from '../../../src/core/space.js'
import { encodeTree } from '../../../src/core/tree.js'
import { problem } from '../../problems/index.js'
import { Driver, paramsOf, searchProblem, type Told } from '../drive.js'

const floats = (n: number, low = -5, high = 5): Parameter[] =>
  Array.from({ length: n }, (_, i) => ({ name: `x${i}`, type: 'float', low, high }))
const sphere = (query: Query) => Object.values(paramsOf(query)).reduce<number>((sum, x) => sum + (x as number) ** 2, 0)
const median = (values: number[]) => values.sort((a, b) => a - b)[values.length >> 1]

/** Median over seeds of the best value after 60 evaluations of a problem of test/problems. */
function quality(name: string, width: number): number {
  return median(
    Array.from({ length: 15 }, (_, seed) => {
      const world = problem(name)
      const driver = new Driver(method, world.problem, {}, seed)
      driver.play(60, (query) => world.answer(query, () => ({})).values![0][0], width)
      return driver.best()
    }),
  )
}

const tree: Parameter[] = [
  { name: 'model', type: 'categorical', choices: ['linear', 'net'] },
  { name: 'depth', type: 'int', low: 1, high: 4, condition: { parent: 'model', values: ['net'] } },
  { name: 'wide', type: 'int', low: 1, high: 10_000, log: true, condition: { parent: 'depth', values: [3, 4] } },
  { name: 'rate', type: 'float', low: 1e-5, high: 1, log: true },
  { name: 'fixed', type: 'int', low: 7, high: 7 },
]

describe('tpe', () => {
  // 60 evaluations, one at a time, median (quartiles) of the best value. Optuna 5.0.0, TPESampler(multivariate=True), 120
  // seeds: branin 0.531 (0.460, 0.644), sphere-5d 0.704 (0.482, 0.987), mixed 0.0149 (0.0067, 0.0501), with group=True
  // 0.0124 (0.0042, 0.0500). This method, 200 seeds: branin 0.514 (0.439, 0.640), sphere-5d 0.747 (0.474, 1.029), mixed
  // 0.0130 (0.0052, 0.0501). Random search, 200 seeds: medians of 1.08, 9.1 and 0.055.
  it.each([
    ['branin', 0.644],
    ['sphere-5d', 0.987],
    ['mixed', 0.05],
  ])("is at its median better than Optuna's upper quartile on %s", (name, upper) => {
    expect(quality(name, 1)).toBeLessThan(upper)
  })

  it('learns with eight points pending', () => {
    expect(quality('sphere-5d', 8)).toBeLessThan(1.6)
  })

  it('asks different points while eight are pending', () => {
    const driver = new Driver(method, searchProblem(floats(2)), {}, 1)
    driver.play(40, sphere)
    const pending = driver.ask(8).map((query) => Object.values(paramsOf(query)) as number[])
    for (let i = 0; i < 8; i++)
      for (let j = 0; j < i; j++)
        expect(Math.hypot(pending[i][0] - pending[j][0], pending[i][1] - pending[j][1])).toBeGreaterThan(1e-3)
  })

  it('gives the same queries and state whether restarted or not, with faults and conditions', () => {
    const statuses = ['failed', 'infeasible', 'pruned', 'cancelled'] as const
    const runs = [false, true].map((restarts) => {
      const driver = new Driver(method, searchProblem(tree), {}, 9)
      const log: unknown[] = []
      for (let round = 0; round < 40; round++) {
        const queries = driver.ask(3)
        if (restarts) driver.restart()
        log.push(queries)
        queries.forEach((query, i) => {
          if (i === 1) driver.step({ type: 'report', query, step: round % 5, value: round })
          driver.tell(query, (round + i) % 4 === 3 ? statuses[round % 4] : (round * 7 + i) % 11)
        })
        if (round % 10 === 5) driver.add({ model: 'linear', rate: 0.01, fixed: 7 }, 2)
        if (restarts) driver.restart()
      }
      return { log, state: Buffer.from(encodeTree(driver.state)).toString('hex') }
    })
    expect(runs[1]).toEqual(runs[0])
  })

  it('is not led astray by a memo of another history', () => {
    const fresh = new Driver(method, searchProblem(floats(3)), {}, 2)
    fresh.play(30, sphere)
    const other = new Driver(method, searchProblem(floats(3)), {}, 3)
    other.play(30, (query) => -sphere(query))
    const memo = new Map(other.run.memo)
    const expected = fresh.ask(1)
    const again = new Driver(method, searchProblem(floats(3)), {}, 2)
    again.play(30, sphere)
    again.run.memo.clear()
    for (const [key, value] of memo) again.run.memo.set(key, value)
    expect(again.ask(1)).toEqual(expected)
  })

  it('stays within a conditional space, and learns inside its branches', () => {
    const driver = new Driver(method, searchProblem(tree), {}, 4)
    const value = ({ model, depth, rate, wide }: Params) =>
      (model === 'net' ? Math.abs(Number(depth) - 3) : 5) +
      Math.abs(Math.log10(rate as number) + 2) +
      (wide === undefined ? 2 : Math.abs(Math.log10(wide as number) - 2))
    for (const query of driver.play(120, (query) => value(paramsOf(query))))
      expect(checkParams(searchProblem(tree).space as SearchSpace, paramsOf(query), 'params')).toEqual([])
    expect(driver.best()).toBeLessThan(0.5)
  })

  it('learns one parameter at a time when told so', () => {
    const best = Array.from({ length: 9 }, (_, seed) => {
      const driver = new Driver(method, searchProblem(floats(5)), { multivariate: false }, seed)
      driver.play(100, sphere)
      return driver.best()
    })
    // Random search reaches 7.
    expect(median(best)).toBeLessThan(1.5)
  })

  it('maximizes: the mirror image of minimizing', () => {
    const low = new Driver(method, searchProblem(floats(2)), {}, 5)
    const high = new Driver(method, searchProblem(floats(2), 'maximize'), {}, 5)
    expect(high.play(40, (query) => -sphere(query))).toEqual(low.play(40, sphere))
    expect(high.best()).toBe(-low.best())
  })

  it('uses pruned points by their last report, after all completed ones', () => {
    // Every point with x < 0 completes with a bad value; the others are pruned, best near x = 3.
    const driver = new Driver(method, searchProblem(floats(1)), {}, 6)
    const told = (query: Query): Told => {
      const x = paramsOf(query).x0 as number
      if (x < 0) return 100
      driver.step({ type: 'report', query, step: 10, value: Math.abs(x - 3) })
      return 'pruned'
    }
    driver.play(80, told)
    const completed = driver.ask(20).filter((query) => (paramsOf(query).x0 as number) < 0)
    expect(completed.length).toBeGreaterThan(0)
    // With nothing but pruned points the reports lead.
    const only = new Driver(method, searchProblem(floats(1, 0, 5)), {}, 6)
    only.play(80, (query) => {
      only.step({ type: 'report', query, step: 10, value: Math.abs((paramsOf(query).x0 as number) - 3) })
      return 'pruned'
    })
    expect(median(only.ask(15).map((query) => Math.abs((paramsOf(query).x0 as number) - 3)))).toBeLessThan(0.5)
    expect(only.estimate().points).toEqual([])
  })

  it('keeps away from infeasible points', () => {
    const driver = new Driver(method, searchProblem(floats(2)), {}, 7)
    const told = (query: Query): Told => ((paramsOf(query).x0 as number) > 0 ? 'infeasible' : 10 + sphere(query))
    driver.play(100, told)
    const feasible = driver.play(40, told).filter((query) => (paramsOf(query).x0 as number) <= 0)
    expect(feasible.length).toBeGreaterThan(25)
  })

  it('takes added points into account, and ones of queries it never issued that failed not', () => {
    const driver = new Driver(method, searchProblem(floats(1)), { startupTrials: 20 }, 8)
    for (let i = 0; i < 20; i++) driver.add({ x0: i / 2 - 5 }, Math.abs(i / 2 - 5 - 2))
    driver.add({ x0: 1 }, 'failed')
    expect(driver.best()).toBe(0)
    expect(driver.estimate().step).toBe(20)
    // Uniform points would be 2.5 away.
    expect(median(driver.ask(15).map((query) => Math.abs((paramsOf(query).x0 as number) - 2)))).toBeLessThan(1.5)
  })

  it.each(['failed', 'infeasible', 'pruned', 'cancelled'] as const)('goes on when every point is %s', (status) => {
    const driver = new Driver(method, searchProblem(tree), {}, 1)
    expect(driver.play(50, () => status).length).toBe(50)
    expect(driver.estimate().points).toEqual([])
  })

  it.each([
    ['a constant', () => 1],
    ['infinite values', (query: Query) => (sphere(query) > 10 ? Number.POSITIVE_INFINITY : sphere(query))],
    ['huge values', (query: Query) => 1e308 * Math.sin(sphere(query))],
    ['tiny values', (query: Query) => 5e-324 * Math.round(sphere(query))],
  ])('goes on with %s', (_, f) => {
    const driver = new Driver(method, searchProblem(floats(3)), {}, 1)
    for (const query of driver.play(60, f)) for (const x of Object.values(paramsOf(query))) expect(x).not.toBeNaN()
  })

  it.each([1, 100])('works in %i dimensions, and on ranges at the ends of the numbers', (n) => {
    const driver = new Driver(method, searchProblem(floats(n, -1e308, 1e308)), {}, 1)
    for (const query of driver.play(40, (query) => paramsOf(query).x0 as number))
      for (const x of Object.values(paramsOf(query))) expect(Number.isFinite(x)).toBe(true)
  })

  it('asks integers of two values as it asks categories of two', () => {
    const bits = (kind: (name: string) => Parameter) => Array.from({ length: 12 }, (_, i) => kind(`x${i}`))
    const asked = (parameters: Parameter[]) => {
      const driver = new Driver(method, searchProblem(parameters), {}, 1)
      // A chain: a parameter counts where the one before it is 1.
      return driver.play(80, (query) => -[...Object.values(paramsOf(query)), 0].indexOf(0)).map(paramsOf)
    }
    const integers = asked(bits((name) => ({ name, type: 'int', low: 0, high: 1 })))
    expect(integers).toEqual(asked(bits((name) => ({ name, type: 'categorical', choices: [0, 1] }))))
  })

  it('has one answer in a space of one point', () => {
    const driver = new Driver(method, searchProblem([{ name: 'x', type: 'int', low: 3, high: 3 }]), {}, 1)
    expect(driver.play(20, () => 1).map(paramsOf)).toEqual(new Array(20).fill({ x: 3 }))
  })

  it('visits a finite space once when told to avoid repeats, and says when nothing is left', () => {
    const grid: Parameter[] = [
      { name: 'n', type: 'int', low: 0, high: 6 },
      { name: 'c', type: 'categorical', choices: ['a', 'b', 'c', 'd', 'e'] },
    ]
    const driver = new Driver(method, searchProblem(grid), { avoidRepeats: true }, 1)
    const asked = driver.play(100, (query) => paramsOf(query).n as number, 2)
    expect(new Set(asked.map((query) => JSON.stringify(paramsOf(query)))).size).toBe(35)
    expect(asked.length).toBe(35)
    expect(driver.ask(1)).toEqual([])
    expect(driver.outcome?.short).toEqual({ reason: EXHAUSTED, until: 'never' })
  })
})
