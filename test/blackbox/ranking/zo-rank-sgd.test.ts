import { describe, expect, it } from 'vitest'
import { edgeWeights, method } from '../../../src/blackbox/ranking/zo-rank-sgd.js'
import { checkSuitable } from '../../../src/core/method.js'
import type { Observation, Point, Query } from '../../../src/core/query.js'
import { Rng, rngStream } from '../../../src/core/rng.js'
import { parseConfig } from '../../../src/core/schema.js'
import type { Problem } from '../../../src/core/space.js'
import { rankingOf } from '../../problems/oracle.js'

const onTensor = (n: number, more: object = {}): Problem => ({
  space: { kind: 'tensors', tensors: [{ name: 'x', shape: [n], dtype: 'f64' }], ...more },
  objectives: [{ name: 'f', direction: 'minimize' }],
})
const xOf = (point: Point): Float64Array => {
  if (point.kind !== 'tensors') throw new Error('expected tensors')
  return point.tensors.x as Float64Array
}
type Judge = (query: Query) => Partial<Observation>
const by =
  (f: (x: Float64Array) => number): Judge =>
  ({ points, wants: [want] }) => ({
    ranking: rankingOf(
      points.map((p) => f(xOf(p))),
      false,
      want.kind === 'ranking' ? want.top : 0,
    ),
  })

/** Plays `rounds` answers; hands every query and the estimate after it to `see`. */
function play(
  input: object,
  problem: Problem,
  judge: Judge,
  answers: number,
  see: (query: Query, x: Float64Array) => void = () => {},
) {
  const run = {
    config: parseConfig(method.config, input),
    problem,
    engine: 'wasm' as const,
    memo: new Map<string, unknown>(),
  }
  let state = method.init(run, 1)
  let { queries } = method.step(run, state, [{ type: 'capacity', count: 1 }])
  for (let i = 0; i < answers; i++) {
    const [query] = queries
    const observation: Observation = { queryId: query.id, status: 'ok', ...judge(query) }
    const outcome = method.step(run, state, [
      { type: 'observation', query, observation },
      { type: 'capacity', count: 1 },
    ])
    state = outcome.state
    queries = outcome.queries
    see(query, xOf(method.estimate(run, state).points[0].point))
  }
  return xOf(method.estimate(run, state).points[0].point)
}

const estimator = (xi: readonly number[], ranking: readonly (readonly number[])[]) =>
  edgeWeights(xi.length, ranking).reduce((g, w, i) => g + w * xi[i], 0)

/** The definition: the mean of xi_j - xi_i over all pairs of which i is known to be better. */
function edgeAverage(xi: readonly number[], groups: readonly (readonly number[])[]): number {
  const rank = xi.map((_, i) => {
    const at = groups.findIndex((group) => group.includes(i))
    return at < 0 ? groups.length : at
  })
  let sum = 0
  let edges = 0
  for (let i = 0; i < xi.length; i++)
    for (let j = 0; j < xi.length; j++)
      if (rank[i] < rank[j]) {
        sum += xi[j] - xi[i]
        edges++
      }
  return edges ? sum / edges : 0
}

