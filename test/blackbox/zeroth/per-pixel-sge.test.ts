import { beforeAll, describe, expect, test } from 'vitest'
import { method } from '../../../src/blackbox/zeroth/per-pixel-sge.js'
import type { Query, Terms } from '../../../src/core/query.js'
import { Rng, rngStream } from '../../../src/core/rng.js'
import type { TensorsSpace } from '../../../src/core/space.js'
import type { Tensors } from '../../../src/core/tensor.js'
import { loadEngines } from '../../../src/optimizers/engines/index.js'
import { Session } from './session.js'

beforeAll(loadEngines)

const PIXELS = 16

/** S intervals (centre, half width, gray) painted in order on 16 S pixels, hard edges; the id of the topmost or -1. */
function paint({ center, width, gray }: Tensors): { image: Float64Array; ids: Int32Array } {
  const n = PIXELS * center.length
  const image = new Float64Array(n)
  const ids = new Int32Array(n).fill(-1)
  for (let k = 0; k < center.length; k++) {
    const from = Math.max(0, Math.ceil((center[k] - width[k]) * n - 0.5))
    const to = Math.min(n - 1, Math.floor((center[k] + width[k]) * n - 0.5))
    for (let p = from; p <= to; p++) {
      image[p] = gray[k]
      ids[p] = k
    }
  }
  return { image, ids }
}

/** A rasterizer of S intervals: where it starts, and its terms against the target image. */
function raster(S: number, { everyone = false, darkest = 0 } = {}) {
  const rng = new Rng(rngStream(S, 'raster'))
  const cells = Float64Array.from({ length: S }, (_, k) => (k + 0.5) / S)
  const target = {
    center: cells,
    width: new Float64Array(S).fill(0.36 / S),
    gray: cells.map(() => darkest + (1 - darkest) * rng.uniform()),
  }
  const start = {
    center: cells.map((c) => c + (0.1 / S) * rng.normal()),
    width: new Float64Array(S).fill(0.3 / S),
    gray: new Float64Array(S).fill(0.5),
  }
  const wanted = paint(target).image
  const terms = (at: Tensors): Terms => {
    const { image, ids } = paint(at)
    const all = Array.from({ length: S }, (_, k) => k)
    return {
      losses: Array.from(image, (v, p) => (v - wanted[p]) ** 2),
      contributors: Array.from(ids, (k) => (everyone ? all : k < 0 ? [] : [k])),
    }
  }
  const space: TensorsSpace = {
    kind: 'tensors',
    tensors: ['center', 'width', 'gray'].map((name) => ({ name, shape: [S], dtype: 'f64' })),
    initial: start,
  }
  const answer = ({ points }: Query) => ({ terms: points.map((p) => terms(p.kind === 'tensors' ? p.tensors : {})) })
  return { space, target, start, terms, answer }
}

const sigmas = (S: number) => ({ center: 0.15 / S, width: 0.08 / S, gray: 0.05 })
const still = { id: 'sgd', config: { learningRate: 0 } }

/** Gradients at the start, one for each draw. */
function gradients(S: number, draws: number, config: object, options = {}): Float64Array[] {
  const { space, answer } = raster(S, options)
  const session = new Session(method, space, { sigmas: sigmas(S), optimizer: still, ...config })
  return Array.from({ length: draws }, () => {
    const [query] = session.ask()
    session.tell(query, answer(query))
    return (session.state as { own: { gradient: Float64Array } }).own.gradient
  })
}
const meanOf = (list: readonly Float64Array[]) =>
  list[0].map((_, i) => list.reduce((sum, g) => sum + g[i], 0) / list.length)

