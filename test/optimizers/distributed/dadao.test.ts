import { describe, expect, test } from 'vitest'
import { symmetricEigen } from '../../../src/core/eigen.js'
import { Rng, rngStream } from '../../../src/core/rng.js'
import { method } from '../../../src/optimizers/distributed/dadao.js'
import { exponential, flowMatrix } from '../../../src/optimizers/distributed/dadao-flow.js'
import { gossipOf, gossipRates, uniform } from '../../../src/optimizers/distributed/gossip.js'
import { type Edge, edgesOf, type Graph } from '../../../src/optimizers/distributed/graph.js'
import { multiply, multiplyTransposed } from '../../../src/optimizers/matrices.js'
import { vectors } from '../session.js'
import { type Client, Turns } from '../turns.js'

const N = 10
const D = 5
const POINTS = 20

/** Two cliques of five workers, joined by an edge. */
const clique = (from: number) => edgesOf('complete', 5).map(([i, j]): Edge => [from + i, from + j])
const CLIQUES: readonly Edge[] = [...clique(0), ...clique(5), [4, 5]]

/** |A_i*x - b_i|^2/(2*20) + c*|x|^2/2 of each worker: Hessians, and the solution of the sum. */
function ridge(seed: number) {
  const rng = new Rng(rngStream(seed, 'ridge'))
  const hidden = Float64Array.from({ length: D }, () => rng.normal())
  const parts = Array.from({ length: N }, () => {
    const A = Float64Array.from({ length: POINTS * D }, () => rng.normal())
    const b = multiply(A, hidden, D).map((value) => value + 0.5 * rng.normal())
    const H = multiplyTransposed(A, A, POINTS).map((value, at) => value / POINTS + (at % (D + 1) === 0 ? 0.2 : 0))
    const g = multiplyTransposed(A, b, POINTS).map((value) => value / POINTS)
    return { H, g }
  })
  const ends = parts.map(({ H }) => symmetricEigen(H.slice(), D))
  const [mu, smoothness] = [Math.min(...ends.flatMap((e) => [...e])), Math.max(...ends.flatMap((e) => [...e]))]
  const gradient = (i: number, x: ArrayLike<number>) =>
    multiply(parts[i].H, x, D).map((value, k) => value - parts[i].g[k])
  let solution = new Float64Array(D)
  for (let t = 0; t < 2000; t++) {
    const sum = new Float64Array(D)
    for (let i = 0; i < N; i++)
      gradient(i, solution).forEach((value, k) => {
        sum[k] += value / N
      })
    solution = solution.map((value, k) => value - sum[k] / smoothness)
  }
  return { mu, smoothness, gradient, solution }
}

const { mu, smoothness, gradient, solution } = ridge(1)
const client: Client = ([{ x }], { purpose }) => ({ gradients: [{ x: gradient(Number(purpose!.split('.')[1]), x) }] })
type Own = { workers: { v: Float64Array[] }[] }
/** Mean over workers of the squared distance to the solution. */
const distance = (turns: Turns) =>
  (turns.state as unknown as { own: Own }).own.workers.reduce(
    (sum, { v: [x] }) => sum + x.reduce((total, value, k) => total + (value - solution[k]) ** 2, 0) / N,
    0,
  )
const start = (config: object, seed = 1) =>
  new Turns(method, vectors(Array(D).fill(0)), { seed, config: { workers: N, mu, smoothness, ...config } })
/** Answers until the clock is there. */
function until(turns: Turns, time: number) {
  while (turns.metrics.time < time) turns.tell(client)
  return turns
}

test('[dadao] what graphs make of gossip with equal rates', () => {
  for (const [graph, chi1, chi2, rate] of [
    ['complete', 4.5, 4.5, 6.364],
    ['ring', 26.1803, 4.5, 15.35],
    ['line', 91.9428, 4.5, 28.766],
    ['star', 9, 4.5, 9],
  ] as const) {
    const edges = edgesOf(graph, N)
    const gossip = gossipOf(edges, uniform(edges), N)
    expect(Math.abs(gossip.chi1 - chi1)).toBeLessThan(1e-3)
    expect(Math.abs(gossip.chi2 - chi2)).toBeLessThan(1e-3)
    expect(Math.abs(gossip.rate - rate)).toBeLessThan(1e-3)
  }
})

