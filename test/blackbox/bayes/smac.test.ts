import { describe, expect, it } from 'vitest'
import { type GrowOptions, grow, growForest, leafOf, predict } from '../../../src/blackbox/bayes/forest.js'
import { logCostImprovement, method, readerOf, responses } from '../../../src/blackbox/bayes/smac.js'
import { method as random } from '../../../src/blackbox/sampling/random.js'
import { encodingOf } from '../../../src/blackbox/space/encoding.js'
import type { AnyMethod } from '../../../src/core/method.js'
import type { Query } from '../../../src/core/query.js'
import { Rng, rngStream } from '../../../src/core/rng.js'
import { checkParams, type Parameter, type Params, type Problem, type SearchSpace } from '../../../src/core/space.js'
import { encodeTree } from '../../../src/core/tree.js'
import { Driver, paramsOf, searchProblem, type Told } from '../drive.js'

const floats = (n: number, low = -5, high = 5): Parameter[] =>
  Array.from({ length: n }, (_, i) => ({ name: `x${i}`, type: 'float', low, high }))
const sphere = (query: Query) =>
  Object.values(paramsOf(query)).reduce<number>((sum, x) => sum + ((x as number) - 1) ** 2, 0)
const median = (values: number[]) => values.sort((a, b) => a - b)[values.length >> 1]
const stream = (seed: number) => new Rng(rngStream(seed, 'test'))
/** Less search of the improvement than by default: quick. */
const quick = { nCandidates: 500, nStarts: 4 }

const tree: Parameter[] = [
  { name: 'model', type: 'categorical', choices: ['linear', 'forest', 'net'] },
  { name: 'depth', type: 'int', low: 1, high: 4, condition: { parent: 'model', values: ['net'] } },
  { name: 'kernel', type: 'categorical', choices: ['a', 'b'], condition: { parent: 'model', values: ['linear'] } },
  { name: 'wide', type: 'int', low: 1, high: 10_000, log: true, condition: { parent: 'depth', values: [3, 4] } },
  { name: 'rate', type: 'float', low: 1e-5, high: 1, log: true },
  { name: 'size', type: 'ordinal', choices: [8, 16, 32] },
  { name: 'share', type: 'float', low: 0, high: 1, step: 0.25 },
]
/** Least at a net of depth 3, 100 wide: 0. */
const loss = ({ model, depth, rate, wide, size, share }: Params) =>
  (model === 'net' ? Math.abs(Number(depth) - 3) : model === 'forest' ? 3 : 5) +
  Math.abs(Math.log10(rate as number) + 2) +
  (wide === undefined ? 2 : Math.abs(Math.log10(wide as number) - 2)) +
  (size === 16 ? 0 : 0.5) +
  (share as number)

