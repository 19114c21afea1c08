import { describe, expect, test } from 'vitest'
import { Rng, rngStream } from '../../../src/core/rng.js'
import { compress, messageBits } from '../../../src/optimizers/distributed/compressors.js'
import { method } from '../../../src/optimizers/distributed/dprox-sgt.js'
import { GRAPHS, metropolis } from '../../../src/optimizers/distributed/graph.js'
import { vectors } from '../session.js'
import { type Client, Turns } from '../turns.js'

const N = 5
const D = 6
const rng = new Rng(rngStream(3, 'workers'))
const centres = Array.from({ length: N }, () => Array.from({ length: D }, () => 2 * rng.normal()))
const bends = Array.from({ length: N }, () => Array.from({ length: D }, () => 0.5 + rng.uniform()))
const gradient = (i: number, x: ArrayLike<number>) =>
  Float64Array.from(x, (value, j) => bends[i][j] * (value - centres[i][j]) + 0.2 * Math.sin(3 * value))
/** The gradients told last; a worker's has noise that depends on the sample. */
let told: Float64Array[] = []
const client =
  (noise: number): Client =>
  (points, { sampleKey }) => {
    const draws = new Rng(rngStream(Number(sampleKey!.slice(1)), 'sample'))
    told = points.map(({ x }, i) => gradient(i, x).map((value) => value + noise * draws.normal()))
    return { gradients: told.map((x) => ({ x })) }
  }
const start = (config: object, seed = 1) =>
  new Turns(method, vectors(Array(D).fill(0.5)), {
    seed,
    config: { workers: N, learningRate: 0.05, regularizer: 'l1', weight: 0.3, ...config },
  })
type Own = { x: Float64Array[]; y: Float64Array[] }
const ownOf = (turns: Turns) => (turns.state as unknown as { own: Own }).own
const mean = (rows: readonly ArrayLike<number>[]) =>
  Array.from(rows[0], (_, j) => rows.reduce((sum, row) => sum + row[j], 0) / rows.length)
const apart = (a: ArrayLike<number>, b: ArrayLike<number>) =>
  Math.max(...Array.from(a, (value, i) => Math.abs(value - b[i])))

test('[dprox-sgt] the mean of the y_i is that of the gradients, whatever is sent', () => {
  for (const config of [
    { variant: 'dprox-sgt' },
    { variant: 'dprox-sgt', graph: 'star' },
    ...['identity', 'topk', 'qsgd'].map((compressor) => ({ variant: 'cdprox-sgt', compressor })),
  ]) {
    const turns = start(config)
    for (let t = 0; t < 100; t++) {
      turns.tell(client(0.5))
      expect(apart(mean(ownOf(turns).y), mean(told))).toBeLessThan(1e-12)
    }
  }
})

test('[dprox-sgt] W = 1/n is proximal SGD on the mean gradient', () => {
  const turns = start({ graph: 'complete' })
  let x = Array<number>(D).fill(0.5)
  for (let t = 0; t < 100; t++) {
    turns.tell(client(0.5))
    const g = mean(told)
    x = x
      .map((value, j) => value - 0.05 * g[j])
      .map((value) => Math.sign(value) * Math.max(Math.abs(value) - 0.05 * 0.3, 0))
    for (const xi of ownOf(turns).x) expect(apart(xi, x)).toBeLessThan(1e-12)
  }
})

test('[dprox-sgt] messages as they are and gamma = 1: as without compression', () => {
  const plain = start({})
  const identity = start({ variant: 'cdprox-sgt', compressor: 'identity', gammaX: 1, gammaY: 1 })
  for (let t = 0; t < 100; t++) {
    plain.tell(client(0.5))
    identity.tell(client(0.5))
    ownOf(plain).x.forEach((x, i) => {
      expect(apart(x, ownOf(identity).x[i])).toBeLessThan(1e-12)
    })
  }
})