describe('[per-pixel-sge] the variance of gray gradients', () => {
  test.each([
    [8, 5],
    [32, 20],
    [64, 40],
  ])('%i intervals: global over per-term above %i', (S, least) => {
    const grays = (config: object) => gradients(S, 1000, config).map((g) => g.subarray(2 * S))
    const [local, global] = [grays({}), grays({ estimator: 'global' })]
    const variance = (list: readonly Float64Array[]) => {
      const mean = meanOf(list)
      return list.reduce((sum, g) => sum + g.reduce((s, v, i) => s + (v - mean[i]) ** 2, 0), 0)
    }
    expect(variance(global) / variance(local)).toBeGreaterThanOrEqual(least)
    const centred = (list: readonly Float64Array[]) => {
      const mean = meanOf(list)
      const middle = mean.reduce((sum, v) => sum + v, 0) / S
      return mean.map((v) => v - middle)
    }
    const [a, b] = [centred(local), centred(global)]
    const inner = (x: Float64Array, y: Float64Array) => x.reduce((sum, v, i) => sum + v * y[i], 0)
    expect(inner(a, b) / Math.sqrt(inner(a, a) * inner(b, b))).toBeGreaterThan(0.75)
  })
})

test('[per-pixel-sge] when every term lists every parameter, the estimators are the same bits', () => {
  expect(gradients(8, 20, {}, { everyone: true })).toEqual(
    gradients(8, 20, { estimator: 'global' }, { everyone: true }),
  )
})

test('[per-pixel-sge] hard edges: differences see nothing, the estimator the way to the target', () => {
  const S = 32
  const options = { darkest: 0.3 }
  const { start, target, terms } = raster(S, options)
  const loss = (center: Float64Array) => terms({ ...start, center }).losses.reduce((sum, l) => sum + l, 0)
  const step = 1e-7
  for (let k = 0; k < S; k++) {
    const moved = (by: number) => start.center.map((c, i) => (i === k ? c + by : c))
    expect(loss(moved(step)) - loss(moved(-step))).toBe(0)
  }
  const mean = meanOf(gradients(S, 1000, {}, options))
  const off = Array.from(start.center, (c, k) => c - target.center[k])
  const far = off.flatMap((d, k) => (Math.abs(d) > 0.05 / S ? [k] : []))
  expect(far.length).toBeGreaterThan(10)
  const right = far.filter((k) => Math.sign(mean[k]) === Math.sign(off[k]))
  expect(right.length / far.length).toBeGreaterThanOrEqual(0.9)
})

test('per-pixel-sge: draws are averaged, Adam brings the image closer, infeasible draws are replaced', () => {
  const S = 16
  const { space, answer, terms, start } = raster(S)
  const mean = (at: Tensors) => {
    const { losses } = terms(at)
    return losses.reduce((sum, l) => sum + l, 0) / losses.length
  }
  const session = new Session(method, space, {
    sigmas: sigmas(S),
    draws: 2,
    optimizer: { id: 'adam', config: { learningRate: 1e-3, beta2: 0.99 } },
  })
  for (let t = 0; t < 500; t++) {
    const [query] = session.ask()
    expect(query.points).toHaveLength(4)
    session.tell(query, answer(query))
  }
  const { point } = session.estimate.points[0]
  expect(mean(point.kind === 'tensors' ? point.tensors : {})).toBeLessThan(0.6 * mean(start))
  const global = new Session(method, space, { estimator: 'global', sigmas: sigmas(S) })
  const [query] = global.ask()
  global.tell(query, answer(query))
  expect(global.metrics.gradientNorm).toBe(global.metrics.globalNorm)

  const [first] = session.ask()
  session.tell(first, 'failed')
  const [again] = session.ask()
  expect(again.points).toEqual(first.points)
  session.tell(again, 'infeasible')
  expect(session.ask()[0].points).not.toEqual(first.points)
  const uneven: TensorsSpace = {
    kind: 'tensors',
    tensors: [
      { name: 'a', shape: [3], dtype: 'f64' },
      { name: 'b', shape: [4, 2], dtype: 'f64' },
    ],
  }
  expect(() => new Session(method, uneven)).toThrow('space.tensors[1].shape')
})
