import { expect, test } from 'vitest'
import { method } from '../../../src/blackbox/ranking/yetiloss.js'
import { Rng, rngStream } from '../../../src/core/rng.js'
import { parseConfig } from '../../../src/core/schema.js'
import type { Problem, TensorsSpace } from '../../../src/core/space.js'
import type { Tensors } from '../../../src/core/tensor.js'
import { adamStep, type Moments } from '../../../src/optimizers/adam-step.js'
import { dot } from '../../../src/optimizers/flat.js'
import { orderOf, RANKING_LOSSES, rankingLoss, YETI_MODES } from '../../../src/optimizers/ranking/losses.js'
import { METRICS, metricOf, walks } from '../../../src/optimizers/ranking/metrics.js'
import { Driver } from '../drive.js'

const defaults = parseConfig(method.config, {})
const rngOf = (name: string, seed = 0) => new Rng(rngStream(seed, name))
const sigmoid = (t: number) => 1 / (1 + Math.exp(-t))
const lossOf = (z: readonly number[], labels: readonly number[], config: object = {}, seed = 0) =>
  rankingLoss(z, labels, { ...defaults, ...config }, rngOf('noise', seed))

const problemOf = (n: number, ...more: readonly string[]): Problem => ({
  space: { kind: 'tensors', tensors: ['gradient', ...more].map((name) => ({ name, shape: [n], dtype: 'f64' })) },
  objectives: [{ name: 'loss', direction: 'minimize' }],
})
type Documents = { scores: ArrayLike<number>; labels: ArrayLike<number>; queries: ArrayLike<number> }
/** Tells scores and labels; returns what the next query's point answers. */
function tell(driver: Driver, { scores, labels, queries }: Documents): Tensors {
  const [query] = driver.outcome?.queries.length ? driver.outcome.queries : driver.ask()
  const record = Object.fromEntries(
    Object.entries({ scores, labels, queries }).map(([k, v]) => [k, Float64Array.from(v)]),
  )
  driver.step({ type: 'observation', query, observation: { queryId: query.id, status: 'ok', quantities: [record] } })
  const [point] = driver.outcome!.queries[0].points
  if (point.kind !== 'tensors') throw new Error('expected tensors')
  return point.tensors
}

const Z = [2, 1, 0]
const L = [0, 1, 2]
const WEIGHT = (1 - 1 / Math.log2(3)) / (3 + 1 / Math.log2(3))

test('[yetiloss] without noise neighbours alone are pairs, by their change of NDCG; lambdarank takes all', () => {
  expect(Math.abs(WEIGHT - 0.1016464)).toBeLessThan(1e-6)
  const { gradient } = lossOf(Z, L, { noisePower: 0 })
  expect(Math.abs(gradient[0] - 0.0743095)).toBeLessThan(1e-6)
  expect(Math.abs(gradient[0] - WEIGHT * sigmoid(1))).toBeLessThan(1e-12)
  // The last document has one pair, with the second: the first and the last are no neighbours.
  const last = (2 * (1 / Math.log2(3) - 0.5)) / (3 + 1 / Math.log2(3))
  expect(Math.abs(gradient[2] + last * sigmoid(1))).toBeLessThan(1e-12)
  expect(lossOf(Z, L, { loss: 'lambdarank' }).gradient[0]).toBeGreaterThan(gradient[0] + 0.1)

  const driver = new Driver(method, problemOf(3, 'hessian'), { noisePower: 0 })
  const told = tell(driver, { scores: Z, labels: L, queries: [0, 0, 0] })
  expect(Array.from(told.gradient)).toEqual(Array.from(gradient))
  expect(told.hessian[0]).toBeCloseTo(WEIGHT * sigmoid(1) * sigmoid(-1), 12)
})

