import { expect, test } from 'vitest'
import { relativeError, sensing, sensingGradient } from '../../../examples/workloads/matrix-sensing.js'
import { Rng, rngStream } from '../../../src/core/rng.js'
import type { TensorsSpace } from '../../../src/core/space.js'
import { method as scaledGd } from '../../../src/optimizers/presets/scaled-gd.js'
import { method as sgd } from '../../../src/optimizers/presets/sgd.js'
import { Session } from '../session.js'

const matrices = (named: {
  readonly [name: string]: { shape: [number, number]; values: ArrayLike<number> }
}): TensorsSpace => ({
  kind: 'tensors',
  tensors: Object.entries(named).map(([name, { shape }]) => ({ name, shape, dtype: 'f64' })),
  initial: Object.fromEntries(Object.entries(named).map(([name, { values }]) => [name, Float64Array.from(values)])),
})
const normals = (seed: number, name: string, count: number, scale = 1) => {
  const rng = new Rng(rngStream(seed, name))
  return Array.from({ length: count }, () => scale * rng.normal())
}

test('[scaled-gd] matrix sensing with unknown rank: the condition number does not matter', () => {
  const [n, k] = [15, 4]
  const iterations = (method: { id: string }, condition: number, config: object, most: number) => {
    const problem = sensing(rngStream(1, 'sensing'), n, 2, condition, 600)
    const start = { shape: [n, k] as [number, number], values: normals(2, 'start', n * k, 1e-3 / Math.sqrt(n)) }
    const session = new Session(method as typeof sgd, matrices({ X: start }), { config })
    for (let t = 0; t <= most; t++) {
      if (relativeError(problem, session.state.x.X) <= 1e-3) return t
      session.tell({ X: sensingGradient(problem, session.state.x.X) })
    }
    return Number.POSITIVE_INFINITY
  }
  const scaled = [2, 10, 30].map((condition) =>
    iterations(scaledGd, condition, { smallestEigenvalue: 1 / condition }, 100),
  )
  for (const count of scaled) expect(count).toBeLessThanOrEqual(100)
  const learningRate = 0.3
  for (const [condition, factor, count] of [
    [10, 5, scaled[1]],
    [30, 15, scaled[2]],
  ]) {
    const found = iterations(sgd, condition, { learningRate }, factor * count)
    expect(found).toBeGreaterThanOrEqual(factor * count)
  }
}, 60_000)

const [rows, columns, rank] = [6, 5, 2]
const product = (l: ArrayLike<number>, r: ArrayLike<number>) =>
  Array.from({ length: rows * columns }, (_, at) => {
    const [i, j] = [Math.floor(at / columns), at % columns]
    let sum = 0
    for (let p = 0; p < rank; p++) sum += l[i * rank + p] * r[j * rank + p]
    return sum
  })

test('[scaled-gd] pairs: the product does not depend on how it is factored', () => {
  const target = product(normals(3, 'L', rows * rank), normals(3, 'R', columns * rank))
  const gradient = ({ L, R }: { readonly [name: string]: ArrayLike<number> }) => {
    const off = product(L, R).map((v, at) => v - target[at])
    const of = (size: number, other: ArrayLike<number>, at: (i: number, j: number) => number, count: number) =>
      Array.from({ length: size * rank }, (_, index) => {
        const [i, p] = [Math.floor(index / rank), index % rank]
        let sum = 0
        for (let j = 0; j < count; j++) sum += off[at(i, j)] * other[j * rank + p]
        return sum
      })
    return {
      L: of(rows, R, (i, j) => i * columns + j, columns),
      R: of(columns, L, (j, i) => i * columns + j, rows),
    }
  }
  const run = (method: { id: string }, config: object, q: readonly number[]) => {
    const det = q[0] * q[3] - q[1] * q[2]
    // L*Q and R*Q^-T.
    const inverse = [q[3] / det, -q[2] / det, -q[1] / det, q[0] / det]
    const times = (a: readonly number[], b: readonly number[]) =>
      a.map((_, at) => {
        const [i, p] = [Math.floor(at / 2), at % 2]
        return a[2 * i] * b[p] + a[2 * i + 1] * b[2 + p]
      })
    const session = new Session(
      method as typeof sgd,
      matrices({
        L: { shape: [rows, rank], values: times(normals(4, 'L', rows * rank), q) },
        R: { shape: [columns, rank], values: times(normals(4, 'R', columns * rank), inverse) },
      }),
      { config },
    ).steps(10, gradient)
    return product(session.state.x.L, session.state.x.R)
  }
  const spread = (method: { id: string }, config: object) => {
    const plain = run(method, config, [1, 0, 0, 1])
    return Math.max(...run(method, config, [2, 0.7, -0.4, 0.5]).map((v, at) => Math.abs(v - plain[at])))
  }
  expect(spread(scaledGd, { lambda: 0, pairs: [{ left: 'L', right: 'R' }] })).toBeLessThan(1e-8)
  expect(spread(sgd, { learningRate: 0.05 })).toBeGreaterThan(1e-2)
})

test('[scaled-gd] a large lambda, at the same eta/lambda, is gradient descent', () => {
  const problem = sensing(rngStream(5, 'sensing'), 5, 2, 3, 40)
  const start = { X: { shape: [5, 3] as [number, number], values: normals(6, 'start', 15, 0.3) } }
  const run = (method: { id: string }, config: object) => {
    const session = new Session(method as typeof sgd, matrices(start), { config })
    for (let t = 0; t < 50; t++) session.tell({ X: sensingGradient(problem, session.state.x.X) })
    return session.state.x.X
  }
  const plain = run(sgd, { learningRate: 0.1 })
  for (const [i, x] of run(scaledGd, { lambda: 1e9, learningRate: 1e8 }).entries())
    expect(Math.abs(x - plain[i])).toBeLessThan(1e-6)
})

test('[scaled-gd] refuses what is no factor, and pairs that do not fit', () => {
  const space = matrices({ L: { shape: [2, 2], values: [1, 0, 0, 1] }, R: { shape: [2, 1], values: [1, 1] } })
  const vector: TensorsSpace = { kind: 'tensors', tensors: [{ name: 'v', shape: [3], dtype: 'f64' }] }
  expect(() => new Session(scaledGd, vector)).toThrow('space.tensors[0].shape')
  const pairs = (left: string, right: string) => ({ config: { pairs: [{ left, right }] } })
  expect(() => new Session(scaledGd, space, pairs('L', 'S'))).toThrow('no matrix "S"')
  expect(() => new Session(scaledGd, space, pairs('L', 'R'))).toThrow('as many columns')
  expect(() => new Session(scaledGd, space, pairs('L', 'L'))).toThrow('paired twice')
})