describe('[zo-rank-sgd] the estimator', () => {
  it.each([
    [1, 2.6666667],
    [2, 2.6],
    [4, 2.3333333],
  ])('one dimension, best %i of 4: %f', (k, expected) => {
    const order = [3, 2, 0, 1]
    const ranking = order.slice(0, k).map((i) => [i])
    expect(Math.abs(estimator([1, 2, -1, -2], ranking) - expected)).toBeLessThan(1e-7)
  })

  it('equals the average over edges for random m, k and orders, and the closed form of the paper', () => {
    const rng = new Rng(rngStream(2, 'edges'))
    for (let trial = 0; trial < 200; trial++) {
      const m = 2 + rng.integer(12)
      const k = 1 + rng.integer(m)
      const xi = Array.from({ length: m }, () => rng.normal())
      const order = rng.shuffle(xi.map((_, i) => i))
      const ranking = order.slice(0, k).map((i) => [i])
      const g = estimator(xi, ranking)
      expect(g).toBeCloseTo(edgeAverage(xi, ranking), 12)
      const edges = (k * (k - 1)) / 2 + k * (m - k)
      const known = order.slice(0, k).reduce((sum, i, r) => sum - (m - 1 - 2 * r) * xi[i], 0)
      const rest = order.slice(k).reduce((sum, i) => sum + k * xi[i], 0)
      expect(g).toBeCloseTo((known + rest) / edges, 12)
    }
  })

  it('ties share no edge: equals the average over edges for random groups', () => {
    const rng = new Rng(rngStream(3, 'ties'))
    for (let trial = 0; trial < 200; trial++) {
      const m = 2 + rng.integer(10)
      const xi = Array.from({ length: m }, () => rng.normal())
      const groups: number[][] = []
      for (const i of rng.shuffle(xi.map((_, i) => i)))
        if (groups.length > 0 && rng.uniform() < 0.5) groups.at(-1)!.push(i)
        else groups.push([i])
      const told = groups.slice(0, 1 + rng.integer(groups.length))
      expect(estimator(xi, told)).toBeCloseTo(edgeAverage(xi, told), 12)
    }
  })

  it('all tied: no edge, no move', () => {
    expect([...edgeWeights(3, [[0, 1, 2]])]).toEqual([0, 0, 0])
    const tied: Judge = ({ points }) => ({ ranking: [points.map((_, i) => i)] })
    for (const input of [{}, { lineSearch: true }]) expect([...play(input, onTensor(2), tied, 10)]).toEqual([0, 0])
  })
})

