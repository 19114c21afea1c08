import { describe, expect, it } from 'vitest'
import { method } from '../../../src/blackbox/bayes/bohb.js'
import { Density } from '../../../src/blackbox/bayes/kde.js'
import { encodingOf } from '../../../src/blackbox/space/encoding.js'
import type { Query } from '../../../src/core/query.js'
import { Rng, rngStream } from '../../../src/core/rng.js'
import type { Parameter, SearchSpace } from '../../../src/core/space.js'
import { createSessions } from '../../../src/sessions/index.js'
import { Driver, paramsOf, searchProblem } from '../drive.js'

const line: Parameter[] = [{ name: 'x', type: 'float', low: 0, high: 1 }]
const xOf = (query: Query) => paramsOf(query).x as number
const own = (id: string, x: number): Query => ({
  id,
  points: [{ kind: 'params', params: { x } }],
  wants: [{ kind: 'value' }],
})
/** How far 200 suggestions are from `x`, in the mean. */
const distance = (driver: Driver, x: number) =>
  driver.ask(200).reduce((sum, query) => sum + Math.abs(xOf(query) - x) / 200, 0)

describe('the model', () => {
  it('waits for N_min + 2 trials at a budget, N_min = d + 1, and is uniform before', () => {
    const trained = (n: number) => {
      const driver = new Driver(method, searchProblem(line), { randomFraction: 0 })
      for (let i = 0; i < n; i++) driver.add({ x: 0.9 + 0.02 * i }, -i)
      return distance(driver, 0.93)
    }
    expect(trained(3)).toBeGreaterThan(0.3)
    expect(trained(4)).toBeLessThan(0.2)
  })

  it('is that of the highest budget with enough trials', () => {
    const driver = new Driver(method, searchProblem(line), { randomFraction: 0, reductionFactor: 3 })
    const report = (id: string, x: number, step: number, value: number) =>
      driver.step({ type: 'report', query: own(id, x), step, value })
    // After one step small x look good, after three large ones.
    for (let i = 0; i < 40; i++) report(`t${i}`, i / 39, 1, i / 39)
    expect(distance(driver, 0)).toBeLessThan(0.2)
    for (let i = 30; i < 34; i++) report(`t${i}`, i / 39, 3, -i / 39)
    expect(distance(driver, 32 / 39)).toBeLessThan(0.2)
    // The complete trial is the highest of all.
    for (let i = 4; i < 8; i++) driver.tell(own(`t${i}`, i / 39), 1)
    expect(distance(driver, 6 / 39)).toBeLessThan(0.2)
  })

  it('draws a share of randomFraction uniformly', () => {
    const driver = new Driver(method, searchProblem(line))
    for (let i = 0; i < 100; i++) driver.add({ x: i / 99 }, Math.abs(i / 99 - 0.1))
    const n = 1000
    const far = driver.ask(n).filter((query) => xOf(query) > 0.5).length
    // Half of a third; three standard deviations of the count.
    expect(Math.abs(far / n - 1 / 6)).toBeLessThan(3 * Math.sqrt(5 / 36 / n) + 0.005)
  })

  it('learns from pruned trials by their reports, and asks away from infeasible ones', () => {
    const driver = new Driver(method, searchProblem(line), { randomFraction: 0 })
    for (let i = 0; i < 40; i++) {
      const query = own(`t${i}`, i / 39)
      if (i % 2) driver.step({ type: 'report', query, step: 1, value: Math.abs(i / 39 - 0.3) })
      driver.tell(query, i % 2 ? 'pruned' : 'infeasible')
    }
    expect(distance(driver, 0.3)).toBeLessThan(0.2)
  })

  it('takes steps that lie beyond several rungs, and none beyond maxResource', () => {
    const driver = new Driver(method, searchProblem(line), { maxResource: 9, reductionFactor: 3 })
    driver.step({ type: 'report', query: own('a', 0.5), step: 100, value: 1 })
    expect((driver.state as { rungs: { values: number[] }[] }).rungs.map(({ values }) => values)).toEqual([
      [1],
      [1],
      [1],
    ])
  })

  it('refuses a maxResource below minResource', () => {
    const config = { ...(new Driver(method, searchProblem(line)).run.config as object), minResource: 9, maxResource: 3 }
    expect(method.check!(config as never, searchProblem(line))).toEqual([
      { path: 'config.maxResource', message: 'expected at least minResource, 9, got 3' },
    ])
  })
})