const QUERIES = 100
const DOCUMENTS = 20
const FEATURES = 20
type Workload = { x: Float64Array[]; labels: number[]; queries: number[] }
/** Grades by a clipped function of the features that is not linear, with noise, and queries that differ in level. */
function workload(rng: Rng, w: readonly number[], queries: number): Workload {
  const data: Workload = { x: [], labels: [], queries: [] }
  for (let q = 0; q < queries; q++) {
    const level = 0.5 * rng.normal()
    for (let d = 0; d < DOCUMENTS; d++) {
      const x = Float64Array.from({ length: FEATURES }, () => rng.normal())
      const linear = dot(x, w)
      const relevance = linear + level + 0.5 * x[0] * x[1] + 0.5 * rng.normal()
      data.x.push(x)
      data.labels.push([0.2, 0.9, 1.6, 2.3].filter((edge) => relevance > edge).length)
      data.queries.push(q)
    }
  }
  return data
}
const weights = (rng: Rng) => Array.from({ length: FEATURES }, () => rng.normal() / Math.sqrt(FEATURES))
const scoresOf = ({ x }: Workload, w: ArrayLike<number>) => Float64Array.from(x, (row) => dot(row, w))
const groupsOf = ({ queries }: Workload) => Array.from({ length: Math.max(...queries) + 1 }, (_, q) => q * DOCUMENTS)
const ndcgOf = (data: Workload, z: Float64Array) => {
  const groups = groupsOf(data)
  const values = groups.map((from) => {
    const order = orderOf(z.subarray(from, from + DOCUMENTS))
    return metricOf(
      'ndcg',
      order.map((k) => data.labels[from + k]),
      10,
    )
  })
  return values.reduce((sum, value) => sum + value / groups.length, 0)
}
/** Trains a linear model by Adam on gradients by the scores. */
function train(data: Workload, gradientOf: (z: Float64Array) => ArrayLike<number>, steps = 150) {
  const zeros = () => new Float64Array(FEATURES)
  const moments: Moments = { m: zeros(), v: zeros() }
  let w = zeros()
  for (let t = 1; t <= steps; t++) {
    const g = gradientOf(scoresOf(data, w))
    const back = zeros()
    for (const [i, row] of data.x.entries()) for (let j = 0; j < FEATURES; j++) back[j] += g[i] * row[j]
    const step = adamStep(moments, back, t, { learningRate: 0.1, beta1: 0.9, beta2: 0.999, eps: 1e-8 })
    w = w.map((value, j) => value - step[j])
  }
  return w
}

test('[yetiloss] a linear model ranks better by yetiloss than by squared errors and by the logistic loss of pairs', () => {
  const means = { yetiloss: 0, squared: 0, pairwise: 0 }
  let unbalanced = 0
  for (let seed = 0; seed < 4; seed++) {
    const rng = rngOf('workload', seed)
    const data = workload(rng, weights(rng), QUERIES)
    const driver = new Driver(method, problemOf(data.labels.length), {}, seed)
    const byYeti = train(data, (scores) => {
      const { gradient } = tell(driver, { scores, labels: data.labels, queries: data.queries })
      for (const from of groupsOf(data)) {
        let sum = 0
        for (let i = from; i < from + DOCUMENTS; i++) sum += gradient[i]
        unbalanced = Math.max(unbalanced, Math.abs(sum))
      }
      return gradient
    })
    const bySquares = train(data, (z) => z.map((score, i) => score - data.labels[i]))
    const byPairs = train(data, (z) => {
      const g = new Float64Array(z.length)
      for (const from of groupsOf(data))
        for (let i = from; i < from + DOCUMENTS; i++)
          for (let j = from; j < from + DOCUMENTS; j++)
            if (data.labels[i] > data.labels[j]) {
              const pull = sigmoid(z[j] - z[i])
              g[i] -= pull
              g[j] += pull
            }
      return g
    })
    means.yetiloss += ndcgOf(data, scoresOf(data, byYeti)) / 4
    means.squared += ndcgOf(data, scoresOf(data, bySquares)) / 4
    means.pairwise += ndcgOf(data, scoresOf(data, byPairs)) / 4
  }
  expect(unbalanced).toBeLessThanOrEqual(1e-12)
  expect(means.yetiloss - means.squared).toBeGreaterThanOrEqual(0.003)
  expect(means.yetiloss - means.pairwise).toBeGreaterThanOrEqual(0.001)
})

test('yetiloss: boosted stumps by gradient and Hessian rank new queries better and better', () => {
  const rng = rngOf('stumps')
  const w = weights(rng)
  const [data, fresh] = [workload(rng, w, 40), workload(rng, w, 60)]
  const n = data.labels.length
  const driver = new Driver(method, problemOf(n, 'hessian'), { permutations: 3 })
  const z = new Float64Array(n)
  const ahead = new Float64Array(fresh.labels.length)
  const before = ndcgOf(fresh, ahead)
  for (let round = 0; round < 40; round++) {
    const { gradient, hessian } = tell(driver, { scores: z, labels: data.labels, queries: data.queries })
    let best = { worth: -1, j: 0, leaves: [0, 0] }
    for (let j = 0; j < FEATURES; j++) {
      const [g, h] = [
        [0, 0],
        [1e-3, 1e-3],
      ]
      data.x.forEach((row, i) => {
        const side = Number(row[j] > 0)
        g[side] += gradient[i]
        h[side] += hessian[i]
      })
      const worth = g[0] ** 2 / h[0] + g[1] ** 2 / h[1]
      if (worth > best.worth) best = { worth, j, leaves: [-g[0] / h[0], -g[1] / h[1]] }
    }
    const grow = (scores: Float64Array, { x }: Workload) => {
      for (const [i, row] of x.entries()) scores[i] += 0.3 * best.leaves[Number(row[best.j] > 0)]
    }
    grow(z, data)
    grow(ahead, fresh)
  }
  expect(ndcgOf(fresh, ahead)).toBeGreaterThan(before + 0.15)
  expect(driver.estimate().metrics!.metric).toBeGreaterThan(before + 0.15)
})