describe('dprox-sgt', () => {
  test('exact gradients: workers with different data agree on a stationary point, compressed or not, through restarts', () => {
    for (const config of [
      { learningRate: 0.1 },
      { variant: 'cdprox-sgt', compressor: 'topk', share: 0.5, gammaX: 0.4, gammaY: 0.4 },
      { variant: 'cdprox-sgt', compressor: 'qsgd', levels: 15 },
    ]) {
      const turns = start(config)
      for (let t = 0; t < 1500; t++) {
        turns.tell(client(0))
        if (t % 500 === 0) turns.restart()
      }
      expect(turns.metrics.consensusError).toBeLessThan(1e-8)
      expect(turns.metrics.trackingError).toBeLessThan(1e-7)
      const { x } = turns.answer
      const g = mean(centres.map((_, i) => gradient(i, x)))
      g.forEach((value, j) => {
        if (x[j] === 0) expect(Math.abs(value)).toBeLessThan(0.3 + 1e-6)
        else expect(value + 0.3 * Math.sign(x[j])).toBeCloseTo(0, 6)
      })
    }
  })

  test('compressors: the largest elements; unbiased levels; and what they cost', () => {
    const v = Float64Array.of(0.1, -3, 0.5, 2, 0)
    const base = { share: 0.4, levels: 4 }
    const draws = new Rng(rngStream(1, 'levels'))
    expect([...compress({ ...base, compressor: 'topk' }, v, draws)]).toEqual([0, -3, 0, 2, 0])
    const sum = new Float64Array(5)
    for (let k = 0; k < 20_000; k++)
      compress({ ...base, compressor: 'qsgd' }, v, draws).forEach((value, i) => {
        expect(Number.isInteger((value / 3) * 4)).toBe(true)
        sum[i] += value / 20_000
      })
    expect(apart(sum, v)).toBeLessThan(0.02)
    expect([...compress({ ...base, compressor: 'qsgd' }, new Float64Array(2), draws)]).toEqual([0, 0])
    expect(messageBits({ ...base, compressor: 'identity' }, 1000)).toBe(64_000)
    expect(messageBits({ ...base, compressor: 'topk' }, 1000)).toBe(400 * (64 + 10))
    expect(messageBits({ ...base, levels: 15, compressor: 'qsgd' }, 1000)).toBe(64 + 1000 * 5)
    const turns = start({ variant: 'cdprox-sgt', compressor: 'qsgd' }).steps(3, client(0))
    expect(turns.metrics).toMatchObject({ messageBits: 2 * (64 + D * 5), sentBits: 2 * (64 + D * 5) * N * 3 })
  })

  test('graphs mix by symmetric doubly stochastic matrices', () => {
    for (const graph of GRAPHS)
      for (const n of [1, 2, 3, 6])
        for (const [i, row] of metropolis(graph, n).entries()) {
          expect(row.reduce((sum, w) => sum + w, 0)).toBeCloseTo(1, 14)
          row.forEach((w, j) => {
            expect(w).toBe(metropolis(graph, n)[j][i])
          })
        }
    expect(metropolis('ring', 4)[0]).toEqual([1 - 1 / 3 - 1 / 3, 1 / 3, 0, 1 / 3])
    expect(metropolis('ring', 6)[2].filter((w) => w > 0).length).toBe(3)
  })

  test('graphs and matrices that do not fit are located', () => {
    expect(() =>
      start({
        graph: [
          [0, 1],
          [2, 3],
          [3, 4],
        ],
      }),
    ).toThrow('config.graph: some workers are not connected')
    expect(() => start({ graph: [[0, 7]] })).toThrow('config.graph[0]: expected two different workers below 5')
    expect(() =>
      start({
        mixing: [
          [1, 0],
          [0, 1],
        ],
      }),
    ).toThrow('config.mixing: expected a symmetric 5 x 5 matrix')
    const W = Array.from({ length: N }, () => Array(N).fill(1 / N))
    expect(start({ mixing: W }).query!.points.length).toBe(N)
  })
})
