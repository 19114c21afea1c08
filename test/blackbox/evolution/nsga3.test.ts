import { describe, expect, it } from 'vitest'
import { directions } from '../../../src/blackbox/evolution/directions.js'
import { method } from '../../../src/blackbox/evolution/nsga3.js'
import type { Observation } from '../../../src/core/query.js'
import { parseConfig } from '../../../src/core/schema.js'
import type { Parameter, Problem } from '../../../src/core/space.js'
import { Driver, paramsOf } from '../drive.js'

const problemOf = (n: number, m: number): Problem => ({
  space: {
    kind: 'search',
    parameters: Array.from({ length: n }, (_, i): Parameter => ({ name: `x${i}`, type: 'float', low: 0, high: 1 })),
  },
  objectives: Array.from({ length: m }, (_, i) => ({ name: `f${i}`, direction: 'minimize' })),
})
/** DTLZ2 with three objectives, the second in another unit. */
const dtlz2 = ([x, y, ...rest]: number[]) => {
  const g = rest.reduce((sum, v) => sum + (v - 0.5) ** 2, 0)
  const [a, b] = [(x * Math.PI) / 2, (y * Math.PI) / 2]
  return [(1 + g) * Math.cos(a) * Math.cos(b), 1000 * (1 + g) * Math.cos(a) * Math.sin(b), (1 + g) * Math.sin(a)]
}

describe('nsga3', () => {
  it('has a direction for each way of sharing out', () => {
    expect(directions(3, 12).length).toBe(91)
    expect(directions(2, 2)).toEqual([
      [0, 1],
      [0.5, 0.5],
      [1, 0],
    ])
    for (const w of directions(4, 5)) expect(w.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 12)
  })

  it('spreads over the sphere of DTLZ2, whatever the units of the objectives', () => {
    const driver = new Driver(method, problemOf(7, 3), { partitions: 12 }, 1)
    // Deb and Jain 2014 run 92 members for 250 generations.
    for (let told = 0; told < 92 * 80; )
      for (const query of driver.ask(1000)) {
        const values = [dtlz2(Object.values(paramsOf(query)) as number[])]
        const observation: Observation = { queryId: query.id, status: 'ok', values }
        driver.step({ type: 'observation', query, observation })
        told++
      }
    const { parents } = driver.state as unknown as { parents: { values: number[][] } }
    expect(parents.values.length).toBe(92)
    const members = parents.values.map(([a, b, c]) => [a, b / 1000, c])
    const off = members.map((v) => Math.abs(Math.hypot(...v) - 1))
    expect(off.reduce((a, b) => a + b, 0) / 92).toBeLessThan(0.02)
    // A member near the point of the sphere along each direction.
    const gaps = directions(3, 12).map((w) => {
      const length = Math.hypot(...w)
      return Math.min(...members.map((v) => Math.hypot(...v.map((x, k) => x - w[k] / length))))
    })
    expect(gaps.reduce((a, b) => a + b, 0) / gaps.length).toBeLessThan(0.06)
  })

  it('keeps to constraints, and goes on where nothing has values', () => {
    const problem = { ...problemOf(2, 3), constraints: ['c'] }
    const driver = new Driver(method, problem, { partitions: 3 }, 1)
    for (let k = 0; k < 40; k++)
      for (const query of driver.ask(100)) {
        const [x, y] = Object.values(paramsOf(query)) as number[]
        const more: Partial<Observation> =
          k < 3 ? { status: 'infeasible' } : { status: 'ok', values: [[x, y, 1 - x * y]], constraints: [[0.5 - x]] }
        driver.step({ type: 'observation', query, observation: { queryId: query.id, ...more } as Observation })
      }
    const { points } = driver.estimate()
    expect(points.length).toBeGreaterThan(3)
    for (const { values } of points) expect(values![0]).toBeGreaterThanOrEqual(0.5)
  })

  it.each([
    [2, 100],
    [3, 92],
    [5, 72],
    [10, 220],
  ])('has of %i objectives %i members, as many as directions, where none are asked for', (m, members) => {
    const driver = new Driver(method, problemOf(3, m), {}, 1)
    expect(driver.ask(1000).length).toBe(members)
  })

  it('refuses more directions than it can follow', () => {
    const config = parseConfig(method.config, { partitions: 12 })
    expect(method.check!(config, problemOf(3, 3))).toEqual([])
    expect(method.check!(config, problemOf(3, 10))).toMatchObject([{ path: 'config.partitions' }])
  })
})
