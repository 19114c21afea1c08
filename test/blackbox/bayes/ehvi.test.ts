import { describe, expect, it } from 'vitest'
import { method, referenceFor } from '../../../src/blackbox/bayes/ehvi.js'
import { logVolumeImprovement } from '../../../src/blackbox/bayes/improvement-volume.js'
import { exclusive, nondominatedBoxes } from '../../../src/blackbox/space/hypervolume.js'
import { hypervolume } from '../../../src/blackbox/space/pareto.js'
import type { Observation } from '../../../src/core/query.js'
import { Rng, rngStream } from '../../../src/core/rng.js'
import type { Params, Problem } from '../../../src/core/space.js'
import { play } from '../../conformance/harness.js'
import { problem } from '../../problems/index.js'
import { Driver, paramsOf } from '../drive.js'

describe.each([2, 3, 4])('expected hypervolume improvement in %i objectives', (m) => {
  const rng = new Rng(rngStream(m, 'test'))
  const front = Array.from({ length: 6 }, () => Array.from({ length: m }, () => rng.uniform()))
  const reference = new Array<number>(m).fill(1)
  const boxes = nondominatedBoxes(front, reference)
  const means = Float64Array.from({ length: m }, () => 0.2 + 0.5 * rng.uniform())
  const deviations = Float64Array.from({ length: m }, () => 0.1 + 0.2 * rng.uniform())

  it('is the mean of the improvement', () => {
    const n = 5000
    let [sum, squares] = [0, 0]
    for (let i = 0; i < n; i++) {
      const gain = exclusive(
        means.map((mean, k) => mean + deviations[k] * rng.normal()),
        front,
        reference,
      )
      sum += gain
      squares += gain * gain
    }
    const error = Math.sqrt((squares / n - (sum / n) ** 2) / n)
    const exact = Math.exp(logVolumeImprovement(boxes, { means, deviations }).value)
    expect(Math.abs(exact - sum / n)).toBeLessThan(4 * error)
  })

  it('has the slopes of its differences, far away too', () => {
    for (const shift of [0, 20]) {
      const at = means.map((mean) => mean + shift)
      const { value, dMeans, dDeviations } = logVolumeImprovement(boxes, { means: at, deviations })
      expect(Number.isFinite(value)).toBe(true)
      if (shift > 0) expect(value).toBeLessThan(-1000)
      for (let k = 0; k < m; k++) {
        const slope = (what: 'means' | 'deviations') => {
          const moved = (by: number) => {
            const normals = { means: at, deviations }
            return logVolumeImprovement(boxes, {
              ...normals,
              [what]: normals[what].map((v, i) => v + (i === k ? by : 0)),
            })
          }
          return (moved(1e-6).value - moved(-1e-6).value) / 2e-6
        }
        expect(dMeans[k] / slope('means')).toBeCloseTo(1, 4)
        expect(dDeviations[k] / slope('deviations')).toBeCloseTo(1, 4)
      }
    }
  })
})

const world = (objectives: number, constraints?: readonly string[]): Problem => ({
  space: { kind: 'search', parameters: ['x', 'y'].map((name) => ({ name, type: 'float', low: 0, high: 1 })) },
  objectives: Array.from({ length: objectives }, (_, k) => ({
    name: `f${k}`,
    direction: k === 1 ? 'maximize' : 'minimize',
  })),
  ...(constraints && { constraints }),
})
type Answer = Omit<Observation, 'queryId'>
const drive = (driver: Driver, count: number, f: (params: Params) => Answer, width = 1) => {
  const asked: Params[] = []
  while (asked.length < count)
    for (const query of [...driver.ask(width)].reverse()) {
      asked.push(paramsOf(query))
      driver.step({ type: 'observation', query, observation: { queryId: query.id, ...f(paramsOf(query)) } })
    }
  return asked
}
/** Squared distances from corners of the square; the second to be maximized with its sign changed. */
const corners = [
  [0, 0],
  [1, 0],
  [0, 1],
  [1, 1],
  [0.5, 0.5],
]
const distances = (n: number) => (params: Params) =>
  corners
    .slice(0, n)
    .map(([a, b], k) => (k === 1 ? -1 : 1) * (((params.x as number) - a) ** 2 + ((params.y as number) - b) ** 2))