describe('forest', () => {
  const points = [0.1, 0.2, 0.7, 0.9].map((x) => Float64Array.of(0.5, x))

  it('splits where the squared error falls most', () => {
    // Sums of (sum)^2 / count: 28 after the first point, 34 after the second, 33.3 after the third.
    const full = grow(points, [1, 1, 3, 5])
    expect(full.feature).toEqual([1, -1, 1, -1, -1])
    expect(full.threshold[0]).toBeCloseTo(0.45, 12)
    expect(full.threshold[2]).toBeCloseTo(0.8, 12)
    expect(full.value).toEqual([2.5, 1, 4, 3, 5])
    expect(full.variance).toEqual([2.75, 0, 1, 0, 0])
  })

  it.each([
    ['minLeaf', { minLeaf: 2 }],
    ['minSplit', { minSplit: 3 }],
  ])('stops at %s', (_, options) => {
    const { feature, value, variance } = grow(points, [1, 1, 3, 5], options)
    expect({ feature, value, variance }).toEqual({ feature: [1, -1, -1], value: [2.5, 1, 4], variance: [2.75, 0, 1] })
  })

  it('draws thresholds between the neighbours', () => {
    const cuts = Array.from({ length: 400 }, (_, i) => grow(points, [1, 1, 3, 3], { rng: stream(i) }).threshold[0])
    for (const cut of cuts) expect(cut > 0.2 && cut < 0.7).toBe(true)
    // Five standard errors of the mean of uniform draws.
    expect(Math.abs(cuts.reduce((sum, cut) => sum + cut / 400, 0) - 0.45)).toBeLessThan((5 * 0.5) / Math.sqrt(12 * 400))
  })

  it('splits categories as well as the best of all subsets', () => {
    for (let seed = 0; seed < 60; seed++) {
      const rng = stream(seed)
      const size = 2 + (seed % 5)
      const data = Array.from({ length: 12 }, () => Float64Array.of(rng.integer(size)))
      const values = data.map(([c]) => Math.sin(9 * c) + 0.5 * rng.normal())
      const error = (isLeft: (c: number) => boolean) =>
        [true, false].reduce((sum, side) => {
          const part = values.filter((_, i) => isLeft(data[i][0]) === side)
          const mean = part.reduce((total, v) => total + v, 0) / part.length
          return sum + part.reduce((total, v) => total + (v - mean) ** 2, 0)
        }, 0)
      let least = error(() => true)
      for (let mask = 1; mask < 2 ** size - 1; mask++)
        least = Math.min(
          least,
          error((c) => ((mask >> c) & 1) === 1),
        )
      const { feature, subset } = grow(data, values, { categories: [size] })
      expect(feature[0]).toBe(0)
      expect(error((c) => subset[0]![c] === 1)).toBeCloseTo(least, 10)
    }
  })

  it('sends categories that a node lacks to either side', () => {
    const data = [0, 0, 2, 2].map((c) => Float64Array.of(c))
    const at = (options: GrowOptions) => {
      const one = grow(data, [1, 1, 2, 2], { categories: [4], ...options })
      return one.value[leafOf(one, Float64Array.of(1))]
    }
    expect(at({})).toBe(2)
    expect(new Set(Array.from({ length: 40 }, (_, i) => at({ rng: stream(i) })))).toEqual(new Set([1, 2]))
  })

  it('looks at a share of the coordinates, and at others where these are of no use', () => {
    const data = [0.1, 0.2, 0.3, 0.4].map((x) => Float64Array.of(x, 0.5, x))
    const roots = Array.from({ length: 60 }, (_, i) =>
      grow(data, [1, 1, 2, 2], { featureShare: 1 / 3, rng: stream(i) }),
    ).map(({ feature }) => feature[0])
    expect(new Set(roots)).toEqual(new Set([0, 2]))
  })

  it('predicts by the law of total variance', () => {
    const forest = [grow(points, [1, 1, 3, 5], { minLeaf: 2 }), grow(points, [2, 2, 2, 2])]
    expect(predict(forest, points[3])).toEqual({ mean: 3, variance: 0.5 * (1 + 0) + 1 })
    expect(predict(forest, points[0])).toEqual({ mean: 1.5, variance: 0.25 })
  })

  it('has the bootstrap in its trees, the same by the same stream', () => {
    const data = Array.from({ length: 50 }, (_, i) => Float64Array.of(i / 50))
    const values = data.map(([x]) => x)
    const forest = growForest(data, values, 200, stream(1))
    expect(growForest(data, values, 200, stream(1))).toEqual(forest)
    const means = forest.map(({ value }) => value[0])
    const spread = Math.sqrt(means.reduce((sum, m) => sum + (m - 0.49) ** 2 / 200, 0))
    // Of means of 50 draws: 0.2886 / sqrt(50) = 0.0408; 20 percent are four standard errors.
    expect(Math.abs(spread / (0.2886 / Math.sqrt(50)) - 1)).toBeLessThan(0.2)
  })
})

