import { expect, test } from 'vitest'
import type { Query } from '../../../src/core/query.js'
import { Rng, rngStream } from '../../../src/core/rng.js'
import type { Tensors } from '../../../src/core/tensor.js'
import { method as igt } from '../../../src/optimizers/presets/discover-igt.js'
import { method as qhm } from '../../../src/optimizers/presets/discover-qhm.js'
import { method as sgdm } from '../../../src/optimizers/presets/discover-sgdm.js'
import { method as sgd } from '../../../src/optimizers/presets/sgd.js'
import { Session, vectors } from '../session.js'

const D = 4
type Example = { a: readonly number[]; b: number }
/** The gradient of (a.x - b)^2/2. */
const gradientOf = ({ a, b }: Example, x: ArrayLike<number>): number[] => {
  const residual = a.reduce((sum, v, j) => sum + v * x[j], 0) - b
  return a.map((v) => residual * v)
}
function least(seed: number, n: number): { examples: Example[]; rng: Rng } {
  const rng = new Rng(rngStream(seed, 'least squares'))
  const examples = Array.from({ length: n }, () => ({
    a: Array.from({ length: D }, () => rng.normal()),
    b: rng.normal(),
  }))
  return { examples, rng }
}
/** Tells the gradient of one example at a time, with its cluster. */
const single =
  (examples: readonly Example[], next: () => number, clusterOf: (i: number) => number) =>
  ({ x }: Tensors) => {
    const i = next()
    return { gradients: gradientOf(examples[i], x), clusters: [clusterOf(i)], counts: [1] }
  }
const none = () => ({})
const start = [0, 0, 0, 0]

test('[discover] one cluster is SGD on plain gradients', () => {
  const { examples, rng } = least(1, 20)
  const stream = Array.from({ length: 200 }, () => rng.integer(20))
  let at = 0
  const config = { learningRate: 0.02, driver: { id: 'discover', clusters: 1 } }
  const quantities = single(
    examples,
    () => stream[at++],
    () => 0,
  )
  const session = new Session(sgd, vectors(start), { config, quantities })
  let x = start
  for (const i of stream) {
    const g = gradientOf(examples[i], x)
    x = x.map((v, j) => v - 0.02 * g[j])
    session.steps(1, none)
    for (let j = 0; j < D; j++) expect(Math.abs(session.x[j] - x[j])).toBeLessThan(1e-12)
  }
})

test('[discover] a cluster per example and beta 0 is SAGA', () => {
  const n = 20
  const { examples, rng } = least(2, n)
  const stream = Array.from({ length: 500 }, () => rng.integer(n))
  let at = 0
  const config = { learningRate: 0.02, driver: { id: 'discover', clusters: n, beta: 0 } }
  const quantities = single(
    examples,
    () => stream[at++],
    (i) => i,
  )
  const session = new Session(sgd, vectors(start), { config, quantities })
  const table = examples.map(() => [0, 0, 0, 0])
  let x = start
  stream.forEach((i, t) => {
    const g = gradientOf(examples[i], x)
    x = x.map((v, j) => v - 0.02 * (g[j] - table[i][j] + table.reduce((sum, row) => sum + row[j] / n, 0)))
    table[i] = g
    if (t === 250) session.restart()
    session.steps(1, none)
    for (let j = 0; j < D; j++) expect(Math.abs(session.x[j] - x[j])).toBeLessThan(1e-12)
  })
})

/** Mean excess loss over the last 500 of 3000 single-example steps, ten clusters of 30 equal points. */
function excess(seed: number, driver: object, quantitiesOf: (examples: Example[], next: () => number) => object) {
  const { examples: centres, rng } = least(seed, 10)
  const examples = Array.from({ length: 300 }, (_, i) => centres[i % 10])
  let last = 0
  const next = () => {
    last = rng.integer(300)
    return last
  }
  const config = { learningRate: 0.02, driver }
  const session = new Session(sgd, vectors(start), { config, ...quantitiesOf(examples, next) })
  const loss = (x: ArrayLike<number>) =>
    centres.reduce((sum, { a, b }) => sum + (a.reduce((s, v, j) => s + v * x[j], 0) - b) ** 2 / 20, 0)
  // The least loss by plain descent on the mean.
  let best = start
  for (let k = 0; k < 4000; k++) {
    const g = best.map((_, j) => centres.reduce((sum, c) => sum + gradientOf(c, best)[j] / 10, 0))
    best = best.map((v, j) => v - 0.2 * g[j])
  }
  const least0 = loss(best)
  let sum = 0
  for (let t = 0; t < 3000; t++) {
    session.steps(1, ({ x }: Tensors, _: Query) => ({ x: gradientOf(examples[next()], x) }))
    if (t >= 2500) sum += (loss(session.x) - least0) / 500
  }
  return sum
}