describe('[zo-rank-sgd] the run', () => {
  const sphere = (x: Float64Array) => x.reduce((sum, v, i) => sum + (v - 0.3 * (i + 1)) ** 2, 1)

  it.each([{}, { k: 1 }, { k: 10 }, { lineSearch: true, accumulate: true }])(
    'any increasing function of the values gives a bit-identical run: %j',
    (input) => {
      const trace = (f: (y: number) => number) => {
        const seen: number[] = []
        play(
          input,
          onTensor(3),
          by((x) => f(sphere(x))),
          200,
          (_, x) => seen.push(...x),
        )
        return seen
      }
      const plain = trace((y) => y)
      expect(new Set(plain).size).toBeGreaterThan(30)
      expect(trace(Math.exp)).toEqual(plain)
      expect(trace((y) => y ** 3 + 7)).toEqual(plain)
    },
  )

  it('one plain step is x - learningRate * g of the points that were asked', () => {
    let seen: Query | undefined
    const order = [[2], [0]]
    const x = play(
      { m: 4, k: 2, mu: 0.5, learningRate: 0.25 },
      onTensor(2),
      () => ({ ranking: order }),
      1,
      (query) => {
        seen = query
      },
    )
    expect(seen?.wants).toEqual([{ kind: 'ranking', top: 2 }])
    for (const axis of [0, 1]) {
      const xi = seen!.points.map((p) => xOf(p)[axis] / 0.5)
      expect(x[axis]).toBeCloseTo(-0.25 * edgeAverage(xi, order), 12)
    }
  })

  it('a line search never leaves the present point for one that the judge ranks below it: 1,000 judges', () => {
    const rng = new Rng(rngStream(4, 'judges'))
    for (let trial = 0; trial < 1000; trial++) {
      // A random function with random ups and downs, seen through a random increasing function: only its order counts.
      const [a, b, c, d] = Array.from({ length: 4 }, () => 3 * rng.normal())
      const bend = [(y: number) => y, Math.exp, Math.atan, (y: number) => y ** 3][rng.integer(4)]
      const f = (x: Float64Array) => bend(Math.sin(a * x[0] + b) + 0.1 * (x[1] - c) ** 2 + Math.cos(d * x[1] * x[0]))
      let value = f(Float64Array.of(0, 0))
      const accumulate = trial % 2 === 0
      play({ m: 4, k: 2, learningRate: 1, mu: 0.1, lineSearch: true, accumulate }, onTensor(2), by(f), 12, (_, x) => {
        expect(f(x)).toBeLessThanOrEqual(value)
        value = f(x)
      })
    }
  })

  it('a line search asks for the winner of the present point, J halved steps and the best perturbed point', () => {
    const queries: Query[] = []
    play({ lineSearch: true, learningRate: 1 }, onTensor(2), by(sphere), 2, (query) => queries.push(query))
    const [round, line] = queries
    expect(line.wants).toEqual([{ kind: 'ranking', top: 1 }])
    expect(line.points).toHaveLength(8)
    const [x, full, half] = line.points.map(xOf)
    expect([...x]).toEqual([0, 0])
    expect(half[0]).toBeCloseTo(full[0] / 2, 15)
    const best = round.points.map(xOf).reduce((a, b) => (sphere(b) < sphere(a) ? b : a))
    expect([...xOf(line.points[7])]).toEqual([...best])
  })

  it('accumulate: the direction is the mean over the rounds whose line search kept the present point', () => {
    const lines: Query[] = []
    const rounds: Query[] = []
    const order = [[0], [1], [2]]
    const stubborn: Judge = (query) => {
      const isLine = query.purpose === 'line-search'
      ;(isLine ? lines : rounds).push(query)
      return { ranking: isLine ? [[lines.length < 4 ? 0 : 1]] : order }
    }
    const config = { m: 3, k: 3, mu: 1, learningRate: 1, lineSearch: true, accumulate: true }
    play(config, onTensor(1), stubborn, 10)
    const g = rounds.map(({ points }, r) => {
      const at = r < 4 ? 0 : xOf(lines[3].points[1])[0]
      return edgeAverage(
        points.map((p) => xOf(p)[0] - at),
        order,
      )
    })
    const direction = lines.map(({ points }) => xOf(points[0])[0] - xOf(points[1])[0])
    expect(direction[0]).toBeCloseTo(g[0], 12)
    expect(direction[2]).toBeCloseTo((g[0] + g[1] + g[2]) / 3, 12)
    expect(direction[3]).toBeCloseTo((g[0] + g[1] + g[2] + g[3]) / 4, 12)
    // The fourth search moved on: the mean starts anew.
    expect(direction[4]).toBeCloseTo(g[4], 12)
  })

  it('a failed ranking is asked again, an infeasible one is replaced by other points', () => {
    const asked: string[][] = []
    const statuses = ['failed', 'cancelled', 'infeasible', 'ok'] as const
    play(
      {},
      onTensor(1),
      () => ({ status: statuses[asked.length], ranking: [[0]] }),
      4,
      (query) => asked.push([query.id, query.points.map((p) => xOf(p)[0]).join()]),
    )
    const [a, b, c, d] = asked
    expect(new Set(asked.map(([id]) => id)).size).toBe(4)
    expect(b[1]).toBe(a[1])
    expect(c[1]).toBe(a[1])
    expect(d[1]).not.toBe(a[1])
  })

  it('stays inside a box', () => {
    const problem = onTensor(2, { low: -0.5, high: 0.5 })
    play(
      { mu: 0.5, learningRate: 1 },
      problem,
      by((x) => -x[0]),
      30,
      ({ points }, x) => {
        for (const v of [...x, ...points.flatMap((p) => [...xOf(p)])]) expect(Math.abs(v)).toBeLessThanOrEqual(0.5)
      },
    )
  })

  it('refuses more ranks than points, and accumulation without a line search', () => {
    const issues = (input: object) => method.check!(parseConfig(method.config, input), onTensor(1)).map((i) => i.path)
    expect(issues({ m: 3, k: 4 })).toEqual(['config.k'])
    expect(issues({ accumulate: true })).toEqual(['config.accumulate'])
    expect(issues({})).toEqual([])
  })

  it('refuses search spaces that are not all floats, and text', () => {
    const search: Problem = {
      space: { kind: 'search', parameters: [{ name: 'n', type: 'int', low: 0, high: 3 }] },
      objectives: [{ name: 'f', direction: 'minimize' }],
    }
    expect(checkSuitable(method, search)[0].path).toBe('space.parameters[0].type')
    const text: Problem = { ...search, space: { kind: 'text', components: [{ name: 'a', initial: '' }] } }
    expect(checkSuitable(method, text)[0].path).toBe('space')
  })
})