describe('the density', () => {
  const space: SearchSpace = {
    kind: 'search',
    parameters: [...line, { name: 'c', type: 'categorical', choices: ['a', 'b', 'c'] }],
  }
  const { axes } = encodingOf(space)
  const points = [0.1, 0.3, 0.6, 0.7].map((x, i) => Float64Array.of(x, (Math.min(i, 2) + 0.5) / 3))

  it('has the bandwidths of the normal reference rule', () => {
    // 1.06 * std * n^(-1/6), by hand: the deviations of [.1 .3 .6 .7] and of the codes [0 1 2 2].
    const rule = 1.06 * 4 ** (-1 / 6)
    const { bandwidths } = new Density(axes, points, 1e-3)
    expect(bandwidths[0]).toBeCloseTo(rule * Math.sqrt(0.056875), 12)
    expect(bandwidths[1]).toBeCloseTo(Math.min(rule * Math.sqrt(0.6875), 2 / 3), 12)
  })

  it('integrates to one over the line and the categories', () => {
    const density = new Density(axes, points, 1e-3)
    let sum = 0
    for (let i = -2000; i < 3000; i++)
      for (const c of [1 / 6, 3 / 6, 5 / 6]) sum += Math.exp(density.logDensity(Float64Array.of(i / 1000, c))) / 1000
    expect(sum).toBeCloseTo(1, 3)
  })

  it('draws with wider bandwidths, inside the cube', () => {
    const one = [Float64Array.of(0.5, 0.5), Float64Array.of(0.5, 0.5)]
    const density = new Density(axes, one, 0.01)
    const rng = new Rng(rngStream(1, 'draws'))
    const n = 4000
    const x = Array.from({ length: n }, () => density.sample(rng, 3)[0])
    const deviation = Math.sqrt(x.reduce((sum, v) => sum + (v - 0.5) ** 2 / n, 0))
    expect(Math.abs(deviation - 0.03)).toBeLessThan(4 * (0.03 / Math.sqrt(2 * n)))
    const wide = Array.from({ length: 200 }, () => density.sample(rng, 100)[0])
    expect(wide.every((v) => v >= 0 && v <= 1)).toBe(true)
  })
})

it('keeps what trials reported when it starts anew after a change by hand', async () => {
  const sessions = await createSessions({ store: { kind: 'memory' }, threads: 0 })
  const config = { randomFraction: 0 }
  const { id } = await sessions.create({ method: 'bohb', problem: searchProblem(line), config, seed: 1 }, {})
  for (let i = 0; i < 40; i++) {
    const point = { kind: 'params', params: { x: i / 39 } } as const
    const [query] = (await sessions.step(id, { enqueue: [point], count: 1 })).queries
    await sessions.report(id, { queryId: query.id, step: 1, value: Math.abs(i / 39 - 0.8) })
    await sessions.step(id, { observations: [{ queryId: query.id, status: 'pruned' }], count: 0 })
  }
  const mean = async () => {
    const { queries } = await sessions.step(id, { count: 50 })
    return queries.reduce((sum, query) => sum + Math.abs(xOf(query) - 0.8) / 50, 0)
  }
  expect(await mean()).toBeLessThan(0.15)
  await sessions.deleteTrial(id, { trial: 3 })
  expect(await mean()).toBeLessThan(0.15)
  await sessions.close()
})
