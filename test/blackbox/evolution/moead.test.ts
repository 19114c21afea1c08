import { describe, expect, it } from 'vitest'
import { method } from '../../../src/blackbox/evolution/moead.js'
import { hypervolume } from '../../../src/blackbox/space/pareto.js'
import type { Observation } from '../../../src/core/query.js'
import { parseConfig } from '../../../src/core/schema.js'
import type { Parameter, Problem } from '../../../src/core/space.js'
import { encodeTree } from '../../../src/core/tree.js'
import { Driver, paramsOf } from '../drive.js'

const problemOf = (n: number, m: number, constraints?: string[]): Problem => ({
  space: {
    kind: 'search',
    parameters: Array.from({ length: n }, (_, i): Parameter => ({ name: `x${i}`, type: 'float', low: 0, high: 1 })),
  },
  objectives: Array.from({ length: m }, (_, i) => ({ name: `f${i}`, direction: 'minimize' })),
  constraints,
})
const zdt1 = (x: number[]) => {
  const g = 1 + (9 * x.slice(1).reduce((a, b) => a + b, 0)) / (x.length - 1)
  return [x[0], 100 * g * (1 - Math.sqrt(x[0] / g))]
}
type Answer = (x: number[], k: number) => Partial<Observation>
function run(problem: Problem, config: object, evaluations: number, answer: Answer, restart = false) {
  const driver = new Driver(method, problem, config, 1)
  for (let told = 0; told < evaluations; )
    for (const query of driver.ask(1000)) {
      if (restart) driver.restart()
      const more = answer(Object.values(paramsOf(query)) as number[], told)
      driver.step({ type: 'observation', query, observation: { queryId: query.id, status: 'ok', ...more } })
      told++
    }
  return driver
}

describe('moead', () => {
  it('spreads along ZDT1, its second objective in another unit', () => {
    const driver = run(problemOf(10, 2), {}, 15_000, (x) => ({ values: [zdt1(x)] }))
    const { parents } = driver.state as unknown as { parents: { values: number[][] } }
    expect(parents.values.length).toBe(100)
    // 2/3 is what the whole front has below (1, 1).
    const members = parents.values.map(([a, b]) => [a, b / 100])
    expect(hypervolume(members, [1, 1])).toBeGreaterThan(0.65)
    expect(hypervolume(members, [1, 1])).toBeLessThan(2 / 3)
  })
  it('puts constraints before values, and goes on where nothing has values', () => {
    const driver = run(problemOf(3, 2, ['c']), { partitions: 19, neighbors: 5 }, 2000, ([x, y, z], k) =>
      k < 60 ? { status: 'infeasible' } : { values: [[x + z, y + z]], constraints: [[1 - x - y]] },
    )
    const { points } = driver.estimate()
    expect(points.length).toBeGreaterThan(8)
    const off = points.map(({ values }) => values![0] + values![1] - 1)
    for (const excess of off) expect(excess).toBeGreaterThan(-1e-9)
    expect(off.reduce((a, b) => a + b, 0) / off.length).toBeLessThan(0.1)
  })
  it('is the same across restarts of the process', () => {
    const end = (restart: boolean) =>
      Buffer.from(encodeTree(run(problemOf(3, 3), { partitions: 4 }, 150, (x) => ({ values: [x] }), restart).state))
    expect(end(true).equals(end(false))).toBe(true)
  })
  it.each([
    [2, 100],
    [3, 91],
    [4, 84],
    [5, 70],
    // The fewest parts, 3, make this many.
    [8, 120],
  ])('has of %i objectives %i members where none are asked for', (m, members) => {
    const { state } = run(problemOf(3, m), {}, 0, () => ({}))
    expect((state as unknown as { children: { x: unknown[] } }).children.x.length).toBe(members)
  })
  it('has generations enough for three objectives', () => {
    const sphere = ([x, y, ...rest]: number[]) => {
      const g = 1 + rest.reduce((sum, v) => sum + (v - 0.5) ** 2, 0)
      const [a, b] = [(x * Math.PI) / 2, (y * Math.PI) / 2]
      return [g * Math.cos(a) * Math.cos(b), g * Math.cos(a) * Math.sin(b), g * Math.sin(a)]
    }
    const driver = run(problemOf(12, 3), { reference: [1.1, 1.1, 1.1] }, 2000, (x) => ({ values: [sphere(x)] }))
    // Of the whole front: the cube up to the reference less the octant of the ball. 5,050 members, of 99 parts, have 0.17.
    expect((driver.estimate().metrics!.hypervolume as number) / (1.1 ** 3 - Math.PI / 6)).toBeGreaterThan(0.7)
  })
  it('refuses a single objective', () => {
    expect(method.check!(parseConfig(method.config, {}), problemOf(2, 1))).toMatchObject([{ path: 'objectives' }])
  })
})