describe('improvement of costs', () => {
  it.each([
    [0, 1, 0],
    [1, 0.5, 0],
    [-0.5, 0.3, 0],
    [3, 0.7, 0.5],
    [0.02, 0.011, 0],
    [0.001, 0.001, 0],
    [-0.02, 1e-4, 0],
  ])('at mean %d, deviation %d, best %d is that of quadrature', (mean, deviation, best) => {
    const n = 200_000
    const low = Math.min(mean, best) - 12 * deviation
    const h = (best - low) / n
    let sum = 0
    for (let i = 0; i < n; i++) {
      const y = low + (i + 0.5) * h
      sum += (Math.exp(best) - Math.exp(y)) * Math.exp(-0.5 * ((y - mean) / deviation) ** 2) * h
    }
    const exact = Math.log(sum / (deviation * Math.sqrt(2 * Math.PI)))
    // The first order is left where the deviation is below 1e-2: off by as much, at most.
    expect(Math.abs(logCostImprovement(mean, deviation, best) - exact)).toBeLessThan(
      deviation < 1e-2 ? deviation : 1e-6,
    )
  })

  it('stays finite and falls with the mean where it underflows', () => {
    for (const deviation of [1e-5, 0.0099, 0.0101, 1]) {
      let before = Number.POSITIVE_INFINITY
      for (let mean = 0; mean < 23; mean += 0.25) {
        const now = logCostImprovement(mean, deviation, 0)
        expect(now).toBeLessThan(before)
        expect(now).toBeGreaterThan(Number.NEGATIVE_INFINITY)
        before = now
      }
    }
  })
})

describe('what the forest reads', () => {
  const trial = (value: number) => ({ u: Float64Array.of(0), value, noise: 0 })
  // With 21 twice, the quantile is 2.05, 1.05 above the least: costs are counted from 1.05 below it.
  const values = Array.from({ length: 21 }, (_, i) => i + 1)

  it('are logarithms of scaled costs, of any sign, the infeasible as bad as the worst', () => {
    for (const shift of [0, -1000]) {
      const read = responses([...values, Number.NaN].map((v) => trial(v + shift)))
      read.slice(0, 21).forEach((r, i) => {
        expect(r).toBeCloseTo(Math.log((values[i] + 0.05) / 21.05), 6)
      })
      expect(read[21]).toBeCloseTo(0, 12)
    }
    expect(responses([2, 2, 2].map(trial))).toEqual([0, 0, 0])
    expect(responses([1e308, -1e308, Number.NaN].map(trial)).every(Number.isFinite)).toBe(true)
  })

  it('has inactive parameters below all values, or in a category of their own', () => {
    const reader = readerOf(encodingOf(searchProblem(tree).space as SearchSpace))
    expect(reader.categories).toEqual([4, 0, 3, 0, 0, 0, 0])
    const { u, x } = reader.spot(Float64Array.of(0.5, 0.9, 0.9, 0.9, 0.25, 0.9, 0.3))
    expect([...x]).toEqual([1, -1, 2, -1, expect.closeTo(0.25, 12), expect.closeTo(5 / 6, 12), 0.3])
    expect([...u].slice(0, 4)).toEqual([0.5, 0.5, 0.5, 0.5])
  })
})

/** Median over seeds of the best value after 50 evaluations. */
const quality = (m: AnyMethod, parameters: Parameter[], f: (query: Query) => number, config: unknown = {}) =>
  median(
    Array.from({ length: 5 }, (_, seed) => {
      const driver = new Driver(m, searchProblem(parameters), config, seed)
      driver.play(50, f)
      return driver.best()
    }),
  )

