import { describe, expect, it } from 'vitest'
import { method } from '../../../src/blackbox/bayes/tpe.js'
import { Row, type Rows, Side, split } from '../../../src/blackbox/bayes/tpe-split.js'
import type { Observation } from '../../../src/core/query.js'
import type { Problem } from '../../../src/core/space.js'
import { play } from '../../conformance/harness.js'
import { problem } from '../../problems/index.js'
import { Driver, paramsOf } from '../drive.js'

/** Rows of these values; a last number is a violation where it is positive. */
function rowsOf(points: readonly (readonly number[])[], violations: readonly number[] = []): Rows {
  return {
    rows: points.length,
    value: Float64Array.from(points.flat()),
    violation: Float64Array.from(points, (_, i) => violations[i] ?? 0),
    lastStep: new Float64Array(points.length).fill(-1),
    kind: Uint8Array.from(points, (_, i) => ((violations[i] ?? 0) > 0 ? Row.violating : Row.ok)),
  }
}
const goodOf = (rows: Rows, room: number, objectives: number) => {
  const { side, weights } = split(rows, room, objectives)
  const good = [...side.keys()].filter((row) => side[row] === Side.good)
  expect(weights ? [...weights.keys()].sort((a, b) => a - b) : good).toEqual(good)
  return good
}
const median = (values: number[]) => values.sort((a, b) => a - b)[values.length >> 1]

describe('the good trials of several objectives', () => {
  const staircase = [
    [1, 4],
    [2, 3],
    [3, 2],
    [4, 1],
  ]
  const dominated = staircase.map(([a, b]) => [a + 4, b + 4])

  it('are whole fronts first', () => {
    expect(goodOf(rowsOf([...dominated, ...staircase]), 4, 2)).toEqual([4, 5, 6, 7])
    expect(goodOf(rowsOf([...dominated, ...staircase]), 8, 2)).toEqual([0, 1, 2, 3, 4, 5, 6, 7])
  })

  it('are of a front that has no room the subset of largest hypervolume', () => {
    // Places are the values; reference (8, 8): of two points, those in the middle leave least out, (2, 3) with the first pick.
    const volume = ([[a, b], [c, d]]: number[][]) =>
      (8 - a) * (8 - b) + (8 - c) * (8 - d) - (8 - Math.max(a, c)) * (8 - Math.max(b, d))
    const picked = goodOf(rowsOf(staircase), 2, 2).map((i) => staircase[i])
    const best = Math.max(...staircase.flatMap((p, i) => staircase.slice(i + 1).map((q) => volume([p, q]))))
    expect(volume(picked)).toBeGreaterThanOrEqual((1 - 1 / Math.E) * best)
    expect(picked).toContainEqual([2, 3])
  })

  it('weigh what they add to the hypervolume, and nothing where they add none', () => {
    const { weights } = split(rowsOf([...staircase, [5, 5]]), 5, 2)
    const reference = 10
    // Neighbours in the sorted front; the ends reach to the reference.
    const adds = [(2 - 1) * (reference - 4), 1, 1, (reference - 4) * (2 - 1)]
    adds.forEach((gain, i) => {
      expect(weights!.get(i)).toBeCloseTo(gain / 6, 12)
    })
    expect(weights!.get(4)).toBe(1e-12)
  })

  it('do not change when an objective goes through an increasing function', () => {
    const points = Array.from({ length: 60 }, (_, i) => [Math.sin(i * 7.3), Math.cos(i * 3.1), Math.sin(i * 1.7 + 1)])
    const bent = points.map(([a, b, c]) => [1e6 * Math.exp(30 * a), b, -1 / (c + 2)])
    expect(split(rowsOf(bent), 10, 3)).toEqual(split(rowsOf(points), 10, 3))
  })

  it('take the least violation where feasible ones do not fill the room', () => {
    const rows = rowsOf([...staircase, [0, 0], [0, 0], [9, 9]], [0, 0, 5, 0, 2, 1, 0])
    expect(goodOf(rows, 5, 2)).toEqual([0, 1, 3, 5, 6])
    expect(goodOf(rowsOf([[1], [2], [0], [0]], [0, 0, 3, 2]), 3, 1)).toEqual([0, 1, 3])
  })
})