describe('ehvi', () => {
  // What the front of ZDT1 in three parameters lacks of the hypervolume after 20, 30 and 40 evaluations, medians of 5 seeds:
  // 0.056, 0.029 and 0.021. Optuna 5.0.0, GPSampler, 3 seeds: 0.065, 0.045 and 0.026. After 150 evaluations nsga2 has 0.27,
  // tpe 0.12, Optuna's TPE 0.13.
  it('needs few evaluations', () => {
    const values = [1, 2, 3].map(
      (seed) => play(method, {}, problem('two-objectives'), { maxEvaluations: 25, seed }).value,
    )
    expect(Math.max(...values)).toBeLessThan(0.08)
  })

  // ZDT2 in eight parameters. With a reference beyond all values in both objectives 0.87 to 0.89 of the hypervolume are found
  // (8 seeds), with one beyond the front alone 0.20 to 0.31 (3 seeds).
  it('spends few points where every objective is poor', () => {
    const problem = world(2)
    problem.objectives[1].direction = 'minimize'
    problem.space = {
      kind: 'search',
      parameters: Array.from({ length: 8 }, (_, i) => ({ name: `x${i}`, type: 'float', low: 0, high: 1 })),
    }
    const driver = new Driver(method, problem, {}, 1)
    drive(driver, 50, (params) => {
      const [x, ...rest] = Object.values(params) as number[]
      const g = 1 + (9 / 7) * rest.reduce((sum, v) => sum + v, 0)
      return { status: 'ok', values: [[x, g * (1 - (x / g) ** 2)]] }
    })
    const front = driver.estimate().points.map(({ values }) => values!)
    // Of the whole front: the square up to the reference less what is below 1 - x^2.
    expect(hypervolume(front, [1.1, 1.1]) / (1.21 - 2 / 3)).toBeGreaterThan(0.92)
  })

  it('spreads over a line of compromises, four points at a time, with both directions', () => {
    const driver = new Driver(method, world(2), {}, 1)
    const f = distances(2)
    drive(driver, 28, (p) => ({ status: 'ok', values: [f(p)] }), 4)
    const { kind, points } = driver.estimate()
    expect(kind).toBe('pareto')
    // Pareto-optimal are the points between (0, 0) and (1, 0).
    const near = points
      .map(({ point }) => paramsOf({ id: '', points: [point], wants: [] }))
      .filter((p) => (p.y as number) < 0.05)
    expect(near.length).toBeGreaterThan(7)
    const xs = near.map(({ x }) => x as number).sort((a, b) => a - b)
    expect(xs[0]).toBeLessThan(0.1)
    expect(xs.at(-1)).toBeGreaterThan(0.9)
    for (const { values } of points) expect(values![1]).toBeLessThanOrEqual(0)
  })

  it('keeps to a learned constraint', () => {
    const driver = new Driver(method, world(2, ['right']), {}, 1)
    const f = distances(2)
    const asked = drive(driver, 24, (p) => ({
      status: 'ok',
      values: [f(p)],
      constraints: [[0.6 - (p.x as number)]],
    }))
    const feasible = asked.slice(12).filter(({ x }) => (x as number) >= 0.6)
    expect(feasible.length).toBeGreaterThan(8)
    for (const { point } of driver.estimate().points)
      expect(paramsOf({ id: '', points: [point], wants: [] }).x).toBeGreaterThanOrEqual(0.6)
  })

  it('takes five objectives by random weightings', () => {
    const driver = new Driver(method, world(5), {}, 1)
    const f = distances(5)
    drive(driver, 20, (p) => ({ status: 'ok', values: [f(p)] }), 2)
    expect(driver.estimate().points.length).toBeGreaterThan(10)
  })

  it.each([
    ['a constant', () => [1, 1, 1]],
    ['infinities', (x: number) => [x > 0.5 ? Number.POSITIVE_INFINITY : x, x, 1 - x]],
    ['values at the ends of the floats', (x: number) => [1e308 * x, 1e308 * (1 - 2 * x), 5e-324 * x]],
    ['NaN', () => [1, Number.NaN, 1]],
  ])('goes on with %s', (_, f) => {
    for (const acquisition of ['ehvi', 'parego']) {
      const driver = new Driver(method, world(3), { acquisition, nInitial: 3 }, 1)
      const asked = drive(driver, 7, ({ x }) => ({ status: 'ok', values: [f(x as number)] }))
      for (const { x } of asked) expect(x).not.toBeNaN()
    }
  })

  it.each(['failed', 'infeasible', 'pruned', 'cancelled'] as const)('goes on when every point is %s', (status) => {
    for (const acquisition of ['ehvi', 'parego']) {
      const driver = new Driver(method, world(2, ['limit']), { acquisition, nInitial: 3 }, 1)
      for (const { x } of drive(driver, 8, () => ({ status }))) expect(x).not.toBeNaN()
      expect(driver.estimate()).toMatchObject({ kind: 'pareto', points: [] })
    }
  })

  it('reports the hypervolume below a reference in told signs', () => {
    const driver = new Driver(method, world(2), { reference: [2, -1] }, 1)
    drive(driver, 1, () => ({ status: 'ok', values: [[0.5, 0.5]] }))
    expect(driver.estimate().metrics).toEqual({ front: 1, hypervolume: 1.5 * 1.5 })
  })

  it('looks beyond the front in one of two objectives, in turn, and in all of more', () => {
    const front = [
      [0, 2],
      [1, 0],
    ]
    const points = [...front, [10, 20], [5, 6]]
    expect(Array.from(referenceFor(points, front, 0))).toEqual([11, 2.2])
    expect(Array.from(referenceFor(points, front, 1))).toEqual([1.1, 22])
    expect(Array.from(referenceFor(points, front, 2))).toEqual([11, 2.2])
    expect(Array.from(referenceFor(points, [[0, 0]], 0))).toEqual([11, 22])
    const wide = (rows: number[][]) => rows.map((row) => [...row, row[0]])
    expect(Array.from(referenceFor(wide(points), wide(front), 0))).toEqual([11, 22, 11])
  })

  it('refuses one objective, a short reference, and too many objectives for volumes, located', () => {
    const run = { nCandidates: 512, nStarts: 6, refitGrowth: 1.1, maxRows: 600 }
    expect(method.check!(run, world(1))).toMatchObject([{ path: 'objectives' }])
    expect(method.check!({ ...run, reference: [1] }, world(2))).toMatchObject([{ path: 'config.reference' }])
    expect(method.check!({ ...run, acquisition: 'ehvi' }, world(5))).toMatchObject([{ path: 'config.acquisition' }])
    expect(method.check!(run, world(5))).toEqual([])
  })
})