test('[dadao] ridge regression at time 400: as many gradients on every graph, messages by the rates', () => {
  expect(smoothness / mu).toBeGreaterThan(5)
  expect(smoothness / mu).toBeLessThan(16)
  for (const graph of ['complete', 'ring', 'line', 'star'] satisfies Graph[]) {
    const turns = start({ graph })
    const before = distance(turns)
    const { gradients, gossips, gossipRate, time } = until(turns, 400).metrics as Record<string, number>
    expect(distance(turns)).toBeLessThan(1e-9 * before)
    expect(gradients).toBeGreaterThan(3700)
    expect(gradients).toBeLessThan(4300)
    expect(Math.abs(gossips / (gossipRate * time) - 1)).toBeLessThan(0.05)
  }
})

test('[dadao] optimized rates: fewer messages where cliques are joined by an edge, and both converge', () => {
  const best = gossipRates(CLIQUES, N)
  expect(gossipOf(CLIQUES, uniform(CLIQUES), N).rate).toBeCloseTo(38.44, 2)
  expect(best.rate).toBeLessThanOrEqual(18.4)
  expect(best.rate).toBeGreaterThan(18.2)
  expect(Math.abs(best.weights[CLIQUES.length - 1] - 0.205)).toBeLessThan(0.01)
  expect(best.weights.reduce((sum, w) => sum + w, 0)).toBeCloseTo(1, 12)
  for (const rates of ['uniform', 'optimized']) {
    const turns = start({ graph: CLIQUES, rates })
    const before = distance(turns)
    expect(distance(until(turns, 250))).toBeLessThan(1e-4 * before)
  }
})

describe('dadao', () => {
  test('the flow is the exponential of its matrix: halves compose, and the derivative is right', () => {
    const M = flowMatrix({ mu: 0.5, smoothness: 3, chi: 1 })
    const [half, whole] = [exponential(M, 0.7), exponential(M, 1.4)]
    multiply(half, half, 6).forEach((value, at) => {
      expect(value).toBeCloseTo(whole[at], 12)
    })
    const tiny = exponential(M, 1e-6)
    M.forEach((value, at) => {
      expect((tiny[at] - Number(at % 7 === 0)) / 1e-6).toBeCloseTo(value, 4)
    })
  })

  test('the same seed gives the same events, through restarts', () => {
    const [one, other] = [start({ graph: 'star' }, 3), start({ graph: 'star' }, 3)]
    for (let t = 0; t < 40; t++) {
      one.tell(client)
      other.restart()
      other.tell(client)
    }
    expect(other.query).toEqual(one.query)
    expect(start({ graph: 'star' }, 4).metrics.time).not.toBe(start({ graph: 'star' }, 3).metrics.time)
  })

  test('events told by the workers: the solution is found, and what cannot be ends the session', () => {
    const rng = new Rng(rngStream(9, 'clock'))
    const edges = edgesOf('ring', N)
    let time = 0
    const events: Client = (points, query) => {
      if (query.purpose !== 'event') return client(points, query)
      const { gossipRate } = turns.metrics
      time -= Math.log(1 - rng.uniform()) / (N + gossipRate)
      const alone = rng.uniform() * (N + gossipRate) < N
      const worker = rng.integer(N)
      const pair = alone ? [worker, worker] : edges[rng.integer(edges.length)]
      const [a, b] = pair.map((i) => Float64Array.of(i))
      return { quantities: [{ time: Float64Array.of(time), worker: a, neighbour: b }] }
    }
    const turns = start({ events: 'told' })
    const before = distance(turns)
    while (turns.metrics.time < 120) turns.tell(events)
    expect(distance(turns)).toBeLessThan(1e-2 * before)
    const told = (t: number, i: number, j: number) => {
      const wrong = start({ events: 'told' })
      wrong.tell(() => ({
        quantities: [{ time: Float64Array.of(1), worker: Float64Array.of(0), neighbour: Float64Array.of(1) }],
      }))
      wrong.tell(() => ({
        quantities: [{ time: Float64Array.of(t), worker: Float64Array.of(i), neighbour: Float64Array.of(j) }],
      }))
      return wrong.done
    }
    expect(told(2, 1, 2)).toBeUndefined()
    expect(told(0.5, 1, 2)).toContain('was told after one at 1')
    expect(told(2, 1, 5)).toContain('are no neighbours')
    expect(told(2, 11, 11)).toContain('worker 11 of 10')
  })

  test('configs that do not fit are located', () => {
    expect(() => start({ rates: [1, 2] })).toThrow('config.rates: expected a number for each of 10 edges')
    expect(() => start({ mu: 2, smoothness: 1 })).toThrow('config.mu')
    expect(() => start({ workers: 41, rates: 'optimized' })).toThrow('config.workers: expected at most 40')
    expect(() => start({ graph: [[0, 0]] })).toThrow('config.graph[0]')
  })
})