test('[discover] without spread within clusters the noise goes away, that of SGD stays', () => {
  const seeds = [1, 2, 3, 4]
  const clustered = seeds.map((seed) =>
    excess(seed, { id: 'discover', clusters: 10 }, (examples, next) => ({
      quantities: single(examples, next, (i) => i % 10),
    })),
  )
  const plain = seeds.map((seed) => excess(seed, { id: 'step' }, () => ({})))
  expect(clustered.reduce((sum, v) => sum + v, 0) / 4).toBeLessThanOrEqual(1e-6)
  expect(plain.reduce((sum, v) => sum + v, 0) / 4).toBeGreaterThanOrEqual(1e-3)
})

test('[discover] unbiased: with fixed momenta the mean direction over all examples is the full gradient', () => {
  const n = 12
  const { examples, rng } = least(5, n)
  // Clusters of 2, 4 and 6 examples.
  const clusterOf = (i: number) => (i < 2 ? 0 : i < 6 ? 1 : 2)
  const config = { learningRate: 1e-3, driver: { id: 'discover', clusters: 3, shares: [1, 2, 3] } }
  let next = () => rng.integer(n)
  const session = new Session(sgd, vectors(start), { config, quantities: single(examples, () => next(), clusterOf) })
  session.steps(50, none)
  const { x } = session
  const [before, query] = [structuredClone(session.state), session.query]
  const mean = [0, 0, 0, 0]
  for (let i = 0; i < n; i++) {
    session.state = structuredClone(before)
    session.query = query
    session.restart()
    next = () => i
    session.steps(1, none)
    for (let j = 0; j < D; j++) mean[j] += (x[j] - session.x[j]) / 1e-3 / n
  }
  for (let j = 0; j < D; j++) {
    const full = examples.reduce((sum, e) => sum + gradientOf(e, x)[j] / n, 0)
    // A division by the learning rate of 1e-3 stands between.
    expect(Math.abs(mean[j] - full)).toBeLessThan(1e-12)
  }
})

test('discover: groups of a batch, variances, k-means by features, transport, the bases', () => {
  const points = [
    [0, 1],
    [0.1, 1.1],
    [5, -3],
    [5.1, -3.1],
    [0, 1.2],
    [5, -2.9],
  ]
  const { examples } = least(6, 6)
  const quantities = ({ x }: Tensors, query: Query): { [name: string]: number[] } => {
    if (query.purpose === 'features') return { features: points.flat() }
    return { gradients: examples.flatMap((e) => gradientOf(e, x)), examples: [0, 1, 2, 3, 4, 5] }
  }
  const driver = { id: 'discover', clusters: 2, features: 2, refresh: 10 }
  const session = new Session(sgd, vectors(start), { config: { learningRate: 0.1, driver }, quantities })
  expect(session.query.purpose).toBe('features')
  session.steps(25, none)
  const [a, b, c, d, e, f] = session.state.driver.arrays!.assignment
  expect([b, e]).toEqual([a, a])
  expect([d, f]).toEqual([c, c])
  expect(a).not.toBe(c)
  expect(Array.from(session.state.driver.arrays!.shares)).toEqual([0.5, 0.5])
  expect(session.metrics.betweenVariance).toBeGreaterThan(0)
  expect(session.metrics.withinVariance).toBeGreaterThan(0)

  // On the full batch every base descends to the least squares solution.
  const grouped = ({ x }: Tensors) => ({
    gradients: examples.flatMap((e) => gradientOf(e, x)),
    clusters: [0, 1, 2, 3, 4, 5],
    counts: [1, 1, 1, 1, 1, 1],
  })
  const full = (x: ArrayLike<number>) =>
    Math.hypot(...start.map((_, j) => examples.reduce((sum, e) => sum + gradientOf(e, x)[j] / 6, 0)))
  for (const method of [sgdm, qhm, igt]) {
    const transport = method === igt
    const config = { learningRate: 0.2, driver: { id: 'discover', clusters: 6, transport } }
    const base = new Session(method, vectors(start), { config, quantities: grouped }).steps(1500, none)
    expect(full(base.x), method.id).toBeLessThan(0.02 * full(start))
  }

  const refused =
    (driver: object, direction: 'minimize' | 'maximize' = 'minimize') =>
    () =>
      new Session(sgd, vectors(start), { config: { driver: { id: 'discover', clusters: 2, ...driver } }, direction })
  expect(refused({ clusters: 1e9 })).toThrow('config.driver.clusters')
  expect(refused({ shares: [1] })).toThrow('config.driver.shares')
  expect(refused({ refresh: 3 })).toThrow('config.driver.refresh')
  expect(refused({}, 'maximize')).toThrow('config.driver.id')
})