describe('tpe of several objectives', () => {
  // ZDT1 in three parameters, what the front lacks of the hypervolume, medians of 15 seeds after 60 and 150 evaluations:
  // Optuna 5.0.0, TPESampler(multivariate=True), 0.238 (quartiles 0.222, 0.291) and 0.129 (0.122, 0.164); this method 0.253 and
  // 0.124.
  it("is at its median better than Optuna's upper quartile on ZDT1", () => {
    const values = Array.from(
      { length: 9 },
      (_, seed) => play(method, {}, problem('two-objectives'), { maxEvaluations: 60, seed }).value,
    )
    expect(median(values)).toBeLessThan(0.291)
  })

  // The same of the best feasible value, 0.5998 being the least: Optuna 0.682 (0.647, 0.781) and 0.609; this 0.675 and 0.609.
  it("is at its median better than Optuna's upper quartile under constraints", () => {
    const values = Array.from(
      { length: 9 },
      (_, seed) => play(method, {}, problem('two-constraints'), { maxEvaluations: 60, seed }).value,
    )
    expect(median(values)).toBeLessThan(0.781)
  })

  const world: Problem = {
    space: { kind: 'search', parameters: [{ name: 'x', type: 'float', low: 0, high: 1 }] },
    objectives: [
      { name: 'cost', direction: 'minimize' },
      { name: 'gain', direction: 'maximize' },
    ],
    constraints: ['limit'],
  }
  const tellAll = (driver: Driver, count: number, f: (x: number) => Omit<Observation, 'queryId'>) => {
    for (let i = 0; i < count; i++)
      for (const query of driver.ask())
        driver.step({
          type: 'observation',
          query,
          observation: { queryId: query.id, ...f(paramsOf(query).x as number) },
        })
  }

  it('keeps a front of feasible points, with the signs that were told', () => {
    const driver = new Driver(method, world, {}, 1)
    tellAll(driver, 60, (x) => ({ status: 'ok', values: [[x, x]], constraints: [[0.5 - x]] }))
    const { kind, points } = driver.estimate()
    expect(kind).toBe('pareto')
    expect(points.length).toBeGreaterThan(20)
    for (const { point, values } of points) {
      const { x } = paramsOf({ id: '', points: [point], wants: [] })
      expect(values).toEqual([x, x])
      expect(x).toBeGreaterThanOrEqual(0.5)
    }
  })

  it('looks for feasible points where there are none yet, by how far they are', () => {
    const driver = new Driver(method, world, {}, 1)
    const found: number[] = []
    tellAll(driver, 80, (x) => {
      found.push(x)
      return { status: 'ok', values: [[1, 1]], constraints: [[0.999 - x]] }
    })
    // Of uniform points 4.
    expect(found.slice(-40).filter((x) => x > 0.9).length).toBeGreaterThan(12)
  })

  it.each(['failed', 'infeasible', 'pruned', 'cancelled'] as const)('goes on when every point is %s', (status) => {
    const driver = new Driver(method, world, {}, 1)
    tellAll(driver, 40, () => ({ status }))
    expect(driver.estimate()).toMatchObject({ kind: 'pareto', points: [] })
    expect(driver.ask(2).length).toBe(2)
  })

  it('goes on with values at the ends of the floats', () => {
    const driver = new Driver(method, world, {}, 1)
    tellAll(driver, 60, (x) => ({
      status: 'ok',
      values: [[x > 0.5 ? Number.POSITIVE_INFINITY : 1e308 * x, -1e308 * x]],
      constraints: [[x > 0.8 ? Number.POSITIVE_INFINITY : -1e308]],
    }))
    expect(driver.estimate().points.length).toBeGreaterThan(0)
  })

  it('reads a state of the version before', () => {
    const told = new Driver(method, { ...world, objectives: [world.objectives[0]], constraints: undefined }, {}, 3)
    tellAll(told, 30, (x) => ({ status: 'ok', values: [[(x - 0.3) ** 2]] }))
    const { asked, told: count, front, violation: _, ...rest } = told.state as Record<string, never>
    const [{ point, values, trial }] = (front as { points: { point: unknown; values: number[]; trial?: number }[] })
      .points
    const old = { ...(rest as object), progress: { asked, told: count, best: { point, value: values[0], trial } } }
    const migrated = method.migrate!(1, old as never)
    expect(migrated).toEqual(told.state)
  })
})
