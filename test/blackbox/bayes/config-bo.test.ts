import { describe, expect, it } from 'vitest'
import { betaOf, method } from '../../../src/blackbox/bayes/config-bo.js'
import { parseConfig } from '../../../src/core/schema.js'
import type { Parameter, Params, Problem } from '../../../src/core/space.js'
import { Driver, paramsOf, searchProblem } from '../drive.js'

const grid = (name: string, points: number): Parameter => ({
  name,
  type: 'float',
  low: 0,
  high: 1,
  step: 1 / (points - 1),
})
const constrained = (parameters: readonly Parameter[]): Problem => ({
  ...searchProblem(parameters),
  constraints: ['g'],
})
type Told = { f: number; g: number }

function tell(driver: Driver, params: Params, { f, g }: Told, id = 'start') {
  const query = { id, points: [{ kind: 'params', params }], wants: [{ kind: 'value' }] } as const
  const observation = { queryId: id, status: 'ok', values: [[f]], constraints: [[g]] } as const
  driver.step({ type: 'observation', query, observation })
}
function play(driver: Driver, trials: number, of: (p: Params) => Told): Told[] {
  const told: Told[] = []
  for (let i = 0; i < trials; i++) {
    const [query] = driver.ask()
    if (!query) break
    told.push(of(paramsOf(query)))
    tell(driver, paramsOf(query), told[i], query.id)
  }
  return told
}

const wave = ({ x }: Params): Told => ({
  f: (x as number) * Math.sin(12 * (x as number)),
  g: Math.cos(9 * (x as number)) - 0.1,
})

describe('[config-bo]', () => {
  it.each([0, 0.25, 0.9])('finds the best feasible of a grid from %d, with few infeasible points', (start) => {
    const driver = new Driver(method, constrained([grid('x', 201)]), { lengthScale: 0.2 })
    tell(driver, { x: start }, wave({ x: start }))
    const told = [wave({ x: start }), ...play(driver, 24, wave)]
    expect(Math.abs(driver.best() + 0.91996)).toBeLessThan(1e-4)
    expect(told.filter(({ g }) => g > 0).length).toBeLessThanOrEqual(5)
    const { metrics } = driver.estimate()
    expect(metrics?.violation).toBeCloseTo(
      told.reduce((sum, { g }) => sum + Math.max(0, g), 0),
      12,
    )
    expect(metrics?.regret).toBeCloseTo(
      told.reduce((sum, { f }) => sum + Math.max(0, f - driver.best()), 0),
      12,
    )
  })

  it('leaves the neighbourhood of a point known to be infeasible', () => {
    for (const parameter of [grid('x', 201), { name: 'x', type: 'float', low: 0, high: 1 } as const]) {
      const driver = new Driver(method, constrained([parameter]), { lengthScale: 0.2 })
      tell(driver, { x: 0 }, { f: 1, g: 0.5 })
      expect(Math.abs(paramsOf(driver.ask()[0]).x as number)).toBeGreaterThan(0.2)
    }
  })

  it('finds 28 feasible points of 1681, and the best of them', () => {
    const f = ({ a, b }: Params): Told => {
      const [s, t] = [Math.sin(6 * (a as number)), Math.sin(6 * (b as number))]
      return { f: (s + 6 * (b as number)) / 3, g: s * t + 0.95 }
    }
    const driver = new Driver(method, constrained([grid('a', 41), grid('b', 41)]), { lengthScale: 0.15 })
    tell(driver, { a: 0.5, b: 0.5 }, f({ a: 0.5, b: 0.5 }))
    let used = 1
    while (used < 60 && !(driver.best() < 0.117315 + 1e-3)) used += play(driver, 1, f).length
    expect(Math.abs(driver.best() - 0.117315)).toBeLessThan(1e-3)
  })

  it('learns its lengths, and works without a grid and with several points open', () => {
    const driver = new Driver(method, constrained([{ name: 'x', type: 'float', low: 0, high: 1 }]))
    for (let round = 0; round < 10; round++) {
      const queries = driver.ask(3)
      expect(new Set(queries.map((q) => paramsOf(q).x)).size).toBe(3)
      for (const query of [...queries].reverse()) tell(driver, paramsOf(query), wave(paramsOf(query)), query.id)
    }
    expect(driver.best()).toBeLessThan(-0.9195)
  })

  it('declares infeasible what is, and only that', () => {
    const driver = new Driver(method, constrained([grid('x', 51)]), { lengthScale: 0.2 })
    const told = play(driver, 51, ({ x }) => ({ f: x as number, g: 0.3 + Math.cos(3 * (x as number)) ** 2 }))
    expect(told.length).toBeLessThan(51)
    expect(driver.outcome?.status).toMatchObject({ phase: 'done', reason: expect.stringContaining('infeasible') })
    expect(driver.estimate().points).toEqual([])
    const feasible = new Driver(method, constrained([grid('x', 201)]), { lengthScale: 0.2 })
    play(feasible, 80, wave)
    expect(feasible.outcome?.status).not.toMatchObject({ reason: expect.stringContaining('infeasible') })
  })

  it('has the bound of its lemma on finite spaces, and refuses it on others', () => {
    const c = parseConfig(method.config, { schedule: 'grid', delta: 0.1 }) as Parameters<typeof betaOf>[0]
    expect(betaOf(c, 100, 3, 1)).toBeCloseTo(Math.sqrt(2 * Math.log((100 * 9 * Math.PI ** 2 * 2) / 0.6)), 12)
    const free = constrained([{ name: 'x', type: 'float', low: 0, high: 1 }])
    expect(method.check?.(c, free)).toMatchObject([{ path: 'config.schedule' }])
    expect(method.check?.({ ...c, lengthScale: [1, 2] }, constrained([grid('x', 5)]))).toMatchObject([
      { path: 'config.lengthScale' },
    ])
  })
})