describe('smac', () => {
  it.each([
    ['a conditional space of all types', tree, (query: Query) => loss(paramsOf(query))],
    ['five dimensions', floats(5), sphere],
  ] satisfies [string, Parameter[], (query: Query) => number][])(
    'leaves half of what random search leaves, or less: %s',
    (_, parameters, f) => {
      expect(quality(method, parameters, f, { nCandidates: 500 })).toBeLessThan(0.5 * quality(random, parameters, f))
    },
  )

  it('gives the same queries and state whether restarted or not, with faults and conditions', () => {
    const statuses = ['failed', 'infeasible', 'pruned', 'cancelled'] as const
    const runs = [false, true].map((restarts) => {
      const driver = new Driver(method, searchProblem(tree), quick, 9)
      const log: unknown[] = []
      for (let round = 0; round < 12; round++) {
        const queries = driver.ask(3)
        if (restarts) driver.restart()
        log.push(queries)
        queries.forEach((query, i) => {
          if (i === 1) driver.step({ type: 'report', query, step: round % 5, value: round })
          driver.tell(query, (round + i) % 4 === 3 ? statuses[round % 4] : (round * 7 + i) % 11)
        })
        if (round % 5 === 2) driver.add({ model: 'forest', rate: 0.01, size: 8, share: 0.5 }, 2)
        if (restarts) driver.restart()
      }
      return { log, state: Buffer.from(encodeTree(driver.state)).toString('hex') }
    })
    expect(runs[1]).toEqual(runs[0])
    const other = new Driver(method, searchProblem(tree), quick, 10)
    expect(other.ask(3)).not.toEqual((runs[0].log as unknown[])[0])
  })

  it('stays within a conditional space', () => {
    const driver = new Driver(method, searchProblem(tree), quick, 4)
    for (const query of driver.play(40, (query) => loss(paramsOf(query)), 4))
      expect(checkParams(searchProblem(tree).space as SearchSpace, paramsOf(query), 'params')).toEqual([])
  })

  it('stays within constraints and away from forbidden combinations', () => {
    const space: SearchSpace = {
      kind: 'search',
      parameters: [...floats(2, 0, 1), { name: 'c', type: 'categorical', choices: ['a', 'b', 'c'] }],
      constraints: [
        { type: 'linear', coefficients: { x0: 1, x1: 1 }, bound: 1 },
        { type: 'forbidden', when: { c: ['b'] } },
      ],
    }
    const problem: Problem = { space, objectives: [{ name: 'f', direction: 'minimize' }] }
    const driver = new Driver(method, problem, quick, 3)
    const asked = driver.play(40, (query) => {
      const { x0, x1, c } = paramsOf(query)
      return 2 - (x0 as number) - (x1 as number) + (c === 'c' ? 0 : 1)
    })
    for (const query of asked) expect(checkParams(space, paramsOf(query), 'params')).toEqual([])
    // The best on the border is 1.
    expect(driver.best()).toBeLessThan(1.1)
  })

  it.each([1, 4])('asks different points while eight are pending, %i at a time', (width) => {
    const driver = new Driver(method, searchProblem(floats(2)), quick, 1)
    driver.play(20, sphere)
    const pending: number[][] = []
    while (pending.length < 8)
      for (const query of driver.ask(width)) pending.push(Object.values(paramsOf(query)) as number[])
    for (let i = 0; i < 8; i++)
      for (let j = 0; j < i; j++)
        expect(Math.max(...pending[i].map((x, k) => Math.abs(x - pending[j][k])))).toBeGreaterThan(1e-3)
  })

  it('visits a finite space once, and says when nothing is left', () => {
    const grid: Parameter[] = [
      { name: 'n', type: 'int', low: 0, high: 6 },
      { name: 'c', type: 'categorical', choices: ['a', 'b', 'c', 'd', 'e'] },
    ]
    const driver = new Driver(method, searchProblem(grid), {}, 1)
    const asked = driver.play(33, (query) => paramsOf(query).n as number, 3)
    const last = driver.ask(4)
    expect(last.length).toBe(2)
    expect(driver.outcome?.short).toMatchObject({ until: 'tell' })
    for (const query of last) driver.tell(query, 1)
    expect(new Set([...asked, ...last].map((query) => JSON.stringify(paramsOf(query)))).size).toBe(35)
    expect(driver.ask(1)).toEqual([])
    expect(driver.outcome?.short).toEqual({
      reason: 'every point of the finite space was told or is open',
      until: 'never',
    })
  })

  it('finds the best of a finite space early', () => {
    const grid: Parameter[] = Array.from({ length: 3 }, (_, i) => ({ name: `n${i}`, type: 'int', low: 0, high: 9 }))
    const f = (query: Query) =>
      Object.values(paramsOf(query)).reduce<number>((sum, n, i) => sum + Math.abs((n as number) - 3 - i), 0)
    // Random search has a chance of 4 % to be there after 40 of 1000 points.
    expect(quality(method, grid, f)).toBe(0)
  })

  it('orders a permutation', () => {
    const items = ['a', 'b', 'c', 'd', 'e', 'f', 'g']
    const f = (query: Query) =>
      (paramsOf(query).order as string[]).reduce((sum, item, place) => sum + (place - items.indexOf(item)) ** 2, 0)
    const parameters: Parameter[] = [{ name: 'order', type: 'permutation', items: [...items].reverse() }]
    expect(quality(method, parameters, f, quick)).toBeLessThan(0.5 * quality(random, parameters, f))
  })

  it('maximizes: the mirror image of minimizing', () => {
    const low = new Driver(method, searchProblem(floats(2)), quick, 5)
    const high = new Driver(method, searchProblem(floats(2), 'maximize'), quick, 5)
    expect(high.play(25, (query) => -sphere(query))).toEqual(low.play(25, sphere))
    expect(high.best()).toBe(-low.best())
  })

  it('draws at random as often as told', () => {
    const driver = new Driver(method, searchProblem(floats(2)), { ...quick, nInitial: 4, randomProbability: 1 }, 2)
    driver.play(64, sphere)
    const inside = driver.play(60, sphere).filter((query) => sphere(query) < 4)
    // A disc with 13 % of the square; 8 of 60 expected, 3 standard deviations are 8.
    expect(inside.length).toBeLessThan(16)
    const greedy = new Driver(method, searchProblem(floats(2)), { ...quick, nInitial: 4, randomProbability: 0 }, 2)
    greedy.play(30, sphere)
    expect(greedy.play(20, sphere).filter((query) => sphere(query) < 4).length).toBeGreaterThan(10)
  })

  it('keeps away from infeasible points, and counts pruned ones with their last value', () => {
    const driver = new Driver(method, searchProblem(floats(2)), quick, 7)
    const told = (query: Query): Told => {
      if ((paramsOf(query).x0 as number) > 0) return 'infeasible'
      driver.step({ type: 'report', query, step: 1, value: sphere(query) })
      return (paramsOf(query).x1 as number) > 0 ? 'pruned' : sphere(query)
    }
    driver.play(40, told)
    const later = driver.play(20, told).map((query) => paramsOf(query) as { x0: number; x1: number })
    expect(later.filter(({ x0 }) => x0 <= 0).length).toBeGreaterThan(12)
    // The best of the pruned half is at (0, 1), that of the other at (0, 0).
    expect(later.filter(({ x1 }) => x1 > 0).length).toBeGreaterThan(5)
    for (const { point } of driver.estimate().points)
      expect(((point as { params: Params }).params.x1 as number) <= 0).toBe(true)
  })

  it('takes points that it did not ask for into account', () => {
    const driver = new Driver(method, searchProblem(floats(1)), { ...quick, randomProbability: 0 }, 8)
    for (let i = 0; i < 20; i++) driver.add({ x0: i / 2 - 5 }, Math.abs(i / 2 - 5 - 2))
    driver.add({ x0: 1 }, 'failed')
    expect(driver.best()).toBe(0)
    expect(driver.estimate().step).toBe(20)
    // Uniform points would be 2.5 away.
    expect(median(driver.ask(5).map((query) => Math.abs((paramsOf(query).x0 as number) - 2)))).toBeLessThan(1)
  })

  it.each(['failed', 'infeasible', 'pruned', 'cancelled'] as const)('goes on when every point is %s', (status) => {
    const driver = new Driver(method, searchProblem(tree), quick, 1)
    expect(driver.play(20, () => status).length).toBe(20)
    expect(driver.estimate().points).toEqual([])
  })
})