test('yetiloss: metrics by hand, and what they gain when neighbours swap', () => {
  const ordered = [1, 0, 2]
  expect(metricOf('dcg', ordered)).toBeCloseTo(1 + 3 / 2, 12)
  expect(metricOf('ndcg', ordered)).toBeCloseTo(2.5 / (3 + 1 / Math.log2(3)), 12)
  expect(metricOf('ndcg', ordered, 1)).toBeCloseTo(1 / 3, 12)
  expect(metricOf('mrr', [0, 0, 1])).toBeCloseTo(1 / 3, 12)
  expect(metricOf('map', [1, 0, 2])).toBeCloseTo((1 + 2 / 3) / 2, 12)
  // Content with 1/4, then with 0, then with 3/4.
  expect(metricOf('err', ordered)).toBeCloseTo(1 / 4 + (3 / 4) * (3 / 4) * (1 / 3), 12)
  for (const metric of METRICS) {
    expect(metricOf(metric, [0, 0])).toBe(0)
    const labels = [0, 2, 1, 0, 3, 1]
    const walk = walks(metric, labels)()
    for (let k = 0; k + 1 < labels.length; k++) {
      const swapped = labels.with(k, labels[k + 1]).with(k + 1, labels[k])
      expect(walk.swap(labels[k], labels[k + 1])).toBeCloseTo(metricOf(metric, labels) - metricOf(metric, swapped), 12)
      walk.pass(labels[k])
    }
  }
})

test('yetiloss: stochasticrank is the gradient of the smoothed metric; all losses pull relevant documents up', () => {
  const z = [0.3, -0.2, 0.5, 0.1]
  const labels = [2, 1, 0, 1]
  for (const mode of METRICS) {
    const config = { loss: 'stochasticrank', mode, permutations: 10_000 }
    const { gradient } = lossOf(z, labels, config)
    // With the same draws of noise the differences of the means are those of few documents that change places.
    const at = (h: number) => lossOf(z.with(0, z[0] + h), labels, config).loss
    expect(Math.abs(gradient[0] - (at(0.2) - at(-0.2)) / 0.4)).toBeLessThan(0.1 * Math.abs(gradient[0]) + 0.01)
  }
  for (const loss of RANKING_LOSSES)
    for (const mode of YETI_MODES) {
      const { gradient, hessian } = lossOf(z, labels, { loss, mode, permutations: 200 })
      expect(gradient[0]).toBeLessThan(0)
      expect(gradient[2]).toBeGreaterThan(0)
      expect(Math.abs(gradient.reduce((sum, g) => sum + g, 0))).toBeLessThan(1e-12)
      expect(Math.min(...hessian)).toBeGreaterThanOrEqual(0)
    }
  // classic: the difference of labels, 0.85 to the power of the position.
  const { gradient } = lossOf(Z, L, { mode: 'classic', noisePower: 0 })
  expect(gradient[0]).toBeCloseTo(sigmoid(1), 12)
  expect(gradient[2]).toBeCloseTo(-0.85 * sigmoid(1), 12)
})

test('yetiloss: documents of no query are left out; queries are told apart; bad spaces are refused', () => {
  const driver = new Driver(method, problemOf(5, 'hessian'), { noisePower: 0 })
  const { gradient, hessian } = tell(driver, {
    scores: [2, 9, 1, 0, 5],
    labels: [0, 4, 1, 2, 0],
    queries: [7, -1, 7, 7, 3],
  })
  expect([gradient[1], hessian[1], gradient[4]]).toEqual([0, 0, 0])
  expect(gradient[0]).toBeCloseTo(WEIGHT * sigmoid(1), 12)
  expect(driver.estimate().metrics).toMatchObject({ queries: 2 })
  driver.restart()
  expect(
    Array.from(tell(driver, { scores: [0, 0, 0, 0, 0], labels: [0, 0, 0, 0, 0], queries: [0, 0, 0, 0, 0] }).gradient),
  ).toEqual([0, 0, 0, 0, 0])
  const paths = (space: TensorsSpace, direction: 'minimize' | 'maximize' = 'minimize') =>
    method.check!(defaults, { space, objectives: [{ name: 'loss', direction }] }).map(({ path }) => path)
  const space = problemOf(3).space as TensorsSpace
  expect(paths(space)).toEqual([])
  expect(paths(space, 'maximize')).toEqual(['objectives[0].direction'])
  const other = { name: 'w', shape: [2], dtype: 'f64' as const }
  expect(paths({ ...space, tensors: [other] })).toEqual(['space.tensors', 'space.tensors[0].name'])
  expect(paths({ ...space, tensors: [...space.tensors, { ...other, name: 'hessian' }] })).toEqual([
    'space.tensors[1].shape',
  ])
})
